//! The dashboard over a real store: what its pages show, to whom, and what its forms do.

use bytes::Bytes;
use gatepost::{
    base::ids::EventId,
    event::{self, Binding, Event, Origin, headers::Headers},
    store::record::{NewDelivery, NewEvent, Start},
};

use crate::web::{
    fixture::{Fixture, Seeded},
    guard::with_ids,
    wire::Answer,
};

pub(crate) const OPERATOR: &str = "canary-operator-token";
pub(crate) const VIEWER: &str = "canary-viewer-token";

impl Fixture {
    pub(crate) async fn page(&self, target: &str) -> String {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{target}"
        );
        answer.text().to_owned()
    }

    pub(crate) async fn submit(&self, target: &str, form: &str) -> Answer {
        let length = form.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\ncontent-length: {length}\r\n\
             content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n"
        );
        self.admin.ask(format!("{head}{form}")).await
    }

    pub(crate) async fn as_whom(&self, token: &str, method: &str, target: &str) -> Answer {
        let head = format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 0\r\n";
        let request = format!("{head}{form}authorization: Bearer {token}\r\n\r\n");
        self.admin.ask(request).await
    }
}

/// The pages that need no thing of their own, with a dead letter, a refused request and a held destination to show.
async fn with_something_in_it(app: &Fixture) -> (Seeded, Vec<(String, Vec<String>)>) {
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    let request = app.seed_rejected(2, "signature_mismatch").await;
    let issue = app.seed_issue().await;
    let paused = app.submit("/destinations/search/pause", "reason=deploying").await;
    assert_eq!(paused.status, 303, "{paused:?}");
    let job = app
        .submit("/jobs", "action=replay&source=github&reason=again")
        .await;
    assert_eq!(job.status, 303, "{job:?}");
    let job = job.header("location").unwrap().replace("?said=begun", "");
    let pages = [
        (
            "/".to_owned(),
            vec![
                "1 dead letter for billing",
                "search is paused: deploying",
                "adds up",
            ],
        ),
        ("/map".to_owned(), vec!["github-to-billing", "search", "<path"]),
        ("/events".to_owned(), vec!["id-1", "push", "Replay all"]),
        (
            format!("/events/{}", seeded.event),
            vec![
                "id-1",
                "&#34;n&#34;: 1",
                "x-hub-signature-256",
                "curl -X POST",
                "dead",
            ],
        ),
        (
            "/deliveries".to_owned(),
            vec!["the handler answered 500", "held", "all"],
        ),
        (
            "/deliveries?status=dead".to_owned(),
            vec!["Dead letters", "the handler answered 500"],
        ),
        (
            format!("/deliveries/{}", seeded.billing),
            vec!["the handler answered 500", "12 ms", "Retry now", "6f 68 20 ff"],
        ),
        (
            "/requests".to_owned(),
            vec!["signature does not match any of 1 secrets", "203.0.113.7"],
        ),
        (
            format!("/requests/{request}"),
            vec!["Accept again", "/webhooks/github?a=b"],
        ),
        (
            "/sources".to_owned(),
            vec![
                "https://hooks.example.com/webhooks/github",
                "unverified",
                "Register it",
            ],
        ),
        (
            "/destinations".to_owned(),
            vec![
                "deploying",
                "Resume",
                "http://127.0.0.1:9/search",
                "github-to-billing",
            ],
        ),
        (
            "/issues?state=live".to_owned(),
            vec!["1 dead letter to <code>billing</code>", "critical", "open"],
        ),
        (
            format!("/issues/{issue}"),
            vec![
                "1 dead letter to <code>billing</code>",
                "See the dead letters",
                "status=dead&#38;destination=billing",
                "Acknowledge",
                "given_up",
            ],
        ),
        ("/jobs".to_owned(), vec!["replay", "again"]),
        (job, vec!["source=github", "Pause", "Stop"]),
        (
            "/jobs/plan?action=retry&status=dead".to_owned(),
            vec!["status=dead", "github-to-billing", "Retry them"],
        ),
        (
            "/audit?action=pause_destination".to_owned(),
            vec!["pause_destination", "search", "done"],
        ),
        (
            "/requests/plan?source=github".to_owned(),
            vec!["<dt>Requests</dt><dd>1</dd>", "signature_mismatch"],
        ),
        ("/audit/verify".to_owned(), vec!["The audit log is whole."]),
        (
            "/settings".to_owned(),
            vec![
                "sources.github.secrets[0]",
                "{ env = &#34;GITHUB_SECRET&#34; }",
                "[destinations.billing]",
            ],
        ),
        (
            "/login?next=/events".to_owned(),
            vec!["name=\"token\"", "value=\"/events\""],
        ),
    ];
    let owned = |it: Vec<&str>| it.into_iter().map(str::to_owned).collect();
    (
        seeded,
        pages
            .into_iter()
            .map(|(target, words)| (target, owned(words)))
            .collect(),
    )
}

