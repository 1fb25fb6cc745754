//! The senders that the catalog knows, end to end.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::app::{
    app_case,
    sender::{Signed, mac, now, slack, standard},
};

const CONFIG: &str = r#"
[sources.slack]
provider = "slack"
secrets = [{ file = "slack.secret" }]
[sources.gitlab]
provider = "gitlab"
secrets = [{ file = "gitlab.secret" }]
[sources.github]
provider = "github"
secrets = [{ file = "plain.secret" }]
[sources.shopify]
provider = "shopify"
secrets = [{ file = "plain.secret" }]
[sources.standard]
provider = "standard-webhooks"
secrets = [{ file = "standard.secret" }]
[sources.token]
provider = "token"
secrets = [{ file = "plain.secret" }]
[sources.basic]
provider = "basic"
secrets = [{ file = "basic.secret" }]
[sources.orders]
provider = "hmac"
secrets = [{ file = "plain.secret" }]
hmac = { hash = "sha256", header = "x-signature", prefix = "sha256=", encoding = "hex", signed = "{timestamp}.{body}", timestamp_header = "x-timestamp", tolerance = "5m" }
event_id = "header:x-event-id"
event_type = "body:/type"

[destinations.all]
url = "http://{}/all"

[[routes]]
source = "slack"
destination = "all"
[[routes]]
source = "gitlab"
destination = "all"
[[routes]]
source = "github"
destination = "all"
[[routes]]
source = "shopify"
destination = "all"
[[routes]]
source = "standard"
destination = "all"
[[routes]]
source = "token"
destination = "all"
[[routes]]
source = "basic"
destination = "all"
[[routes]]
source = "orders"
destination = "all"
"#;

const PLAIN: &str = "a-plain-secret-of-the-tests";
const SLACK: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const GITLAB: &str = "a-gitlab-token-of-the-tests";
const STANDARD_KEY: &[u8] = b"0123456789abcdefghijklmnopqrstuv";

fn secrets(site: &crate::app::site::Site) {
    site.configure(CONFIG);
    site.write("plain.secret", PLAIN);
    site.write("slack.secret", SLACK);
    site.write("gitlab.secret", GITLAB);
    site.write("basic.secret", "user:a-password-of-the-tests");
    site.write(
        "standard.secret",
        &format!("whsec_{}", STANDARD.encode(STANDARD_KEY)),
    );
}

