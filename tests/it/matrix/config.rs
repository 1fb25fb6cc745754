//! What an operator does at the wrong moment: rotates, removes, prunes, lists everything, restores.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    app::{
        app_case, eventually,
        process::{Process, signal},
        receiver::Reply,
        sender::{OTHER_SECRET, STRIPE_SECRET, event, event_body, stripe_with},
        site::STRIPE_TO_BILLING,
    },
    matrix::observed,
};

app_case!(f91_a_secret_that_is_swapped_is_the_old_or_the_new_one, |site| {
    let process = Process::start(&site, "all").await;
    let mut n_taken = 0;
    let mut longest = Duration::ZERO;
    for round in 0..8 {
        let (new, old) = if round % 2 == 0 {
            (OTHER_SECRET, STRIPE_SECRET)
        } else {
            (STRIPE_SECRET, OTHER_SECRET)
        };
        site.write("stripe.secret", new);
        signal(process.id(), "HUP");
        let swapped_at = Instant::now();
        // Both senders go on meanwhile; each is taken or refused, and never anything else.
        let mut n = 0;
        loop {
            let id = |who: &str| format!("evt_{who}_{round}_{n}");
            let signed = [(new, id("new")), (old, id("old"))]
                .map(|(secret, id)| stripe_with(secret, event_body(&id, "invoice.paid")));
            let answers = join_all(signed.iter().map(|it| process.post(it))).await;
            for answer in &answers {
                assert!([200, 401].contains(&answer.status), "{answer:?}");
            }
            n_taken += answers.iter().filter(|it| it.status == 200).count();
            n += 1;
            if answers[0].status == 200 && answers[1].status == 401 {
                break;
            }
            assert!(
                swapped_at.elapsed() < Duration::from_secs(20),
                "the swap never came"
            );
        }
        longest = longest.max(swapped_at.elapsed());
    }
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["stored"], n_taken, "{ledger}");
    assert_eq!(ledger["delivered"], n_taken, "{ledger}");
    assert_eq!(ledger["balanced"], true, "{ledger}");
    observed(
        "F91",
        &site,
        "200 or 401, by the old secret or the new",
        Some(longest),
    );
    process.terminate().await;
});

app_case!(f92_a_removed_sources_events_are_delivered_all_the_same, |site| {
    const REMOVED: &str = r#"
[destinations.billing]
url = "http://{}/billing"
retry = { max_attempts = 50, max_age = "1h", first = "20ms", cap = "100ms" }
"#;
    site.configure(&STRIPE_TO_BILLING.replace("max_attempts = 4", "max_attempts = 500"));
    site.receiver.script("/billing", [Reply::Gate]);
    site.receiver.always("/billing", Reply::Status(500));
    let app = site.start().await;
    for n in 0..8 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    // One in flight, the others between two attempts.
    site.receiver.arrived("/billing", 9).await;
    site.configure(REMOVED);
    app.running.reload();
    eventually("the source is gone", || async {
        app.list("/v1/sources").await.is_empty().then_some(())
    })
    .await;
    let answer = app.post(&event("evt_late")).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    site.receiver.always("/billing", Reply::Status(200));
    site.receiver.open();
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 8, "{ledger}");
    assert_eq!(ledger["dead"], 0, "{ledger}");
    observed("F92", &site, "404", None);
    app.finish().await;
});

app_case!(f93_a_large_retention_delete_leaves_the_senders_alone, |site| {
    const N_OLD: usize = 1100;
    // The store's own pace on a busy machine is not what this is about.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    let app = site.start().await;
    for first in (0..N_OLD).step_by(100) {
        let signed: Vec<_> = (first..first + 100)
            .map(|n| event(&format!("evt_old_{n}")))
            .collect();
        for answer in join_all(signed.iter().map(|it| app.post(it))).await {
            answer.accepted();
        }
    }
    app.until_open(0).await;
    let later = Reply::With(503, "retry-after", "3600".to_owned());
    site.receiver.always("/billing", later);
    let open = app.accept(&event("evt_open")).await;
    app.until_status(&open, "retrying").await;
    site.receiver.always("/billing", Reply::Status(200));
    app.stop().await;
    // Of the one that stopped; the next would have to wait for it to end.
    site.raw("delete from chore_lease").await;
    site.raw(if site.is_postgres() {
        "update event set received_at = received_at - interval '60 days'"
    } else {
        "update event set received_at = received_at - 5184000000000"
    })
    .await;
    // Retention begins with the start, and goes on beside what comes now.
    let app = site.start().await;
    let mut longest = Duration::ZERO;
    let mut n_new = 0;
    loop {
        let asked_at = Instant::now();
        app.accept(&event(&format!("evt_new_{n_new}"))).await;
        longest = longest.max(asked_at.elapsed());
        n_new += 1;
        let n_old = site
            .count("select count(*) from event where external_id like 'evt_old_%'")
            .await;
        if n_old == 0 {
            break;
        }
        assert!(n_new < 5000, "it never ends: {n_old} left");
    }
    let ledger = app.until_open(1).await;
    assert_eq!(ledger["stored"], N_OLD + 1 + n_new, "{ledger}");
    assert_eq!(
        app.delivery_of(&open).await["status"],
        "retrying",
        "what is open stays"
    );
    observed(
        "F93",
        &site,
        &format!("200, within {longest:?} in a debug build"),
        None,
    );
    app.finish_with_open(1).await;
});

