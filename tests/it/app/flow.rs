//! How much a destination gets: its breaker, what holds it, what it shares.

use std::{fmt::Write, time::Duration};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, sync::watch, time::Instant};

use crate::{
    app::{
        api::Api, app_case, eventually, operate::post_until_held, receiver::Reply, sender::event,
        site::STRIPE_TO_BILLING,
    },
    handler::{Handler, read_request},
    matrix::beside::OK,
};

async fn breaker(app: &Api, destination: &str) -> Value {
    let rows = app.list("/v1/destinations").await;
    let row = rows.iter().find(|it| it["name"] == destination).unwrap();
    row["breaker"].clone()
}

async fn until_breaker(app: &Api, state: &str) -> Value {
    eventually(&format!("the breaker is {state}"), || async {
        let breaker = breaker(app, "billing").await;
        (breaker["state"] == state).then_some(breaker)
    })
    .await
}

app_case!(f05_an_open_breaker_burns_no_attempt, |site| {
    // One at a time, so that it opens after the fifth and not while others are on their way.
    let rules = r#"concurrency = 1
breaker = { failures = 5, pause = "1h", max_pause = "1h", ramp = "1s" }
retry ="#;
    let search = r#"
[destinations.search]
url = "http://{}/search"
[[routes]]
source = "stripe"
destination = "search"
"#;
    let billing = STRIPE_TO_BILLING
        .replace("max_attempts = 4", "max_attempts = 50")
        .replace("retry =", rules);
    site.configure(&format!("{billing}{search}"));
    site.receiver.always("/billing", Reply::Status(500));
    let app = site.start().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    let breaker = until_breaker(&app, "open").await;
    assert_eq!(breaker["reason"], "5 attempts in a row failed");
    assert!(breaker["probes_in_ms"].as_u64().unwrap() > 3_000_000, "{breaker}");
    // What comes now waits like the rest, and the other destination does not notice.
    for n in 10..20 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    site.receiver.arrived("/search", 20).await;
    app.until_open(20).await;
    eventually("all of them wait in the store", || async {
        let rows = app.list("/v1/deliveries?destination=billing&limit=200").await;
        let waits = |it: &Value| it["status"] == "pending" || it["status"] == "retrying";
        (rows.len() == 20 && rows.iter().all(waits)).then_some(())
    })
    .await;
    assert_eq!(site.receiver.hits("/billing").len(), 5);
    assert_eq!(
        site.count("select cast(sum(n_attempts) as bigint) from delivery where destination = 'billing'")
            .await,
        5
    );
    let metrics = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
    for line in [
        "gatepost_breaker{destination=\"billing\"} 3",
        "gatepost_breaker_opened_total{destination=\"billing\"} 1",
        "gatepost_breaker{destination=\"search\"} 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }
    // It is back, and somebody says so.
    site.receiver.always("/billing", Reply::Status(200));
    let resumed = app.command("/v1/destinations/billing/resume", "").await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    assert_eq!(
        site.receiver.hits("/billing").len(),
        25,
        "each once, and the five that failed"
    );
    until_breaker(&app, "closed").await;
    app.finish().await;
});

app_case!(f04_after_an_outage_the_flow_grows_step_by_step, |site| {
    const PACE: Duration = Duration::from_millis(20);
    const RAMP: Duration = Duration::from_secs(4);
    let rules = r#"concurrency = 16
breaker = { failures = 5, pause = "100ms", max_pause = "100ms", ramp = "4s" }
retry ="#;
    site.configure(
        &STRIPE_TO_BILLING
            .replace("max_attempts = 4", "max_attempts = 500")
            .replace("retry =", rules),
    );
    site.receiver.always("/billing", Reply::Status(503));
    let app = site.start().await;
    for n in 0..400 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    until_breaker(&app, "open").await;
    site.receiver.always("/billing", Reply::Slow(PACE));
    let mended_at = Instant::now();
    app.until_open(0).await;
    let hits = site.receiver.hits("/billing");
    let after: Vec<_> = hits.iter().filter(|it| it.at > mended_at).collect();
    // In the first quarter at most four or five at once, each for so long; without the ramp there would be sixteen at once.
    let first = after[0].at;
    let n_early = after.iter().filter(|it| it.at < first + RAMP / 4).count();
    let most = 5 * (RAMP / 4).as_millis() / PACE.as_millis();
    assert!(
        n_early as u128 <= most,
        "{n_early} in the first second, at most {most}"
    );
    app.finish().await;
});

app_case!(f05_max_age_holds_while_a_breaker_is_open, |site| {
    let rules = r#"concurrency = 1
breaker = { failures = 5, pause = "1h", max_pause = "1h", ramp = "1s" }
retry ="#;
    site.configure(
        &STRIPE_TO_BILLING
            .replace(
                "max_attempts = 4, max_age = \"1h\"",
                "max_attempts = 50, max_age = \"2s\"",
            )
            .replace("retry =", rules),
    );
    site.receiver.always("/billing", Reply::Status(500));
    let app = site.start().await;
    for n in 0..10 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    until_breaker(&app, "open").await;
    let n_attempts = site.receiver.hits("/billing").len();
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["dead"], 10, "{ledger}");
    let dead = app.list("/v1/deliveries?status=dead").await;
    let is_said = |it: &Value| it["last_error"].as_str().unwrap().contains("`max_age`");
    assert!(dead.iter().all(is_said), "{dead:?}");
    assert_eq!(site.receiver.hits("/billing").len(), n_attempts);
    app.finish().await;
});

