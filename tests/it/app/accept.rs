//! From a request to the store and the handler: bytes, duplicates, conflicts, forgeries.

use futures_util::future::join_all;
use rand::{RngCore, SeedableRng, rngs::StdRng};

use crate::app::{
    app_case,
    sender::{OTHER_SECRET, event, event_body, stripe, stripe_with},
    site::STRIPE_TO_BILLING,
};

app_case!(a05_accepted_bytes_are_stored_and_delivered_as_they_came, |site| {
    let app = site.start().await;
    let mut large = vec![0; 1 << 20];
    StdRng::seed_from_u64(1).fill_bytes(&mut large);
    let bodies = [
        (0..=255).collect(),
        b"\xff\xfe not UTF-8 \xc3\x28".to_vec(),
        b"a\0b".to_vec(),
        Vec::new(),
        large,
        br#"{"id":"evt_a","id":"evt_b","n":1e400, "type" : "x\u0000"}"#.to_vec(),
        b"\xef\xbb\xbf{\"id\":\"evt_bom\"}\r\n".to_vec(),
        b"null".to_vec(),
        br#"{"id":{"deep":[1]},"type":7}"#.to_vec(),
    ];
    for body in &bodies {
        let answer = app.post(&stripe(body.clone())).await;
        let id = answer.accepted();
        let stored = app.ask(&format!("/v1/events/{id}/body")).await;
        assert!(stored.body == body.as_slice(), "{} bytes", body.len());
    }
    let hits = site.receiver.arrived("/billing", bodies.len()).await;
    for body in &bodies {
        let n_hits = hits.iter().filter(|it| it.body == body.as_slice()).count();
        assert_eq!(n_hits, 1, "a body of {} bytes", body.len());
    }
    app.until_open(0).await;
    assert_eq!(site.receiver.hits("/billing").len(), bodies.len());
    let stored: Vec<_> = site.events().await.into_iter().map(|it| it.body).collect();
    assert!(bodies.iter().all(|it| stored.contains(it)));
    app.finish().await;
});

app_case!(a_handler_gets_the_senders_headers_and_ours, |site| {
    let app = site.start().await;
    let signed = event("evt_headers")
        .header("x-own", "1")
        .header("x-own", "2")
        .header("cookie", "session=1")
        .header("authorization", "Bearer of the sender")
        .header("webhook-id", "evt_of_the_sender")
        .header("gatepost-source", "forged")
        .header("gatepost-verified", "forged")
        .header("x-forwarded-for", "203.0.113.9");
    let id = app.accept(&signed).await;
    let hit = site.receiver.arrived("/billing", 1).await.remove(0);
    assert_eq!(hit.header("webhook-id"), id);
    assert_eq!(hit.header("gatepost-source"), "stripe");
    assert_eq!(hit.header("gatepost-event-type"), "invoice.paid");
    assert_eq!(hit.header("gatepost-external-id"), "evt_headers");
    assert_eq!(hit.header("gatepost-attempt"), "1");
    assert_eq!(hit.header("gatepost-verified"), "body");
    assert_eq!(hit.header("gatepost-origin"), "received");
    assert_eq!(hit.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(hit.header("host"), site.receiver.address.to_string());
    assert!(hit.header("stripe-signature").starts_with("t="));
    let own: Vec<_> = hit.headers.get_all("x-own").iter().collect();
    assert_eq!(own, ["1", "2"]);
    for absent in ["cookie", "authorization", "x-forwarded-for"] {
        assert!(!hit.headers.contains_key(absent), "{absent}");
    }
    app.finish().await;
});

app_case!(a_duplicate_is_answered_so_and_delivered_once, |site| {
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    // Signed again, as a sender's retry is.
    assert_eq!(app.post(&event("evt_1")).await.duplicate(), id);
    let bodiless = stripe("no id in here");
    let first = app.accept(&bodiless).await;
    assert_eq!(app.post(&bodiless).await.duplicate(), first);
    site.receiver.arrived("/billing", 2).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["duplicates"], 2);
    assert_eq!(ledger["conflicts"], 0);
    assert_eq!(site.receiver.hits("/billing").len(), 2);
    app.finish().await;
});

