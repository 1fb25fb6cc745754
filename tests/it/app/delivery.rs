//! What a handler answers, and what becomes of the delivery.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::app::{
    app_case,
    operate::post_until_held,
    receiver::{Hit, Reply},
    sender::{SIGNING_SECRET, Signed, event, mac, now},
    site::STRIPE_TO_BILLING,
};

app_case!(f10_a_failed_attempt_is_tried_again_with_the_same_bytes, |site| {
    site.receiver
        .script("/billing", [Reply::Status(500), Reply::Status(404)]);
    let app = site.start().await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    let hits = site.receiver.arrived("/billing", 3).await;
    for (hit, number) in hits.iter().zip(["1", "2", "3"]) {
        assert_eq!(hit.body, signed.body);
        assert_eq!(hit.header("webhook-id"), id);
        assert_eq!(hit.header("gatepost-attempt"), number);
    }
    app.until_status(&id, "delivered").await;
    let attempts = app.attempts_of(&id).await;
    let seen: Vec<_> = attempts
        .iter()
        .map(|it| {
            (
                it["status_code"].as_u64().unwrap(),
                it["trigger"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [(500, "initial"), (404, "schedule"), (200, "schedule")]);
    assert_eq!(attempts[0]["response_body"], "noted");
    app.finish().await;
});

app_case!(f08_a_handlers_retry_after_is_obeyed, |site| {
    let later = Reply::With(429, "retry-after", "1".to_owned());
    site.receiver.script("/billing", [later]);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let hits = site.receiver.arrived("/billing", 2).await;
    let waited = hits[1].at - hits[0].at;
    // The answer's second may be cut at either end.
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
    app.until_status(&id, "delivered").await;
    app.finish().await;
});

app_case!(f09_gone_holds_the_route_until_it_is_resumed, |site| {
    site.receiver.script("/billing", [Reply::Status(410)]);
    let app = site.start().await;
    let first = app.accept(&event("evt_1")).await;
    app.until_status(&first, "dead").await;
    crate::app::eventually("the route is held", || async {
        let routes = app.list("/v1/routes").await;
        (!routes[0]["held"].is_null()).then_some(())
    })
    .await;
    let (n_before, second) = post_until_held(&app).await;
    assert_eq!(site.receiver.hits("/billing").len(), 1 + n_before);
    assert_eq!(app.command("/v1/routes/to-billing/resume", "").await.status, 200);
    let hits = site.receiver.arrived("/billing", n_before + 2).await;
    assert_eq!(hits[n_before + 1].header("webhook-id"), second);
    app.until_status(&second, "delivered").await;
    app.until_status(&first, "dead").await;
    app.finish().await;
});

app_case!(c03_a_redirect_is_not_followed, |site| {
    let elsewhere = format!("http://{}/elsewhere", site.receiver.address);
    let redirects = [301, 302, 307].map(|status| Reply::With(status, "location", elsewhere.clone()));
    site.receiver.script("/billing", redirects);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "delivered").await;
    assert_eq!(site.receiver.hits("/billing").len(), 4);
    assert!(site.receiver.hits("/elsewhere").is_empty());
    app.finish().await;
});

app_case!(f01_a_handler_that_hangs_holds_up_nobody_else, |site| {
    let search = r#"
[destinations.search]
url = "http://{}/search"
[[routes]]
source = "stripe"
destination = "search"
"#;
    let billing = STRIPE_TO_BILLING.replace("retry =", "timeout = \"1s\"\nconcurrency = 2\nretry =");
    site.configure(&format!("{billing}{search}"));
    site.receiver.always("/billing", Reply::Hang);
    let app = site.start().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    site.receiver.arrived("/search", 20).await;
    // Two slots, a second each: had `search` waited for them, `billing` would have been asked eighteen times and more.
    let n_hung = site.receiver.hits("/billing").len();
    assert!(n_hung <= 10, "{n_hung} attempts at the hanging one meanwhile");
    site.receiver.always("/billing", Reply::Status(200));
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    let hung = site.receiver.hits("/billing")[0].header("webhook-id").to_owned();
    let first = app.deliveries_of(&hung).await;
    let billing = first.iter().find(|it| it["destination"] == "billing").unwrap();
    let detail = app
        .get(&format!("/v1/deliveries/{}", billing["id"].as_str().unwrap()))
        .await;
    let error = detail["attempts"][0]["error"].as_str().unwrap();
    assert!(error.contains("1s"), "{error}");
    assert!(detail["attempts"][0]["status_code"].is_null());
    app.finish().await;
});

app_case!(f04_a_handler_that_comes_back_is_not_run_over, |site| {
    // Two at once, and a tenth of a second each: what waited comes at that pace and no other.
    let pace = Duration::from_millis(100);
    site.configure(&STRIPE_TO_BILLING.replace("retry =", "concurrency = 2\nretry ="));
    site.receiver.always("/billing", Reply::Slow(pace));
    let app = site.start().await;
    let pause = app.command("/v1/destinations/billing/pause", "").await;
    assert_eq!(pause.status, 200, "{pause:?}");
    for n in 0..20 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    assert_eq!(
        app.command("/v1/destinations/billing/resume", "").await.status,
        200
    );
    let hits = site.receiver.arrived("/billing", 20).await;
    for both in hits.windows(3) {
        let apart = both[2].at - both[0].at;
        assert!(apart >= pace * 9 / 10, "three at once, {apart:?} apart");
    }
    app.finish().await;
});

app_case!(f04_what_waited_comes_back_within_the_rate, |site| {
    site.configure(&STRIPE_TO_BILLING.replace("retry =", "rate = \"10/s\"\nretry ="));
    let app = site.start().await;
    let pause = app.command("/v1/destinations/billing/pause", "").await;
    assert_eq!(pause.status, 200, "{pause:?}");
    for n in 0..30 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    assert_eq!(
        app.command("/v1/destinations/billing/resume", "").await.status,
        200
    );
    let hits = site.receiver.arrived("/billing", 30).await;
    // A second's worth at once, then one for each tenth of a second.
    let took = hits[29].at - hits[0].at;
    assert!(took >= Duration::from_millis(1_900), "thirty within {took:?}");
    app.finish().await;
});

app_case!(f14_a_retry_holds_up_nothing_that_came_later, |site| {
    site.configure(&STRIPE_TO_BILLING.replace(
        "first = \"20ms\", cap = \"100ms\"",
        "first = \"1s\", cap = \"1s\"",
    ));
    let later = Reply::With(503, "retry-after", "1".to_owned());
    site.receiver.script("/billing", [later]);
    let app = site.start().await;
    let first = app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    let second = app.accept(&event("evt_2")).await;
    let hits = site.receiver.arrived("/billing", 3).await;
    let ids: Vec<_> = hits.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids, [&first, &second, &first]);
    app.finish().await;
});

app_case!(c10_little_is_kept_of_what_a_handler_answers, |site| {
    let mut answer =
        b"HTTP/1.1 500 No\r\nset-cookie: session=hunter2\r\ncontent-length: 1048576\r\n\r\n".to_vec();
    answer.resize(answer.len() + (1 << 20), b'x');
    let (handler, _requests) = crate::handler::Handler::answering(answer).await;
    site.configure(&STRIPE_TO_BILLING.replace("http://{}/billing", &handler.url("/billing")));
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    let attempts = app.attempts_of(&id).await;
    assert_eq!(attempts.len(), 4);
    for attempt in attempts {
        assert!(attempt["response_body"].as_str().unwrap().len() <= 4096);
        assert!(!attempt.to_string().contains("hunter2"), "{attempt}");
    }
    let n_bytes = "select cast(max(length(response_body)) as bigint) from attempt";
    assert_eq!(site.count(n_bytes).await, 4096);
    app.finish().await;
});

app_case!(c06_a_proxy_of_the_environment_is_not_used, |site| {
    let (proxy, _requests) =
        crate::handler::Handler::answering(*b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        site.set(name, &proxy.url(""));
    }
    let process = crate::app::process::Process::start(&site, "all").await;
    let id = process.accept(&event("evt_1")).await;
    process.until_status(&id, "delivered").await;
    assert_eq!(site.receiver.hits("/billing").len(), 1);
    assert_eq!(proxy.n_connections(), 0);
    process.terminate().await;
});

app_case!(a_dead_letter_is_delivered_by_an_operators_retry, |site| {
    site.receiver.always("/billing", Reply::Status(500));
    let app = site.start().await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    let dead = app.until_status(&id, "dead").await.remove(0);
    assert_eq!(dead["attempts"], 4);
    assert!(dead["last_error"].as_str().unwrap().contains("500"), "{dead}");
    assert_eq!(site.receiver.hits("/billing").len(), 4);

    site.receiver.always("/billing", Reply::Status(200));
    let retry = format!("/v1/deliveries/{}/retry", dead["id"].as_str().unwrap());
    let answer = app.command(&retry, "").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    app.until_status(&id, "delivered").await;
    let attempts = app.attempts_of(&id).await;
    assert_eq!(attempts.len(), 5);
    assert_eq!(attempts[4]["trigger"], "manual");
    let hits = site.receiver.hits("/billing");
    assert_eq!(hits[4].header("webhook-id"), id);
    assert_eq!(hits[4].body, signed.body);
    app.finish().await;
});

app_case!(what_is_sent_carries_a_standard_webhooks_signature, |site| {
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.script("/billing", [Reply::Status(500)]);
    app.accept(&event("evt_2")).await;
    let hits = site.receiver.arrived("/billing", 3).await;
    hits.iter().for_each(assert_signed);
    app.finish().await;
});

/// As a handler would check it, by code of its own.
fn assert_signed(hit: &Hit) {
    let key = STANDARD
        .decode(SIGNING_SECRET.strip_prefix("whsec_").unwrap())
        .unwrap();
    let (id, timestamp) = (hit.header("webhook-id"), hit.header("webhook-timestamp"));
    let expected = mac(
        &key,
        &[id.as_bytes(), b".", timestamp.as_bytes(), b".", &hit.body],
    );
    let signatures: Vec<_> = hit.header("webhook-signature").split(' ').collect();
    assert!(signatures.contains(&format!("v1,{}", STANDARD.encode(expected)).as_str()));
    assert!((timestamp.parse::<i64>().unwrap() - now()).abs() < 60);
}

app_case!(what_nobody_verified_is_marked_and_never_signed, |site| {
    let open = r#"
[sources.open]
provider = "unverified"
[[routes]]
source = "open"
destination = "billing"
"#;
    site.configure(&format!("{STRIPE_TO_BILLING}{open}"));
    let app = site.start().await;
    let signed = Signed::new("open", r#"{"id":"evt_1"}"#);
    let id = app.accept(&signed).await;
    // Nobody's duplicate: whoever knows the URL could otherwise suppress it.
    assert_ne!(app.accept(&signed).await, id);
    for hit in site.receiver.arrived("/billing", 2).await {
        assert_eq!(hit.header("gatepost-verified"), "none");
        assert!(!hit.headers.contains_key("webhook-signature"));
    }
    assert_eq!(app.get(&format!("/v1/events/{id}")).await["verified"], "none");
    let sources = app.list("/v1/sources").await;
    let open = sources.iter().find(|it| it["name"] == "open").unwrap();
    assert_eq!(open["unverified"], true, "{open}");
    assert_eq!(open["verified"], "none", "{open}");
    app.finish().await;
});