app_case!(slacks_challenge_is_answered_and_is_no_event, |site| {
    secrets(&site);
    let app = site.start().await;
    let challenge = r#"{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    let answer = app.post(&slack(SLACK, "application/json", challenge)).await;
    assert_eq!(answer.status, 200);
    assert!(
        String::from_utf8_lossy(&answer.body)
            .contains("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    );
    // Who cannot sign gets no answer out of it.
    let forged = slack("another-secret-of-somebody", "application/json", challenge);
    assert_eq!(app.post(&forged).await.status, 401);
    app.until_rejected("signature_mismatch", 1).await;
    assert_eq!(app.get("/v1/ledger").await["stored"], 0);
    assert!(site.receiver.all_hits().is_empty());
    app.finish().await;
});

app_case!(
    handshakes_of_every_method_are_answered_and_are_no_events,
    |site| {
        site.configure(
            r#"
        [sources.dropbox]
        provider = "dropbox"
        secrets = [{ file = "plain.secret" }]
        [sources.meta]
        provider = "meta"
        secrets = [{ file = "plain.secret" }]
        verify_token = { file = "plain.secret" }
        [sources.websub]
        provider = "websub"
        secrets = [{ file = "plain.secret" }]
        verify_token = "https://blog.example/feed"
        [sources.trello]
        provider = "trello"
        secrets = [{ file = "plain.secret" }]
        [sources.asana]
        provider = "asana"
        [sources.github]
        provider = "github"
        secrets = [{ file = "plain.secret" }]
        [sources.xero]
        provider = "xero"
        secrets = [{ file = "plain.secret" }]
        [sources.drive]
        provider = "google-drive"
        secrets = [{ file = "plain.secret" }]
        [sources.drain]
        provider = "vercel-log-drains"
        secrets = [{ file = "plain.secret" }]
        verify_token = { file = "plain.secret" }
        [server]
        public_url = "https://hooks.example.com"
        "#,
        );
        site.write("plain.secret", PLAIN);
        let app = site.start().await;
        let client = crate::app::api::client();
        let url = |source: &str, query: &str| format!("{}?{query}", app.webhook_url(source));
        let get = async |source: &str, query: &str| {
            let answer = client.get(url(source, query)).send().await.unwrap();
            let nosniff = answer.headers().contains_key("x-content-type-options");
            (answer.status().as_u16(), nosniff, answer.text().await.unwrap())
        };
        assert_eq!(
            get("dropbox", "challenge=abc").await,
            (200, true, "abc".to_owned())
        );
        assert_eq!(get("dropbox", "challenge=%3Cb%3E").await.0, 401);
        let verify = |token: &str| format!("hub.mode=subscribe&hub.challenge=77&hub.verify_token={token}");
        assert_eq!(get("meta", &verify(PLAIN)).await, (200, true, "77".to_owned()));
        assert_eq!(get("meta", &verify("another")).await.0, 401);
        let of_hub = |mode: &str, topic: &str| {
            format!("hub.mode={mode}&hub.topic=https://blog.example/{topic}&hub.challenge=77&hub.reason=full")
        };
        for (mode, topic, status, body) in [
            ("subscribe", "feed", 200, "77"),
            ("subscribe", "another", 404, ""),
            ("unsubscribe", "feed", 404, ""),
            ("denied", "feed", 200, ""),
        ] {
            let answer = get("websub", &of_hub(mode, topic)).await;
            assert_eq!((answer.0, answer.2.as_str()), (status, body), "{mode} {topic}");
        }
        for (cause, mode) in [
            ("unsubscribe_refused", "unsubscribe"),
            ("subscription_denied", "denied"),
        ] {
            let kept = app.until_rejected(cause, 1).await;
            assert_eq!(kept[0]["source"], "websub");
            let id = kept[0]["id"].as_str().unwrap();
            let whole = app.get(&format!("/v1/requests/{id}")).await;
            let target = whole["target"].as_str().unwrap();
            assert!(
                target.contains(mode) && target.contains("hub.reason=full"),
                "{whole}"
            );
        }
        assert_eq!(get("github", "challenge=abc").await.0, 405);
        let head = client.head(url("trello", "")).send().await.unwrap();
        assert_eq!(head.status(), 200);
        // Asana makes up the secret and hands it over, to a source that has none.
        let hand_over = client
            .post(url("asana", ""))
            .header("x-hook-secret", "b537207f20cbfa02");
        let answer = hand_over.send().await.unwrap();
        assert_eq!(answer.headers()["x-hook-secret"], "b537207f20cbfa02");
        let kept = app.until_rejected("secret_handed_over", 1).await;
        assert_eq!(kept[0]["source"], "asana");
        assert_eq!(
            client
                .post(url("asana", ""))
                .body("{}")
                .send()
                .await
                .unwrap()
                .status(),
            401
        );
        let intent = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"KQDC"}"#;
        for (secret, status) in [(PLAIN, 200), ("another", 401)] {
            let signature = STANDARD.encode(mac(secret.as_bytes(), &[intent.as_bytes()]));
            let intent = client.post(url("xero", "")).body(intent);
            let answer = intent.header("x-xero-signature", signature).send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
        for (token, status) in [(PLAIN, 200), ("another", 401)] {
            let sync = client
                .post(url("drive", ""))
                .header("x-goog-resource-state", "sync");
            let answer = sync.header("x-goog-channel-token", token).send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
        let answer = client.get(url("drain", "")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-vercel-verify"], PLAIN);
        assert_eq!(app.get("/v1/ledger").await["stored"], 0);
        app.finish().await;
    }
);

app_case!(a04_slacks_forms_arrive_as_forms, |site| {
    secrets(&site);
    let app = site.start().await;
    let form = "application/x-www-form-urlencoded";
    let interactive = "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%2212.34%22%7D";
    let id = app.accept(&slack(SLACK, form, interactive)).await;
    let hit = site.receiver.arrived("/all", 1).await.remove(0);
    assert_eq!(hit.body, interactive);
    assert_eq!(hit.header("content-type"), form);
    assert_eq!(hit.header("gatepost-event-type"), "block_actions");
    assert_eq!(
        app.get(&format!("/v1/events/{id}")).await["type"],
        "block_actions"
    );
    app.accept(&slack(SLACK, form, "command=%2Fweather&text=94070"))
        .await;
    let hits = site.receiver.arrived("/all", 2).await;
    assert_eq!(hits[1].header("gatepost-event-type"), "/weather");
    let event =
        r#"{"type":"event_callback","event_id":"Ev01","event_time":1700000000,"event":{"type":"message"}}"#;
    app.accept(&slack(SLACK, "application/json", event)).await;
    app.post(&slack(SLACK, "application/json", event))
        .await
        .duplicate();
    let hits = site.receiver.arrived("/all", 3).await;
    assert_eq!(hits[2].header("gatepost-external-id"), "Ev01");
    app.finish().await;
});

app_case!(a14_gitlabs_token_proves_the_sender_and_not_the_body, |site| {
    secrets(&site);
    let app = site.start().await;
    let push = |token: &str| {
        Signed::new("gitlab", r#"{"object_kind":"push"}"#)
            .header("content-type", "application/json")
            .header("x-gitlab-event", "Push Hook")
            .header("idempotency-key", "key-1")
            .header("x-gitlab-token", token)
    };
    assert_eq!(app.post(&push("a-gitlab-token-of-the-test")).await.status, 401);
    app.accept(&push(GITLAB)).await;
    app.post(&push(GITLAB)).await.duplicate();
    // Whoever saw the token may say anything, which is why the handler is told.
    let mut another = push(GITLAB);
    another.body = br#"{"object_kind":"push","by":"somebody else"}"#.to_vec();
    app.post(&another).await.duplicate();
    let hit = site.receiver.arrived("/all", 1).await.remove(0);
    assert_eq!(hit.header("gatepost-verified"), "origin");
    assert_eq!(hit.header("gatepost-event-type"), "push");
    assert_eq!(hit.header("gatepost-external-id"), "key-1");
    let sources = app.list("/v1/sources").await;
    let verified = |name: &str| sources.iter().find(|it| it["name"] == name).unwrap()["verified"].clone();
    assert_eq!(verified("token"), "origin");
    assert_eq!(verified("basic"), "origin");
    assert_eq!(verified("github"), "body");
    app.until_rejected("conflict", 1).await;
    app.until_rejected("wrong_credentials", 1).await;
    app.finish().await;
});

async fn eventually_one_rejected(app: &crate::app::site::TestApp) {
    crate::app::eventually("one request is rejected", || async {
        (app.list("/v1/requests").await.len() == 1).then_some(())
    })
    .await;
}

app_case!(a18_standard_webhooks_come_under_either_name, |site| {
    secrets(&site);
    let app = site.start().await;
    let body = r#"{"type":"contact.created"}"#;
    app.accept(&standard("svix", STANDARD_KEY, "msg_1", body)).await;
    app.accept(&standard("webhook", STANDARD_KEY, "msg_2", body))
        .await;
    app.post(&standard("webhook", STANDARD_KEY, "msg_1", body))
        .await
        .duplicate();
    // The id of one family and the signature of the other never make a whole.
    let mut mixed = standard("svix", STANDARD_KEY, "msg_3", body);
    mixed.headers.retain(|(name, _)| name != "svix-id");
    assert_eq!(app.post(&mixed.header("webhook-id", "msg_3")).await.status, 401);
    let hits = site.receiver.arrived("/all", 2).await;
    let mut ids: Vec<_> = hits.iter().map(|it| it.header("gatepost-external-id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["msg_1", "msg_2"]);
    eventually_one_rejected(&app).await;
    app.finish().await;
});

app_case!(b08_a_captured_request_is_taken_once, |site| {
    secrets(&site);
    let app = site.start().await;
    let body = br#"{"ref":"refs/heads/main"}"#;
    let signature = mac(PLAIN.as_bytes(), &[body]);
    let github = Signed::new("github", *body)
        .header("x-github-event", "push")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header(
            "x-hub-signature-256",
            format!("sha256={}", hex::encode(&signature)),
        );
    let shopify = Signed::new("shopify", *body)
        .header("x-shopify-topic", "orders/create")
        .header("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5")
        .header("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
        .header("x-shopify-hmac-sha256", STANDARD.encode(&signature));
    for captured in [github, shopify] {
        let id = app.accept(&captured).await;
        for _ in 0..5 {
            assert_eq!(app.post(&captured).await.duplicate(), id);
        }
        // Neither signs its id: under another one it cannot be told from an event of the same body.
        let mut without = captured.clone();
        without
            .headers
            .retain(|(name, _)| !name.ends_with("-delivery") && !name.ends_with("-id"));
        let nameless = app.accept(&without).await;
        assert_eq!(app.post(&without).await.duplicate(), nameless);
    }
    let hits = site.receiver.arrived("/all", 4).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 4);
    assert_eq!(ledger["duplicates"], 12);
    assert_eq!(site.receiver.all_hits().len(), hits.len());
    app.finish().await;
});

app_case!(github_and_shopify_are_verified, |site| {
    secrets(&site);
    let app = site.start().await;
    let body = br#"{"zen":"Keep it logically awesome."}"#;
    let signature = mac(PLAIN.as_bytes(), &[body]);
    let github = Signed::new("github", *body)
        .header("x-github-event", "ping")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header(
            "x-hub-signature-256",
            format!("sha256={}", hex::encode(&signature)),
        );
    app.accept(&github).await;
    let shopify = Signed::new("shopify", *body)
        .header("x-shopify-topic", "orders/create")
        .header("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5")
        .header("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")
        .header("x-shopify-hmac-sha256", STANDARD.encode(&signature));
    app.accept(&shopify).await;
    let hits = site.receiver.arrived("/all", 2).await;
    let mut types: Vec<_> = hits.iter().map(|it| it.header("gatepost-event-type")).collect();
    types.sort_unstable();
    assert_eq!(types, ["orders/create", "ping"]);
    app.finish().await;
});

app_case!(a_sender_described_in_the_config_is_verified, |site| {
    secrets(&site);
    let app = site.start().await;
    let order = |id: &str, at: i64, key: &str| {
        let body = r#"{"type":"order.paid","total":12}"#;
        let signature = mac(
            key.as_bytes(),
            &[at.to_string().as_bytes(), b".", body.as_bytes()],
        );
        Signed::new("orders", body)
            .header("x-event-id", id)
            .header("x-timestamp", at.to_string())
            .header("x-signature", format!("sha256={}", hex::encode(signature)))
    };
    app.accept(&order("order-1", now(), PLAIN)).await;
    app.accept(&order("order-2", now(), PLAIN)).await;
    app.post(&order("order-1", now(), PLAIN)).await.duplicate();
    assert_eq!(app.post(&order("order-3", now() - 400, PLAIN)).await.status, 401);
    assert_eq!(app.post(&order("order-3", now(), "another")).await.status, 401);
    let hits = site.receiver.arrived("/all", 2).await;
    for hit in &hits {
        assert_eq!(hit.header("gatepost-event-type"), "order.paid");
        assert_eq!(hit.header("gatepost-verified"), "body");
    }
    app.until_rejected("timestamp_stale", 1).await;
    app.until_rejected("signature_mismatch", 1).await;
    app.finish().await;
});

app_case!(tokens_and_passwords_prove_the_sender, |site| {
    secrets(&site);
    let app = site.start().await;
    let token = |token: &str| Signed::new("token", "t").header("authorization", format!("Bearer {token}"));
    app.accept(&token(PLAIN)).await;
    let basic = |text: &str| {
        Signed::new("basic", "b").header("authorization", format!("Basic {}", STANDARD.encode(text)))
    };
    app.accept(&basic("user:a-password-of-the-tests")).await;
    for refused in [
        token("a-plain-secret-of-the-test"),
        token(""),
        basic("user:"),
        basic("user:a-password-of-the-tests2"),
    ] {
        assert_eq!(app.post(&refused).await.status, 401, "{refused:?}");
    }
    for hit in site.receiver.arrived("/all", 2).await {
        assert_eq!(hit.header("gatepost-verified"), "origin");
        assert!(!hit.headers.contains_key("authorization"));
    }
    crate::app::eventually("four are rejected", || async {
        (app.list("/v1/requests").await.len() == 4).then_some(())
    })
    .await;
    app.finish().await;
});
