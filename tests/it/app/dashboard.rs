//! An incident, seen and mended in the dashboard alone.

use std::time::Duration;

use gatepost::{app::Role, store::window::Patience};
use http::header::LOCATION;

use crate::app::{
    api::Api,
    app_case, eventually,
    receiver::Reply,
    sender::{OTHER_SECRET, Signed, event, event_body, stripe, stripe_with},
    site::TestApp,
};

/// Two rows, and no more.
const SOON_TIRED: Patience = Patience {
    n_rows: 2,
    time: Duration::ZERO,
};

async fn page(app: &TestApp, path: &str) -> String {
    let answer = app.ask(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// Waits until the page says so: its numbers are as they were a moment ago.
async fn until_said(app: &TestApp, path: &str, word: &str) -> String {
    eventually(&format!("{path} says `{word}`"), || async {
        let html = page(app, path).await;
        html.contains(word).then_some(html)
    })
    .await
}

/// Where the first link of that beginning leads.
fn link(html: &str, start: &str) -> String {
    let at = html
        .find(&format!("href=\"{start}"))
        .unwrap_or_else(|| panic!("no link to {start}:\n{html}"));
    let link = html[at + 6..].split('"').next().unwrap();
    link.replace("&#38;", "&").replace("&amp;", "&")
}

impl Api {
    /// Fills a form in; the answer leads somewhere.
    async fn submit(&self, path: &str, form: &str) -> String {
        let request = self.client.post(format!("http://{}{path}", self.admin));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request
            .header("origin", format!("http://{}", self.admin))
            .body(form.to_owned())
            .send();
        let response = response.await.unwrap();
        // The client has followed the redirect.
        assert_eq!(
            response.status().as_u16(),
            200,
            "{path}: {response:?} {:?}",
            response.headers().get(LOCATION)
        );
        response.text().await.unwrap()
    }
}

app_case!(an_incident_is_seen_and_mended, |site| {
    site.receiver.always("/billing", Reply::Status(422));
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;

    let html = until_said(&app, "/", "1 dead letter for billing").await;
    assert!(html.contains("verdict bad"), "{html}");
    let dead = page(&app, &link(&html, "/deliveries?status=dead")).await;
    let delivery = page(&app, &link(&dead, "/deliveries/")).await;
    assert!(delivery.contains("422"), "{delivery}");

    site.receiver.always("/billing", Reply::Status(200));
    let retry = format!("{}/retry", link(&dead, "/deliveries/"));
    let shown = app.submit(&retry, "").await;
    assert!(shown.contains("It is tried again now."), "{shown}");
    app.until_status(&id, "delivered").await;
    until_said(&app, "/", "Nothing is wrong.").await;
    app.finish().await;
});

app_case!(many_are_retried_by_a_plan_and_a_job, |site| {
    site.receiver.always("/billing", Reply::Status(422));
    let app = site.start().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let id = app.accept(&event(&format!("evt_{n}"))).await;
        app.until_status(&id, "dead").await;
        ids.push(id);
    }
    site.receiver.always("/billing", Reply::Status(200));
    let list = page(&app, "/deliveries?status=dead&destination=billing").await;
    let plan = page(&app, &link(&list, "/jobs/plan?action=retry")).await;
    assert!(plan.contains("<dt>Deliveries</dt><dd>3</dd>"), "{plan}");
    let job = app
        .submit(
            "/jobs",
            "action=retry&status=dead&destination=billing&reason=mended",
        )
        .await;
    assert!(
        job.contains("The job has begun.") && job.contains("mended"),
        "{job}"
    );
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    until_said(&app, "/jobs", "3 of 3").await;
    app.finish().await;
});

app_case!(
    all_that_came_with_a_new_secret_is_accepted_once_it_is_known,
    |site| {
        let app = site.start().await;
        let mut n_refused = 0;
        for n in 0..5 {
            let body = event_body(&format!("evt_{n}"), "invoice.paid");
            assert_eq!(app.post(&stripe_with(OTHER_SECRET, body)).await.status, 401);
            n_refused += 1;
        }
        app.until_rejected("signature_mismatch", n_refused).await;
        let list = page(&app, "/requests?source=stripe").await;
        let plan = page(&app, &link(&list, "/requests/plan")).await;
        assert!(plan.contains("<dt>Requests</dt><dd>5</dd>"), "{plan}");
        site.write("stripe.secret", OTHER_SECRET);
        app.running.reload();
        eventually("the new secret holds", || async {
            let metrics = app.ask("/metrics").await.body;
            let metrics = String::from_utf8_lossy(&metrics).into_owned();
            let is_applied = |it: &str| {
                it.starts_with(r#"gatepost_reloads_total{outcome="applied"}"#) && !it.ends_with(" 0")
            };
            metrics.lines().any(is_applied).then_some(())
        })
        .await;
        // Not before: one that a reload meets halfway accepts a part of them.
        let done = app.submit("/requests/accept", "all=1&source=stripe").await;
        assert!(done.contains("5 of 5 requests accepted"), "{done}");
        assert!(
            done.contains("<dt><code>accepted</code></dt><dd>5</dd>"),
            "{done}"
        );
        let again = app.submit("/requests/accept", "all=1&source=stripe").await;
        assert!(again.contains("0 of 0 requests accepted"), "{again}");
        let log = page(&app, "/audit?action=accept_requests").await;
        assert!(log.contains("5 of 5 accepted, by a filter"), "{log}");
        app.finish().await;
    }
);

app_case!(a_refused_request_is_explained, |site| {
    let app = site.start().await;
    let mut forged = event("evt_1");
    forged.body = event_body("evt_other", "invoice.paid").into_bytes();
    assert_eq!(app.post(&forged).await.status, 401);
    app.until_rejected("signature_mismatch", 1).await;
    let list = page(&app, "/requests?source=stripe").await;
    let shown = page(&app, &link(&list, "/requests/req_")).await;
    assert!(
        shown.contains("does not match") && shown.contains("evt_other"),
        "{shown}"
    );
    until_said(&app, "/sources", "1 signature_mismatch").await;
    app.finish().await;
});

app_case!(a_long_list_is_looked_through_a_part_at_a_time, |site| {
    let app = site
        .start_with(Role::All, |it| it.admin.patience.list = SOON_TIRED)
        .await;
    // The oldest is the one that is looked for.
    app.accept(&stripe(event_body("evt_0", "rare"))).await;
    assert_eq!(app.post(&Signed::new("stripe", "unsigned")).await.status, 401);
    app.until_rejected("unsigned", 1).await;
    for n in 1..5 {
        app.accept(&event(&format!("evt_{n}"))).await;
        let forged = stripe_with(OTHER_SECRET, event_body("evt_0", "rare"));
        assert_eq!(app.post(&forged).await.status, 401);
    }
    app.until_rejected("signature_mismatch", 4).await;
    for list in [
        "/events?type=rare",
        "/deliveries?type=rare",
        "/requests?cause=unsigned",
    ] {
        let older = format!("{}?cursor=", list.split('?').next().unwrap());
        let mut html = page(&app, list).await;
        for _ in 0..2 {
            for word in ["that match, so far.", "Looked through 2 of them, back to <time"] {
                assert!(html.contains(word), "{list}: `{word}`: {html}");
            }
            html = page(&app, &link(&html, &older)).await;
        }
        let is_found = html.matches("<tr data-row=").count() == 1;
        assert!(is_found && !html.contains("Looked through"), "{list}: {html}");
    }
    // What accepts them again goes through all, so it may begin whatever was counted.
    for (cause, n) in [("unsigned", 0), ("signature_mismatch", 2)] {
        let plan = page(&app, &format!("/requests/plan?cause={cause}")).await;
        for word in [
            &*format!("<dt>Requests</dt><dd>at least {n}</dd>"),
            "Looked through 2 of them, back to <time",
            "Verify them again",
        ] {
            assert!(plan.contains(word), "{cause}: `{word}`: {plan}");
        }
    }
    app.finish().await;
});

app_case!(a_plan_of_much_says_at_least_and_counts_on, |site| {
    let app = site
        .start_with(Role::All, |it| it.admin.patience.plan = SOON_TIRED)
        .await;
    for n in 0..5 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    let plan = async |more: &str| page(&app, &format!("/jobs/plan?action=replay&source=stripe{more}")).await;
    let begun = plan("").await;
    for word in [
        "<dt>Events</dt><dd>at least 2</dd>",
        "<dt>Deliveries</dt><dd>at least 2</dd>",
        "There is more than was counted.",
        "name=\"count\" value=\"whole\"",
        "Count on, for up to ten seconds",
    ] {
        assert!(begun.contains(word), "`{word}`: {begun}");
    }
    let whole = plan("&count=whole").await;
    assert!(whole.contains("<dt>Events</dt><dd>5</dd>"), "{whole}");
    assert!(
        !whole.contains("There is more") && !whole.contains("Count on"),
        "{whole}"
    );
    // What the counted part has none of may be among the rest.
    let rare = plan("&type=rare").await;
    assert!(
        rare.contains("<dd>at least 0</dd>") && rare.contains("<button class=\"main\">Replay them"),
        "{rare}"
    );
    // Of those that come with their deliveries a part is smaller.
    let original = plan("&config=original").await;
    assert!(
        original.contains("<dt>Events</dt><dd>at least 1</dd>") && original.contains("Count on"),
        "{original}"
    );
    app.finish().await;
});
