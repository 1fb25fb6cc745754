//! Access is given, used, taken away and accounted for, over one gatepost or two.

use gatepost::egress;
use serde_json::{Value, json};

use crate::app::{
    app_case,
    site::{STRIPE_TO_BILLING, TestApp},
};

const BOSS: &str = "token-of-the-boss-of-it-all";
const TOKENS: &str = r#"
[admin]
tokens = [{ name = "boss", token = { file = "boss.token" }, role = "admin" }]
"#;

/// One who asks, and follows nowhere.
struct Person {
    client: reqwest::Client,
    header: (&'static str, String),
}

struct Told {
    status: u16,
    set_cookie: Option<String>,
    body: Value,
}

impl Person {
    fn new(name: &'static str, value: String) -> Self {
        egress::tls::install_crypto();
        #[expect(
            clippy::disallowed_methods,
            reason = "this client plays a person; it guards nothing"
        )]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            client,
            header: (name, value),
        }
    }

    fn with_token(token: &str) -> Self {
        Self::new("authorization", format!("Bearer {token}"))
    }

    /// Logs in with a browser.
    async fn in_a_browser(app: &TestApp, token: &str) -> Self {
        let nobody = Self::new("x-nobody", String::new());
        let request = nobody.client.post(format!("http://{}/login", app.admin));
        let form = request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}"));
        let told = nobody.told(form).await;
        assert_eq!(told.status, 303, "{}", told.body);
        let cookie = told.set_cookie.unwrap();
        Self::new("cookie", cookie.split(';').next().unwrap().to_owned())
    }

    async fn told(&self, request: reqwest::RequestBuilder) -> Told {
        let (name, value) = &self.header;
        let response = request.header(*name, value).send().await.unwrap();
        let set_cookie = response.headers().get("set-cookie");
        let set_cookie = set_cookie.map(|it| it.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        Told {
            status,
            set_cookie,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, app: &TestApp, path: &str) -> Told {
        self.told(self.client.get(format!("http://{}{path}", app.admin)))
            .await
    }

    async fn post(&self, app: &TestApp, path: &str, body: &Value) -> Told {
        let request = self.client.post(format!("http://{}{path}", app.admin));
        let request = request
            .header("content-type", "application/json")
            .header("sec-fetch-site", "same-origin")
            .body(body.to_string());
        self.told(request).await
    }
}

app_case!(access_is_given_used_taken_away_and_accounted_for, |site| {
    site.write("boss.token", BOSS);
    site.configure(&format!("{TOKENS}{STRIPE_TO_BILLING}"));
    // On Postgres a second replica, for which everything must hold that the first was told.
    let first = site.start().await;
    let second = if site.is_postgres() {
        Some(site.start().await)
    } else {
        None
    };
    let other = second.as_ref().unwrap_or(&first);

    let boss = Person::with_token(BOSS);
    let made = boss
        .post(
            &first,
            "/v1/tokens",
            &json!({ "name": "night-shift", "role": "operator" }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (token, id) = (
        made.body["token"].as_str().unwrap(),
        made.body["id"].as_str().unwrap(),
    );

    let script = Person::with_token(token);
    assert_eq!(script.get(other, "/v1/events").await.status, 200);
    let browser = Person::in_a_browser(&first, token).await;
    let resume = "/v1/destinations/billing/resume";
    assert_eq!(browser.post(other, resume, &json!({})).await.status, 200);
    assert_eq!(browser.get(other, "/v1/tokens").await.status, 403);

    // One logs out here, and is out there; the token is still good.
    let another = Person::in_a_browser(other, token).await;
    assert_eq!(browser.post(&first, "/logout", &json!({})).await.status, 303);
    assert_eq!(browser.get(other, "/v1/events").await.status, 401);
    assert_eq!(another.get(&first, "/v1/events").await.status, 200);

    // The token is revoked there, and with the very next request nothing of it opens anything anywhere.
    let revoke = format!("/v1/tokens/{id}/revoke");
    assert_eq!(boss.post(other, &revoke, &json!({})).await.status, 200);
    assert_eq!(script.get(&first, "/v1/events").await.status, 401);
    assert_eq!(another.get(&first, "/v1/events").await.status, 401);

    let audit = boss.get(&first, "/v1/audit").await.body;
    let told: Vec<_> = audit["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|it| format!("{} {} {}", it["actor"], it["action"], it["status"]).replace('"', ""))
        .collect();
    assert_eq!(
        told,
        [
            "boss create_token 201",
            "night-shift login 303",
            "night-shift resume_destination 200",
            "night-shift login 303",
            "night-shift logout 303",
            "boss revoke_token 200",
        ]
    );
    let verdict = boss.get(other, "/v1/audit/verify").await.body;
    assert_eq!(
        (&verdict["intact"], &verdict["n_entries"]),
        (&json!(true), &json!(6))
    );
    first.stop().await;
    if let Some(second) = second {
        second.stop().await;
    }
});

app_case!(
    a_session_of_a_token_of_the_config_dies_with_it_and_survives_a_restart,
    |site| {
        site.write("boss.token", BOSS);
        site.configure(&format!("{TOKENS}{STRIPE_TO_BILLING}"));
        let app = site.start().await;
        let browser = Person::in_a_browser(&app, BOSS).await;
        assert_eq!(browser.get(&app, "/v1/tokens").await.status, 200);
        app.stop().await;

        let app = site.start().await;
        assert_eq!(browser.get(&app, "/v1/tokens").await.status, 200);
        app.stop().await;

        site.write("boss.token", "another-token-of-the-same-boss");
        let app = site.start().await;
        assert_eq!(browser.get(&app, "/v1/tokens").await.status, 401);
        app.stop().await;
    }
);