#[tokio::test]
async fn every_page_shows_what_it_is_for() {
    let app = Fixture::start().await;
    let (_, pages) = with_something_in_it(&app).await;
    for (target, words) in &pages {
        let html = app.page(target).await;
        for word in words {
            assert!(html.contains(word), "{target} lacks `{word}`:\n{html}");
        }
        assert!(html.len() < 100_000, "{target}: {} bytes", html.len());
        assert!(!html.contains("canary-"), "{target} shows a secret:\n{html}");
    }
    let mut listed: Vec<_> = gatepost::web::state::pages()
        .into_iter()
        .filter(|(method, path)| *method == "GET" && !path.starts_with("/assets/"))
        .map(|(_, path)| path)
        .collect();
    listed.retain(|path| {
        let start = path.split('{').next().unwrap();
        !pages.iter().any(|(target, _)| {
            let target = target.split('?').next().unwrap();
            target == *path || (start.len() < path.len() && target.starts_with(start))
        })
    });
    assert!(
        listed.is_empty(),
        "pages that this test does not know: {listed:?}"
    );
}

/// What a page may not hold: the policy of the answer would stop it, and so it would be a page that does not work.
#[tokio::test]
async fn no_page_has_script_or_style_of_its_own() {
    let app = Fixture::start().await;
    let (_, pages) = with_something_in_it(&app).await;
    for (target, _) in &pages {
        let html = app.page(target).await.to_lowercase();
        for word in [
            " style=",
            "<style",
            " onclick=",
            " onload=",
            "javascript:",
            "http-equiv",
            "<iframe",
        ] {
            assert!(!html.contains(word), "{target}: `{word}`");
        }
        for script in html.match_indices("<script") {
            assert!(html[script.0..].starts_with("<script src=\"/assets/"), "{target}");
        }
    }
}

#[tokio::test]
async fn a_viewer_sees_every_page_and_no_button() {
    let app = Fixture::with_tokens().await;
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    let request = app.seed_rejected(2, "unsigned").await;
    for target in [
        "/".to_owned(),
        "/map".to_owned(),
        "/events?source=github".to_owned(),
        format!("/events/{}", seeded.event),
        "/deliveries?status=dead".to_owned(),
        format!("/deliveries/{}", seeded.billing),
        "/requests?source=github".to_owned(),
        format!("/requests/{request}"),
        "/sources".to_owned(),
        "/destinations".to_owned(),
        "/jobs".to_owned(),
        "/issues".to_owned(),
        format!("/issues/{}", app.seed_issue().await),
    ] {
        let seen = app.as_whom(VIEWER, "GET", &target).await;
        assert_eq!(seen.status, 200, "{target}");
        for form in seen.text().split("<form").skip(1) {
            let form = form.split('>').next().unwrap();
            assert!(
                !form.contains("post") || form.contains("/logout"),
                "{target}: {form}"
            );
        }
        for hidden in ["/jobs/plan", "href=\"/audit", "href=\"/settings"] {
            assert!(!seen.text().contains(hidden), "{target}: {hidden}");
        }
    }
    for target in ["/audit", "/audit/verify", "/settings"] {
        assert_eq!(app.as_whom(VIEWER, "GET", target).await.status, 403, "{target}");
        assert_eq!(app.as_whom(OPERATOR, "GET", target).await.status, 200, "{target}");
    }
    assert_eq!(
        app.as_whom(VIEWER, "GET", "/jobs/plan?action=retry").await.status,
        403
    );
    for (method, path) in gatepost::web::state::pages() {
        if method == "POST" {
            let target = with_ids(path);
            assert_eq!(app.as_whom(VIEWER, method, &target).await.status, 403, "{target}");
            assert_ne!(
                app.as_whom(OPERATOR, method, &target).await.status,
                403,
                "{target}"
            );
        }
    }
}

#[tokio::test]
async fn g05_a_form_of_another_site_does_nothing() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    for header in ["origin: https://evil.example", "sec-fetch-site: cross-site"] {
        let request = format!(
            "POST /deliveries/{}/retry HTTP/1.1\r\nhost: localhost\r\n{header}\r\ncontent-length: 0\r\n\
             content-type: application/x-www-form-urlencoded\r\nconnection: close\r\n\r\n",
            seeded.billing
        );
        assert_eq!(app.admin.ask(request).await.status, 403, "{header}");
    }
    let shown = app
        .get(&format!("/v1/deliveries/{}", seeded.billing))
        .await
        .json();
    assert_eq!(shown["status"], "dead");
}

