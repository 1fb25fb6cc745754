//! Destinations that are no URL, from a signed request to where it goes.

use crate::app::{
    app_case,
    sender::event,
    site::{STRIPE_TO_BILLING, Site},
};

/// The usual config with another kind of destination.
fn configure(site: &Site, kind: &str) {
    let lines = STRIPE_TO_BILLING.lines();
    let text: Vec<_> = lines
        .map(|it| if it.starts_with("url = ") { kind } else { it })
        .collect();
    site.configure(&text.join("\n"));
}

/// `exec` of a shell's script, which runs in the site's directory.
fn exec(site: &Site, script: &str) {
    let directory = site.directory.path().display();
    configure(
        site,
        &format!("exec = {{ command = [\"/bin/sh\", \"-c\", '''{script}'''], directory = \"{directory}\" }}"),
    );
}

app_case!(a_command_gets_the_body_and_who_it_is_from, |site| {
    exec(&site, "cat > body; echo \"$GATEPOST_SOURCE $GATEPOST_EVENT_ID\"");
    let app = site.start().await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    app.until_status(&id, "delivered").await;
    assert_eq!(
        std::fs::read(site.directory.path().join("body")).unwrap(),
        signed.body
    );
    let attempt = &app.attempts_of(&id).await[0];
    assert_eq!(attempt["response_body"], format!("stripe {id}\n"));
    assert!(attempt["status_code"].is_null(), "{attempt}");
    let destination = &app.list("/v1/destinations").await[0];
    assert_eq!(
        (&destination["kind"], &destination["target"]),
        (&"exec".into(), &"/bin/sh".into())
    );
    app.finish().await;
});

app_case!(a_command_that_fails_is_run_again, |site| {
    exec(
        &site,
        "[ \"$GATEPOST_ATTEMPT\" = 3 ] || { echo \"not yet\"; exit 75; }",
    );
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "delivered").await;
    let attempts = app.attempts_of(&id).await;
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0]["response_body"], "not yet\n");
    assert_eq!(
        attempts[0]["error"],
        "the command ended with 75: it asks for another try"
    );
    app.finish().await;
});

app_case!(a_command_may_refuse_an_event_for_ever, |site| {
    exec(&site, "exit 65");
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    assert_eq!(app.attempts_of(&id).await.len(), 1);
    app.finish().await;
});
