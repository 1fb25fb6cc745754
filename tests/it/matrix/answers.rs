//! Handlers that answer, and say no: for all, for some, for now, for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use futures_util::future::join_all;
use gatepost::base::clock::{Timestamp, wall_now};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{io::AsyncWriteExt, time::Instant};

use crate::{
    app::{
        app_case, eventually,
        load::Seed,
        operate::post_until_held,
        receiver::Reply,
        sender::{event, now},
        site::STRIPE_TO_BILLING,
    },
    handler::{Handler, read_request},
    matrix::{
        beside::{BREAKER, OK, config, post_past, retry_dead},
        observed,
    },
};

const MANY: &str = r#"{ max_attempts = 500, max_age = "72h", first = "20ms", cap = "200ms" }"#;

app_case!(f71_after_a_storm_of_500_everything_is_delivered, |site| {
    const N: usize = 120;
    let here = site.receiver.address;
    site.configure(
        &config([("search", format!("http://{here}/search"))], MANY).replace(
            "url = \"http://{}/billing\"",
            &format!("url = \"http://{{}}/billing\"\nretry = {MANY}\n{BREAKER}"),
        ),
    );
    for path in ["/billing", "/search"] {
        site.receiver.always(path, Reply::Status(500));
    }
    // The store's own pace on a busy machine is not what this is about.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    let app = site.start().await;
    let all: Vec<_> = (0..N).map(|n| event(&format!("evt_{n}"))).collect();
    for answer in join_all(all.iter().map(|it| app.post(it))).await {
        answer.accepted();
    }
    // It is left alone: far fewer attempts than deliveries, most of which were never tried.
    eventually("the breaker is open, and stays open", || async {
        let metrics = app.ask("/metrics").await.body;
        let opened = "gatepost_breaker_opened_total{destination=\"billing\"} ";
        let text = String::from_utf8(metrics.to_vec()).unwrap();
        let n_opened = text.lines().find_map(|it| it.strip_prefix(opened)).unwrap();
        (n_opened.parse::<u32>().unwrap() >= 5).then_some(())
    })
    .await;
    assert!(site.receiver.hits("/billing").len() < N);
    assert_eq!(app.get("/v1/ledger").await["open"], 2 * N);
    for path in ["/billing", "/search"] {
        site.receiver.always(path, Reply::Status(200));
    }
    let mended_at = Instant::now();
    let ledger = app.until_open(0).await;
    let took = mended_at.elapsed();
    assert_eq!(ledger["delivered"], 2 * N, "{ledger}");
    observed("F71", &site, "200", Some(took));
    app.finish().await;
});

app_case!(f72_every_kind_of_retry_after_is_obeyed_within_reason, |site| {
    let in_two_hours =
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs((now() + 7200).unsigned_abs()));
    let asked = [
        ("zero", "0".to_owned()),
        ("garbage", "soon".to_owned()),
        ("one", "1".to_owned()),
        ("date", in_two_hours),
        ("forever", "1000000000000".to_owned()),
    ];
    let here = site.receiver.address;
    site.configure(&config(
        asked
            .iter()
            .map(|(name, _)| (*name, format!("http://{here}/{name}"))),
        MANY,
    ));
    for (name, value) in &asked {
        let later = Reply::With(429, "retry-after", value.clone());
        site.receiver.script(&format!("/{name}"), [later]);
    }
    let app = site.start().await;
    let id = post_past(&site, &app, 1).await.remove(0);
    for name in ["zero", "garbage", "one"] {
        let hits = site.receiver.arrived(&format!("/{name}"), 2).await;
        let waited = hits[1].at - hits[0].at;
        if name == "one" {
            assert!(waited >= Duration::from_millis(950), "{waited:?}");
        }
    }
    app.until_open(2).await;
    for (name, hours) in [("date", 2), ("forever", 24)] {
        let deliveries = app.deliveries_of(&id).await;
        let delivery = deliveries.iter().find(|it| it["destination"] == name).unwrap();
        assert_eq!(delivery["status"], "retrying", "{delivery}");
        let at = Timestamp::parse_rfc3339(delivery["next_attempt_at"].as_str().unwrap()).unwrap();
        let wait = at.since(wall_now());
        let expected = Duration::from_hours(hours);
        assert!(
            wait <= expected + Duration::from_secs(1) && wait + Duration::from_mins(1) > expected,
            "`{name}`: {wait:?}"
        );
        // Who cannot wait says so.
        let path = format!("/v1/deliveries/{}/retry", delivery["id"].as_str().unwrap());
        assert!((200..300).contains(&app.command(&path, "").await.status));
    }
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 6, "{ledger}");
    observed("F72", &site, "200", None);
    app.finish().await;
});