#[tokio::test]
async fn filters_are_in_the_url_and_are_carried_on() {
    let app = Fixture::start().await;
    for n in 1..=5 {
        app.seed(n, if n % 2 == 0 { "push" } else { "issues.opened" })
            .await;
    }
    let found = app
        .get(&format!("/events?q={}", EventId::from_uuid(uuid::Uuid::nil())))
        .await;
    assert_eq!(
        found.header("location"),
        Some("/events/evt_00000000000000000000000000")
    );
    let html = app
        .page("/events?source=github&type=issues.*&limit=2&status=")
        .await;
    assert!(html.contains("<option selected>github</option>"), "{html}");
    assert!(html.contains("value=\"issues.*\""), "{html}");
    assert!(
        html.contains("id-5") && html.contains("id-3") && !html.contains("id-4") && !html.contains("id-1")
    );
    let next = html
        .split("href=\"")
        .find(|it| it.contains("rel=\"next\""))
        .unwrap();
    let next = next
        .split('"')
        .next()
        .unwrap()
        .replace("&#38;", "&")
        .replace("&amp;", "&");
    let html = app.page(&next).await;
    assert!(
        html.contains("id-1") && !html.contains("id-3") && html.contains("Newest"),
        "{html}"
    );
    assert!(
        html.contains("/jobs/plan?action=replay&#38;source=github&#38;type=issues.*"),
        "{html}"
    );
}

#[tokio::test]
async fn how_long_a_plan_counts_is_no_part_of_its_job() {
    let app = Fixture::start().await;
    app.seed(1, "push").await;
    let plan = app.page("/jobs/plan?action=replay&type=push").await;
    let counted_on = app.page("/jobs/plan?action=replay&type=push&count=whole").await;
    assert_eq!(plan, counted_on);
    assert!(!plan.contains("at least") && !plan.contains("Count on"), "{plan}");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_a_page() {
    let app = Fixture::start().await;
    for (target, status, word) in [
        ("/events?limit=0", 400, "from 1 to 200"),
        ("/events?colour=red", 400, "there is no parameter"),
        ("/events/x", 400, "is not an id"),
        ("/events/evt_00000000000000000000000000", 404, "not_found"),
        ("/jobs/plan?action=burn", 400, "one of retry, replay, cancel"),
        ("/assets/gatepost-000000000000.css", 404, "reload the page"),
    ] {
        let answer = app.get(target).await;
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{target}"
        );
        assert!(answer.text().contains(word), "{target}: {}", answer.text());
    }
    // The API keeps its own form.
    let answer = app.get("/v1/events?limit=0").await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn forms_do_what_they_say_and_lead_back() {
    let app = Fixture::start().await;
    let seeded = app.seed(1, "push").await;
    app.kill_billing().await;
    let status = async |id: &str| app.get(&format!("/v1/deliveries/{id}")).await.json()["status"].clone();
    let check = async |target: &str, form: &str, location: &str| {
        let answer = app.submit(target, form).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(location)),
            "{target}: {answer:?}"
        );
        let shown = app.get(location).await;
        assert_eq!(shown.status, 200, "{location}: {shown:?}");
    };
    let (event, billing, search) = (
        seeded.event.to_string(),
        seeded.billing.to_string(),
        seeded.search.to_string(),
    );
    let list = "/deliveries?status=dead";
    check(
        &format!("/deliveries/{billing}/retry"),
        "back=%2Fdeliveries%3Fstatus%3Ddead",
        list,
    )
    .await;
    assert_eq!(status(&billing).await, "pending");
    let back = format!("/deliveries/{search}?said=cancelled");
    check(
        &format!("/deliveries/{search}/cancel"),
        "back=https%3A%2F%2Fevil.example",
        &back,
    )
    .await;
    assert_eq!(status(&search).await, "cancelled");
    let back = format!("/events/{event}?said=replayed");
    check(&format!("/events/{event}/replay"), "destination=search", &back).await;
    let made = app
        .get(&format!("/v1/deliveries?event_id={event}&destination=search"))
        .await
        .json();
    assert_eq!(made["data"].as_array().unwrap().len(), 2);
    check("/routes/all/hold", "", "/destinations?said=paused").await;
    assert!(app.page("/destinations").await.contains("/routes/all/resume"));
    check("/routes/all/resume", "", "/destinations?said=resumed").await;
    let again = app.submit(&format!("/deliveries/{search}/cancel"), "").await;
    assert_eq!(again.status, 409);
    assert!(again.text().contains("role=\"alert\""));
    // Of the words alone that are ours.
    let html = app
        .page(&format!("/events/{event}?said=%3Cscript%3Egive+me+your+token"))
        .await;
    assert!(!html.contains("your token"));
}

