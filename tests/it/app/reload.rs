//! A changed config in a running gatepost: all of it, or none.

use crate::{
    app::{
        api::Api,
        app_case, eventually,
        process::{Process, signal},
        sender::{OTHER_SECRET, event, event_body, stripe_with},
        site::STRIPE_TO_BILLING,
    },
    matrix::observed,
};

app_case!(f90_a_reload_with_a_fault_changes_nothing, |site| {
    site.write("empty.secret", "");
    let process = Process::start(&site, "all").await;
    let before = process.get("/v1/sources").await;
    let faulty = [
        "this is not TOML = = =".to_owned(),
        String::new(),
        STRIPE_TO_BILLING.replace("stripe.secret", "absent.secret"),
        STRIPE_TO_BILLING.replace("provider = \"stripe\"", "provider = \"strype\""),
        STRIPE_TO_BILLING.replace("stripe.secret", "empty.secret"),
        STRIPE_TO_BILLING.replace("destination = \"billing\"", "destination = \"biling\""),
        // One source twice, one key too many.
        format!("{STRIPE_TO_BILLING}\n[sources.stripe]\nprovider = \"github\"\n"),
        format!("grace = \"1s\"\n{STRIPE_TO_BILLING}"),
        // A good half before the fault: it must not be applied either.
        format!(
            "[sources.early]\nprovider = \"unverified\"\n{STRIPE_TO_BILLING}\n[sources.late]\nprovidr = \"x\"\n"
        ),
    ];
    for (n, faulty) in faulty.iter().enumerate() {
        site.configure(faulty);
        signal(process.id(), "HUP");
        process.logged("kept the running config", n + 1).await;
        assert_eq!(process.get("/v1/sources").await, before);
        process.accept(&event(&format!("evt_{n}"))).await;
    }
    let metrics = process.ask("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let failed = metrics
        .lines()
        .find(|it| it.starts_with("gatepost_reloads_total") && it.contains("refused"));
    let n_failed: usize = failed.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(n_failed >= faulty.len(), "{n_failed}");
    site.receiver.arrived("/billing", faulty.len()).await;
    process.until_open(0).await;
    observed("F90", &site, "200", None);
    process.terminate().await;
});

/// Asks for what cannot change anything.
async fn until_sources(api: &Api, names: &[&str]) {
    eventually("the sources are swapped", || async {
        let rows = api.list("/v1/sources").await;
        let found: Vec<_> = rows.iter().map(|it| it["name"].as_str().unwrap()).collect();
        (found == names).then_some(())
    })
    .await;
}

const SWAPPED: &str = r#"
[sources.renamed]
provider = "stripe"
secrets = [{ file = "other.secret" }]
[destinations.other]
url = "http://{}/other"
[[routes]]
source = "renamed"
destination = "other"
"#;

app_case!(f90_a_good_reload_swaps_everything, |site| {
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    site.configure(SWAPPED);
    app.running.reload();
    until_sources(&app, &["renamed"]).await;
    assert_eq!(app.post(&event("evt_2")).await.status, 404);
    let renamed = stripe_with(OTHER_SECRET, event_body("evt_3", "x")).to("renamed");
    app.accept(&renamed).await;
    site.receiver.arrived("/other", 1).await;
    let names = |rows: Vec<serde_json::Value>| -> Vec<_> {
        rows.iter()
            .map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(app.list("/v1/destinations").await), ["other"]);
    app.until_open(0).await;
    app.finish().await;
});

app_case!(a22_a_removed_secret_is_worth_nothing_at_once, |site| {
    let both = STRIPE_TO_BILLING.replace(
        "[{ file = \"stripe.secret\" }]",
        "[{ file = \"stripe.secret\" }, { file = \"other.secret\" }]",
    );
    site.configure(&both);
    let process = Process::start(&site, "all").await;
    let old = |n: u32| stripe_with(OTHER_SECRET, event_body(&format!("evt_old_{n}"), "x"));
    process.accept(&old(0)).await;
    process.accept(&event("evt_1")).await;
    site.configure(STRIPE_TO_BILLING);
    signal(process.id(), "HUP");
    process.logged("reloaded the config", 1).await;
    // The first one after it, on connections that are open already, and what is known already.
    for n in 0..20 {
        assert_eq!(process.post(&old(n)).await.status, 401, "{n}");
    }
    process.accept(&event("evt_2")).await;
    // The secret's file changes, and the config does not.
    site.write("stripe.secret", "whsec_the_next_one_of_stripe_0004");
    signal(process.id(), "HUP");
    process.logged("reloaded the config", 2).await;
    assert_eq!(process.post(&event("evt_3")).await.status, 401);
    let next = stripe_with("whsec_the_next_one_of_stripe_0004", event_body("evt_3", "x"));
    process.accept(&next).await;
    site.receiver.arrived("/billing", 4).await;
    process.until_open(0).await;
    process.terminate().await;
});

app_case!(a_changed_file_is_noticed, |site| {
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    site.configure(SWAPPED);
    until_sources(&app, &["renamed"]).await;
    let renamed = stripe_with(OTHER_SECRET, event_body("evt_2", "x")).to("renamed");
    app.accept(&renamed).await;
    site.receiver.arrived("/other", 1).await;
    app.until_open(0).await;
    app.finish().await;
});

app_case!(a_process_reloads_on_sighup, |site| {
    let process = Process::start(&site, "all").await;
    process.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    site.configure(SWAPPED);
    signal(process.id(), "HUP");
    until_sources(&process, &["renamed"]).await;
    assert_eq!(process.post(&event("evt_2")).await.status, 404);
    process
        .accept(&stripe_with(OTHER_SECRET, event_body("evt_3", "x")).to("renamed"))
        .await;
    site.receiver.arrived("/other", 1).await;
    process.until_open(0).await;
    process.terminate().await;
});

app_case!(
    what_waits_for_a_destination_that_left_the_config_is_kept,
    |site| {
        site.receiver
            .always("/billing", crate::app::receiver::Reply::Status(500));
        site.configure(&STRIPE_TO_BILLING.replace(
            "first = \"20ms\", cap = \"100ms\"",
            "first = \"1s\", cap = \"1s\"",
        ));
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        site.receiver.arrived("/billing", 1).await;
        site.configure(SWAPPED);
        app.running.reload();
        until_sources(&app, &["renamed"]).await;
        assert_eq!(app.post(&event("evt_2")).await.status, 404);
        site.receiver
            .always("/billing", crate::app::receiver::Reply::Status(200));
        site.configure(STRIPE_TO_BILLING);
        app.running.reload();
        app.until_status(&id, "delivered").await;
        app.finish().await;
    }
);
