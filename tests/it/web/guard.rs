//! What stands around the admin API: tokens, roles, headers, health, and its description.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::web::{api::problem, fixture::Fixture, wire::PATIENCE};

#[tokio::test]
async fn readiness_ends_before_the_listener_closes() {
    let app = Fixture::start().await;
    assert_eq!(app.get("/livez").await.status, 200);
    assert_eq!(app.get("/readyz").await.status, 200);
    app.draining.cancel();
    let answer = app.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["check"], "stopping");
    assert_eq!(app.get("/livez").await.status, 200);
}

#[tokio::test]
async fn readiness_asks_the_store() {
    let app = Fixture::start().await;
    app.store.close().await;
    let answer = tokio::time::timeout(PATIENCE, app.get("/readyz")).await.unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["check"], "store");
    let answer = app.get("/v1/events").await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(problem(&answer).1, "store_unavailable");
}

/// Every path and method of the description, with ids that are well formed.
fn described() -> Vec<(String, String)> {
    let description: Value = serde_json::from_str(&gatepost::web::state::openapi()).unwrap();
    let mut all = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            all.push((method.to_uppercase(), with_ids(path)));
        }
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// A path of the router as a client asks for it.
pub(crate) fn with_ids(path: &str) -> String {
    let mut parts = path.trim_start_matches("/v1").split('/');
    let prefix = match parts.nth(1) {
        Some("deliveries") => "dlv",
        Some("requests") => "req",
        Some("jobs") => "job",
        Some("issues") => "iss",
        Some("tokens") => "tok",
        _ => "evt",
    };
    path.replace("{id}", &format!("{prefix}_00000000000000000000000000"))
        .replace("{name}", "billing")
}

#[tokio::test]
async fn g01_g02_nothing_but_health_is_open_without_a_token() {
    let app = Fixture::with_tokens().await;
    let more = [
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("TRACE", "/v1/events"),
        ("GET", "//livez"),
        ("GET", "/livez/"),
    ];
    let more = more.map(|(method, target)| (method.to_owned(), target.to_owned()));
    let pages = gatepost::web::state::pages().into_iter();
    let pages = pages.map(|(method, path)| (method.to_owned(), with_ids(path)));
    for (method, target) in described().into_iter().chain(pages).chain(more) {
        // What the page that asks for a token is made of.
        if (method == "GET" && target == "/login") || target.starts_with("/assets/") {
            continue;
        }
        let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let answer = app.admin.ask(format!("{head}\r\n")).await;
        assert!(
            answer.header("x-content-type-options").is_some(),
            "{method} {target}"
        );
        if ["/livez", "/readyz"].contains(&target.as_str()) {
            assert_eq!(answer.status, 200, "{method} {target}");
            continue;
        }
        if target.starts_with("/login/oidc") {
            assert_eq!(answer.status, 404, "{target}: it is not configured");
            continue;
        }
        if target == "/login" {
            // It takes a token, in a form that is not there.
            assert_eq!(answer.status, 415, "{method}");
            continue;
        }
        assert_eq!(
            problem(&answer),
            (401, "unauthorized".to_owned()),
            "{method} {target}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let wrong = app
            .admin
            .ask(format!("{head}authorization: Bearer wrong\r\n\r\n"))
            .await;
        assert_eq!(wrong.status, 401, "{method} {target}");
    }
}

#[tokio::test]
async fn g02_metrics_are_not_on_the_public_side() {
    let app = Fixture::start().await;
    assert_eq!(app.get("/metrics").await.status, 200);
    for target in ["/metrics", "/webhooks/metrics", "/v1/ledger", "/openapi.json"] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = app.public.ask(request).await;
        assert_eq!(answer.status, 404, "{target}");
        assert!(!answer.text().contains("gatepost_"), "{target}");
    }
    // By default the other side is this machine's own.
    let default: toml::Table = include_str!("../../../config/default.toml").parse().unwrap();
    let listen: std::net::SocketAddr = default["admin"]["listen"].as_str().unwrap().parse().unwrap();
    assert!(listen.ip().is_loopback(), "{listen}");
}

/// The least role that may do it, by the description's methods and paths; `consumer`: an operator, or a consumer.
fn least_role(method: &str, target: &str) -> &'static str {
    match target.split('/').nth(2) {
        Some("tokens") => "admin",
        Some("audit" | "config") => "operator",
        _ if method == "GET" || target == "/logout" => "viewer",
        Some("queues") => "consumer",
        _ => "operator",
    }
}

#[tokio::test]
async fn g01_each_role_does_what_is_its_own_and_nothing_else() {
    let app = Fixture::with_tokens().await;
    let ranks = ["viewer", "operator", "admin"];
    let rank = |role: &str| ranks.iter().position(|it| *it == role);
    for (method, target) in described() {
        if ["/livez", "/readyz"].contains(&target.as_str()) || target.starts_with("/login") {
            continue;
        }
        let least = least_role(&method, &target);
        for role in ["consumer", "viewer", "operator", "admin"] {
            let may = match (least, role) {
                ("consumer", role) => role != "viewer",
                (least, role) => rank(role) >= rank(least),
            };
            let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
            let answer = app
                .admin
                .ask(format!("{head}authorization: Bearer canary-{role}-token\r\n\r\n"))
                .await;
            assert_eq!(answer.status != 403, may, "{role}: {method} {target}: {answer:?}");
            assert_ne!(answer.status, 401, "{role}: {method} {target}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_that_browsers_obey() {
    let app = Fixture::start().await;
    for target in ["/", "/v1/events", "/v1/nothing", "/readyz", "/v1/events/x"] {
        let answer = app.get(target).await;
        let csp = answer.header("content-security-policy").unwrap();
        assert!(
            csp.starts_with("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
            "{csp}"
        );
        // A page posts forms to itself, and says so.
        let referrer = if target == "/" {
            "same-origin"
        } else {
            "no-referrer"
        };
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", referrer),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{target}");
        }
        assert!(answer.header("server").is_none(), "no banner");
    }
}

#[test]
fn the_description_is_what_it_was() {
    let description: Value = serde_json::from_str(&gatepost::web::state::openapi()).unwrap();
    assert_json_snapshot!("openapi", description);
    assert_eq!(description["info"]["title"], "gatepost");
}