#[tokio::test]
async fn a_refused_request_is_accepted_by_its_button() {
    let app = Fixture::start().await;
    let id = app.seed_rejected(1, "signature_mismatch").await;
    let answer = app.submit("/requests/accept", &format!("id={id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.text().contains("0 of 1 request accepted"),
        "{}",
        answer.text()
    );
    assert!(answer.text().contains("still_rejected") && answer.text().contains("not signed"));
}

#[tokio::test]
async fn assets_are_kept_for_ever_and_named_by_what_is_in_them() {
    let app = Fixture::with_tokens().await;
    let login = app.get("/login").await;
    assert_eq!(login.status, 200);
    let paths: Vec<_> = login
        .text()
        .split('"')
        .filter(|it| it.starts_with("/assets/"))
        .collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    for path in paths {
        let asset = app.get(path).await;
        assert_eq!(asset.status, 200, "{path}");
        let kept = asset.header("cache-control");
        assert_eq!(kept, Some("public, max-age=31536000, immutable"), "{path}");
    }
}

/// What a stranger may put wherever he can.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "{{7*7}}{% raw %}",
    "</pre></textarea></title><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "\u{1b}[31m\u{202e}gpj.exe\u{0}",
    "%3Cscript%3Ealert(1)%3C/script%3E &lt;u&gt;",
];

async fn seed_hostile(app: &Fixture, n: usize, text: &str, body: Bytes) -> EventId {
    let id = EventId::new();
    let header = text.replace(|c: char| c.is_control(), "?");
    let event = Event {
        id,
        source: "github".into(),
        external_id: Some(text.replace('\0', "")),
        event_type: Some(text.replace('\0', "")),
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: None,
        received_at: app.store.now().await.unwrap(),
        query: String::new(),
        headers: Headers::from_pairs([("content-type", header.as_bytes()), ("x-<u>", header.as_bytes())]),
        body: body.clone(),
    };
    let new = NewEvent {
        key: Some(event::deduplication_key(
            "github",
            Some(&n.to_be_bytes()),
            event::body_hash(&body),
        )),
        body_hash: event::body_hash(&body),
        deliveries: vec![NewDelivery {
            id: gatepost::base::ids::DeliveryId::new(),
            route: "all".into(),
            destination: "search".into(),
            origin: Origin::Received,
            start: Start::NOW,
            position: None,
            once: None,
            program: None,
        }],
        event: event.into(),
    };
    app.store.record(vec![new]).await.unwrap();
    id
}

#[tokio::test]
async fn g04_what_strangers_send_is_text_on_every_page() {
    let app = Fixture::start().await;
    let mut targets = vec!["/events".to_owned(), "/deliveries".to_owned(), "/".to_owned()];
    for (n, text) in HOSTILE.iter().enumerate() {
        let json = serde_json::json!({ *text: [text] }).to_string();
        targets.push(format!(
            "/events/{}",
            seed_hostile(&app, n, text, json.into()).await
        ));
        let raw = seed_hostile(&app, 100 + n, text, Bytes::from(text.as_bytes().to_vec())).await;
        targets.push(format!("/events/{raw}"));
        let query = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        targets.push(format!("/events?q={query}&source={query}&type={query}"));
        targets.push(format!("/deliveries?q={query}&route={query}"));
        targets.push(format!("/jobs/plan?action=retry&q={query}"));
        targets.push(format!("/login?next={query}"));
    }
    for target in &targets {
        let html = app.page(target).await;
        for markup in [
            "<script>",
            "<img",
            "<svg/",
            "onerror=alert(1)>",
            "</textarea>",
            "<u>",
            "href=\"javascript",
        ] {
            assert!(!html.contains(markup), "{target}: `{markup}`\n{html}");
        }
        // A filter holds what its reader asked for, byte for byte.
        let is_asked = target.contains('?');
        assert!(
            is_asked || !html.contains(['\u{1b}', '\u{202e}', '\0']),
            "{target}"
        );
        assert!(!html.contains("49{%"), "{target}");
    }
    let all = app.page("/events").await;
    assert!(
        all.contains("&#60;script&#62;alert(1)&#60;/script&#62;") || all.contains("&lt;script&gt;"),
        "{all}"
    );
    assert!(all.contains("⟨U+202E⟩"), "{all}");
}

#[tokio::test]
async fn g04_huge_and_deep_bodies_leave_the_page_usable() {
    let app = Fixture::start().await;
    let huge = Bytes::from("<u>".repeat(4 << 20)).slice(..10 << 20);
    let deep = Bytes::from(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)));
    let binary = Bytes::from((0..=255).cycle().take(1 << 20).collect::<Vec<u8>>());
    for (n, body) in [huge, deep, binary].into_iter().enumerate() {
        let id = seed_hostile(&app, n, "x", body).await;
        let html = app.page(&format!("/events/{id}")).await;
        assert!(html.len() < 180_000, "{} bytes", html.len());
        assert!(html.contains("download"), "{n}");
        assert!(!html.contains("<u>"), "{n}");
    }
}
