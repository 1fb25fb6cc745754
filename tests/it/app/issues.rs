//! What is wrong is found, kept as one issue, told to who wants to hear it, and over when it is.

use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::app::Role;
use serde_json::{Value, json};

use crate::app::{
    api::Api,
    app_case, eventually,
    process::Process,
    receiver::{Hit, Reply},
    sender::{OTHER_SECRET, SIGNING_SECRET, event, event_body, mac, stripe_with},
    site::{STRIPE_TO_BILLING, Site},
};

/// Looks often, and waits for nothing.
const SOON: &str = r#"
[issues]
every = "1s"
resolve_after = "1s"
dashboard_url = "https://gatepost.example"

[issues.failing]
after = "0s"

[issues.held]
after = "0s"

[issues.refusals]
at_least = 2

[issues.store]
enabled = false
"#;

const OPS: &str = r#"
[notifications.ops]
webhook = { url = "http://{}/ops", signing_secret = { file = "signing.secret" } }
"#;

const QUICK_BREAKER: &str = r#"
[destinations.billing.breaker]
failures = 1
pause = "50ms"
max_pause = "50ms"
ramp = "10ms"
"#;

pub(crate) fn configure(site: &Site, more: &str) {
    site.configure(&format!("{STRIPE_TO_BILLING}{SOON}{more}"));
}

/// The only issue of a rule, once it is in that state.
pub(crate) async fn until(app: &Api, rule: &str, state: &str) -> Value {
    eventually(&format!("an issue of `{rule}` is {state}"), || async {
        let found = app.list(&format!("/v1/issues?rule={rule}&state={state}")).await;
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next()
    })
    .await
}