app_case!(b04_the_same_id_with_another_body_is_a_conflict, |site| {
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let other = event_body("evt_1", "invoice.void");
    assert_eq!(app.post(&stripe(other.clone())).await.duplicate(), id);
    let kept = app.until_rejected("conflict", 1).await.remove(0);
    let kept = app
        .get(&format!("/v1/requests/{}", kept["id"].as_str().unwrap()))
        .await;
    assert_eq!(kept["body"], other);
    let hits = site.receiver.arrived("/billing", 1).await;
    assert_eq!(hits[0].body, event_body("evt_1", "invoice.paid"));
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["conflicts"], 1);
    assert_eq!(ledger["stored"], 1);
    assert_eq!(site.receiver.hits("/billing").len(), 1);
    app.finish().await;
});

app_case!(a_forgery_gets_401_reaches_nobody_and_is_listed, |site| {
    let app = site.start().await;
    let unsigned = crate::app::sender::Signed::new("stripe", event_body("evt_1", "x"));
    let mut tampered = event("evt_2");
    tampered.body.push(b' ');
    let stale = {
        let (body, then) = (event_body("evt_3", "x"), crate::app::sender::now() - 3600);
        let signature = crate::app::sender::mac(
            crate::app::sender::STRIPE_SECRET.as_bytes(),
            &[then.to_string().as_bytes(), b".", body.as_bytes()],
        );
        crate::app::sender::Signed::new("stripe", body).header(
            "stripe-signature",
            format!("t={then},v1={}", hex::encode(signature)),
        )
    };
    for (cause, forged) in [
        ("unsigned", unsigned),
        ("signature_mismatch", tampered),
        (
            "signature_mismatch",
            stripe_with(OTHER_SECRET, event_body("evt_4", "x")),
        ),
        ("timestamp_stale", stale),
    ] {
        let answer = app.post(&forged).await;
        assert_eq!(answer.status, 401, "{cause}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(cause));
    }
    app.until_rejected("signature_mismatch", 2).await;
    let listed = app.until_rejected("unsigned", 1).await.remove(0);
    assert_eq!(listed["source"], "stripe");
    app.until_rejected("timestamp_stale", 1).await;
    // What came after them is delivered, and nothing else.
    app.accept(&event("evt_5")).await;
    site.receiver.arrived("/billing", 1).await;
    app.until_open(0).await;
    assert_eq!(site.receiver.all_hits().len(), 1);
    assert_eq!(site.events().await.len(), 1);
    app.finish().await;
});

app_case!(b02_a_forged_id_does_not_suppress_the_genuine_event, |site| {
    let app = site.start().await;
    let body = event_body("evt_x", "invoice.paid");
    assert_eq!(
        app.post(&stripe_with(OTHER_SECRET, body.clone())).await.status,
        401
    );
    app.until_rejected("signature_mismatch", 1).await;
    app.accept(&stripe(body.clone())).await;
    assert_eq!(app.post(&stripe_with(OTHER_SECRET, body)).await.status, 401);
    site.receiver.arrived("/billing", 1).await;
    app.until_rejected("signature_mismatch", 2).await;
    app.finish().await;
});

app_case!(b03_the_same_id_on_two_sources_is_two_events, |site| {
    let second = r#"
[sources.second]
provider = "stripe"
secrets = [{ file = "other.secret" }]
[[routes]]
source = "second"
destination = "billing"
"#;
    site.configure(&format!("{STRIPE_TO_BILLING}{second}"));
    let app = site.start().await;
    let body = event_body("evt_1", "invoice.paid");
    let first = app.accept(&stripe(body.clone())).await;
    let other = app
        .accept(&stripe_with(OTHER_SECRET, body.clone()).to("second"))
        .await;
    assert_ne!(first, other);
    // One source's secret is worth nothing at the other.
    assert_eq!(app.post(&stripe(body).to("second")).await.status, 401);
    let hits = site.receiver.arrived("/billing", 2).await;
    let mut sources: Vec<_> = hits.iter().map(|it| it.header("gatepost-source")).collect();
    sources.sort_unstable();
    assert_eq!(sources, ["second", "stripe"]);
    app.until_rejected("signature_mismatch", 1).await;
    app.finish().await;
});

app_case!(
    b05_many_at_once_of_one_id_are_one_event_and_one_delivery,
    |site| {
        let app = site.start().await;
        let signed = event("evt_1");
        let answers = join_all((0..64).map(|_| app.post(&signed))).await;
        let taken: Vec<_> = answers.iter().map(crate::app::api::Answer::taken).collect();
        assert_eq!(taken.iter().filter(|(status, _)| status == "accepted").count(), 1);
        assert!(taken.iter().all(|(_, id)| *id == taken[0].1));
        site.receiver.arrived("/billing", 1).await;
        let ledger = app.until_open(0).await;
        assert_eq!(ledger["received"], 64);
        assert_eq!(ledger["duplicates"], 63);
        assert_eq!(site.receiver.hits("/billing").len(), 1);
        app.finish().await;
    }
);

app_case!(only_the_types_of_a_route_are_delivered, |site| {
    site.configure(&STRIPE_TO_BILLING.replace(
        "source = \"stripe\"",
        "source = \"stripe\"\ntypes = [\"invoice.*\", \"charge.refunded\"]",
    ));
    let app = site.start().await;
    for (id, event_type) in [
        ("evt_1", "invoice.paid"),
        ("evt_2", "charge.succeeded"),
        ("evt_3", "charge.refunded"),
    ] {
        app.accept(&stripe(event_body(id, event_type))).await;
    }
    site.receiver.arrived("/billing", 2).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 3);
    assert_eq!(ledger["deliveries"], 2);
    app.finish().await;
});