app_case!(
    f73_a_handler_that_is_gone_holds_its_route_and_loses_nothing,
    |site| {
        let app = site.start().await;
        site.receiver.script("/billing", [Reply::Status(410)]);
        let first = app.accept(&event("evt_1")).await;
        app.until_status(&first, "dead").await;
        eventually("the route is held, for everybody to see", || async {
            let routes = app.list("/v1/routes").await;
            (!routes[0]["held"].is_null()).then_some(())
        })
        .await;
        let (n_before, _) = post_until_held(&app).await;
        for n in 0..5 {
            app.accept(&event(&format!("evt_late_{n}"))).await;
        }
        assert_eq!(app.get("/v1/ledger").await["open"], 6);
        let asked_at = Instant::now();
        assert_eq!(app.command("/v1/routes/to-billing/resume", "").await.status, 200);
        app.until_open(0).await;
        let took = asked_at.elapsed();
        assert_eq!(retry_dead(&app).await, 1);
        let ledger = app.until_open(0).await;
        assert_eq!(ledger["delivered"], n_before + 7, "{ledger}");
        observed("F73", &site, "200", Some(took));
        app.finish().await;
    }
);

app_case!(f74_half_of_all_attempts_fail_and_all_events_arrive, |site| {
    const N: usize = 150;
    let seed = Seed::choose();
    let mut random = StdRng::seed_from_u64(seed.0);
    // Of a thousand throws; what comes after them is taken.
    let replies = (0..1000).map(|_| Reply::Status(if random.random_bool(0.5) { 200 } else { 503 }));
    site.receiver.script("/billing", replies);
    // Ten failures in a row are likely in so many throws: a breaker that opens then has to probe soon.
    let retry = format!("retry = {MANY}\n{BREAKER}");
    let start = STRIPE_TO_BILLING.find("retry = ").unwrap();
    let end = start + STRIPE_TO_BILLING[start..].find('\n').unwrap();
    site.configure(&STRIPE_TO_BILLING.replace(&STRIPE_TO_BILLING[start..end], &retry));
    // The store's own pace on a busy machine is not what this is about.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    let app = site.start().await;
    let all: Vec<_> = (0..N).map(|n| event(&format!("evt_{n}"))).collect();
    for answer in join_all(all.iter().map(|it| app.post(it))).await {
        answer.accepted();
    }
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], N, "{ledger}");
    let n_attempts = site.count("select count(*) from attempt").await;
    let n_hits = site.receiver.hits("/billing").len();
    assert_eq!(
        usize::try_from(n_attempts).unwrap(),
        n_hits,
        "each attempt is one request"
    );
    observed("F74", &site, "200", None);
    app.finish().await;
});

app_case!(f75_an_event_that_its_handler_never_takes_is_alone, |site| {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = is_mended.clone();
    let handler = Handler::start(move |mut stream, _| {
        let mended = mended.clone();
        async move {
            while let Some(received) = read_request(&mut stream).await {
                let is_poison = received.header("gatepost-external-id") == ["evt_3"];
                let answer = if is_poison && !mended.load(Ordering::SeqCst) {
                    &b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"[..]
                } else {
                    OK
                };
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let few = MANY.replace("500", "5");
    site.configure(&config([("picky", handler.url("/"))], &few));
    let app = site.start().await;
    let ids = post_past(&site, &app, 20).await;
    let ledger = app.until_open(0).await;
    assert_eq!(
        (&ledger["delivered"], &ledger["dead"]),
        (&39.into(), &1.into()),
        "{ledger}"
    );
    let dead = app.list("/v1/deliveries?status=dead").await;
    assert_eq!(dead[0]["event_id"], ids[3].as_str());
    assert_eq!(dead[0]["attempts"], 5);
    is_mended.store(true, Ordering::SeqCst);
    let replay = app.command(&format!("/v1/events/{}/replay", ids[3]), "").await;
    assert_eq!(replay.status, 202, "{replay:?}");
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 41, "both of its routes again: {ledger}");
    observed("F75", &site, "200", None);
    app.finish().await;
});
