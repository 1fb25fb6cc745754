//! A gatepost with something of everything to show, for pictures and for an audit of every page.

use crate::app::{
    browser::tab::Tab,
    eventually,
    receiver::Reply,
    sender::{OTHER_SECRET, event_body, stripe_with},
    site::{Site, TestApp},
};

const CONFIG: &str = r#"
[issues]
every = "1s"

[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]

[sources.github]
provider = "github"
secrets = [{ file = "other.secret" }]

[sources.shopify]
provider = "shopify"
secrets = [{ file = "other.secret" }]

[sources.meters]
provider = "unverified"

[destinations.billing]
url = "http://{}/billing"
signing_secret = { file = "signing.secret" }

[destinations.search]
url = "http://{}/search"

[destinations.warehouse]
url = "http://{}/warehouse"
rate = "50/s"

[destinations.archive]
url = "http://{}/archive"

[[routes]]
name = "payments"
source = "stripe"
destination = "billing"
order = { by = "body:/type", mode = "flag" }

[[routes]]
name = "payments-kept"
source = "stripe"
destination = "archive"

[[routes]]
name = "pushes"
source = "github"
destination = "search"

[[routes]]
name = "orders"
source = "shopify"
destination = "warehouse"

[[routes]]
name = "readings"
source = "meters"
destination = "archive"
"#;

/// In words that a page shows anyhow: when the last hour's things happened, spread over it.
const SPREAD: [&str; 3] = [
    "update event set received_at = received_at - (abs(random()) % 3500) * 1000000",
    "update delivery set created_at = created_at - (abs(random()) % 3500) * 1000000",
    "update rejected_request set received_at = received_at - (abs(random()) % 3500) * 1000000",
];

/// On SQLite: what pages look like does not differ by store.
pub(super) async fn set() -> (Site, TestApp) {
    let site = Site::sqlite().await;
    site.configure(CONFIG);
    let app = site.start().await;
    let refusal = r#"{"error":"unknown field `repository.topics`","version":"2.4.0"}"#;
    site.receiver.always("/search", Reply::Says(422, refusal.into()));
    for (source, n, event_type) in [
        ("stripe", 40, "invoice.paid"),
        ("stripe", 6, "charge.refunded"),
        ("shopify", 12, "orders/create"),
        ("meters", 25, "reading"),
    ] {
        for _ in 0..n {
            sample(&app, source, event_type).await;
        }
    }
    app.until_open(0).await;
    sample(&app, "github", "push").await;
    sample(&app, "github", "release").await;
    for n in 0..3 {
        let body = event_body(&format!("evt_forged_{n}"), "invoice.paid");
        assert_eq!(app.post(&stripe_with(OTHER_SECRET, body)).await.status, 401);
    }
    app.until_rejected("signature_mismatch", 3).await;
    app.until_open(0).await;
    eventually("its dead letters are an issue", || async {
        (!app.list("/v1/issues").await.is_empty()).then_some(())
    })
    .await;
    let pause = app.command(
        "/v1/destinations/warehouse/pause",
        r#"{"reason":"moving to the new hall"}"#,
    );
    assert_eq!(pause.await.status, 200);
    sample(&app, "shopify", "orders/paid").await;
    let job = r#"{"action":"replay","filter":{"source":"shopify"},"rate":1,"reason":"the hall lost a day"}"#;
    let job = app.command("/v1/jobs", job).await;
    assert_eq!(job.status, 201, "{job:?}");
    for sql in SPREAD {
        site.raw(sql).await;
    }
    (site, app)
}

async fn sample(app: &TestApp, source: &str, event_type: &str) {
    let told = format!(r#"{{"type":"{event_type}"}}"#);
    let sent = app.command(&format!("/v1/sources/{source}/sample"), &told).await;
    assert_eq!(sent.status, 200, "{sent:?}");
}

/// Name and URL of every page that there is. A page about a thing is that of the first thing in its list.
pub(super) async fn pages(tab: &mut Tab, origin: &str) -> Vec<(String, String)> {
    let mut pages = vec![(
        "dead-letters".to_owned(),
        format!("{origin}/deliveries?status=dead"),
    )];
    let paths = gatepost::web::state::pages().into_iter();
    let paths = paths.filter(|(method, path)| *method == "GET" && !path.starts_with("/assets/"));
    for (_, path) in paths {
        let Some((list, _)) = path.split_once("/{") else {
            let name = if path == "/" {
                "overview"
            } else {
                path.trim_matches('/')
            };
            let needs = if path == "/jobs/plan" { "?action=retry" } else { "" };
            pages.push((name.replace('/', "-"), format!("{origin}{path}{needs}")));
            continue;
        };
        // One that has attempts to show.
        let filter = if list == "/deliveries" { "?status=dead" } else { "" };
        tab.go(&format!("{origin}{list}{filter}")).await;
        let first = tab
            .eval(&format!(
                "document.querySelector(\"tbody a[href^='{list}/']\")?.href ?? null"
            ))
            .await;
        let first = first
            .as_str()
            .unwrap_or_else(|| panic!("nothing in {list} leads to {path}"));
        let name = match list.trim_matches('/') {
            "deliveries" => "delivery",
            list => list.trim_end_matches('s'),
        };
        pages.push((name.to_owned(), first.to_owned()));
    }
    let problem = format!("{origin}/events/evt_00000000000000000000000000");
    pages.push(("problem".to_owned(), problem));
    pages
}