app_case!(what_is_no_webhook_gets_its_own_answer, |site| {
    site.configure(&STRIPE_TO_BILLING.replace(
        "secrets = [{ file = \"stripe.secret\" }]",
        "secrets = [{ file = \"stripe.secret\" }]\nmax_body = \"1 KiB\"",
    ));
    let app = site.start().await;
    assert_eq!(app.post(&event("evt_1").to("nobody")).await.status, 404);
    let url = app.webhook_url("stripe");
    assert_eq!(app.client.get(&url).send().await.unwrap().status(), 405);
    assert_eq!(app.client.delete(&url).send().await.unwrap().status(), 405);
    app.accept(&stripe(vec![b'x'; 1024])).await;
    assert_eq!(app.post(&stripe(vec![b'x'; 1025])).await.status, 413);
    site.receiver.arrived("/billing", 1).await;
    app.finish().await;
});

app_case!(a_source_over_its_rate_gets_429, |site| {
    site.configure(&STRIPE_TO_BILLING.replace(
        "secrets = [{ file = \"stripe.secret\" }]",
        "secrets = [{ file = \"stripe.secret\" }]\nrate = \"2/s\"",
    ));
    let app = site.start().await;
    let answers = join_all((0..20).map(|n| {
        let (app, signed) = (&app, event(&format!("evt_{n}")));
        async move { app.post(&signed).await }
    }))
    .await;
    let n_taken = answers.iter().filter(|it| it.status == 200).count();
    assert!((2..20).contains(&n_taken), "{n_taken}");
    for refused in answers.iter().filter(|it| it.status != 200) {
        assert_eq!(refused.status, 429);
        let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait));
    }
    site.receiver.arrived("/billing", n_taken).await;
    assert_eq!(app.until_open(0).await["stored"], n_taken);
    app.finish().await;
});
