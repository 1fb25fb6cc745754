//! The admin API over a real store.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::web::{fixture::Fixture, wire::Answer};

pub(crate) fn problem(answer: &Answer) -> (u16, String) {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    let json = answer.json();
    assert_eq!(json["status"], answer.status);
    assert!(json["title"].is_string() && json["detail"].is_string(), "{json}");
    (answer.status, json["code"].as_str().unwrap().to_owned())
}

/// Without the times that differ from run to run.
fn masked(mut json: Value) -> Value {
    match &mut json {
        Value::Object(map) => {
            for (name, value) in map {
                let is_varying =
                    ["created_at", "next_attempt_at", "since", "due_at"].contains(&name.as_str());
                *value = match value.take() {
                    Value::String(_) if is_varying => "[at]".into(),
                    other => masked(other),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = masked(item.take());
            }
        }
        _ => {}
    }
    json
}

#[tokio::test]
async fn events_are_listed_and_shown() {
    let app = Fixture::start().await;
    let first = app.seed(1, "push").await;
    app.seed(2, "issues").await;
    assert_json_snapshot!("events", app.get("/v1/events").await.json());
    let event = app.get(&format!("/v1/events/{}", first.event)).await.json();
    assert_json_snapshot!("event", masked(event));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let app = Fixture::start().await;
    for n in 1..=5 {
        app.seed(n, if n % 2 == 0 { "push" } else { "issues.opened" })
            .await;
    }
    let ids = |json: &Value| -> Vec<String> {
        let rows = json["data"].as_array().unwrap();
        rows.iter()
            .map(|it| it["external_id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (query, expected) in [
        ("type=push", vec!["id-4", "id-2"]),
        ("type=issues.*", vec!["id-5", "id-3", "id-1"]),
        ("q=id-3", vec!["id-3"]),
        ("source=open", vec![]),
        ("destination=billing&status=pending&limit=1", vec!["id-5"]),
        ("status=dead", vec![]),
        ("after=2026-01-01T00:00:04Z", vec!["id-5", "id-4"]),
        ("before=2026-01-01T01:00:02%2B01:00", vec!["id-1"]),
    ] {
        let json = app.get(&format!("/v1/events?{query}")).await.json();
        assert_eq!(ids(&json), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut target = "/v1/events?limit=2".to_owned();
    loop {
        let page = app.get(&target).await.json();
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/v1/events?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["id-5", "id-4", "id-3", "id-2", "id-1"]);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let app = Fixture::start().await;
    for (target, status, code) in [
        ("/v1/events?limit=0", 400, "invalid_limit"),
        ("/v1/events?limit=201", 400, "invalid_limit"),
        ("/v1/events?status=done", 400, "invalid_status"),
        ("/v1/events?after=now", 400, "invalid_after"),
        ("/v1/events?cursor=x", 400, "invalid_cursor"),
        ("/v1/events?colour=red", 400, "unknown_parameter"),
        ("/v1/ledger?colour=red", 400, "unknown_parameter"),
        ("/v1/events/x", 400, "invalid_id"),
        ("/v1/events/dlv_00000000000000000000000000", 400, "invalid_id"),
        ("/v1/events/%ff", 400, "invalid_id"),
        ("/v1/events/evt_00000000000000000000000000", 404, "not_found"),
        ("/v1/events/evt_00000000000000000000000000/body", 404, "not_found"),
        ("/v1/deliveries/dlv_00000000000000000000000000", 404, "not_found"),
        ("/v1/requests/req_00000000000000000000000000", 404, "not_found"),
        ("/v1/nothing", 404, "not_found"),
    ] {
        assert_eq!(
            problem(&app.get(target).await),
            (status, code.to_owned()),
            "{target}"
        );
    }
    let answer = app.post("/v1/events", "").await;
    assert_eq!(problem(&answer).0, 405);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn g04_a_body_comes_as_bytes_that_no_browser_runs() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    let answer = app.get(&format!("/v1/events/{}/body", seeded.event)).await;
    assert_eq!(answer.text(), r#"{"n":1}"#);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.header("content-security-policy"),
        Some("sandbox; default-src 'none'")
    );
    assert!(
        answer
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
}

#[tokio::test]
async fn a_dead_letter_is_seen_and_tried_again() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    let dead = app.get("/v1/deliveries?status=dead").await.json();
    assert_json_snapshot!("dead_letters", masked(dead));
    let shown = app
        .get(&format!("/v1/deliveries/{}", seeded.billing))
        .await
        .json();
    assert_json_snapshot!("dead_letter", masked(shown));

    let retry = format!("/v1/deliveries/{}/retry", seeded.billing);
    let retried = app.post(&retry, "").await;
    assert_eq!(retried.status, 200, "{retried:?}");
    assert_eq!(retried.json()["status"], "pending");
}

#[tokio::test]
async fn open_deliveries_are_cancelled_once() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    let cancel = format!("/v1/deliveries/{}/cancel", seeded.search);
    assert_eq!(app.post(&cancel, "").await.json()["status"], "cancelled");
    assert_eq!(
        problem(&app.post(&cancel, "").await),
        (409, "conflict".to_owned())
    );
    let unknown = "/v1/deliveries/dlv_00000000000000000000000000/cancel";
    assert_eq!(
        problem(&app.post(unknown, "").await),
        (404, "not_found".to_owned())
    );
}

#[tokio::test]
async fn a_replay_goes_to_the_routes_of_today() {
    let app = Fixture::start().await;
    let push = app.seed(1, "push").await;
    let issue = app.seed(2, "issues").await;
    let check = async |event, body: &str, expected: &[&str]| {
        let answer = app.post(&format!("/v1/events/{event}/replay"), body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let json = answer.json();
        let made = json["deliveries"].as_array().unwrap();
        let routes: Vec<_> = made.iter().map(|it| it["route"].as_str().unwrap()).collect();
        assert_eq!(routes, expected, "{body}");
        for it in made {
            let shown = app
                .get(&format!("/v1/deliveries/{}", it["id"].as_str().unwrap()))
                .await
                .json();
            assert_eq!(shown["origin"], "replayed");
            assert_eq!(shown["status"], "pending");
        }
    };
    check(push.event, "", &["github-to-billing", "all"]).await;
    check(issue.event, "{}", &["all"]).await;
    check(
        issue.event,
        r#"{"destination":"billing"}"#,
        &["github-to-billing"],
    )
    .await;
    check(issue.event, r#"{"route":"all"}"#, &["all"]).await;

    let replay = format!("/v1/events/{}/replay", push.event);
    let answer = app.post(&replay, r#"{"route":"elsewhere"}"#).await;
    assert_eq!(problem(&answer), (409, "conflict".to_owned()));
    let answer = app.post(&replay, r#"{"rout":"all"}"#).await;
    assert_eq!(problem(&answer), (400, "invalid_body".to_owned()));
    let unknown = "/v1/events/evt_00000000000000000000000000/replay";
    assert_eq!(problem(&app.post(unknown, "").await).0, 404);
}

#[tokio::test]
async fn bodies_must_be_small_json() {
    let app = Fixture::start().await;
    let ask = async |headers: &str, body: &str| {
        let head = "POST /v1/requests/accept HTTP/1.1\r\nhost: localhost\r\n";
        let length = body.len();
        problem(
            &app.admin
                .ask(format!("{head}{headers}content-length: {length}\r\n\r\n{body}"))
                .await,
        )
    };
    assert_eq!(ask("content-type: text/plain\r\n", "{}").await.0, 415);
    assert_eq!(ask("", "{}").await.0, 415);
    let json = "content-type: application/json; charset=utf-8\r\n";
    assert_eq!(ask(json, "{").await, (400, "invalid_body".to_owned()));
    assert_eq!(ask(json, "{}").await, (400, "invalid_ids".to_owned()));
    assert_eq!(
        ask(json, r#"{"ids":["evt_1"]}"#).await,
        (400, "invalid_ids".to_owned())
    );
    assert_eq!(ask(json, r#"{"source":"a","limit":0}"#).await.1, "invalid_limit");
    assert_eq!(ask(json, &" ".repeat(65 * 1024)).await.0, 413);
}

#[tokio::test]
async fn g07_what_is_configured_is_shown_without_secrets() {
    let app = Fixture::start().await;
    assert_json_snapshot!("sources", app.get("/v1/sources").await.json());
    assert_json_snapshot!("destinations", app.get("/v1/destinations").await.json());
    assert_json_snapshot!("routes", app.get("/v1/routes").await.json());
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    for target in [
        "/v1/sources",
        "/v1/destinations",
        "/v1/routes",
        "/openapi.json",
        "/metrics",
        &format!("/v1/events/{}", seeded.event),
        &format!("/v1/deliveries/{}", seeded.billing),
    ] {
        let answer = app.get(target).await;
        assert_eq!(answer.status, 200, "{target}");
        assert!(!answer.text().contains("canary"), "{target}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_paused_waits_and_says_why() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    let paused = app
        .post(
            "/v1/destinations/billing/pause",
            r#"{"reason":"they move house"}"#,
        )
        .await
        .json();
    assert_json_snapshot!("paused", masked(paused));
    let held = app.get("/v1/deliveries?status=held").await.json();
    assert_eq!(held["data"][0]["id"], seeded.billing.to_string());
    let listed = app.get("/v1/destinations").await.json();
    assert_eq!(listed["data"][0]["held"]["reason"], "they move house");
    let metrics = app.get("/metrics").await;
    let line = "gatepost_held{kind=\"destination\",name=\"billing\",held_by=\"operator\"} 1";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    let resumed = app.post("/v1/destinations/billing/resume", "").await.json();
    assert_eq!(resumed["n_deliveries"], 1);
    assert!(resumed["held"].is_null());

    assert_eq!(
        app.post("/v1/routes/all/hold", "").await.json()["n_deliveries"],
        1
    );
    let routes = app.get("/v1/routes").await.json();
    assert_eq!(routes["data"][1]["held"]["reason"], "paused by an operator");
    assert_eq!(
        app.post("/v1/routes/all/resume", "").await.json()["n_deliveries"],
        1
    );

    for unknown in [
        "/v1/destinations/nobody/pause",
        "/v1/destinations/nobody/resume",
        "/v1/routes/nobody/hold",
    ] {
        assert_eq!(problem(&app.post(unknown, "").await).0, 404, "{unknown}");
    }
}

#[tokio::test]
async fn rejected_requests_are_listed_and_shown() {
    let app = Fixture::start().await;
    let id = app.seed_rejected(1, "signature_mismatch").await;
    app.seed_rejected(2, "unsigned").await;
    assert_json_snapshot!(
        "requests",
        app.get("/v1/requests?cause=signature_mismatch").await.json()
    );
    assert_json_snapshot!("request", app.get(&format!("/v1/requests/{id}")).await.json());
}

#[tokio::test]
async fn the_numbers_add_up() {
    let app = Fixture::start().await;
    app.seed(1, "push").await;
    app.seed(2, "push").await;
    app.seed_rejected(3, "unsigned").await;
    app.kill_billing().await;
    assert_json_snapshot!("ledger", app.get("/v1/ledger").await.json());
    let stats = app.get("/v1/stats?after=2026-01-01T00:00:00Z").await.json();
    assert_json_snapshot!("stats", masked(stats));
}

#[tokio::test]
async fn the_stream_sends_what_is_new_and_ends_with_the_stop() {
    let app = Fixture::start().await;
    let old = app.seed(1, "push").await;
    let mut wire = app.admin.connect().await;
    wire.send("GET /v1/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    let head = wire.answer().await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let new = app.seed(20, "push").await;
    let text = wire.until("\n\n").await;
    assert!(text.contains(&format!("id: {}", new.event)), "{text}");
    assert!(!text.contains(&old.event.to_string()), "{text}");
    assert!(
        text.contains("event: event") && text.contains(r#""external_id":"id-20""#),
        "{text}"
    );

    // Who comes back gets what came meanwhile, also what was stored late and out of order.
    let late = app.seed(15, "push").await;
    let mut again = app.admin.connect().await;
    let last = new.event;
    again
        .send(format!(
            "GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nlast-event-id: {last}\r\n\r\n"
        ))
        .await;
    again.answer().await;
    let text = again.until("\n\n").await;
    assert!(text.contains(&format!("id: {}", late.event)), "{text}");
    assert!(!text.contains(&old.event.to_string()), "{text}");

    app.stop.cancel();
    // The last chunk: the answer has ended, and the listener can stop.
    wire.until("\r\n0\r\n\r\n").await;
    again.until("\r\n0\r\n\r\n").await;
}
