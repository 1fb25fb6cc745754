//! Some 500 things that strangers send, in every field that is shown, in a real browser.

use http::HeaderValue;
use serde_json::json;

use crate::app::{
    app_case,
    browser::{
        payloads,
        tab::{CANARY, Look, SONG, Tab},
    },
    receiver::Reply,
    sender::{Signed, stripe},
    site::TestApp,
};

/// What a page may weigh, with all that it asks for.
pub(super) const MAX_WEIGHT: u64 = 200_000;

/// As a header can carry it.
fn header(payload: &str) -> String {
    let fits = payload.chars().filter(|it| !it.is_control());
    let mut res = String::new();
    for c in fits.take_while(|it| it.len_utf8() < 5) {
        if res.len() + c.len_utf8() > 4_000 {
            break;
        }
        res.push(c);
    }
    assert!(HeaderValue::from_bytes(res.as_bytes()).is_ok());
    res
}

fn signed(n: usize, payload: &str) -> Signed {
    let id = format!("{payload}{n}");
    let object = json!({ "id": payload, payload: [payload, { payload: null }] });
    let body = json!({ "id": id, "type": payload, "data": { "object": object } });
    stripe(body.to_string()).header("x-payload", header(payload))
}

/// The ids of all events, and of the requests that were refused.
async fn send_all(app: &TestApp, payloads: &[String]) -> Vec<String> {
    let mut ids = Vec::new();
    for (n, payload) in payloads.iter().enumerate() {
        ids.push(app.accept(&signed(n, payload)).await);
        // As it is, and neither JSON nor signed.
        let forged = Signed::new("stripe", payload.as_bytes())
            .header("stripe-signature", header(payload))
            .header("user-agent", header(payload));
        assert_eq!(app.post(&forged).await.status, 401);
        let raw = stripe(payload.as_bytes()).header("content-type", header(payload));
        ids.push(app.post(&raw).await.taken().1);
    }
    for body in payloads::bodies() {
        ids.push(app.post(&stripe(body)).await.taken().1);
    }
    ids
}

/// Every link of a list, and of the pages behind it.
async fn links(tab: &mut Tab, origin: &str, list: &str, start: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(format!("{origin}{list}"));
    while let Some(url) = next {
        check(tab, origin, &url).await;
        let seen = tab
            .eval(&format!(
                "[[...document.querySelectorAll('tbody a')].map(it => it.getAttribute('href')).filter(it => it.startsWith('{start}')),
                  document.querySelector('a[rel=next]')?.href ?? null]"
            ))
            .await;
        found.extend(
            seen[0]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it.as_str().unwrap().to_owned()),
        );
        next = seen[1].as_str().map(str::to_owned);
    }
    found.dedup();
    found
}

/// Goes there, and looks whether a person with a phone could use what is there.
async fn check(tab: &mut Tab, origin: &str, url: &str) {
    tab.go(url).await;
    let seen = tab
        .eval(
            "new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
                const brand = document.querySelector('a.brand');
                const box = brand.getBoundingClientRect();
                const times = [...document.querySelectorAll('time[datetime]')];
                done({
                    title: document.title,
                    isFree: document.elementFromPoint(box.x + 5, box.y + 5) === brand,
                    isOurs: times.every((it) => !it.textContent.endsWith('UTC')),
                    width: document.documentElement.scrollWidth,
                    isStale: !document.getElementById('stale').hidden,
                });
            }, 0)))",
        )
        .await;
    assert_eq!(tab.complaints(origin), Vec::<String>::new(), "{url}");
    let title = seen["title"].as_str().unwrap();
    assert!(title.ends_with(" · gatepost"), "{url}: {title}");
    let is_usable = seen["isFree"] == true && seen["isOurs"] == true && seen["isStale"] == false;
    assert!(
        is_usable && seen["width"] == Look::Phone.size().0,
        "{url}: {seen}"
    );
    assert!(tab.weight() <= MAX_WEIGHT, "{url}: {} bytes", tab.weight());
}

app_case!(g04_no_script_of_a_stranger_runs_in_a_browser, |site| {
    let Some(mut tab) = Tab::open().await else { return };
    // The proof can fail: here is a page that takes one for markup.
    tab.go(&format!("data:text/html,<script>{CANARY}(1)</script>"))
        .await;
    tab.eval("1").await;
    let heard = tab.complaints("data:");
    assert!(heard.iter().any(|it| it.contains(SONG)), "{heard:?}");

    // Each page costs a fifth of a second; what is shown does not differ by store.
    let n_apart = if site.is_postgres() { 25 } else { 1 };
    let payloads: Vec<_> = payloads::all().into_iter().step_by(n_apart).collect();
    for payload in &payloads {
        let body = bytes::Bytes::from(payload.clone());
        let answers = [
            Reply::With(422, "x-answer", header(payload)),
            Reply::Says(422, body),
        ];
        site.receiver.script("/billing", answers);
    }
    site.receiver
        .always("/billing", Reply::With(422, "x-answer", "plain".to_owned()));
    let app = site.start().await;
    let origin = format!("http://{}", app.admin);
    let ids = send_all(&app, &payloads).await;
    app.until_open(0).await;

    tab.look(Look::Phone).await;
    // All of them are in the lists; pages of their own have every fourth.
    for id in ids.iter().step_by(4) {
        check(&mut tab, &origin, &format!("{origin}/events/{id}")).await;
    }
    let n_events = links(&mut tab, &origin, "/events", "/events/").await.len();
    assert_eq!(n_events, ids.len());
    // Of what answers and refusals have to show, a part: it goes through the same few lines.
    let deliveries = links(&mut tab, &origin, "/deliveries", "/deliveries/").await;
    let requests = links(&mut tab, &origin, "/requests", "/requests/").await;
    assert!(requests.len() >= payloads.len(), "{}", requests.len());
    for path in deliveries.iter().chain(&requests).step_by(15) {
        check(&mut tab, &origin, &format!("{origin}{path}")).await;
    }
    app.stop().await;
});
