//! What of an event people are shown.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::web::{api::problem, fixture::Fixture, wire::Answer};

const NO_BODIES: &str = "viewers_see_bodies = false\n";

impl Fixture {
    async fn as_role(&self, role: &str, method: &str, target: &str) -> Answer {
        self.admin
            .ask(format!(
                "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\
                 authorization: Bearer canary-{role}-token\r\n\r\n"
            ))
            .await
    }
}

#[tokio::test]
async fn viewers_may_be_kept_from_bodies() {
    let app = Fixture::with_tokens_and(NO_BODIES).await;
    let seeded = app.seed(1, "push").await;
    let request = app.seed_rejected(2, "unsigned").await;
    app.kill_billing().await;
    let event = format!("/v1/events/{}", seeded.event);
    let delivery = format!("/v1/deliveries/{}", seeded.billing);
    let request = format!("/v1/requests/{request}");

    for target in [&event, &request] {
        let shown = app.as_role("viewer", "GET", target).await.json();
        assert!(shown["body"].is_null(), "{target}: {shown}");
        assert_eq!(shown["body_withheld"], "role", "{target}");
        let whole = app.as_role("operator", "GET", target).await.json();
        assert!(
            whole["body"].is_string() && whole["body_withheld"].is_null(),
            "{target}: {whole}"
        );
    }
    let attempt = |answer: &Answer| answer.json()["attempts"][0].clone();
    let shown = attempt(&app.as_role("viewer", "GET", &delivery).await);
    assert!(shown["response_body"].is_null(), "{shown}");
    assert_eq!(shown["response_body_withheld"], "role");
    assert!(attempt(&app.as_role("operator", "GET", &delivery).await)["response_body"].is_string());

    let body = format!("{event}/body");
    assert_eq!(
        problem(&app.as_role("viewer", "GET", &body).await),
        (403, "body_withheld".to_owned())
    );
    assert_eq!(app.as_role("operator", "GET", &body).await.status, 200);
    // Asking for what is in them tells of it too.
    let search = "/v1/events?text=n";
    assert_eq!(
        problem(&app.as_role("viewer", "GET", search).await),
        (403, "body_withheld".to_owned())
    );
    assert_eq!(app.as_role("viewer", "GET", "/events?text=n").await.status, 403);
    let found = app.as_role("operator", "GET", search).await.json();
    assert_eq!(found["data"][0]["id"], seeded.event.to_string());
    assert_eq!(found["searched"]["n_events"], 1, "{found}");
    assert_eq!(
        app.as_role("viewer", "POST", "/v1/events/export").await.status,
        403
    );
    // And wherever else a viewer looks.
    for target in [
        "/v1/events",
        "/v1/deliveries",
        "/v1/requests",
        "/v1/ledger",
        "/v1/stats",
    ] {
        let answer = app.as_role("viewer", "GET", target).await;
        assert_eq!(answer.status, 200, "{target}");
        assert!(!answer.text().contains(r#"{\"n\":1}"#), "{target}: {answer:?}");
    }
}

#[tokio::test]
async fn a_credential_in_the_url_of_a_refused_request_is_shown_to_nobody() {
    let app = Fixture::redacting("query = ['email']").await;
    let shop = "/webhooks/github?a=b&access_token=hunter2&email=x%40y";
    let ids = [
        app.seed_refused(1, "github", shop).await,
        app.seed_refused(2, "gone", shop).await,
    ];
    for role in ["viewer", "admin"] {
        for (id, email) in ids.iter().zip(["[redacted]", "x%40y"]) {
            let shown = app
                .as_role(role, "GET", &format!("/v1/requests/{id}"))
                .await
                .json();
            let expected = format!("/webhooks/github?a=b&access_token=[redacted]&email={email}");
            assert_eq!(shown["target"], expected);
        }
        for list in ["/v1/requests", "/requests"] {
            let shown = app.as_role(role, "GET", list).await;
            assert!(!shown.text().contains("hunter2"), "{list}: {shown:?}");
        }
        let page = app.as_role(role, "GET", &format!("/requests/{}", ids[0])).await;
        assert!(!page.text().contains("hunter2"), "{page:?}");
    }
    // It is kept whole, so that it can be verified again.
    assert_eq!(app.store.request(ids[0]).await.unwrap().target, shop);
}

#[tokio::test]
async fn what_a_source_redacts_is_not_found_out_by_asking_for_it() {
    let app = Fixture::redacting("body = ['/n']").await;
    for n in 1..=3 {
        app.seed(n, "push").await;
    }
    let ask = async |text: &str, more: &str| {
        let text: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let target = format!("/v1/events?text={text}{more}");
        app.as_role("admin", "GET", &target).await.json()
    };
    // A hit that is not shown must not fill a page either, nor say where the search stopped.
    for more in ["", "&limit=1", "&source=github", "&limit=1&type=push"] {
        let (hidden, nothing) = (ask("2}", more).await, ask("9}", more).await);
        assert_eq!(hidden, nothing, "{more}");
        assert_eq!((&hidden["data"], &hidden["next"]), (&json!([]), &Value::Null));
        assert_eq!(hidden["searched"]["n_events"], 3);
    }
    let ids = |answer: &Value| -> Vec<String> {
        let rows = answer["data"].as_array().unwrap();
        let ids = rows
            .iter()
            .map(|it| it["external_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    // What is shown is found, a page after the other.
    let first = ask("[redacted]", "&limit=2").await;
    assert_eq!(ids(&first), ["id-3", "id-2"]);
    let cursor = first["next"].as_str().unwrap();
    let second = ask("[redacted]", &format!("&limit=2&cursor={cursor}")).await;
    assert_eq!(
        (ids(&second), &second["next"]),
        (vec!["id-1".to_owned()], &Value::Null)
    );
    let page = app.as_role("admin", "GET", "/events?text=2%7D").await;
    assert!(
        page.text().contains("Looked into the bodies of 3 events"),
        "{}",
        page.text()
    );
    assert!(page.text().contains("No events"), "{}", page.text());
}

#[tokio::test]
async fn what_a_source_redacts_is_shown_to_nobody() {
    let app = Fixture::with_tokens().await;
    let plain = app.seed(1, "push").await;
    let shown = app
        .as_role("admin", "GET", &format!("/v1/events/{}", plain.event))
        .await
        .json();
    assert_eq!(shown["body"], r#"{"n":1}"#);

    let app = Fixture::redacting("body = ['/n']\nheaders = ['X-Odd']").await;
    let seeded = app.seed(1, "push").await;
    let event = format!("/v1/events/{}", seeded.event);
    for role in ["viewer", "admin"] {
        let shown = app.as_role(role, "GET", &event).await.json();
        assert_eq!(shown["body"], r#"{"n":"[redacted]"}"#);
        let odd: Vec<_> = shown["headers"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it[0] == "x-odd")
            .map(|it| it[1].as_str().unwrap())
            .collect();
        assert_eq!(odd, ["[redacted]", "[redacted]"]);
        let body = app.as_role(role, "GET", &format!("{event}/body")).await;
        assert_eq!(body.text(), r#"{"n":"[redacted]"}"#);
    }
    let export = app.as_role("operator", "POST", "/v1/events/export").await;
    let line: Value = serde_json::from_str(export.text().lines().next().unwrap()).unwrap();
    let body = STANDARD.decode(line["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, br#"{"n":"[redacted]"}"#);
    assert!(!line["headers"].to_string().contains("\"2\""), "{line}");
    // What is stored, and goes to handlers, is what came.
    assert_eq!(
        &app.store.event(seeded.event).await.unwrap().body[..],
        br#"{"n":1}"#
    );
}
