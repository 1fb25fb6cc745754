//! What a route makes of an event: filter, transform, delay, order.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::app::{
    app_case,
    receiver::Reply,
    sender::{STRIPE_SECRET, Signed, mac, stripe},
    site::STRIPE_TO_BILLING,
};

/// An invoice of a customer, changed at that second.
fn invoice(id: &str, customer: &str, amount: u32, created: u32) -> Signed {
    stripe(format!(
        r#"{{"id":"{id}","type":"invoice.paid","created":{created},"data":{{"object":{{"customer":"{customer}","amount":{amount}}}}}}}"#
    ))
}

fn with(keys: &str) -> String {
    format!("{STRIPE_TO_BILLING}{keys}\n")
}

app_case!(what_a_filter_refuses_is_skipped_and_says_so, |site| {
    site.configure(&with(
        r#"filter = { body = { data = { object = { amount = { "$gte" = 1000 } } } }, headers = { "Content-Type" = { "$contains" = "json" } } }"#,
    ));
    let app = site.start().await;
    let small = app.accept(&invoice("evt_1", "cus_1", 999, 1)).await;
    let big = app.accept(&invoice("evt_2", "cus_1", 1000, 1)).await;
    app.until_status(&big, "delivered").await;
    let skipped = app.until_status(&small, "skipped").await.remove(0);
    assert_eq!(skipped["cause"], "filtered");
    assert_eq!(skipped["attempts"], 0);
    let reason = skipped["last_error"].as_str().unwrap();
    assert!(
        reason.contains("`body.data.object.amount`") && !reason.contains("999"),
        "{reason}"
    );
    let retry = format!("/v1/deliveries/{}/retry", skipped["id"].as_str().unwrap());
    assert_eq!(app.command(&retry, "").await.status, 409);

    // A replay asks the filter again, unless the operator names the route.
    let replay = app.command(&format!("/v1/events/{small}/replay"), "").await;
    assert_eq!(replay.json()["deliveries"][0]["status"], "skipped", "{replay:?}");
    let named = app
        .command(&format!("/v1/events/{small}/replay"), r#"{"route":"to-billing"}"#)
        .await;
    assert_eq!(named.json()["deliveries"][0]["status"], "pending", "{named:?}");
    let hits = site.receiver.arrived("/billing", 2).await;
    assert_eq!(hits[1].header("webhook-id"), small);
    let ledger = app.until_open(0).await;
    assert_eq!((&ledger["skipped"], &ledger["delivered"]), (&2.into(), &2.into()));
    app.finish().await;
});

app_case!(an_event_without_a_route_waits_for_one_and_is_replayed, |site| {
    site.configure(&with("types = [\"charge.*\"]"));
    let app = site.start().await;
    let id = app.accept(&invoice("evt_1", "cus_1", 1, 1)).await;
    assert!(app.deliveries_of(&id).await.is_empty());
    assert_eq!(
        app.command(&format!("/v1/events/{id}/replay"), "").await.status,
        409
    );
    app.stop().await;
    site.configure(&with("types = [\"invoice.*\"]"));
    let app = site.start().await;
    assert_eq!(
        app.command(&format!("/v1/events/{id}/replay"), "").await.status,
        202
    );
    app.until_status(&id, "delivered").await;
    app.finish().await;
});

app_case!(a_batch_goes_where_any_of_its_elements_does, |site| {
    site.configure(
        r#"
[sources.chat]
provider = "line"
secrets = [{ file = "stripe.secret" }]

[destinations.follows]
url = "http://{}/follows"

[[routes]]
source = "chat"
destination = "follows"
types = ["follow"]
"#,
    );
    let batch = |name: &str, types: &[&str]| {
        let elements: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(n, it)| format!(r#"{{"type":"{it}","webhookEventId":"{name}-{n}"}}"#))
            .collect();
        let body = format!(r#"{{"destination":"U1","events":[{}]}}"#, elements.join(","));
        let signature = STANDARD.encode(mac(STRIPE_SECRET.as_bytes(), &[body.as_bytes()]));
        Signed::new("chat", body).header("x-line-signature", signature)
    };
    let app = site.start().await;
    let without = app.accept(&batch("a", &["message", "unfollow"])).await;
    let with = app.accept(&batch("b", &["message", "message", "follow"])).await;
    app.until_status(&with, "delivered").await;
    assert!(app.deliveries_of(&without).await.is_empty());
    let hit = site.receiver.arrived("/follows", 1).await.remove(0);
    assert_eq!(hit.header("webhook-id"), with);
    assert_eq!(hit.header("gatepost-event-type"), "message");
    assert_eq!(app.get(&format!("/v1/events/{with}")).await["type"], "message");

    let replay = |id: &str| format!("/v1/events/{id}/replay");
    assert_eq!(app.command(&replay(&with), "").await.status, 202);
    site.receiver.arrived("/follows", 2).await;
    assert_eq!(app.command(&replay(&without), "").await.status, 409);
    app.finish().await;
});

app_case!(a_transform_changes_what_is_sent_and_not_what_is_stored, |site| {
    site.write(
        "billing.js",
        "addHandler('transform', (request, context) => {\n\
         request.body.data.object.currency = 'eur';\n\
         request.headers['x-type'] = context.type;\n\
         request.headers['webhook-id'] = 'mine';\n\
         return request;\n})",
    );
    site.configure(&with("transform = { file = \"billing.js\" }"));
    let app = site.start().await;
    let signed = invoice("evt_1", "cus_1", 5, 1);
    let id = app.accept(&signed).await;
    app.until_status(&id, "delivered").await;
    let hit = site.receiver.arrived("/billing", 1).await.remove(0);
    let sent: serde_json::Value = serde_json::from_slice(&hit.body).unwrap();
    assert_eq!(
        sent["data"]["object"],
        serde_json::json!({ "customer": "cus_1", "amount": 5, "currency": "eur" })
    );
    assert_eq!(hit.header("x-type"), "invoice.paid");
    assert_eq!(hit.header("webhook-id"), id, "ours are not for others to set");
    assert_eq!(site.events().await[0].body, signed.body);
    app.finish().await;
});

app_case!(
    filters_and_transforms_see_the_query_without_its_credentials,
    |site| {
        site.configure(&with(
        r#"filter = { query = { shop = "eu" } }
transform = { js = "addHandler('transform', (request) => { request.body.query = request.query; return request })" }"#,
    ));
        let app = site.start().await;
        let other = invoice("evt_1", "cus_1", 5, 1).to("stripe?shop=us&key=hunter2");
        let other = app.accept(&other).await;
        let wanted = invoice("evt_2", "cus_1", 5, 1).to("stripe?shop=eu&access_token=hunter2&n=%31");
        let wanted = app.accept(&wanted).await;
        app.until_status(&other, "skipped").await;
        app.until_status(&wanted, "delivered").await;
        let replay = format!("/v1/events/{wanted}/replay");
        assert_eq!(app.command(&replay, "").await.status, 202);
        for hit in site.receiver.arrived("/billing", 2).await {
            let sent: serde_json::Value = serde_json::from_slice(&hit.body).unwrap();
            assert_eq!(sent["query"], "shop=eu&n=%31");
        }
        assert_eq!(
            app.get(&format!("/v1/events/{wanted}")).await["query"],
            "shop=eu&n=%31"
        );
        let stored = site.texts("select query from event order by id").await;
        assert_eq!(stored, ["shop=us", "shop=eu&n=%31"]);
        app.finish().await;
    }
);

app_case!(
    a_replay_by_the_config_of_then_runs_the_transform_of_then,
    |site| {
        let stamps = |with: &str| {
            format!(
                r#"transform = {{ js = "addHandler('transform', (request) => {{ request.body.by = '{with}'; return request }})" }}"#
            )
        };
        site.configure(&with(""));
        let app = site.start().await;
        let plain = app.accept(&invoice("evt_1", "cus_1", 5, 1)).await;
        app.until_status(&plain, "delivered").await;
        app.stop().await;
        site.configure(&with(&stamps("first")));
        let app = site.start().await;
        let first = app.accept(&invoice("evt_2", "cus_1", 5, 1)).await;
        app.until_status(&first, "delivered").await;
        app.stop().await;
        site.configure(&with(&stamps("second")));
        let app = site.start().await;

        let replay = async |id: &str, how: &str| app.command(&format!("/v1/events/{id}/replay"), how).await;
        for (id, how, expected) in [
            (&first, "", Some("second")),
            (&first, r#"{"config":"original"}"#, Some("first")),
            (&plain, r#"{"config":"original","route":"to-billing"}"#, None),
            (&plain, r#"{"config":"current"}"#, Some("second")),
        ] {
            let n_before = site.receiver.hits("/billing").len();
            assert_eq!(replay(id, how).await.status, 202, "{how}");
            let hit = site
                .receiver
                .arrived("/billing", n_before + 1)
                .await
                .pop()
                .unwrap();
            assert_eq!(hit.header("webhook-id"), id);
            let sent: serde_json::Value = serde_json::from_slice(&hit.body).unwrap();
            assert_eq!(sent["by"].as_str(), expected, "{how}");
        }
        // It went nowhere else, and there is no such config.
        let refused = replay(&first, r#"{"config":"original","destination":"elsewhere"}"#).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        assert_eq!(replay(&first, r#"{"config":"today"}"#).await.status, 400);
        // As an event from before it was kept what routes do.
        site.raw("delete from program").await;
        let refused = replay(&first, r#"{"config":"original"}"#).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        app.until_open(0).await;
        app.finish().await;
    }
);

app_case!(a_transform_that_fails_is_an_attempt_that_failed, |site| {
    site.configure(&with(
        r#"transform = { js = "addHandler('transform', (request, context) => { if (context.attempt < 2) throw new Error('not yet'); return request })" }"#,
    ));
    let app = site.start().await;
    let signed = invoice("evt_1", "cus_1", 5, 1);
    let id = app.accept(&signed).await;
    app.until_status(&id, "delivered").await;
    let attempts = app.attempts_of(&id).await;
    assert_eq!(attempts.len(), 2);
    let error = attempts[0]["error"].as_str().unwrap();
    assert!(error.starts_with("the transform failed: not yet"), "{error}");
    let hits = site.receiver.arrived("/billing", 1).await;
    assert_eq!(hits.len(), 1);
    assert_eq!(
        hits[0].body, signed.body,
        "left alone, the bytes are the sender's"
    );
    app.finish().await;
});

app_case!(a_delay_puts_the_first_attempt_off, |site| {
    site.configure(&with("delay = \"1s\""));
    let app = site.start().await;
    let started = std::time::Instant::now();
    let id = app.accept(&invoice("evt_1", "cus_1", 5, 1)).await;
    app.until_status(&id, "delivered").await;
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(900), "{waited:?}");
    app.finish().await;
});

app_case!(strict_order_holds_a_key_up_and_no_other, |site| {
    site.configure(&with(
        r#"order = { by = "body:/data/object/customer", mode = "strict" }"#,
    ));
    site.receiver
        .script("/billing", [Reply::Status(500), Reply::Status(500)]);
    let app = site.start().await;
    let first = app.accept(&invoice("evt_1", "cus_1", 1, 100)).await;
    site.receiver.arrived("/billing", 1).await;
    let second = app.accept(&invoice("evt_2", "cus_1", 2, 200)).await;
    let other = app.accept(&invoice("evt_3", "cus_2", 3, 50)).await;
    for id in [&first, &second, &other] {
        app.until_status(id, "delivered").await;
    }
    let of_first_key: Vec<_> = site
        .receiver
        .hits("/billing")
        .iter()
        .map(|it| it.header("webhook-id").to_owned())
        .filter(|it| *it != other)
        .collect();
    let (last, before) = of_first_key.split_last().unwrap();
    assert_eq!(*last, second);
    assert!(before.iter().all(|it| *it == first), "{of_first_key:?}");
    app.finish().await;
});

app_case!(latest_skips_what_is_older_than_the_newest_delivered, |site| {
    site.configure(&with(
        r#"order = { by = "body:/data/object/customer", time = "occurred_at", mode = "latest" }"#,
    ));
    let app = site.start().await;
    let newer = app.accept(&invoice("evt_1", "cus_1", 1, 200)).await;
    app.until_status(&newer, "delivered").await;
    let older = app.accept(&invoice("evt_2", "cus_1", 2, 100)).await;
    let skipped = app.until_status(&older, "skipped").await.remove(0);
    assert_eq!(skipped["cause"], "stale");
    let newest = app.accept(&invoice("evt_3", "cus_1", 3, 300)).await;
    app.until_status(&newest, "delivered").await;
    assert_eq!(site.receiver.hits("/billing").len(), 2);
    app.finish().await;
});

app_case!(by_resource_is_what_the_provider_says_the_event_is_about, |site| {
    site.configure(&with(r#"order = { by = "resource", mode = "latest" }"#));
    let app = site.start().await;
    let of = |id: &str, resource: &str, created: u32| {
        stripe(format!(
            r#"{{"id":"{id}","type":"invoice.paid","created":{created},"data":{{"object":{{"id":"{resource}"}}}}}}"#
        ))
    };
    let newer = app.accept(&of("evt_1", "in_1", 200)).await;
    app.until_status(&newer, "delivered").await;
    let older = app.accept(&of("evt_2", "in_1", 100)).await;
    app.until_status(&older, "skipped").await;
    let other = app.accept(&of("evt_3", "in_2", 100)).await;
    app.until_status(&other, "delivered").await;
    // A replay stands where the event stood.
    let replay = format!("/v1/events/{older}/replay");
    let replayed = app.command(&replay, "").await;
    assert_eq!(replayed.status, 202);
    assert_eq!(app.until_status(&older, "skipped").await.len(), 2);
    assert_eq!(site.receiver.hits("/billing").len(), 2);
    app.finish().await;
});

app_case!(what_a_sender_repeats_under_new_ids_is_sent_once, |site| {
    site.configure(&with(
        r#"deduplicate = { by = ["type", "body:/data/object/customer"], within = "10m" }"#,
    ));
    let app = site.start().await;
    let first = app.accept(&invoice("evt_1", "cus_1", 1, 100)).await;
    let again = app.accept(&invoice("evt_2", "cus_1", 2, 101)).await;
    let other = app.accept(&invoice("evt_3", "cus_2", 1, 100)).await;
    app.until_status(&first, "delivered").await;
    app.until_status(&other, "delivered").await;
    let skipped = app.until_status(&again, "skipped").await.remove(0);
    assert_eq!(skipped["cause"], "repeated");
    // Who asks for a replay gets it.
    let replayed = app.command(&format!("/v1/events/{again}/replay"), "").await;
    assert_eq!(replayed.status, 202);
    site.receiver.arrived("/billing", 3).await;
    app.finish().await;
});

app_case!(flag_marks_a_stale_delivery, |site| {
    site.configure(&with(
        r#"order = { by = "body:/data/object/customer", mode = "flag" }"#,
    ));
    let app = site.start().await;
    let newer = app.accept(&invoice("evt_1", "cus_1", 1, 200)).await;
    app.until_status(&newer, "delivered").await;
    let older = app.accept(&invoice("evt_2", "cus_1", 2, 100)).await;
    app.until_status(&older, "delivered").await;
    let hits = site.receiver.arrived("/billing", 2).await;
    let marks: Vec<_> = hits
        .iter()
        .map(|it| it.headers.get("gatepost-stale").is_some())
        .collect();
    assert_eq!(marks, [false, true]);
    app.finish().await;
});
