//! What happens to one process: told to end twice, short of memory or descriptors, blocked, panicking.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    app::{
        app_case, eventually,
        process::{Process, signal},
        receiver::Reply,
        sender::{Signed, event, stripe},
        site::STRIPE_TO_BILLING,
        soon,
    },
    matrix::{machine, observed},
};

/// Gives a running process a limit, as `prlimit` writes it.
fn limit(process: &Process, limit: &str) {
    let pid = process.id().to_string();
    let status = Command::new("prlimit").args([limit, "--pid", &pid]).status();
    assert!(status.unwrap().success(), "{limit}");
}

app_case!(f25_ended_during_the_stop_it_delivers_after_the_restart, |site| {
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    site.receiver.always("/billing", Reply::Hang);
    let mut ids = Vec::new();
    for (n, last) in ["TERM", "KILL"].into_iter().enumerate() {
        let process = Process::start(&site, "all").await;
        ids.push(process.accept(&event(&format!("evt_{n}"))).await);
        site.receiver.arrived("/billing", n + 1).await;
        signal(process.id(), "TERM");
        process.logged("SIGTERM: stopping", 1).await;
        let asked_at = Instant::now();
        signal(process.id(), last);
        let ended = process.ended().await;
        let expected = if last == "TERM" { Some(1) } else { None };
        assert_eq!(ended.code, expected, "{}", ended.stderr);
        let took = asked_at.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "{last}: {took:?} of 25 s of grace"
        );
    }
    site.receiver.always("/billing", Reply::Status(200));
    let started_at = Instant::now();
    let process = Process::start(&site, "all").await;
    for id in &ids {
        process.until_status(id, "delivered").await;
    }
    let took = started_at.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    // The second one's process may have taken over what the first one's left, and hung there too.
    assert!((4..=5).contains(&site.receiver.all_hits().len()));
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    observed("F25", &site, "reset", Some(took));
    process.terminate().await;
});

