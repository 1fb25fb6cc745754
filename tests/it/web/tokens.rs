//! Tokens that are made while gatepost runs.

use serde_json::{Value, json};

use crate::web::{api::problem, fixture::Fixture, wire::Answer};

const ADMIN: &str = "canary-admin-token";

impl Fixture {
    /// With a token, which may be none.
    async fn by(&self, token: &str, method: &str, target: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let authorization = if token.is_empty() {
            String::new()
        } else {
            format!("authorization: Bearer {token}\r\n")
        };
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{authorization}\r\n"
        );
        self.admin.ask(format!("{head}{body}")).await
    }

    async fn make(&self, by: &str, name: &str, role: &str) -> Value {
        let answer = self
            .by(by, "POST", "/v1/tokens", &json!({ "name": name, "role": role }))
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[tokio::test]
async fn a_token_is_made_shown_once_used_and_revoked() {
    let app = Fixture::with_tokens().await;
    let made = app.make(ADMIN, "deploy", "operator").await;
    let (token, id) = (field(&made, "token"), field(&made, "id"));
    assert!(token.starts_with("gp_") && token.len() == 67, "{token}");
    assert_eq!(
        (field(&made, "made_by"), field(&made, "status")),
        ("boss", "live")
    );
    let retry = "/v1/destinations/billing/resume";
    assert_eq!(app.by(token, "POST", retry, &Value::Null).await.status, 200);
    assert_eq!(app.by(token, "GET", "/v1/tokens", &Value::Null).await.status, 403);

    let listed = app.by(ADMIN, "GET", "/v1/tokens", &Value::Null).await;
    assert!(
        !listed.text().contains(token) && !listed.text().contains("canary"),
        "{listed:?}"
    );
    let listed = listed.json();
    let names: Vec<_> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (field(it, "name"), field(it, "origin"), field(it, "role")))
        .collect();
    assert_eq!(
        names,
        [
            ("looks", "config", "viewer"),
            ("ops", "config", "operator"),
            ("boss", "config", "admin"),
            ("eats", "config", "consumer"),
            ("deploy", "store", "operator"),
        ]
    );

    let cookie = app.cookie(token).await;
    let with_cookie = format!("GET /v1/events HTTP/1.1\r\nhost: localhost\r\n{cookie}\r\n");
    assert_eq!(app.admin.ask(&with_cookie).await.status, 200);
    let revoke = format!("/v1/tokens/{id}/revoke");
    let revoked = app.by(ADMIN, "POST", &revoke, &Value::Null).await.json();
    assert_eq!(field(&revoked, "status"), "revoked");
    assert_eq!(app.by(token, "GET", "/v1/events", &Value::Null).await.status, 401);
    assert_eq!(
        app.admin.ask(&with_cookie).await.status,
        401,
        "its sessions are over"
    );
    let unknown = "/v1/tokens/tok_00000000000000000000000000/revoke";
    assert_eq!(
        problem(&app.by(ADMIN, "POST", unknown, &Value::Null).await).0,
        404
    );
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let app = Fixture::with_tokens().await;
    let made = app.make(ADMIN, "deploy", "viewer").await;
    let token = field(&made, "token");
    assert_eq!(app.by(token, "GET", "/v1/events", &Value::Null).await.status, 200);
    app.raw("update token set expires_at = created_at").await;
    assert_eq!(app.by(token, "GET", "/v1/events", &Value::Null).await.status, 401);
    let listed = app.by(ADMIN, "GET", "/v1/tokens", &Value::Null).await.json();
    assert_eq!(field(&listed["data"][4], "status"), "expired");
}