app_case!(f94_lists_of_everything_do_not_hold_up_the_senders, |site| {
    const LISTS: [&str; 6] = [
        "/v1/events?limit=200",
        "/v1/events?limit=200&q=invoice",
        "/v1/deliveries?limit=200",
        "/v1/requests?limit=200",
        "/v1/ledger",
        "/v1/stats",
    ];
    // The store's own pace on a busy machine is not what this is about.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    let app = site.start().await;
    let seed: Vec<_> = (0..300).map(|n| event(&format!("evt_seed_{n}"))).collect();
    for answer in join_all(seed.iter().map(|it| app.post(it))).await {
        answer.accepted();
    }
    let is_over = tokio_util::sync::CancellationToken::new();
    let hammer = async |path: &str| {
        let mut n_lists = 0;
        while !is_over.is_cancelled() {
            let answer = app.ask(path).await;
            // An operator may be told to wait; nobody may be told that he asked wrongly.
            assert!(answer.status == 200 || answer.status == 503, "{path}: {answer:?}");
            n_lists += usize::from(answer.status == 200);
        }
        n_lists
    };
    let send = async {
        let mut longest = Duration::ZERO;
        for n in 0..150 {
            let asked_at = Instant::now();
            app.accept(&event(&format!("evt_{n}"))).await;
            longest = longest.max(asked_at.elapsed());
        }
        is_over.cancel();
        longest
    };
    let lists = join_all(LISTS.iter().chain(&LISTS).map(|path| hammer(path)));
    let (n_lists, longest) = tokio::join!(lists, send);
    assert!(n_lists.iter().all(|it| *it > 0), "{n_lists:?}");
    assert!(longest < Duration::from_secs(15), "{longest:?}");
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 450, "{ledger}");
    observed("F94", &site, "200", None);
    app.finish().await;
});

app_case!(f95_after_a_restore_the_senders_retries_fill_the_gap, |site| {
    let signed: Vec<_> = (0..20).map(|n| event(&format!("evt_{n:02}"))).collect();
    let app = site.start().await;
    let mut before = Vec::new();
    for it in &signed[..10] {
        before.push(app.accept(it).await);
    }
    app.finish().await;
    site.back_up().await;
    let app = site.start().await;
    for it in &signed[10..] {
        app.accept(it).await;
    }
    app.finish().await;
    site.restore().await;

    let started_at = Instant::now();
    let app = site.start().await;
    assert_eq!(
        app.get("/v1/ledger").await["stored"],
        10,
        "what came after the backup is gone"
    );
    for (it, id) in signed.iter().zip(&before) {
        assert_eq!(app.post(it).await.duplicate(), *id, "what was kept is known");
    }
    for it in &signed[10..] {
        app.accept(it).await;
    }
    let took = started_at.elapsed();
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 20, "{ledger}");
    // The handler gets those again under new ids of ours; the sender's own id tells.
    let hits = site.receiver.arrived("/billing", 30).await;
    for n in 0..20 {
        let id = format!("evt_{n:02}");
        let n_hits = hits
            .iter()
            .filter(|it| it.header("gatepost-external-id") == id)
            .count();
        assert_eq!(n_hits, if n < 10 { 1 } else { 2 }, "{id}");
    }
    observed(
        "F95",
        &site,
        "200; what the backup lacks comes with the senders' retries",
        Some(took),
    );
    app.finish().await;
});
