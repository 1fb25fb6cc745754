//! Bulk work: a plan first, then a job that survives whatever happens to the process.

use std::time::Duration;

use gatepost::{
    base::{ids::EventId, secret::Secret},
    event::{Binding, Event, Origin, body_hash, deduplication_key, headers::Headers},
    store::{PoolMode, Settings, Store, record::NewEvent},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::app::{
    api::Api,
    app_case, eventually,
    load::Seed,
    process::Process,
    receiver::Reply,
    sender::{Signed, event, stripe},
    site::{STRIPE_TO_BILLING, Site},
};

async fn plan(api: &Api, request: &Value) -> Value {
    let answer = api.command("/v1/jobs/plan", &request.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Makes the job and answers its id.
async fn make(api: &Api, request: &Value) -> String {
    let answer = api.command("/v1/jobs", &request.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn until_ended(api: &Api, job: &str) -> Value {
    eventually("the job has ended", || async {
        let job = api.get(&format!("/v1/jobs/{job}")).await;
        (!job["ended_at"].is_null()).then_some(job)
    })
    .await
}

/// So many events in the store, without deliveries, as if a route had been missing.
async fn fill(site: &Site, n: usize) -> Vec<String> {
    let settings = Settings {
        url: Secret::new(site.store_url()),
        max_connections: 2,
        pool_mode: PoolMode::Session,
    };
    let store = Store::open(&settings).await.unwrap();
    store.migrate().await.unwrap();
    let now = store.now().await.unwrap();
    let mut ids = Vec::new();
    let new = |n: usize| {
        let body = format!(r#"{{"id":"evt_{n}","type":"invoice.paid"}}"#);
        let hash = body_hash(body.as_bytes());
        let external_id = format!("evt_{n}");
        NewEvent {
            key: Some(deduplication_key("stripe", Some(external_id.as_bytes()), hash)),
            body_hash: hash,
            event: std::sync::Arc::new(Event {
                id: EventId::new(),
                source: "stripe".into(),
                external_id: Some(external_id),
                event_type: Some("invoice.paid".to_owned()),
                origin: Origin::Received,
                binding: Binding::Body,
                occurred_at: None,
                received_at: now,
                query: String::new(),
                headers: Headers::from_pairs([("content-type", &b"application/json"[..])]),
                body: body.into(),
            }),
            deliveries: Vec::new(),
        }
    };
    let all: Vec<_> = (0..n).map(new).collect();
    for batch in all.chunks(500) {
        ids.extend(batch.iter().map(|it| it.event.id.to_string()));
        store.record(batch.to_vec()).await.unwrap();
    }
    store.close().await;
    ids
}

app_case!(dead_letters_are_retried_in_bulk, |site| {
    site.receiver.always("/billing", Reply::Status(422));
    let app = site.start().await;
    let mut ids = Vec::new();
    for n in 0..25 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    for id in &ids {
        app.until_status(id, "dead").await;
    }
    site.receiver.always("/billing", Reply::Status(200));
    let request = json!({
        "action": "retry",
        "filter": { "destination": "billing" },
        "reason": "billing is back",
    });
    let shown = plan(&app, &request).await;
    assert_eq!(
        (&shown["n_deliveries"], &shown["complete"]),
        (&json!(25), &json!(true)),
        "{shown}"
    );
    assert_eq!(shown["filter"]["status"], "dead", "{shown}");
    assert_eq!(shown["ways"][0]["route"], "to-billing", "{shown}");
    assert_eq!(shown["ways"][0]["per_second_from"], "measured", "{shown}");
    assert!(app.list("/v1/jobs").await.is_empty(), "a plan makes nothing");

    let id = make(&app, &request).await;
    let job = until_ended(&app, &id).await;
    assert_eq!(
        (&job["state"], &job["n_changed"]),
        (&json!("done"), &json!(25)),
        "{job}"
    );
    assert_eq!(
        (&job["made_by"], &job["reason"]),
        (&json!("local"), &json!("billing is back"))
    );
    for id in &ids {
        app.until_status(id, "delivered").await;
        let attempts = app.attempts_of(id).await;
        assert_eq!(attempts.last().unwrap()["trigger"], "manual", "{attempts:?}");
    }
    assert_eq!(plan(&app, &request).await["n_deliveries"], 0);
    app.finish().await;
});

app_case!(open_deliveries_are_cancelled_in_bulk, |site| {
    site.receiver
        .always("/billing", Reply::With(503, "retry-after", "3600".to_owned()));
    let app = site.start().await;
    // Not so many that the destination is left alone.
    let mut ids = Vec::new();
    for n in 0..2 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    for id in &ids {
        app.until_status(id, "retrying").await;
    }
    let request = json!({ "action": "cancel", "filter": { "route": "to-billing", "status": "retrying" } });
    assert_eq!(plan(&app, &request).await["n_deliveries"], 2);
    let id = make(&app, &request).await;
    assert_eq!(until_ended(&app, &id).await["n_changed"], 2);
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["cancelled"], 2, "{ledger}");
    app.finish().await;
});

app_case!(a_replay_goes_by_the_routes_of_today, |site| {
    site.configure(&format!(
        "{STRIPE_TO_BILLING}types = [\"invoice.*\"]\n[[routes]]\nname = \"refused\"\nsource = \"stripe\"\n\
         destination = \"billing\"\nfilter = {{ body = {{ id = \"nobody\" }} }}\n"
    ));
    fill(&site, 300).await;
    let app = site.start().await;
    let request = json!({ "action": "replay", "filter": { "source": "stripe" } });
    let shown = plan(&app, &request).await;
    assert_eq!(
        (&shown["n_events"], &shown["n_deliveries"]),
        (&json!(300), &json!(600)),
        "{shown}"
    );
    let remark = shown["ways"][0]["remarks"][0].as_str().unwrap();
    assert!(remark.contains("filter"), "{shown}");
    let id = make(&app, &request).await;
    let job = until_ended(&app, &id).await;
    assert_eq!(
        (&job["n_matched"], &job["n_changed"]),
        (&json!(300), &json!(600)),
        "{job}"
    );
    let ledger = app.until_open(0).await;
    assert_eq!(
        (&ledger["delivered"], &ledger["skipped"]),
        (&json!(300), &json!(300)),
        "{ledger}"
    );
    let hits = site.receiver.hits("/billing");
    assert!(hits.iter().all(|it| it.header("gatepost-origin") == "replayed"));
    assert!(
        hits.iter()
            .all(|it| it.header("webhook-signature").starts_with("v1,"))
    );

    let nowhere =
        json!({ "action": "replay", "filter": { "source": "stripe" }, "to": { "route": "to-biling" } });
    let answer = app.command("/v1/jobs/plan", &nowhere.to_string()).await;
    assert_eq!(answer.status, 400);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("did you mean `to-billing`?"), "{detail}");
    app.finish().await;
});

/// An invoice over that much.
fn invoice(id: &str, amount: u32) -> Signed {
    stripe(format!(
        r#"{{"id":"{id}","type":"invoice.paid","amount":{amount}}}"#
    ))
}

/// A route that takes such amounts and says by which config it was sent.
fn stamping(condition: &str, stamp: &str) -> String {
    format!(
        r#"{STRIPE_TO_BILLING}filter = {{ body = {{ amount = {{ {condition} }} }} }}
transform = {{ js = "addHandler('transform', (request) => {{ request.body.by = '{stamp}'; return request }})" }}
"#
    )
}

app_case!(a_replay_by_the_config_of_then_does_as_was_done_then, |site| {
    site.set("GATEPOST__ADMIN__REPLAY_TO_PRIVATE", "true");
    // It went nowhere.
    fill(&site, 1).await;
    site.configure(&stamping(r#""$gte" = 1000"#, "first"));
    let app = site.start().await;
    let small = app.accept(&invoice("small", 5)).await;
    let big = app.accept(&invoice("big", 2000)).await;
    app.until_status(&big, "delivered").await;
    app.until_status(&small, "skipped").await;
    app.stop().await;
    site.configure(&stamping(r#""$lt" = 1000"#, "second"));
    let app = site.start().await;

    let wanted = |config: &str, to: Value| json!({ "action": "replay", "filter": { "source": "stripe" }, "config": config, "to": to });
    let counted = |it: &Value, names: [&str; 3]| names.map(|name| it[name].as_u64().unwrap());
    let causes = |plan: &Value| -> Vec<(String, u64)> {
        let skipped = plan["skipped"].as_array().unwrap().iter();
        skipped
            .map(|it| {
                (
                    it["cause"].as_str().unwrap().to_owned(),
                    it["n"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let original = wanted("original", json!({}));
    let shown = plan(&app, &original).await;
    assert_eq!(
        (&shown["config"], &shown["n_events"], &shown["n_deliveries"]),
        (&json!("original"), &json!(3), &json!(1)),
        "{shown}"
    );
    assert_eq!(shown["ways"][0]["remarks"], json!([]), "{shown}");
    assert_eq!(causes(&shown), [("no_route".to_owned(), 2)], "{shown}");

    let staging = format!("http://{}/staging", site.receiver.address);
    let to_url = wanted("original", json!({ "destination": "billing", "url": staging }));
    // Of these the first hit at /billing was there before.
    for (request, made, path, n_hits, expected) in [
        (&original, [3, 1, 2], "/billing", 2, (&big, "first")),
        (
            &wanted("current", json!({})),
            [3, 3, 0],
            "/billing",
            3,
            (&small, "second"),
        ),
        (&to_url, [3, 1, 2], "/staging", 1, (&big, "first")),
    ] {
        let id = make(&app, request).await;
        let job = until_ended(&app, &id).await;
        assert_eq!(
            counted(&job, ["n_matched", "n_changed", "n_skipped"]),
            made,
            "{job}"
        );
        assert_eq!(job["config"], request["config"], "{job}");
        let hit = site.receiver.arrived(path, n_hits).await.pop().unwrap();
        let body: Value = serde_json::from_slice(&hit.body).unwrap();
        assert_eq!(
            (hit.header("webhook-id"), body["by"].as_str()),
            (expected.0.as_str(), Some(expected.1))
        );
    }

    // Where nothing went, and as if all were from before it was kept what routes do.
    let elsewhere = plan(&app, &wanted("original", json!({ "route": "gone" }))).await;
    assert_eq!(causes(&elsewhere), [("no_route".to_owned(), 3)], "{elsewhere}");
    site.raw("delete from program").await;
    let shown = plan(&app, &original).await;
    assert_eq!(shown["n_deliveries"], 0, "{shown}");
    assert_eq!(
        causes(&shown),
        [("no_route".to_owned(), 2), ("not_kept".to_owned(), 1)],
        "{shown}"
    );
    let id = make(&app, &original).await;
    let job = until_ended(&app, &id).await;
    assert_eq!(
        counted(&job, ["n_matched", "n_changed", "n_skipped"]),
        [3, 0, 3],
        "{job}"
    );
    for action in ["retry", "cancel"] {
        for path in ["/v1/jobs/plan", "/v1/jobs"] {
            let request = json!({ "action": action, "config": "original" });
            let refused = app.command(path, &request.to_string()).await;
            assert_eq!(
                (refused.status, &refused.json()["code"]),
                (400, &json!("invalid_config")),
                "{refused:?}"
            );
        }
    }
    app.finish().await;
});

app_case!(a_job_stops_at_once_where_it_is_paused_or_cancelled, |site| {
    fill(&site, 500).await;
    let app = site.start().await;
    let request = json!({ "action": "replay", "filter": { "source": "stripe" }, "rate": 40 });
    let id = make(&app, &request).await;
    let path = format!("/v1/jobs/{id}");
    eventually("it has begun", || async {
        (app.get(&path).await["n_matched"].as_u64().unwrap() > 0).then_some(())
    })
    .await;
    let paused = app.command(&format!("{path}/pause"), "").await.json();
    assert_eq!(paused["state"], "paused", "{paused}");
    let ledger = app.until_open(0).await;
    assert_eq!(
        ledger["deliveries"], paused["n_changed"],
        "nothing was made after the answer"
    );
    assert_eq!(app.get(&path).await["n_matched"], paused["n_matched"]);
    app.command(&format!("{path}/resume"), "").await;
    eventually("it goes on", || async {
        let n = app.get(&path).await["n_matched"].as_u64().unwrap();
        (n > paused["n_matched"].as_u64().unwrap()).then_some(())
    })
    .await;
    let cancelled = app.command(&format!("{path}/cancel"), "").await.json();
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    assert!(cancelled["n_matched"].as_u64().unwrap() < 500, "{cancelled}");
    assert_eq!(app.command(&format!("{path}/resume"), "").await.status, 409);
    let ledger = app.until_open(0).await;
    assert_eq!(
        ledger["deliveries"], cancelled["n_changed"],
        "nothing was made after the answer"
    );
    app.finish().await;
});

const N_EVENTS: usize = 3_000;
const N_KILLS: u32 = 3;

app_case!(
    a_job_survives_kills_with_nothing_done_twice_and_nothing_left_out,
    |site| {
        let ids = fill(&site, N_EVENTS).await;
        let seed = Seed::choose();
        let mut random = StdRng::seed_from_u64(seed.0);
        let mut process = Process::start(&site, "all").await;
        let request =
            json!({ "action": "replay", "filter": { "source": "stripe" }, "reason": "a new route" });
        let id = make(&process, &request).await;
        let path = format!("/v1/jobs/{id}");
        for n_kills in 1..=N_KILLS {
            // Somewhere in the job, and at whatever moment of a step.
            let n_at_least = u64::from(n_kills) * 400;
            eventually("it went on", || async {
                (process.get(&path).await["n_matched"].as_u64().unwrap() >= n_at_least).then_some(())
            })
            .await;
            process
                .run_on(Duration::from_micros(random.random_range(0..20_000)))
                .await;
            process.kill();
            process = Process::start(&site, "all").await;
        }
        let job = until_ended(&process, &id).await;
        let n_events = u64::try_from(N_EVENTS).unwrap();
        assert_eq!(
            (&job["state"], &job["n_matched"], &job["n_changed"]),
            (&json!("done"), &json!(n_events), &json!(n_events))
        );
        let ledger = process.until_open(0).await;
        assert_eq!(
            (&ledger["balanced"], &ledger["delivered"]),
            (&json!(true), &json!(n_events)),
            "{ledger}"
        );
        process.terminate().await;
        // Behind its back.
        let sql = "select count(*) from delivery where origin = 'replayed'";
        assert_eq!(site.count(sql).await, i64::try_from(N_EVENTS).unwrap());
        let sql = "select count(distinct event_id) from delivery";
        assert_eq!(site.count(sql).await, i64::try_from(N_EVENTS).unwrap());
        let arrived: std::collections::HashSet<_> = site
            .receiver
            .hits("/billing")
            .iter()
            .map(|it| it.header("webhook-id").to_owned())
            .collect();
        assert!(ids.iter().all(|it| arrived.contains(it)));
    }
);

/// What the lines of an export become in a call of the import.
pub(crate) async fn import(api: &Api, lines: &str, more: &str) -> Vec<Value> {
    let answer = api
        .client
        .post(format!("http://{}/v1/events/import{more}", api.admin))
        .header("content-type", "application/x-ndjson")
        .body(lines.to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    answer["data"].as_array().unwrap().clone()
}

fn results(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|it| it["result"].as_str().unwrap()).collect()
}

app_case!(what_was_exported_is_verified_again_where_it_is_imported, |site| {
    let app = site.start().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    let answer = app
        .command("/v1/events/export", r#"{"filter":{"source":"stripe"}}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.headers.contains_key("gatepost-next"), "{answer:?}");
    let exported = String::from_utf8(answer.body.to_vec()).unwrap();
    let lines: Vec<&str> = exported.lines().collect();
    assert_eq!(lines.len(), 3);
    let there = import(&app, &exported, "").await;
    assert_eq!(results(&there), ["duplicate"; 3], "{there:?}");
    app.finish().await;

    // Another gatepost, with a store of its own.
    let other = if site.is_postgres() {
        Site::postgres().await
    } else {
        Site::sqlite().await
    };
    let app = other.start().await;
    let mut forged: Value = serde_json::from_str(lines[2]).unwrap();
    forged["body"] = json!("e30=");
    let text = format!("{}\n{}\n{forged}\nno line\n", lines[0], lines[1]);
    let rows = import(&app, &text, "").await;
    assert_eq!(
        results(&rows),
        ["accepted", "accepted", "refused", "refused"],
        "{rows:?}"
    );
    assert_eq!(
        (&rows[2]["cause"], &rows[3]["cause"]),
        (&json!("signature_mismatch"), &json!("invalid_line"))
    );
    let again = import(&app, &text, "").await;
    assert_eq!(results(&again)[..2], ["duplicate"; 2], "{again:?}");

    let first = app.get(&format!("/v1/events/{}", ids[0])).await;
    assert_eq!(
        (&first["origin"], &first["verified"]),
        (&json!("imported"), &json!("body")),
        "{first}"
    );
    let line: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(first["received_at"], line["received_at"]);
    assert!(first["deliveries"].as_array().unwrap().is_empty(), "{first}");
    // The sender's own retry of what was imported is a duplicate.
    assert_eq!(app.post(&event("evt_0")).await.duplicate(), ids[0]);

    // By the operator's word, and never as verified.
    let rows = import(&app, &forged.to_string(), "?unverified=true").await;
    assert_eq!(results(&rows), ["accepted"], "{rows:?}");
    let rows = import(&app, &forged.to_string(), "?unverified=true").await;
    assert_eq!(results(&rows), ["duplicate"], "{rows:?}");
    let made = make(
        &app,
        &json!({ "action": "replay", "filter": { "source": "stripe" } }),
    )
    .await;
    assert_eq!(until_ended(&app, &made).await["n_changed"], 3);
    let hits = other.receiver.arrived("/billing", 3).await;
    for hit in hits {
        let is_forged = hit.header("webhook-id") == ids[2];
        assert_eq!(
            hit.header("gatepost-verified"),
            if is_forged { "none" } else { "body" }
        );
        assert_eq!(hit.headers.contains_key("webhook-signature"), !is_forged);
    }
    app.finish().await;
});

app_case!(a_replay_goes_to_a_url_that_is_in_no_config, |site| {
    site.set("GATEPOST__ADMIN__REPLAY_TO_PRIVATE", "true");
    let with_header = STRIPE_TO_BILLING.replace(
        "[[routes]]",
        "headers = { x-mine = \"for billing alone\" }\n\n[[routes]]",
    );
    site.configure(&with_header);
    let ids = fill(&site, 20).await;
    let app = site.start().await;
    let url = format!("http://{}/staging", site.receiver.address);
    let request = json!({
        "action": "replay",
        "filter": { "source": "stripe" },
        "to": { "destination": "billing", "url": url },
    });
    let shown = plan(&app, &request).await;
    assert_eq!(
        shown["ways"][0]["remarks"][0], "to the URL in its place",
        "{shown}"
    );
    let id = make(&app, &request).await;
    assert_eq!(until_ended(&app, &id).await["n_changed"], 20);
    let hits = site.receiver.arrived("/staging", 20).await;
    for hit in &hits {
        assert!(hit.header("webhook-signature").starts_with("v1,"), "{hit:?}");
        assert!(!hit.headers.contains_key("x-mine"), "{hit:?}");
    }
    app.until_status(&ids[0], "delivered").await;
    assert_eq!(app.delivery_of(&ids[0]).await["destination"], id);
    assert!(site.receiver.hits("/billing").is_empty());
    // A reload keeps it.
    app.running.reload();
    assert_eq!(
        app.get("/v1/destinations").await["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    app.finish().await;
});

app_case!(
    c01_a_replay_reaches_no_private_address_unless_the_config_says_so,
    |site| {
        let app = site.start().await;
        let check = async |url: &str, part: &str| {
            let request = json!({ "action": "replay", "to": { "destination": "billing", "url": url } });
            for path in ["/v1/jobs/plan", "/v1/jobs"] {
                let answer = app.command(path, &request.to_string()).await;
                let detail = answer.json()["detail"].as_str().unwrap().to_owned();
                assert_eq!(
                    (answer.status, detail.contains(part)),
                    (400, true),
                    "{url}: {detail}"
                );
            }
        };
        let own = format!("http://{}/staging", site.receiver.address);
        for url in [own.as_str(), "http://2130706433/", "http://[::ffff:10.0.0.1]/"] {
            check(url, "address").await;
        }
        check("http://169.254.169.254/latest", "link-local").await;
        check("https://ops:hunter2@example.com/", "a password").await;
        check("ftp://example.com/", "`http` or `https`").await;
        check("staging", "relative URL").await;
        let answer = app
            .command(
                "/v1/jobs",
                r#"{"action":"replay","to":{"url":"https://example.com/"}}"#,
            )
            .await;
        assert_eq!(answer.json()["code"], "invalid_to.destination", "{answer:?}");
        assert!(site.receiver.all_hits().is_empty());
        app.finish().await;
    }
);