app_case!(f09_dead_letters_in_a_row_hold_their_destination, |site| {
    let rules = "concurrency = 1\nhold_after = 3\nbreaker = { enabled = false }\nretry =";
    site.configure(
        &STRIPE_TO_BILLING
            .replace("max_attempts = 4", "max_attempts = 1")
            .replace("retry =", rules),
    );
    site.receiver
        .script("/billing", [500, 500, 200, 500, 422].map(Reply::Status));
    let app = site.start().await;
    let held = async || {
        let rows = app.list("/v1/destinations").await;
        rows[0]["held"].clone()
    };
    for (n, status) in ["dead", "dead", "delivered", "dead", "dead"].iter().enumerate() {
        let id = app.accept(&event(&format!("evt_{n}"))).await;
        app.until_status(&id, status).await;
    }
    assert_eq!(held().await, Value::Null, "one was delivered in between");
    site.receiver.script("/billing", [Reply::Status(500)]);
    let third = app.accept(&event("evt_third")).await;
    app.until_status(&third, "dead").await;
    let hold = eventually("the destination is held", || async {
        let held = held().await;
        held.is_object().then_some(held)
    })
    .await;
    let reason = hold["reason"].as_str().unwrap();
    assert!(reason.starts_with("3 dead letters in a row"), "{reason}");
    assert!(reason.contains("500"), "{reason}");
    let (_, late) = post_until_held(&app).await;
    let resumed = app.command("/v1/destinations/billing/resume", "").await;
    assert_eq!(resumed.status, 200, "{resumed:?}");
    app.until_status(&late, "delivered").await;
    app.finish().await;
});

app_case!(f01_retries_that_hang_do_not_hold_up_what_is_new, |site| {
    let is_mended = watch::Sender::new(false);
    let mended = is_mended.clone();
    // Says no at once to the first attempt of some events, and hangs at every later one.
    let handler = Handler::start(move |mut stream, _| {
        let mut mended = mended.subscribe();
        async move {
            while let Some(received) = read_request(&mut stream).await {
                let is_bad = received.header("gatepost-external-id")[0].starts_with("evt_bad");
                let answer = if is_bad && received.header("gatepost-attempt") == ["1"] {
                    &b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"[..]
                } else {
                    if is_bad {
                        mended.wait_for(|it| *it).await.unwrap();
                    }
                    OK
                };
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let rules = "concurrency = 4\ntimeout = \"5m\"\nbreaker = { enabled = false }\nretry =";
    site.configure(
        &STRIPE_TO_BILLING
            .replace("http://{}/billing", &handler.url("/"))
            .replace("retry =", rules),
    );
    let app = site.start().await;
    let mut bad = Vec::new();
    for n in 0..20 {
        bad.push(app.accept(&event(&format!("evt_bad_{n}"))).await);
    }
    // As many of them hang as may: one slot is left.
    eventually("three retries hang", || async {
        let metrics = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
        let line = "gatepost_attempts_in_flight{destination=\"billing\"} 3";
        metrics.lines().any(|it| it == line).then_some(())
    })
    .await;
    for n in 0..30 {
        let id = app.accept(&event(&format!("evt_good_{n}"))).await;
        app.until_status(&id, "delivered").await;
    }
    let ledger = app.get("/v1/ledger").await;
    assert_eq!(
        (&ledger["open"], &ledger["delivered"]),
        (&20.into(), &30.into()),
        "{ledger}"
    );
    is_mended.send_replace(true);
    for id in &bad {
        app.until_status(id, "delivered").await;
    }
    app.finish().await;
});

app_case!(f01_of_a_hundred_destinations_ten_hang_and_ten_fail, |site| {
    const N_EVENTS: usize = 10;
    let mut text =
        "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ file = \"stripe.secret\" }]\n".to_owned();
    let name = |n: usize| match n {
        0..10 => format!("hangs-{n}"),
        10..20 => format!("fails-{n}"),
        _ => format!("good-{n}"),
    };
    for n in 0..100 {
        let name = name(n);
        let _ = write!(
            text,
            "[destinations.{name}]\nurl = \"http://{{}}/{name}\"\ntimeout = \"5m\"\nconcurrency = 2\n\
             retry = {{ max_attempts = 50, first = \"20ms\", cap = \"100ms\" }}\n\
             breaker = {{ failures = 5, pause = \"1h\", max_pause = \"1h\", ramp = \"100ms\" }}\n"
        );
    }
    for n in 0..100 {
        let _ = write!(
            text,
            "[[routes]]\nsource = \"stripe\"\ndestination = \"{}\"\n",
            name(n)
        );
    }
    site.configure(&text);
    let path = |n| format!("/{}", name(n));
    for n in 0..10 {
        site.receiver.always(&path(n), Reply::Gate);
        site.receiver.always(&path(10 + n), Reply::Status(500));
    }
    // The store's own pace on a busy machine is not what this is about.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    let app = site.start().await;
    for n in 0..N_EVENTS {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    for n in 20..100 {
        let hits = site.receiver.arrived(&path(n), N_EVENTS).await;
        assert_eq!(hits.len(), N_EVENTS, "each once");
    }
    // The others keep their own two slots, and cost five failures and what was on its way then.
    for n in 0..10 {
        assert!(site.receiver.hits(&path(n)).len() <= 2);
        assert!(site.receiver.hits(&path(10 + n)).len() <= 6);
    }
    site.receiver.open();
    for n in 10..20 {
        eventually("it is left alone", || async {
            let rows = app.list("/v1/destinations").await;
            let row = rows.iter().find(|it| it["name"] == name(n).as_str()).unwrap();
            (row["breaker"]["state"] == "open").then_some(())
        })
        .await;
        site.receiver.always(&path(n), Reply::Status(200));
        let resume = format!("/v1/destinations/{}/resume", name(n));
        assert_eq!(app.command(&resume, "").await.status, 200);
    }
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 100 * N_EVENTS, "{ledger}");
    app.finish().await;
});