#[tokio::test]
async fn a_token_that_cannot_be_made_says_why() {
    let app = Fixture::with_tokens().await;
    app.make(ADMIN, "deploy", "viewer").await;
    for (body, status, code) in [
        (json!({ "name": "x", "role": "root" }), 400, "invalid_role"),
        (json!({ "name": "", "role": "viewer" }), 400, "invalid_name"),
        (json!({ "name": "local", "role": "viewer" }), 400, "invalid_name"),
        (
            json!({ "name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" }),
            400,
            "invalid_expires_at",
        ),
        (
            json!({ "name": "x", "role": "viewer", "token": "mine" }),
            400,
            "invalid_body",
        ),
        (json!({ "name": "deploy", "role": "viewer" }), 409, "conflict"),
        (json!({ "name": "ops", "role": "viewer" }), 409, "conflict"),
    ] {
        let answer = app.by(ADMIN, "POST", "/v1/tokens", &body).await;
        assert_eq!(problem(&answer), (status, code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn the_first_admins_token_closes_an_open_side_for_good() {
    let app = Fixture::start().await;
    assert_eq!(app.get("/v1/events").await.status, 200);
    let viewer = app.make("", "looks", "viewer").await;
    assert_eq!(field(&viewer, "made_by"), "local");
    assert_eq!(
        app.get("/v1/events").await.status,
        200,
        "a viewer could not go on from here"
    );
    let admin = app.make("", "boss", "admin").await;
    assert_eq!(app.get("/v1/events").await.status, 401);
    let token = field(&admin, "token");
    assert_eq!(app.by(token, "GET", "/v1/tokens", &Value::Null).await.status, 200);
    // An end of access never gives more of it.
    let revoke = format!("/v1/tokens/{}/revoke", field(&admin, "id"));
    assert_eq!(app.by(token, "POST", &revoke, &Value::Null).await.status, 200);
    assert_eq!(app.get("/v1/events").await.status, 401);
    assert_eq!(app.get("/livez").await.status, 200);
}

#[tokio::test]
async fn g10_the_log_is_read_and_checked() {
    let app = Fixture::with_tokens().await;
    app.make(ADMIN, "deploy", "viewer").await;
    app.make(ADMIN, "other", "viewer").await;
    let operator = "canary-operator-token";
    let page = app
        .by(operator, "GET", "/v1/audit?limit=1", &Value::Null)
        .await
        .json();
    let entry = &page["data"][0];
    assert_eq!(
        (
            entry["seq"].as_u64(),
            field(entry, "actor"),
            field(entry, "action"),
            field(entry, "outcome")
        ),
        (Some(2), "boss", "create_token", "done")
    );
    assert!(field(entry, "target").starts_with("tok_"), "{entry}");
    assert_eq!(field(entry, "detail"), "`other`, viewer");
    assert_eq!(page["next"], "2");
    let rest = app
        .by(operator, "GET", "/v1/audit?cursor=2", &Value::Null)
        .await
        .json();
    assert_eq!(rest["data"][0]["seq"], 1);
    assert!(rest["next"].is_null());
    let whole = app
        .by(operator, "GET", "/v1/audit/verify", &Value::Null)
        .await
        .json();
    assert_eq!((&whole["intact"], &whole["n_entries"]), (&json!(true), &json!(2)));
    assert_eq!(whole["last_hash"], entry["hash"]);
    app.raw("drop trigger audit_stays_as_it_is").await;
    app.raw("update audit set actor = 'eve' where seq = 1").await;
    let broken = app
        .by(operator, "GET", "/v1/audit/verify", &Value::Null)
        .await
        .json();
    assert_eq!(
        (&broken["intact"], &broken["broken_at"]),
        (&json!(false), &json!(1))
    );
    for bad in ["cursor=x", "limit=0", "who=me"] {
        let answer = app
            .by(operator, "GET", &format!("/v1/audit?{bad}"), &Value::Null)
            .await;
        assert_eq!(problem(&answer).0, 400, "{bad}");
    }
}

#[tokio::test]
async fn g01_a_stream_ends_with_the_token_that_opened_it() {
    let app = Fixture::with_tokens().await;
    let made = app.make(ADMIN, "deploy", "viewer").await;
    let mut wire = app.admin.connect().await;
    wire.send(format!(
        "GET /v1/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
        field(&made, "token")
    ))
    .await;
    assert_eq!(wire.answer().await.status, 200);
    let new = app.seed(20, "push").await;
    let text = wire.until("\n\n").await;
    assert!(text.contains(&new.event.to_string()), "{text}");
    let revoke = format!("/v1/tokens/{}/revoke", field(&made, "id"));
    assert_eq!(app.by(ADMIN, "POST", &revoke, &Value::Null).await.status, 200);
    // The last chunk: the answer has ended.
    wire.until("\r\n0\r\n\r\n").await;
}
