//! More than it can take, slower than anyone should be, forged, poisoned.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{
        api::{Api, client},
        app_case, eventually,
        faults::Lock,
        process::Process,
        sender::{OTHER_SECRET, event, event_body, stripe, stripe_with},
        site::Site,
    },
    matrix::{machine, observed},
};

app_case!(
    f96_beyond_its_capacity_it_says_503_and_stores_what_it_takes,
    |site| {
        const N_SENDERS: usize = 96;
        const N_EACH: usize = 5;
        site.set("GATEPOST__INGEST__MAX_BYTES_IN_FLIGHT", "1 MiB");
        site.set("GATEPOST__SERVER__MAX_BODY", "64 KiB");
        let process = Process::start(&site, "all").await;
        process.accept(&event("evt_before")).await;
        let memory = machine::memory(process.id(), "VmRSS");
        let mut senders = JoinSet::new();
        for sender in 0..N_SENDERS {
            let api = process.api.clone();
            senders.spawn(async move {
                let (mut taken, mut n_refused) = (Vec::new(), 0_usize);
                for n in 0..N_EACH {
                    let id = format!("evt_{sender}_{n}");
                    // Thirty-two of them fill the room that there is.
                    let body = format!(r#"{{"id":"{id}","n":"{}"}}"#, "x".repeat(32 << 10));
                    let answer = api.post(&stripe(body)).await;
                    if answer.status == 200 {
                        taken.push(id);
                    } else {
                        assert!(answer.is_own_fault(), "{answer:?}");
                        n_refused += 1;
                    }
                }
                (taken, n_refused)
            });
        }
        let ended = senders.join_all().await;
        let over_at = Instant::now();
        process.accept(&event("evt_after")).await;
        let took = over_at.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        let n_refused: usize = ended.iter().map(|(_, it)| it).sum();
        let n_taken: usize = ended.iter().map(|(it, _)| it.len()).sum();
        assert!(
            n_refused > 0 && n_taken > 20,
            "{n_refused} refused, {n_taken} taken"
        );
        let ledger = process.until_open(0).await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
        let stored: Vec<_> = site
            .events()
            .await
            .into_iter()
            .filter_map(|it| it.external_id)
            .collect();
        // What was refused is not there either: it was refused before it was read.
        assert_eq!(stored.len(), n_taken + 2, "{ledger}");
        assert!(ended.iter().flat_map(|(it, _)| it).all(|it| stored.contains(it)));
        let grown = machine::memory(process.id(), "VmRSS").saturating_sub(memory);
        assert!(grown < 200 << 20, "{grown} bytes more");
        observed("F96", &site, "200, or 503 beyond capacity", Some(took));
        process.terminate().await;
    }
);

/// Connections that this process, and the child with the same limit, can have open beside everything else.
fn n_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|it| it.starts_with("Max open files"))
        .unwrap();
    let soft = line.split_whitespace().nth(3).unwrap();
    soft.parse::<usize>().map_or(2000, |it| (it / 4).min(2000))
}

app_case!(
    f97_thousands_of_slow_connections_leave_room_for_honest_ones,
    |site| {
        site.set("GATEPOST__SERVER__HEAD_TIMEOUT", "5s");
        let process = Process::start(&site, "all").await;
        process.accept(&event("evt_first")).await;
        let before = machine::descriptors(process.id());
        let address = process.public.unwrap();
        let is_over = CancellationToken::new();
        let mut slow = Vec::new();
        for _ in 0..n_connections() {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"POST /webhooks/stripe HTTP/1.1\r\nhost: gatepost\r\n")
                .await
                .unwrap();
            slow.push(stream);
        }
        let n_slow = slow.len();
        let dripping = async {
            let mut pace = tokio::time::interval(Duration::from_secs(1));
            while !is_over.is_cancelled() {
                pace.tick().await;
                for stream in &slow {
                    let _ = stream.try_write(b"x-a: b\r\n");
                }
            }
        };
        let honest = async {
            for n in 0..40 {
                let id = format!("evt_{n}");
                // On a connection that is kept, and on one of its own.
                process.accept(&event(&id)).await;
                let fresh = Api {
                    client: client(),
                    ..process.api.clone()
                };
                assert_eq!(fresh.post(&event(&id)).await.taken().0, "duplicate");
            }
            let dropped_at = Instant::now();
            eventually("the slow ones are closed", || async {
                (machine::descriptors(process.id()) < before + 60).then_some(())
            })
            .await;
            is_over.cancel();
            dropped_at.elapsed()
        };
        let ((), took) = tokio::join!(dripping, honest);
        assert!(took <= Duration::from_secs(10), "{took:?}");
        let ledger = process.until_open(0).await;
        assert_eq!(ledger["delivered"], 41, "{ledger}");
        let client = format!("200 beside {n_slow} slow ones, which get 408");
        observed("F97", &site, &client, Some(took));
        process.terminate().await;
        // The first of them was told.
        let mut told = Vec::new();
        let _ = slow[0].read_to_end(&mut told).await;
        assert!(
            told.is_empty() || told.starts_with(b"HTTP/1.1 408"),
            "{}",
            String::from_utf8_lossy(&told)
        );
    }
);

