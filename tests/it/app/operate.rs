//! What an operator does: replay, pause, cancel, mend a secret, and what retention may take.

use gatepost::{
    base::secret::Secret,
    store::{PoolMode, Settings, Store},
};

use crate::app::{
    app_case, eventually,
    receiver::Reply,
    sender::{OTHER_SECRET, STRIPE_SECRET, event, event_body, stripe},
    site::TestApp,
};

app_case!(a_replay_is_a_new_delivery_with_the_same_id, |site| {
    let app = site.start().await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    app.until_status(&id, "delivered").await;
    let answer = app.command(&format!("/v1/events/{id}/replay"), "").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let hits = site.receiver.arrived("/billing", 2).await;
    assert_eq!(hits[1].header("webhook-id"), id);
    assert_eq!(hits[1].header("gatepost-origin"), "replayed");
    assert_eq!(hits[1].header("gatepost-attempt"), "1");
    assert_eq!(hits[1].body, signed.body);
    let both = app.until_status(&id, "delivered").await;
    assert_eq!(both.len(), 2);
    assert_ne!(both[0]["id"], both[1]["id"]);
    app.finish().await;
});

/// A hold reaches hand-over with the pool's next look at the store: what came within that moment may still go out. Says how
/// many did, and which event was the first that did not.
pub(crate) async fn post_until_held(app: &TestApp) -> (usize, String) {
    for n_before in 0..50 {
        let id = app.accept(&event(&format!("evt_before_{n_before}"))).await;
        let status = eventually("it is delivered or held", || async {
            let status = app.delivery_of(&id).await["status"].as_str().unwrap().to_owned();
            ["delivered", "held"].contains(&status.as_str()).then_some(status)
        })
        .await;
        if status == "held" {
            return (n_before, id);
        }
    }
    panic!("the hold never took effect");
}

app_case!(a_paused_destination_gets_nothing_until_it_is_resumed, |site| {
    let app = site.start().await;
    let pause = app.command("/v1/destinations/billing/pause", "").await;
    assert_eq!(pause.status, 200, "{pause:?}");
    let (n_before, _) = post_until_held(&app).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    for id in &ids {
        app.until_status(id, "held").await;
    }
    assert_eq!(site.receiver.all_hits().len(), n_before);
    let resume = app.command("/v1/destinations/billing/resume", "").await;
    assert_eq!(resume.status, 200, "{resume:?}");
    site.receiver.arrived("/billing", n_before + 6).await;
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    app.finish().await;
});

app_case!(a_cancelled_delivery_is_not_sent_again, |site| {
    site.receiver
        .always("/billing", Reply::With(503, "retry-after", "3600".to_owned()));
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let delivery = app.until_status(&id, "retrying").await.remove(0);
    let cancel = format!("/v1/deliveries/{}/cancel", delivery["id"].as_str().unwrap());
    let answer = app.command(&cancel, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    app.until_status(&id, "cancelled").await;
    assert_eq!(app.command(&cancel, "").await.status, 409);
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["cancelled"], 1);
    app.finish().await;
});

app_case!(a_delivery_cancelled_in_flight_stays_cancelled, |site| {
    site.receiver.always("/billing", Reply::Gate);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    let delivery = app.delivery_of(&id).await;
    let cancel = format!("/v1/deliveries/{}/cancel", delivery["id"].as_str().unwrap());
    assert_eq!(app.command(&cancel, "").await.status, 200);
    site.receiver.open();
    // The attempt is recorded, the status is the operator's.
    eventually("the attempt is recorded", || async {
        (app.attempts_of(&id).await.len() == 1).then_some(())
    })
    .await;
    assert_eq!(app.delivery_of(&id).await["status"], "cancelled");
    app.finish().await;
});

app_case!(retention_takes_what_is_over_and_never_what_is_open, |site| {
    let app = site.start().await;
    let finished = app.accept(&event("evt_1")).await;
    app.until_status(&finished, "delivered").await;
    site.receiver
        .always("/billing", Reply::With(503, "retry-after", "3600".to_owned()));
    let open = app.accept(&event("evt_2")).await;
    app.until_status(&open, "retrying").await;
    app.stop().await;

    let settings = Settings {
        url: Secret::new(site.store_url()),
        max_connections: 2,
        pool_mode: PoolMode::Session,
    };
    let store = Store::open(&settings).await.unwrap();
    let in_an_hour = store
        .now()
        .await
        .unwrap()
        .plus(std::time::Duration::from_hours(1));
    assert_eq!(store.prune(in_an_hour, 100).await.unwrap(), 1);
    store.close().await;
    drop(store);

    let app = site.start().await;
    assert_eq!(app.ask(&format!("/v1/events/{finished}")).await.status, 404);
    assert_eq!(app.delivery_of(&open).await["status"], "retrying");
    app.finish_with_open(1).await;
});

app_case!(rejected_requests_are_accepted_once_the_secret_is_mended, |site| {
    site.write("stripe.secret", OTHER_SECRET);
    let app = site.start().await;
    for n in 0..3 {
        assert_eq!(app.post(&event(&format!("evt_{n}"))).await.status, 401);
    }
    app.until_rejected("signature_mismatch", 3).await;
    let accept = r#"{"source":"stripe","cause":"signature_mismatch"}"#;
    let still = app.command("/v1/requests/accept", accept).await.json();
    assert_eq!(still["data"][0]["result"], "still_rejected", "{still}");

    site.write("stripe.secret", STRIPE_SECRET);
    app.running.reload();
    eventually("the secret is swapped", || async {
        let probe = stripe(event_body("evt_probe", "x"));
        (app.post(&probe).await.status == 200).then_some(())
    })
    .await;
    let done = app.command("/v1/requests/accept", accept).await.json();
    let results = done["data"].as_array().unwrap();
    let n_accepted = results.iter().filter(|it| it["result"] == "accepted").count();
    assert_eq!(n_accepted, 3, "{done}");
    site.receiver
        .until("three recovered events", |hits| {
            let n_recovered = hits
                .iter()
                .filter(|it| it.header("gatepost-origin") == "recovered")
                .count();
            (n_recovered == 3).then_some(())
        })
        .await;
    let again = app.command("/v1/requests/accept", accept).await.json();
    assert!(
        again["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["result"] != "accepted"),
        "{again}"
    );
    app.finish().await;
});
