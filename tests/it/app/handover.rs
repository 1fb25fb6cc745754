//! What ingest passes on in memory, and who wakes the claimer for the rest. The poll is a minute away, longer than a test waits,
//! so that nothing here is found by it.

use crate::app::{
    api::Api,
    app_case, eventually,
    sender::event,
    site::{STRIPE_TO_BILLING, Site},
};

const ONE_AT_ONCE: &str = "concurrency = 1\nretry =";

fn hardly_polls(site: &mut Site, config: &str) {
    site.set("GATEPOST__DELIVERY__POLL", "1m");
    site.configure(config);
}

/// How many deliveries came this way.
async fn n_taken(app: &Api, way: &str) -> u64 {
    let metrics = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
    let name = format!("gatepost_deliveries_taken_total{{destination=\"billing\",way=\"{way}\"}} ");
    let value = metrics.lines().find_map(|it| it.strip_prefix(&name)).unwrap();
    value.parse().unwrap()
}

app_case!(what_comes_one_by_one_is_handed_over, |site| {
    hardly_polls(&mut site, STRIPE_TO_BILLING);
    let app = site.start().await;
    // The first may come before the pool has said what places it has.
    let first = app.accept(&event("evt_0")).await;
    app.until_status(&first, "delivered").await;
    let n_before = n_taken(&app, "handed_over").await;
    for n in 1..=20 {
        let id = app.accept(&event(&format!("evt_{n}"))).await;
        app.until_status(&id, "delivered").await;
    }
    assert_eq!(n_taken(&app, "handed_over").await - n_before, 20);
    app.finish().await;
});

app_case!(a_backlog_flows_as_places_come_free, |site| {
    hardly_polls(&mut site, &STRIPE_TO_BILLING.replace("retry =", ONE_AT_ONCE));
    let app = site.start().await;
    assert_eq!(
        app.command("/v1/destinations/billing/pause", "").await.status,
        200
    );
    eventually("nothing is handed over any more", || async {
        let id = app
            .accept(&event(&format!("evt_{}", rand::random::<u64>())))
            .await;
        let delivery = app.delivery_of(&id).await;
        matches!(delivery["status"].as_str(), Some("pending" | "held")).then_some(())
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    assert_eq!(
        app.command("/v1/destinations/billing/resume", "").await.status,
        200
    );
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    assert!(n_taken(&app, "claimed").await >= 30);
    app.finish().await;
});

app_case!(
    the_next_of_a_key_goes_as_soon_as_the_one_before_is_written,
    |site| {
        let order = "order = { by = \"body:/data/object/id\", mode = \"strict\" }\n";
        hardly_polls(&mut site, &format!("{STRIPE_TO_BILLING}{order}"));
        let app = site.start().await;
        let mut ids = Vec::new();
        for n in 0..10 {
            ids.push(app.accept(&event(&format!("evt_{n}"))).await);
        }
        for id in &ids {
            app.until_status(id, "delivered").await;
        }
        assert_eq!(
            (n_taken(&app, "handed_over").await, n_taken(&app, "claimed").await),
            (0, 10)
        );
        app.finish().await;
    }
);
