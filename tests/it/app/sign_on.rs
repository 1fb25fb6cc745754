//! Single sign-on at a real OpenID provider (`oidc-provider` of npm), by a browser's steps: every redirect, form and cookie.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
};

use gatepost::egress;
use http::header;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use url::Url;

use crate::{
    app::{
        app_case, eventually,
        site::{STRIPE_TO_BILLING, Site, TestApp},
    },
    config::printed,
};

const ROLES: &str = r#"{ viewer = ["support"], operator = ["on-call"], admin = ["platform"] }"#;
/// How browsers reach the admin side in the config; `Browser` knows where it really is.
const PUBLIC_URL: &str = "http://127.0.0.1:1";

/// Where the provider sends browsers back to.
const REDIRECT_URI: &str = "http://127.0.0.1:1/login/oidc/callback";

/// The provider, which ends with its own standard input, however this process ends.
struct Provider {
    address: SocketAddr,
    process: Child,
}

#[expect(clippy::print_stderr, reason = "what is left out must not go unseen")]
async fn provider() -> Option<Provider> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oidc");
    if !directory.join("installed.json").exists() {
        eprintln!("NOT TESTED: there is no OpenID provider here; `tests/oidc/install` needs npm");
        return None;
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let process = Command::new("node")
        .arg(directory.join("provider.mjs"))
        .args([&address.port().to_string(), REDIRECT_URI])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the provider listens", || async {
        TcpStream::connect(address).await.ok().map(drop)
    })
    .await;
    Some(Provider { address, process })
}

fn configure(site: &Site, issuer: &str, roles: &str) {
    assert!(REDIRECT_URI.starts_with(PUBLIC_URL));
    site.write("client.secret", "canary-secret-of-the-client:%/+");
    site.configure(&format!(
        "{STRIPE_TO_BILLING}\n[admin.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gatepost\"\n\
         client_secret = {{ file = \"client.secret\" }}\npublic_url = \"{PUBLIC_URL}\"\n\
         scopes = [\"openid\", \"email\", \"groups\"]\nroles = {roles}\n"
    ));
}

/// Keeps cookies, and follows nothing by itself.
struct Browser {
    client: reqwest::Client,
    /// Cookies know hosts and no ports, and everything here is on one.
    cookies: HashMap<String, String>,
}

struct Page {
    status: u16,
    location: Option<String>,
    url: Url,
    text: String,
}

impl Browser {
    fn new() -> Self {
        egress::tls::install_crypto();
        #[expect(
            clippy::disallowed_methods,
            reason = "this client plays a browser; it guards nothing"
        )]
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            client,
            cookies: HashMap::new(),
        }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder, url: Url) -> Page {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let response = request.header("cookie", pairs.join("; ")).send().await.unwrap();
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let is_over = value.is_empty() || line.contains("Max-Age=0");
            if is_over {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = response.headers().get(header::LOCATION);
        let location = location.map(|it| it.to_str().unwrap().to_owned());
        Page {
            status: response.status().as_u16(),
            location,
            url,
            text: response.text().await.unwrap(),
        }
    }

    async fn get(&mut self, url: &str) -> Page {
        let url: Url = url.parse().unwrap();
        let request = self.client.get(url.clone());
        self.send(request, url).await
    }

    /// What the page's form asks for, and this name.
    async fn submit(&mut self, page: &Page, name: &str) -> Page {
        let action = between(&page.text, "action=\"", "\"");
        let prompt = between(&page.text, "name=\"prompt\" value=\"", "\"");
        let url = page.url.join(action).unwrap();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("prompt", prompt), ("login", name), ("password", "any")])
            .finish();
        let request = self
            .client
            .post(url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        self.send(request, url).await
    }

    /// From the button of the login page, until the provider sends the browser back: there.
    async fn sign_on(&mut self, app: &TestApp, name: &str) -> String {
        let button = format!("http://{}/login/oidc?next=%2Fevents%3Fq%3Da", app.admin);
        let mut page = self.get(&button).await;
        for _ in 0..20 {
            page = match &page.location {
                Some(to) if to.starts_with(PUBLIC_URL) => return to.clone(),
                Some(to) => {
                    let to = page.url.join(to).unwrap();
                    self.get(to.as_str()).await
                }
                None => self.submit(&page, name).await,
            };
        }
        panic!("{name} never came back: {} {}", page.status, page.text);
    }

    /// As if the config's URL led there.
    async fn back_at(&mut self, app: &TestApp, url: &str) -> Page {
        let path = url.strip_prefix(PUBLIC_URL).unwrap();
        self.get(&format!("http://{}{path}", app.admin)).await
    }

    async fn status(&mut self, app: &TestApp, path: &str) -> u16 {
        self.get(&format!("http://{}{path}", app.admin)).await.status
    }

    /// A form of our page.
    async fn post(&mut self, app: &TestApp, path: &str) -> u16 {
        let url: Url = format!("http://{}{path}", app.admin).parse().unwrap();
        let request = self
            .client
            .post(url.clone())
            .header("sec-fetch-site", "same-origin");
        self.send(request, url).await.status
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"))
        .1;
    rest.split_once(after).unwrap().0
}

