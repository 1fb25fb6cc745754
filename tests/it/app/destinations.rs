//! Destinations that are no URL, from a signed request to where it goes.

use crate::app::{
    app_case,
    process::Process,
    receiver::Reply,
    sender::event,
    site::{STRIPE_TO_BILLING, Site},
};

/// The usual config with another kind of destination.
pub(crate) fn configure(site: &Site, kind: &str) {
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

/// Of a chat there is no signature to configure.
fn chat(site: &Site, kind: &str) {
    configure(site, kind);
    let text = std::fs::read_to_string(site.config_file()).unwrap();
    let lines = text.lines().filter(|it| !it.starts_with("signing_secret"));
    site.configure(&lines.collect::<Vec<_>>().join("\n"));
}

app_case!(a_channel_gets_the_text_and_nothing_else_of_an_event, |site| {
    let text = "*{type}* from {source}: {body:/id}";
    chat(
        &site,
        &format!("slack = {{ url = \"http://{{}}/slack\", text = \"{text}\" }}"),
    );
    site.receiver
        .script("/slack", [Reply::With(429, "retry-after", "0".to_owned())]);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "delivered").await;
    let hits = site.receiver.arrived("/slack", 2).await;
    let sent: serde_json::Value = serde_json::from_slice(&hits[1].body).unwrap();
    let event_type = app.get(&format!("/v1/events/{id}")).await["type"].clone();
    let expected = format!("*{}* from stripe: evt_1", event_type.as_str().unwrap());
    assert_eq!(sent, serde_json::json!({ "text": expected }));
    assert_eq!(hits[1].header("content-type"), "application/json");
    for name in ["stripe-signature", "webhook-id", "gatepost-source"] {
        assert!(hits[1].headers.get(name).is_none(), "{name}");
    }
    let destination = &app.list("/v1/destinations").await[0];
    assert_eq!(destination["kind"], "slack");
    assert!(!destination.to_string().contains("/slack\""), "{destination}");
    app.finish().await;
});

// From one gatepost to another: the far one verifies what the near one signed, and knows a repetition.
app_case!(another_gatepost_is_an_http_destination, |far| {
    far.configure(
        "[sources.upstream]\nprovider = \"standard-webhooks\"\nsecrets = [{ file = \"signing.secret\" }]\n\
         [destinations.app]\nurl = \"http://{}/app\"\n\
         [[routes]]\nsource = \"upstream\"\ndestination = \"app\"\n",
    );
    let beyond = Process::start(&far, "all").await;
    let near = Site::sqlite().await;
    configure(&near, &format!("url = \"{}\"", beyond.webhook_url("upstream")));
    let app = Process::start(&near, "all").await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    app.until_status(&id, "delivered").await;
    let hits = far.receiver.arrived("/app", 1).await;
    assert_eq!(hits[0].body, signed.body);
    assert_eq!(hits[0].header("gatepost-verified"), "body");
    // The far one's external id is the near one's event.
    assert_eq!(hits[0].header("gatepost-external-id"), id);
    assert_eq!(
        app.command(&format!("/v1/events/{id}/replay"), "").await.status,
        202
    );
    let both = app.until_status(&id, "delivered").await;
    assert_eq!(both.len(), 2);
    assert_eq!(far.events().await.len(), 1);
});
