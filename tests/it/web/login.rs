//! Logging in with a browser, and what its cookie opens.

use std::time::Duration;

use gatepost::store::audit::AuditQuery;

use crate::web::{api::problem, fixture::Fixture, wire::Answer};

const OPERATOR: &str = "canary-operator-token";
const VIEWER: &str = "canary-viewer-token";

impl Fixture {
    async fn form(&self, target: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: gate.example\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        self.admin.ask(format!("{head}{body}")).await
    }

    /// The `cookie` header of a browser that logged in.
    pub(crate) async fn cookie(&self, token: &str) -> String {
        let answer = self.form("/login", "", &format!("token={token}")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let set = answer.header("set-cookie").unwrap();
        format!("cookie: {}\r\n", set.split(';').next().unwrap())
    }

    async fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        self.admin
            .ask(format!(
                "{method} {target} HTTP/1.1\r\nhost: gate.example\r\ncontent-length: 0\r\n{headers}\r\n"
            ))
            .await
    }
}

const SAME_ORIGIN: &str = "sec-fetch-site: same-origin\r\n";

#[tokio::test]
async fn a_session_opens_what_its_token_opens() {
    let app = Fixture::with_tokens().await;
    let cookie = app.cookie(OPERATOR).await;
    assert_eq!(app.ask("GET", "/v1/events", &cookie).await.status, 200);
    let command = "/v1/destinations/billing/pause";
    let answer = app.ask("POST", command, &format!("{cookie}{SAME_ORIGIN}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let viewer = app.cookie(VIEWER).await;
    assert_eq!(app.ask("GET", "/v1/events", &viewer).await.status, 200);
    let answer = app.ask("POST", command, &format!("{viewer}{SAME_ORIGIN}")).await;
    assert_eq!(problem(&answer), (403, "forbidden".to_owned()));
    let wrong = "cookie: gatepost=00\r\n";
    assert_eq!(app.ask("GET", "/v1/events", wrong).await.status, 401);
    // Who shows a token means that one.
    let both = format!("{cookie}authorization: Bearer wrong-but-long-enough\r\n");
    assert_eq!(app.ask("GET", "/v1/events", &both).await.status, 401);
}

#[tokio::test]
async fn g05_a_cookie_alone_changes_nothing() {
    let app = Fixture::with_tokens().await;
    let cookie = app.cookie(OPERATOR).await;
    let command = "/v1/destinations/billing/pause";
    for (headers, expected) in [
        ("", 403),
        ("sec-fetch-site: cross-site\r\n", 403),
        ("sec-fetch-site: same-site\r\n", 403),
        ("sec-fetch-site: none\r\n", 403),
        ("origin: null\r\n", 403),
        ("origin: http://evil.example\r\n", 403),
        ("origin: http://gate.example\r\n", 200),
        (SAME_ORIGIN, 200),
    ] {
        let answer = app.ask("POST", command, &format!("{cookie}{headers}")).await;
        assert_eq!(answer.status, expected, "{headers}: {answer:?}");
    }
    let cross = app
        .form(
            "/login",
            "origin: http://evil.example\r\n",
            &format!("token={OPERATOR}"),
        )
        .await;
    assert_eq!(cross.status, 403, "nobody is logged in by another site");
}

#[tokio::test]
async fn a_login_sets_a_close_cookie_and_goes_on_to_a_page_of_ours() {
    let app = Fixture::with_tokens().await;
    for (next, expected) in [
        ("", "/"),
        ("&next=%2Fevents%3Fstatus%3Ddead", "/events?status=dead"),
        ("&next=%2F%2Fevil.example", "/"),
        ("&next=https%3A%2F%2Fevil.example", "/"),
        ("&next=%2F%5Cevil.example", "/"),
        ("&next=%2F%0D%0Aset-cookie%3A%20a%3Db", "/"),
    ] {
        let answer = app.form("/login", "", &format!("token={OPERATOR}{next}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(expected)),
            "{next}"
        );
        assert!(!answer.head.contains("a=b"), "{answer:?}");
    }
    let plain = app.form("/login", "", &format!("token={OPERATOR}")).await;
    let plain = plain.header("set-cookie").unwrap();
    assert!(
        plain.starts_with("gatepost=") && plain.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{plain}"
    );
    // The fixture's proxies are on this machine.
    for headers in ["x-forwarded-proto: https\r\n", "origin: https://gate.example\r\n"] {
        let answer = app.form("/login", headers, &format!("token={OPERATOR}")).await;
        let cookie = answer.header("set-cookie").unwrap();
        assert!(
            cookie.starts_with("__Host-gatepost=")
                && cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
            "{headers}: {cookie}"
        );
        let cookie = format!("cookie: {}\r\n", cookie.split(';').next().unwrap());
        assert_eq!(app.ask("GET", "/v1/events", &cookie).await.status, 200);
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_a_login_makes_another() {
    let app = Fixture::with_tokens().await;
    let first = app.cookie(VIEWER).await;
    // A browser that logs in again has its old session with it, which ends.
    let again = app.form("/login", &first, &format!("token={VIEWER}")).await;
    let second = format!(
        "cookie: {}\r\n",
        again.header("set-cookie").unwrap().split(';').next().unwrap()
    );
    assert_ne!(first, second);
    assert_eq!(app.ask("GET", "/v1/events", &first).await.status, 401);
    assert_eq!(app.ask("GET", "/v1/events", &second).await.status, 200);

    assert_eq!(
        app.ask("POST", "/logout", &second).await.status,
        403,
        "not by another site"
    );
    let answer = app
        .ask("POST", "/logout", &format!("{second}{SAME_ORIGIN}"))
        .await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")));
    assert!(
        answer.header("set-cookie").unwrap().contains("Max-Age=0"),
        "{answer:?}"
    );
    assert_eq!(app.ask("GET", "/v1/events", &second).await.status, 401);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let app = Fixture::with_tokens().await;
    for (column, hours) in [("seen_at", 1), ("created_at", 12)] {
        for (minutes, expected) in [(hours * 60 - 1, 200), (hours * 60 + 1, 401)] {
            let cookie = app.cookie(VIEWER).await;
            let micros = Duration::from_secs(minutes * 60).as_micros();
            app.raw(&format!("update session set {column} = {column} - {micros}"))
                .await;
            let answer = app.ask("GET", "/v1/events", &cookie).await;
            assert_eq!(answer.status, expected, "{column} {minutes}");
        }
    }
}

#[tokio::test]
async fn g03_the_sixth_failed_login_of_a_minute_is_refused() {
    let app = Fixture::with_tokens().await;
    for n in 0..5 {
        let answer = app.form("/login", "", &format!("token=wrong-{n}")).await;
        assert_eq!(problem(&answer), (401, "unauthorized".to_owned()));
        assert!(answer.header("set-cookie").is_none());
    }
    // Also the right one, and also for a person, who is shown the form again.
    let answer = app.form("/login", "", &format!("token={OPERATOR}")).await;
    assert_eq!(problem(&answer), (429, "too_many_attempts".to_owned()));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let page = app
        .form("/login", "accept: text/html\r\n", "token=wrong&next=%2Fevents")
        .await;
    assert_eq!(
        (page.status, page.header("location")),
        (303, Some("/login?refused=too_many_attempts&next=%2Fevents"))
    );
    // Somebody elsewhere, as the proxy in front says.
    let other = app
        .form(
            "/login",
            "x-forwarded-for: 192.0.2.7\r\n",
            &format!("token={OPERATOR}"),
        )
        .await;
    assert_eq!(other.status, 303, "{other:?}");
}

#[tokio::test]
async fn g10_logins_and_commands_are_written_down() {
    let app = Fixture::with_tokens().await;
    let cookie = app.cookie(OPERATOR).await;
    let failed = app
        .form("/login", "accept: text/html\r\n", "token=canary-wrong")
        .await;
    assert_eq!(failed.status, 303, "{failed:?}");
    app.ask(
        "POST",
        "/v1/destinations/billing/pause",
        &format!("{cookie}{SAME_ORIGIN}"),
    )
    .await;
    app.ask(
        "POST",
        "/v1/destinations/none/pause",
        &format!("{cookie}{SAME_ORIGIN}"),
    )
    .await;
    app.ask("POST", "/v1/destinations/billing/resume", &cookie).await;
    app.ask("POST", "/v1/destinations/billing/resume", "").await;
    app.ask("POST", "/v1/jobs/plan", &format!("{cookie}{SAME_ORIGIN}"))
        .await;
    app.ask("GET", "/v1/events", &cookie).await;
    app.ask("POST", "/logout", &format!("{cookie}{SAME_ORIGIN}"))
        .await;
    let query = AuditQuery {
        limit: 200,
        ..AuditQuery::default()
    };
    let mut entries = app.store.audit(&query).await.unwrap().rows;
    entries.reverse();
    let told: Vec<_> = entries
        .iter()
        .map(|it| {
            let text = |it: &Option<String>| it.as_deref().unwrap_or("-").to_owned();
            let deed = &it.deed;
            format!(
                "{} {} {} {} {} {}",
                text(&deed.actor),
                text(&deed.role),
                deed.action,
                text(&deed.target),
                deed.status,
                text(&deed.client)
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "ops operator login - 303 127.0.0.1",
            "- - login - 401 127.0.0.1",
            "ops operator pause_destination billing 200 127.0.0.1",
            "ops operator pause_destination none 404 127.0.0.1",
            "ops operator resume_destination billing 403 127.0.0.1",
            "ops operator logout - 303 127.0.0.1",
        ]
    );
    let shown = format!("{entries:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let verdict = app.store.verify_audit().await.unwrap();
    assert_eq!((verdict.n_entries, verdict.broken), (6, None));
}

#[tokio::test]
async fn a_browser_without_a_session_is_sent_to_the_form() {
    let app = Fixture::with_tokens().await;
    let html = "accept: text/html,*/*;q=0.8\r\n";
    let answer = app.ask("GET", "/?a=b", html).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/login?next=%2F%3Fa%3Db"))
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for target in ["/v1/events", "/metrics", "/openapi.json"] {
        assert_eq!(app.ask("GET", target, html).await.status, 401, "{target}");
    }
    assert_eq!(app.ask("POST", "/", html).await.status, 401);
    assert_eq!(app.ask("GET", "/", "").await.status, 401);
    // Not a loop, where a page of the form is.
    assert_ne!(app.ask("GET", "/login", html).await.status, 303);
}

#[tokio::test]
async fn what_is_no_login_form_is_refused() {
    let app = Fixture::with_tokens().await;
    let length = "content-length: 2\r\n";
    let json = app
        .admin
        .ask(format!(
            "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{length}\r\n{{}}"
        ))
        .await;
    assert_eq!(problem(&json).0, 415);
    for body in ["", "token=", "token=%20", "nothing=1", "token=%ff"] {
        assert_eq!(app.form("/login", "", body).await.status, 401, "{body}");
    }
    let large = format!("token={}", "a".repeat(65 * 1024));
    let app = Fixture::with_tokens().await;
    assert_eq!(app.form("/login", "", &large).await.status, 413);
    assert_eq!(problem(&app.form("/login", "", "token=a&token=b").await).0, 400);
}