/// Ends all sessions, or holds the file for a moment, while the senders go on.
async fn disturb(site: &Site) {
    if site.is_postgres() {
        site.terminate_sessions().await;
    } else {
        let lock = Lock::take(site).await;
        tokio::task::yield_now().await;
        lock.release().await;
    }
}

app_case!(
    f98_a_flood_of_forgeries_stores_nothing_and_hides_nothing,
    |site| {
        const N: usize = 40;
        let app = site.start().await;
        let ids: Vec<_> = (0..N).map(|n| format!("evt_{n:02}")).collect();
        let genuine = async {
            for (n, id) in ids.iter().enumerate() {
                if n % 10 == 5 {
                    disturb(&site).await;
                }
                eventually("it is taken", || async {
                    let answer = app.post(&event(id)).await;
                    assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
                    (answer.status == 200).then_some(())
                })
                .await;
            }
        };
        let forged = join_all((0..10).map(|forger| {
            let app = &app;
            async move {
                for n in 0..N {
                    // The very ids of the genuine ones.
                    let forged = stripe_with(OTHER_SECRET, event_body(&format!("evt_{n:02}"), "forged"));
                    let answer = app.post(&forged).await;
                    assert!(
                        answer.status == 401 || answer.is_own_fault(),
                        "{forger}: {answer:?}"
                    );
                }
            }
        }));
        tokio::join!(genuine, forged);
        let over_at = Instant::now();
        let ledger = app.until_open(0).await;
        assert_eq!(ledger["stored"], N, "{ledger}");
        assert_eq!(ledger["conflicts"], 0, "{ledger}");
        for event in site.events().await {
            assert_eq!(event.verified, "body");
            assert!(!event.body.windows(6).any(|it| it == b"forged"));
        }
        let took = over_at.elapsed();
        observed(
            "F98",
            &site,
            "401 for forgeries, 200 or 503 for the others",
            Some(took),
        );
        app.finish().await;
    }
);

app_case!(f99_poison_rows_and_lost_sessions_at_once, |site| {
    if site.is_postgres() {
        site.raw(
            "create function poison() returns trigger language plpgsql as $$ begin \
             raise exception using errcode = '22000', message = 'poison'; end $$",
        )
        .await;
    }
    let app = site.start().await;
    site.raw(if site.is_postgres() {
        "create trigger poison before insert on event for each row when (new.external_id like 'poison_%') \
         execute function poison()"
    } else {
        "create trigger poison before insert on event when new.external_id like 'poison_%' \
         begin select raise(abort, 'poison'); end"
    })
    .await;
    let name = |n: usize| format!("{}_{n}", if n.is_multiple_of(8) { "poison" } else { "evt" });
    let all: Vec<_> = (0..64).map(|n| (name(n), event(&name(n)))).collect();
    let send = join_all(all.iter().map(|(id, signed)| {
        let app = &app;
        async move {
            if id.starts_with("poison") {
                let answer = app.post(signed).await;
                assert!(answer.is_own_fault(), "{id}: {answer:?}");
                return;
            }
            eventually("its neighbours are taken", || async {
                let answer = app.post(signed).await;
                assert!(answer.status == 200 || answer.is_own_fault(), "{id}: {answer:?}");
                (answer.status == 200).then_some(())
            })
            .await;
        }
    }));
    let disturbing = async {
        for _ in 0..5 {
            disturb(&site).await;
        }
    };
    tokio::join!(send, disturbing);
    site.raw(if site.is_postgres() {
        "drop trigger poison on event"
    } else {
        "drop trigger poison"
    })
    .await;
    let over_at = Instant::now();
    for (id, signed) in &all {
        eventually("the poison is gone", || async {
            let answer = app.post(signed).await;
            assert!(answer.status == 200 || answer.is_own_fault(), "{id}: {answer:?}");
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let took = over_at.elapsed();
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 64, "{ledger}");
    assert_eq!(ledger["delivered"], 64, "{ledger}");
    observed(
        "F99",
        &site,
        "503 for the poison, 200 for its neighbours",
        Some(took),
    );
    app.finish().await;
});