/// Announces a body of so many bytes, sends the first, and says what it was told within a moment: a status, or nothing yet.
async fn announce(process: &Process, n_bytes: u64) -> (TcpStream, Option<String>) {
    let mut stream = TcpStream::connect(process.public.unwrap()).await.unwrap();
    let head =
        format!("POST /webhooks/stripe HTTP/1.1\r\nhost: gatepost\r\ncontent-length: {n_bytes}\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    let told = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut start)).await;
    let told = told
        .is_ok()
        .then(|| String::from_utf8_lossy(&start[9..]).into_owned());
    (stream, told)
}

app_case!(
    f27_bodies_beyond_the_memory_are_refused_before_they_are_read,
    |site| {
        site.set("GATEPOST__INGEST__MAX_BYTES_IN_FLIGHT", "64 MiB");
        let process = Process::start(&site, "all").await;
        process.accept(&event("evt_before")).await;
        let n_before = machine::memory(process.id(), "VmSize");
        limit(&process, &format!("--as={}", (n_before + (400 << 20))));
        let (_, told) = announce(&process, 10 << 30).await;
        assert_eq!(told.as_deref(), Some("413"));
        // Ten times the budget, and more than the limit would bear.
        let announced = join_all((0..64).map(|_| announce(&process, 10 << 20))).await;
        let n_refused = announced
            .iter()
            .filter(|(_, told)| told.as_deref() == Some("503"))
            .count();
        let n_waiting = announced.iter().filter(|(_, told)| told.is_none()).count();
        assert_eq!((n_refused, n_waiting), (58, 6), "six of them fit");
        // What is small finds room beside them.
        process.accept(&event("evt_beside")).await;
        // Real bodies meet the rest of the budget: taken or told to come again, never anything else.
        let large: Vec<_> = (0..8)
            .map(|n| {
                stripe(format!(
                    r#"{{"id":"evt_large_{n}","n":"{}"}}"#,
                    "x".repeat(512 << 10)
                ))
            })
            .collect();
        for answer in join_all(large.iter().map(|it| process.post(it))).await {
            assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
        }
        drop(announced);
        let over_at = Instant::now();
        let mut took = None;
        for it in &large {
            eventually("there is room again", || async {
                let answer = process.post(it).await;
                assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
                (answer.status == 200).then_some(())
            })
            .await;
            took.get_or_insert_with(|| over_at.elapsed());
        }
        let ledger = process.until_open(0).await;
        assert_eq!(ledger["stored"], 10, "{ledger}");
        assert_eq!(ledger["balanced"], true, "{ledger}");
        let stored: Vec<_> = site.events().await.into_iter().map(|it| it.body).collect();
        assert!(large.iter().all(|it| stored.contains(&it.body)));
        observed("F27", &site, "413, 503", took);
        process.terminate().await;
    }
);

app_case!(f28_without_descriptors_nothing_acknowledged_is_lost, |site| {
    site.configure(&STRIPE_TO_BILLING.replace("max_attempts = 4", "max_attempts = 500"));
    let process = Process::start(&site, "all").await;
    // A connection that is there already goes on; a client of many might open another at any time.
    let mut open = TcpStream::connect(process.public.unwrap()).await.unwrap();
    let answer = exchange(&mut open, &event("evt_0")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    site.receiver.arrived("/billing", 1).await;
    limit(&process, "--nofile=64:64");
    let mut silent = Vec::new();
    for _ in 0..96 {
        silent.push(TcpStream::connect(process.public.unwrap()).await.unwrap());
    }
    process.logged("cannot accept connections", 1).await;
    let (spent, since) = (machine::cpu_ticks(process.id()), Instant::now());
    for n in 1..6 {
        let answer = exchange(&mut open, &event(&format!("evt_{n}"))).await;
        let is_own_fault = answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: ");
        assert!(answer.starts_with("HTTP/1.1 200") || is_own_fault, "{answer}");
    }
    process.live_for(Duration::from_millis(500)).await;
    let n_ticks = machine::cpu_ticks(process.id()) - spent;
    let n_hundredths = since.elapsed().as_millis() / 10;
    assert!(
        u128::from(n_ticks) < n_hundredths / 2,
        "{n_ticks} of {n_hundredths} hundredths of a second: a busy loop"
    );
    drop(silent);
    let over_at = Instant::now();
    // A new connection, and each sender's retry.
    let fresh = crate::app::api::Api {
        client: crate::app::api::client(),
        ..process.api.clone()
    };
    let mut took = None;
    for n in 0..6 {
        eventually("it takes connections again", || async {
            let answer = fresh.try_post(&event(&format!("evt_{n}"))).await;
            answer.is_ok_and(|it| it.status == 200).then_some(())
        })
        .await;
        took.get_or_insert_with(|| over_at.elapsed());
    }
    let ledger = process.until_open(0).await;
    assert_eq!(
        (&ledger["stored"], &ledger["delivered"]),
        (&6.into(), &6.into()),
        "{ledger}"
    );
    assert_eq!(ledger["balanced"], true, "{ledger}");
    observed(
        "F28",
        &site,
        "no answer, or 200 on a connection that was open",
        took,
    );
    process.terminate().await;
});

app_case!(f30_a_blocked_thread_holds_up_nobody_for_long, |site| {
    // In this process, so that the thread is one of gatepost's own runtime: it has two.
    let app = site.start().await;
    app.accept(&event("evt_first")).await;
    let n_blocked = Arc::new(AtomicUsize::new(0));
    let (release, until) = mpsc::channel::<()>();
    let mut blocking = tokio::task::JoinSet::new();
    let blocked = n_blocked.clone();
    blocking.spawn(async move {
        blocked.fetch_add(1, Ordering::SeqCst);
        let _ = until.recv_timeout(Duration::from_secs(5));
    });
    eventually("a thread is blocked", || async {
        (n_blocked.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    let mut longest = Duration::ZERO;
    for n in 0..20 {
        let asked_at = Instant::now();
        app.accept(&event(&format!("evt_{n}"))).await;
        longest = longest.max(asked_at.elapsed());
    }
    assert_eq!(app.ask("/livez").await.status, 200);
    assert!(
        longest < Duration::from_secs(4),
        "they waited for the thread: {longest:?}"
    );
    drop(release);
    soon("the thread is free", blocking.join_all()).await;
    let free_at = Instant::now();
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 21, "{ledger}");
    observed("F30", &site, "200", Some(free_at.elapsed()));
    app.finish().await;
});

app_case!(f23_a_connection_that_is_kept_open_is_told_that_it_ends, |site| {
    site.receiver
        .always("/billing", Reply::Slow(Duration::from_millis(50)));
    let process = Process::start(&site, "all").await;
    let mut stream = TcpStream::connect(process.public.unwrap()).await.unwrap();
    for n in 0..5 {
        let answer = exchange(&mut stream, &event(&format!("evt_{n}"))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    signal(process.id(), "TERM");
    let asked_at = Instant::now();
    // The sender learns of it by a clean end or by an answer that says so, never by a reset.
    let mut rest = Vec::new();
    soon("the end of the connection", stream.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(rest.is_empty());
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let took = asked_at.elapsed();
    let process = Process::start(&site, "all").await;
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["delivered"], 5, "{ledger}");
    assert_eq!(site.receiver.all_hits().len(), 5, "none of them twice");
    observed("F23", &site, "200, then the connection's end", Some(took));
    process.terminate().await;
});

/// One request on a connection that stays open; the head and body of its answer.
async fn exchange(stream: &mut TcpStream, signed: &Signed) -> String {
    let mut head = format!(
        "POST /webhooks/{} HTTP/1.1\r\nhost: gatepost\r\ncontent-length: {}\r\n",
        signed.source,
        signed.body.len()
    );
    for (name, value) in &signed.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let bytes = [head.as_bytes(), b"\r\n", &signed.body].concat();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    soon("the answer", async {
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
    })
    .await;
    String::from_utf8(answer).unwrap()
}