async fn audit(browser: &mut Browser, app: &TestApp, action: &str) -> Vec<Value> {
    let page = browser
        .get(&format!("http://{}/v1/audit?limit=200", app.admin))
        .await;
    let all: Value = serde_json::from_str(&page.text).unwrap_or_else(|_| panic!("{}", page.text));
    let entries = all["data"].as_array().unwrap().iter();
    entries.filter(|it| it["action"] == action).cloned().collect()
}

app_case!(somebody_signs_on_and_may_what_the_groups_may, |site| {
    let Some(provider) = provider().await else { return };
    configure(&site, &format!("http://{}", provider.address), ROLES);
    let first = site.start().await;
    let mut ann = Browser::new();
    assert_eq!(
        ann.status(&first, "/v1/events").await,
        401,
        "loopback is not open"
    );
    let page = ann.get(&format!("http://{}/login", first.admin)).await;
    assert!(page.text.contains("href=\"/login/oidc?next="), "{}", page.text);
    // Off from one process, and back at another.
    let back = ann.sign_on(&first, "ann").await;
    first.stop().await;
    let second = site.start().await;
    let mut thief = Browser::new();
    thief.cookies = ann.cookies.clone();
    let page = ann.back_at(&second, &back).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.text.contains("content=\"0; url=/events?q=a\""),
        "{}",
        page.text
    );

    assert_eq!(ann.status(&second, "/v1/events").await, 200);
    assert_eq!(ann.post(&second, "/v1/destinations/billing/pause").await, 200);
    assert_eq!(ann.post(&second, "/v1/destinations/billing/resume").await, 200);
    assert_eq!(
        ann.status(&second, "/v1/tokens").await,
        403,
        "an operator makes no tokens"
    );
    let logins = audit(&mut ann, &second, "oidc_login").await;
    assert_eq!(logins.len(), 1, "{logins:?}");
    assert_eq!(logins[0]["actor"], "oidc:ann@example.com");
    assert_eq!(
        (&logins[0]["role"], &logins[0]["status"]),
        (&"operator".into(), &200.into())
    );
    assert_eq!(logins[0]["detail"], "subject `ann`");
    let pauses = audit(&mut ann, &second, "pause_destination").await;
    assert_eq!(pauses[0]["actor"], "oidc:ann@example.com");

    // A code is good once, also for who has the cookie of its login.
    let again = thief.back_at(&second, &back).await;
    assert_eq!(
        again.location.as_deref(),
        Some("/login?refused=sign_on_unavailable&next=%2F")
    );
    assert_eq!(thief.status(&second, "/v1/events").await, 401);
    assert_eq!(ann.post(&second, "/logout").await, 303);
    assert_eq!(ann.status(&second, "/v1/events").await, 401);
    second.stop().await;
});