async fn set(app: &Api, issue: &Value, verb: &str) -> Value {
    let id = issue["id"].as_str().unwrap();
    let answer = app
        .command(&format!("/v1/issues/{id}/{verb}"), r#"{"reason":"a test"}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn body(hit: &Hit) -> Value {
    serde_json::from_slice(&hit.body).unwrap()
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// As the standard says it, by code of the test's own.
fn assert_signed(hit: &Hit) {
    let key = b"0123456789abcdefghijklmn";
    assert!(SIGNING_SECRET.starts_with("whsec_"));
    let (id, at) = (hit.header("webhook-id"), hit.header("webhook-timestamp"));
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", at.as_bytes(), b".", &hit.body];
    let expected = STANDARD.encode(mac(key, &parts));
    assert_eq!(hit.header("webhook-signature"), format!("v1,{expected}"));
}

app_case!(a_dead_letter_is_told_and_that_it_is_over_too, |site| {
    configure(&site, OPS);
    site.receiver.script("/billing", [Reply::Status(422)]);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    let issue = until(&app, "dead_letters", "open").await;
    assert_eq!(
        (&issue["destination"], &issue["count"], &issue["summary"]),
        (&"billing".into(), &1.into(), &"1 dead letter to `billing`".into())
    );
    let hits = site.receiver.arrived("/ops", 1).await;
    assert_signed(&hits[0]);
    let told = body(&hits[0]);
    assert_eq!(told["type"], "issue.opened");
    assert_eq!(told["data"]["id"], issue["id"]);
    assert_eq!(
        told["data"]["url"],
        format!(
            "https://gatepost.example/issues/{}",
            issue["id"].as_str().unwrap()
        )
    );
    let delivery = app.delivery_of(&id).await;
    let retry = format!("/v1/deliveries/{}/retry", delivery["id"].as_str().unwrap());
    assert_eq!(app.command(&retry, "").await.status, 200);
    let issue = until(&app, "dead_letters", "resolved").await;
    assert_eq!((&issue["count"], &issue["changed_by"]), (&0.into(), &Value::Null));
    let hits = site.receiver.arrived("/ops", 2).await;
    assert_eq!(body(&hits[1])["type"], "issue.resolved");
    assert_ne!(hits[0].header("webhook-id"), hits[1].header("webhook-id"));

    let path = format!("/v1/issues/{}", issue["id"].as_str().unwrap());
    let notices = eventually("both are known to be sent", || async {
        let issue = app.get(&path).await;
        let notices = issue["notices"].as_array().unwrap().clone();
        notices.iter().all(|it| it["status"] == "sent").then_some(notices)
    })
    .await;
    let changes: Vec<_> = notices.iter().map(|it| it["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["resolved", "opened"]);
    app.finish().await;
});

app_case!(what_an_operator_does_is_kept_told_and_accounted_for, |site| {
    configure(
        &site,
        r#"
        [notifications.night]
        pagerduty = { routing_key = { file = "other.secret" }, endpoint = "http://{}/pagerduty" }
        "#,
    );
    site.receiver
        .script("/billing", [Reply::Status(422), Reply::Status(422)]);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    let issue = until(&app, "dead_letters", "open").await;
    let set_to = set(&app, &issue, "acknowledge").await;
    assert_eq!(
        (&set_to["state"], &set_to["changed_by"], &set_to["reason"]),
        (&"acknowledged".into(), &"local".into(), &"a test".into())
    );
    // Looked at again and again, and nothing changes.
    let _ = until(&app, "dead_letters", "acknowledged").await;
    set(&app, &issue, "resolve").await;
    let refused = app
        .command(
            &format!("/v1/issues/{}/acknowledge", issue["id"].as_str().unwrap()),
            "",
        )
        .await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &"conflict".into())
    );
    // What was there is not there again; another one is.
    let id = app.accept(&event("evt_2")).await;
    app.until_status(&id, "dead").await;
    let again = until(&app, "dead_letters", "open").await;
    assert_eq!((&again["id"], &again["n_opened"]), (&issue["id"], &2.into()));
    set(&app, &issue, "ignore").await;
    set(&app, &issue, "reopen").await;

    let hits = site.receiver.arrived("/pagerduty", 6).await;
    let told: Vec<_> = hits.iter().map(body).collect();
    let actions: Vec<_> = told
        .iter()
        .map(|it| it["event_action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "trigger",
            "acknowledge",
            "resolve",
            "trigger",
            "resolve",
            "trigger"
        ]
    );
    for event in &told {
        assert_eq!(event["routing_key"], OTHER_SECRET);
        assert_eq!(event["dedup_key"], issue["id"]);
    }
    let audit = app.list("/v1/audit").await;
    let deeds: Vec<_> = audit
        .iter()
        .filter(|it| it["target"] == issue["id"])
        .map(|it| (it["action"].as_str().unwrap(), it["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(
        deeds,
        [
            ("reopen_issue", 200),
            ("ignore_issue", 200),
            ("acknowledge_issue", 409),
            ("resolve_issue", 200),
            ("acknowledge_issue", 200),
        ]
    );
    app.finish().await;
});

app_case!(a_spike_of_refusals_is_told_in_a_channel, |site| {
    configure(
        &site,
        "[notifications.chat]\nslack = { url = \"http://{}/chat\" }\n",
    );
    let app = site.start().await;
    for n in 0..3 {
        let forged = stripe_with(OTHER_SECRET, event_body(&format!("evt_{n}"), "invoice.paid"));
        assert_eq!(app.post(&forged).await.status, 401);
    }
    let issue = until(&app, "refusals", "open").await;
    let cause = issue["cause"].as_str().unwrap();
    assert_eq!(issue["source"], "stripe");
    let text = site
        .receiver
        .until("the channel is told of all three", |hits| {
            let hit = hits.iter().find(|it| it.path == "/chat")?;
            Some(body(hit)["text"].as_str().unwrap().to_owned())
        })
        .await;
    assert!(text.starts_with("[warning] "), "{text}");
    assert!(
        text.contains(&format!("requests to `stripe` refused within 15 min: {cause}")),
        "{text}"
    );
    app.finish().await;
});

app_case!(
    a_destination_that_fails_or_is_held_is_an_issue_until_it_is_not,
    |site| {
        let patient = STRIPE_TO_BILLING.replace("max_attempts = 4", "max_attempts = 1000");
        let search = "[destinations.search]\nurl = \"http://{}/search\"\n";
        // What was gone is a dead letter too, which is told elsewhere.
        let ops = format!("{OPS}rules = [\"failing\", \"held\"]\n");
        site.configure(&format!("{patient}{SOON}{ops}{QUICK_BREAKER}{search}"));
        site.receiver.always("/billing", Reply::Status(500));
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        let issue = until(&app, "failing", "open").await;
        assert_eq!(
            (&issue["severity"], &issue["destination"]),
            (&"critical".into(), &"billing".into())
        );
        site.receiver.always("/billing", Reply::Status(200));
        app.until_status(&id, "delivered").await;
        until(&app, "failing", "resolved").await;

        // What an operator pauses is no issue, however long before the other it was held.
        let done = async |path: &str| assert_eq!(app.command(path, "").await.status, 200, "{path}");
        done("/v1/destinations/search/pause").await;
        site.receiver.script("/billing", [Reply::Status(410)]);
        app.accept(&event("evt_2")).await;
        let issue = until(&app, "held", "open").await;
        assert_eq!(
            (&issue["route"], &issue["summary"]),
            (
                &"to-billing".into(),
                &"route `to-billing` is held, and its deliveries wait: the handler answered 410 (gone)"
                    .into()
            )
        );
        done("/v1/routes/to-billing/resume").await;
        until(&app, "held", "resolved").await;
        let hits = site.receiver.arrived("/ops", 4).await;
        let types: Vec<_> = hits.iter().map(|it| body(it)["type"].clone()).collect();
        assert_eq!(
            types,
            ["issue.opened", "issue.resolved", "issue.opened", "issue.resolved"]
        );
        app.finish().await;
    }
);

app_case!(a_backlog_and_a_ledger_that_is_off_are_issues, |site| {
    configure(&site, "[issues.backlog]\nolder_than = \"1s\"\n");
    // What waits for another process waits for nobody here.
    let app = site.start_as(Role::Ingest).await;
    app.accept(&event("evt_1")).await;
    let issue = until(&app, "backlog", "open").await;
    assert_eq!(
        (&issue["destination"], &issue["count"]),
        (&"billing".into(), &1.into())
    );
    app.stop().await;

    site.raw("update tally set received = received + 2 where slot >= 0")
        .await;
    let app = site.start().await;
    let issue = until(&app, "ledger", "open").await;
    assert_eq!(issue["severity"], "critical");
    until(&app, "backlog", "resolved").await;
    app.stop().await;
});

app_case!(what_was_sent_and_not_known_to_be_is_sent_again, |site| {
    configure(&site, OPS);
    site.receiver.script("/billing", [Reply::Status(422)]);
    site.receiver.script("/ops", [Reply::Hang]);
    let process = Process::start(&site, "all").await;
    let id = process.accept(&event("evt_1")).await;
    process.until_status(&id, "dead").await;
    let first = site.receiver.arrived("/ops", 1).await.remove(0);
    process.kill();

    // The lease of the one that died ends after a while.
    let process = Process::start(&site, "all").await;
    let hits = site.receiver.arrived("/ops", 2).await;
    assert_eq!(hits[1].header("webhook-id"), first.header("webhook-id"));
    assert_eq!(body(&hits[1])["type"], "issue.opened");
    until(&process, "dead_letters", "open").await;
    process.terminate().await;
});

app_case!(
    what_is_refused_is_sent_again_and_what_waits_goes_together,
    |site| {
        configure(
            &site,
            "[notifications.chat]\ndiscord = { url = \"http://{}/chat\" }\n",
        );
        site.receiver.script("/billing", [Reply::Status(422)]);
        site.receiver
            .script("/chat", [Reply::With(429, "retry-after", "2".to_owned())]);
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        app.until_status(&id, "dead").await;
        let issue = until(&app, "dead_letters", "open").await;
        site.receiver.arrived("/chat", 1).await;
        // Of what happens while the channel wants to be left alone, all is told when it is asked again.
        let path = format!("/v1/issues/{}", issue["id"].as_str().unwrap());
        eventually("the refusal is noted", || async {
            let notice = app.get(&path).await["notices"][0].clone();
            let is_noted = notice["last_error"].as_str().is_some_and(|it| it.contains("429"));
            is_noted.then_some(())
        })
        .await;
        set(&app, &issue, "acknowledge").await;
        let hits = site.receiver.arrived("/chat", 2).await;
        let text = body(&hits[1])["content"].as_str().unwrap().to_owned();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].contains("warning") && lines[0].contains("1 dead letter to"),
            "{text}"
        );
        assert!(
            lines[2].contains("acknowledged by") && lines[3].contains("/issues/iss_"),
            "{text}"
        );
        assert_eq!(lines.len(), 4);
        app.finish().await;
    }
);

app_case!(a_limit_makes_messages_wait, |site| {
    configure(&site, &OPS.replace("webhook", "max_per_hour = 1\nwebhook"));
    site.receiver.script("/billing", [Reply::Status(422)]);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    let issue = until(&app, "dead_letters", "open").await;
    site.receiver.arrived("/ops", 1).await;
    set(&app, &issue, "acknowledge").await;
    let path = format!("/v1/issues/{}", issue["id"].as_str().unwrap());
    let statuses = eventually("the first is known to be sent", || async {
        let notices = app.get(&path).await["notices"].clone();
        let status = |n: usize| notices[n]["status"].as_str().unwrap().to_owned();
        (status(1) == "sent").then(|| (status(0), notices[0]["change"].clone()))
    })
    .await;
    assert_eq!(statuses, ("waiting".to_owned(), "acknowledged".into()));
    // A test is outside of the limit.
    let tested = app.command("/v1/notifications/ops/test", "").await;
    assert_eq!(
        tested.json(),
        json!({ "name": "ops", "taken": true, "error": null })
    );
    let hits = site.receiver.arrived("/ops", 2).await;
    assert_eq!(body(&hits[1])["data"]["rule"], "test");
    app.finish().await;
});

app_case!(a_test_says_why_it_was_not_taken, |site| {
    configure(
        &site,
        "[notifications.ops]\nwebhook = { url = \"http://{}/ops\" }\nseverity = \"critical\"\nrules = [\"ledger\"]\n",
    );
    site.receiver.always("/ops", Reply::Status(404));
    let app = site.start().await;
    let listed = app.list("/v1/notifications").await;
    assert_eq!(
        listed,
        [json!({
            "name": "ops", "kind": "webhook", "target": "127.0.0.1", "max_per_hour": 60,
            "severity": "critical", "rules": ["ledger"],
        })]
    );
    let tested = app.command("/v1/notifications/ops/test", "").await;
    assert_eq!(tested.json()["error"], "it answered 404: noted");
    assert_eq!(app.command("/v1/notifications/other/test", "").await.status, 404);
    app.finish().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_tell_of_a_change_once() {
    let site = Site::postgres().await;
    configure(&site, OPS);
    site.receiver.script("/billing", [Reply::Status(422)]);
    let (one, two) = tokio::join!(site.start(), site.start());
    let id = one.accept(&event("evt_1")).await;
    one.until_status(&id, "dead").await;
    let issue = until(&two, "dead_letters", "open").await;
    for app in [&one, &two] {
        set(app, &issue, "acknowledge").await;
    }
    set(&two, &issue, "ignore").await;
    let hits = site.receiver.arrived("/ops", 3).await;
    let types: Vec<_> = hits.iter().map(|it| body(it)["type"].clone()).collect();
    assert_eq!(types, ["issue.opened", "issue.acknowledged", "issue.ignored"]);
    one.stop().await;
    two.stop().await;
    assert_eq!(site.receiver.hits("/ops").len(), 3);
}

app_case!(a_source_that_is_silent_for_longer_than_ever_is_an_issue, |site| {
    configure(&site, "[issues.silence]\nat_least = \"1s\"\n");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    eventually("it is heard of", || async {
        let n_days = site
            .count("select count(*) from rhythm where source = 'stripe'")
            .await;
        (n_days == 1).then_some(())
    })
    .await;
    // As if it had been there for a week, and never silent.
    site.raw("insert into rhythm select source, day - 7, last_at, 0 from rhythm where source = 'stripe'")
        .await;
    site.raw("update rhythm set longest_gap_us = 0").await;
    let issue = until(&app, "silence", "open").await;
    assert_eq!(issue["source"], "stripe");
    app.accept(&event("evt_2")).await;
    until(&app, "silence", "resolved").await;
    app.finish().await;
});

app_case!(a_certificate_near_its_end_is_an_issue, |site| {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["gatepost.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 31);
    site.write(
        "client.pem",
        &pem("CERTIFICATE", params.self_signed(&key).unwrap().der()),
    );
    site.write("client.key", &pem("PRIVATE KEY", &key.serialize_der()));
    let with_client = STRIPE_TO_BILLING.replace(
        "retry =",
        "client_certificate = { file = \"client.pem\" }\nclient_key = { file = \"client.key\" }\nretry =",
    );
    let with_client = with_client.replace("http://{}/billing", "https://localhost:9/billing");
    site.configure(&format!("{with_client}{SOON}"));
    let app = site.start().await;
    let issue = until(&app, "expiry", "open").await;
    assert_eq!(
        (&issue["summary"], &issue["destination"]),
        (
            &"the client certificate of `billing` ended at 2020-01-31T00:00:00Z".into(),
            &"billing".into()
        )
    );
    site.configure(&format!("{STRIPE_TO_BILLING}{SOON}"));
    until(&app, "expiry", "resolved").await;
    app.finish().await;
});
