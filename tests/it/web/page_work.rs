//! What pages do beyond showing rows: samples, searches, plans.

use crate::web::{
    fixture::Fixture,
    pages::{OPERATOR, VIEWER},
};

#[tokio::test]
async fn a_sample_comes_in_like_a_real_event() {
    let app = Fixture::start().await;
    let sent = app.submit("/sources/github/sample", "type=push").await;
    assert_eq!(sent.status, 303, "{sent:?}");
    let event = app.page(sent.header("location").unwrap()).await;
    for word in [
        "This is the sample",
        "x-hub-signature-256",
        "the signature covers the body",
        "github-to-billing",
    ] {
        assert!(event.contains(word), "`{word}`: {event}");
    }
    let unknown = app.submit("/sources/nobody/sample", "").await;
    assert_eq!(
        (unknown.status, unknown.text().contains("no source has the name")),
        (404, true)
    );
    let answer = app.post("/v1/sources/open/sample", r#"{"type":"a.b"}"#).await;
    assert_eq!(answer.json()["status"], "accepted", "{answer:?}");
    let log = app.page("/audit?action=send_sample").await;
    assert!(
        log.contains("github") && log.contains("open") && log.contains("404"),
        "{log}"
    );
    let overview = app.page("/").await;
    for word in [
        "2</b>events in",
        "in the last hour: 0 delivered, 1 open",
        "class=\"chart\"",
    ] {
        assert!(overview.contains(word), "`{word}`: {overview}");
    }
    let html = app.page("/sources").await;
    assert!(html.contains("action=\"/sources/github/sample\""), "{html}");
}

#[tokio::test]
async fn bodies_are_searched_as_far_as_the_reader_is_shown_them() {
    let app = Fixture::redacting("body = ['/n']").await;
    app.seed(1, "push").await;
    let search = async |text: &str| {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let seen = app.as_whom(VIEWER, "GET", &format!("/events?text={query}")).await;
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(
            !seen.text().contains("/jobs/plan"),
            "a search is no filter of a job"
        );
        seen.text().to_owned()
    };
    let found = search("{\"n\"").await;
    assert!(
        found.contains("id-1") && found.contains("Looked into the bodies of 1 event, back to"),
        "{found}"
    );
    assert!(found.contains("That is all"), "{found}");
    // Whoever asks for what is hidden does not find out by that.
    let hidden = search("\"n\":1").await;
    assert!(
        !hidden.contains("id-1") && hidden.contains("No events that match"),
        "{hidden}"
    );

    let app = Fixture::with_tokens_and("viewers_see_bodies = false\n").await;
    app.seed(1, "push").await;
    let refused = app.as_whom(VIEWER, "GET", "/events?text=n").await;
    assert_eq!(
        (refused.status, refused.text().contains("body_withheld")),
        (403, true)
    );
    assert!(
        app.as_whom(OPERATOR, "GET", "/events?text=n")
            .await
            .text()
            .contains("id-1")
    );
}

#[tokio::test]
async fn all_refused_requests_of_a_filter_are_counted_and_then_accepted() {
    let app = Fixture::with_tokens().await;
    for n in 1..4 {
        app.seed_rejected(n, "signature_mismatch").await;
    }
    app.seed_rejected(4, "stale").await;
    assert_eq!(app.as_whom(VIEWER, "GET", "/requests/plan").await.status, 403);
    let plan = app
        .as_whom(OPERATOR, "GET", "/requests/plan?cause=signature_mismatch")
        .await;
    for word in [
        "<dt>Requests</dt><dd>3</dd>",
        "name=\"cause\" value=\"signature_mismatch\"",
        "Verify them again",
    ] {
        assert!(plan.text().contains(word), "`{word}`: {}", plan.text());
    }
    let list = app
        .as_whom(OPERATOR, "GET", "/requests?cause=signature_mismatch")
        .await;
    assert!(
        list.text()
            .contains("href=\"/requests/plan?cause=signature_mismatch\""),
        "{}",
        list.text()
    );
}

#[tokio::test]
async fn a_replay_is_planned_by_the_config_of_today_or_of_then() {
    let app = Fixture::start().await;
    app.seed(1, "push").await;
    let plan = async |query: &str| app.page(&format!("/jobs/plan?{query}")).await;
    let replay = plan("action=replay&source=github").await;
    assert!(replay.contains("value=\"current\" selected"), "{replay}");
    let original = plan("action=replay&source=github&config=original").await;
    for word in [
        "value=\"original\" selected",
        "<input type=\"hidden\" name=\"source\" value=\"github\">",
        "from before gatepost kept what their routes did",
    ] {
        assert!(original.contains(word), "`{word}`: {original}");
    }
    let retry = plan("action=retry&status=dead").await;
    assert!(!retry.contains("name=\"config\""), "{retry}");
    let refused = app.get("/jobs/plan?action=retry&config=original").await;
    assert_eq!(
        (
            refused.status,
            refused.text().contains("leaves each delivery as it was made")
        ),
        (400, true)
    );
    let made = app
        .submit("/jobs", "action=replay&source=github&config=original")
        .await;
    assert_eq!(made.status, 303, "{made:?}");
    let job = app.page(made.header("location").unwrap()).await;
    assert!(job.contains("the config of then"), "{job}");
}

#[tokio::test]
async fn what_an_issue_names_is_shown_as_code_whatever_it_is() {
    let app = Fixture::start().await;
    let issue = app.seed_issue().await;
    app.raw("update issue set summary = '1 dead letter to `<img src=x onerror=alert(1)>`, not `<b>'")
        .await;
    for page in ["/issues".to_owned(), format!("/issues/{issue}")] {
        let html = app.page(&page).await;
        let expected = "1 dead letter to <code>&#60;img src=x onerror=alert(1)&#62;</code>, not `&#60;b&#62;";
        assert!(html.contains(expected), "{page}: {html}");
    }
}