app_case!(who_is_in_no_group_or_another_browser_gets_nothing, |site| {
    let Some(provider) = provider().await else { return };
    configure(&site, &format!("http://{}", provider.address), ROLES);
    let app = site.start().await;
    let mut eve = Browser::new();
    let back = eve.sign_on(&app, "eve").await;
    let page = eve.back_at(&app, &back).await;
    assert_eq!(page.location.as_deref(), Some("/login?refused=no_role&next=%2F"));
    assert_eq!(eve.status(&app, "/v1/events").await, 401);
    let page = eve
        .get(&format!("http://{}/login?refused=no_role", app.admin))
        .await;
    assert!(page.text.contains("You are in no group"), "{}", page.text);

    // Somebody else's way back leads nobody in: neither with no login begun, nor with one of its own.
    let mut pat = Browser::new();
    let back = pat.sign_on(&app, "pat").await;
    let mut victim = Browser::new();
    for _ in 0..2 {
        let page = victim.back_at(&app, &back).await;
        assert_eq!(
            page.location.as_deref(),
            Some("/login?refused=sign_on_failed&next=%2F")
        );
        assert_eq!(victim.status(&app, "/v1/events").await, 401);
        victim.get(&format!("http://{}/login/oidc", app.admin)).await;
    }
    let page = pat
        .back_at(&app, &format!("{back}&iss=https%3A%2F%2Fother.example"))
        .await;
    assert_eq!(
        page.location.as_deref(),
        Some("/login?refused=sign_on_failed&next=%2F")
    );
    let back = pat.sign_on(&app, "pat").await;
    assert_eq!(pat.back_at(&app, &back).await.status, 200);
    assert_eq!(pat.status(&app, "/v1/tokens").await, 200, "an admin");

    let logins = audit(&mut pat, &app, "oidc_login").await;
    let mut statuses: Vec<_> = logins.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401, 403], "{logins:?}");
    let refused = logins.iter().find(|it| it["status"] == 403).unwrap();
    assert_eq!(
        refused["detail"],
        "`oidc:eve@example.com` is in no group that has a role"
    );
    assert!(!format!("{logins:?}").contains("canary"), "{logins:?}");
    app.stop().await;
});

app_case!(a_session_ends_with_the_rules_that_gave_it, |site| {
    let Some(mut provider) = provider().await else {
        return;
    };
    let issuer = format!("http://{}", provider.address);
    configure(&site, &issuer, ROLES);
    let app = site.start().await;
    let mut ann = Browser::new();
    let back = ann.sign_on(&app, "ann").await;
    assert_eq!(ann.back_at(&app, &back).await.status, 200);
    app.stop().await;

    let app = site.start().await;
    assert_eq!(
        ann.status(&app, "/v1/events").await,
        200,
        "a restart ends nothing"
    );
    app.stop().await;
    configure(&site, &issuer, r#"{ viewer = ["on-call"] }"#);
    let app = site.start().await;
    assert_eq!(ann.status(&app, "/v1/events").await, 401);

    // A provider that is away keeps nobody out who has a token, and the form says what is wrong.
    provider.process.kill().await.unwrap();
    let page = ann.get(&format!("http://{}/login/oidc", app.admin)).await;
    assert_eq!(
        page.location.as_deref(),
        Some("/login?refused=sign_on_unavailable&next=%2F")
    );
    assert_eq!(ann.status(&app, "/readyz").await, 200);
    app.stop().await;
});

#[test]
fn a_sign_on_that_cannot_work_is_refused() {
    let whole = |issuer: &str, more: &str| {
        format!(
            "[admin.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gatepost\"\nclient_secret = {{ env = \"ORDERS_SECRET\" }}\n\
             public_url = \"https://gate.example\"\n{more}\n"
        )
    };
    let roles = "roles = { viewer = [\"*\"] }";
    let issuer = "https://login.example.com";
    let cases = [
        "[admin.oidc]\nissuer = \"https://login.example.com\"".to_owned(),
        "[admin.oidc]\nclient_id = \"gatepost\"".to_owned(),
        whole("http://login.example.com", roles),
        whole("login.example.com", roles),
        whole(issuer, ""),
        whole(issuer, "roles = { viewer = [] }"),
        whole(issuer, "roles = { viewers = [\"a\"] }"),
        whole(issuer, &format!("{roles}\nscopes = [\"email\"]")),
        whole(issuer, &format!("{roles}\nscopes = [\"openid email\"]")),
        whole(issuer, roles).replace("{ env = \"ORDERS_SECRET\" }", "\"hunter2hunter2\""),
        whole(issuer, roles).replace("ORDERS_SECRET", "EMPTY"),
    ];
    let cases: Vec<_> = cases.iter().map(String::as_str).collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(printed(&cases)) });
}
