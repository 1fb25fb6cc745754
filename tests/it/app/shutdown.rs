//! The end that was asked for: nothing is lost, nothing is sent twice, no open request is reset.

use std::time::Duration;

use gatepost::app::Role;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use crate::{
    app::{
        app_case, eventually,
        load::{Load, Seed, assert_kept},
        process::{Process, signal},
        receiver::Reply,
        sender::{Signed, event},
        soon,
    },
    matrix::observed,
};

/// A request of which the server has read the head and waits for the body.
struct OpenRequest {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl OpenRequest {
    async fn begin(address: std::net::SocketAddr, signed: &Signed) -> Self {
        let mut head = format!(
            "POST /webhooks/{} HTTP/1.1\r\nhost: gatepost\r\ncontent-length: {}\r\nexpect: 100-continue\r\n",
            signed.source,
            signed.body.len()
        );
        for (name, value) in &signed.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let mut line = String::new();
        soon("100 Continue", stream.read_line(&mut line)).await.unwrap();
        assert!(line.starts_with("HTTP/1.1 100"), "{line}");
        stream.read_line(&mut line).await.unwrap();
        let half = signed.body.len() / 2;
        stream.write_all(&signed.body[..half]).await.unwrap();
        Self {
            stream,
            body: signed.body[half..].to_vec(),
        }
    }

    /// Sends the rest; the whole of the answer.
    async fn end(mut self) -> String {
        self.stream.write_all(&self.body).await.unwrap();
        let mut answer = String::new();
        soon("the answer", self.stream.read_to_string(&mut answer))
            .await
            .unwrap();
        answer
    }
}

app_case!(
    f23_sigterm_under_load_loses_nothing_and_sends_nothing_twice,
    |site| {
        let seed = Seed::choose();
        site.receiver
            .always("/billing", Reply::Slow(Duration::from_millis(30)));
        let load = Load::start(seed.0, 6);
        let mut process = Process::start(&site, "all").await;
        let mut longest = Duration::ZERO;
        for round in 0..4 {
            load.aim(process.public);
            load.progress(40).await;
            let mut open = Vec::new();
            for n in 0..3 {
                let signed = event(&format!("evt_open_{round}_{n}"));
                open.push(OpenRequest::begin(process.public.unwrap(), &signed).await);
            }
            let asked_at = Instant::now();
            signal(process.id(), "TERM");
            eventually("readiness says no, or nobody answers", || async {
                let url = format!("http://{}/readyz", process.admin);
                let ready = process.client.get(url).send().await;
                ready.map_or(true, |it| it.status() == 503).then_some(())
            })
            .await;
            for request in open {
                let answer = request.end().await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                assert!(
                    answer.to_ascii_lowercase().contains("connection: close"),
                    "{answer}"
                );
            }
            let ended = process.ended().await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let took = asked_at.elapsed();
            assert!(
                took < Duration::from_secs(10),
                "{took:?} of 25 s of grace, with nothing that hangs"
            );
            longest = longest.max(took);
            load.aim(None);
            process = Process::start(&site, "all").await;
        }
        load.aim(process.public);
        load.progress(20).await;
        let book = load.finish().await;
        let n_twice = assert_kept(&site, &book).await;
        assert_eq!(n_twice, 0, "deliveries came twice");
        // A connection that the kernel takes between the last look at its queue and the queue's end is reset.
        assert!(
            book.broken.len() <= 1,
            "requests without an answer: {:?}",
            book.broken
        );
        let ledger = process.until_open(0).await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
        observed("F23", &site, "200 with `connection: close`", Some(longest));
        process.terminate().await;
    }
);

app_case!(
    f24_an_attempt_that_hangs_at_a_stop_is_put_back_uncounted,
    |site| {
        site.set("GATEPOST__SERVER__GRACE", "300ms");
        site.receiver.script("/billing", [Reply::Hang]);
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        site.receiver.arrived("/billing", 1).await;
        let asked_at = Instant::now();
        app.stop().await;
        let took = asked_at.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");

        let idle = site.start_as(Role::Ingest).await;
        let delivery = idle.delivery_of(&id).await;
        assert_eq!(delivery["status"], "pending");
        assert_eq!(delivery["attempts"], 0);
        idle.stop().await;

        let app = site.start().await;
        let hits = site.receiver.arrived("/billing", 2).await;
        assert_eq!(hits[1].header("gatepost-attempt"), "1");
        app.until_status(&id, "delivered").await;
        observed("F24", &site, "refused", Some(took));
        app.finish().await;
    }
);

app_case!(
    f06_an_attempt_in_flight_at_a_stop_is_finished_and_recorded,
    |site| {
        site.receiver.always("/billing", Reply::Gate);
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        site.receiver.arrived("/billing", 1).await;
        app.running.stop();
        site.receiver.open();
        soon("the stop", Box::pin(app.running.wait())).await.unwrap();

        let app = site.start_as(Role::Ingest).await;
        let delivery = app.delivery_of(&id).await;
        assert_eq!(delivery["status"], "delivered");
        assert_eq!(delivery["attempts"], 1);
        assert_eq!(site.receiver.all_hits().len(), 1);
        app.finish().await;
    }
);

app_case!(f06_every_attempt_in_flight_at_sigterm_is_recorded, |site| {
    site.receiver.always("/billing", Reply::Gate);
    let process = Process::start(&site, "all").await;
    let mut ids = Vec::new();
    for n in 0..24 {
        ids.push(process.accept(&event(&format!("evt_{n}"))).await);
    }
    // As many as it may have under way at once.
    site.receiver.arrived("/billing", 16).await;
    signal(process.id(), "TERM");
    eventually("readiness says no, or nobody answers", || async {
        let url = format!("http://{}/readyz", process.admin);
        let ready = process.client.get(url).send().await;
        ready.map_or(true, |it| it.status() == 503).then_some(())
    })
    .await;
    site.receiver.open();
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What waited for a place may have been sent before the stop reached it; what was sent is recorded, the rest untouched.
    let n_sent = i64::try_from(site.receiver.all_hits().len()).unwrap();
    assert!((16..=24).contains(&n_sent), "{n_sent}");
    assert_eq!(site.count("select count(*) from attempt").await, n_sent);
    let done = "select count(*) from delivery where status = 'delivered' and n_attempts = 1";
    assert_eq!(site.count(done).await, n_sent);
    let waiting = "select count(*) from delivery where status = 'pending' and n_attempts = 0";
    assert_eq!(site.count(waiting).await, 24 - n_sent);

    let app = site.start().await;
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    assert_eq!(site.receiver.all_hits().len(), 24, "nothing came twice");
    app.finish().await;
});

app_case!(rejected_requests_of_the_last_moment_are_kept, |site| {
    let app = site.start().await;
    for n in 0..5 {
        let mut forged = event(&format!("evt_{n}"));
        forged.body.push(b' ');
        assert_eq!(app.post(&forged).await.status, 401);
    }
    app.stop().await;
    let app = site.start().await;
    app.until_rejected("signature_mismatch", 5).await;
    app.finish().await;
});
