use super::*;
use crate::provider::handshake::Asked;

fn asked(name: &str, keys: &[Key], verify_token: Option<&str>, bent: &Bent) -> Option<Asked> {
    let token = verify_token.map(Secret::new);
    bent.with(|call| row(name).unsigned_handshake(keys, token.as_ref(), call))
}

fn get(query: &str, headers: &[(&str, &str)]) -> Bent {
    let mut bent = Bent::new(headers, b"");
    bent.method = "GET".to_owned();
    bent.target = format!("/webhooks/x?{query}");
    bent
}

/// Status, body and the other headers of an answer.
fn shown(asked: Option<Asked>) -> (u16, String, Vec<String>) {
    match asked {
        Some(Asked::Answered(it) | Asked::HandedOver(it) | Asked::Noted(it, _)) => {
            let headers = it.headers.iter().map(|(name, value)| format!("{name}: {value}"));
            (it.status, String::from_utf8(it.body).unwrap(), headers.collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn dozens_of_rows_have_a_handshake() {
    let with = all().iter().filter(|it| !it.handshakes.is_empty());
    assert!(with.clone().count() >= 45, "{}", with.count());
}

#[test]
fn an_echo_is_text_that_no_browser_runs() {
    let key = [key(row("dropbox"), PLAIN)];
    let (status, body, headers) = shown(asked(
        "dropbox",
        &key,
        None,
        &get("challenge=9h3kC0-abc_123", &[]),
    ));
    assert_eq!((status, body.as_str()), (200, "9h3kC0-abc_123"));
    assert_eq!(headers, ["x-content-type-options: nosniff"]);
    for query in [
        "",
        "challenge=",
        "challenge=%3Cscript%3E",
        "challenge=a%20b",
        "other=x",
    ] {
        assert_eq!(asked("dropbox", &key, None, &get(query, &[])), None, "{query}");
    }
    let long = format!("challenge={}", "x".repeat(1025));
    assert_eq!(asked("dropbox", &key, None, &get(&long, &[])), None);
    let mut post = get("challenge=abc", &[]);
    post.method = "POST".to_owned();
    assert_eq!(asked("dropbox", &key, None, &post), None);
}

#[test]
fn a_text_in_json_stays_a_text() {
    let key = [key(row("okta"), PLAIN)];
    let header = (
        "x-okta-verification-challenge",
        "my \"verification\" \\ challenge",
    );
    let (status, body, _) = shown(asked("okta", &key, None, &get("", &[header])));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, body["verification"].as_str()), (200, Some(header.1)));
}

#[test]
fn nobody_gets_an_event_signed() {
    // X signs its challenges with the key of its events, over the text alone.
    let keys = [key(row("x"), PLAIN)];
    let (_, body, _) = shown(asked("x", &keys, None, &get("crc_token=a.b-c_d~e%2B/=", &[])));
    assert!(body.starts_with(r#"{"response_token":"sha256="#), "{body}");
    for event in [
        r#"{"for_user_id":"1"}"#,
        "[]",
        "a b",
        "a:b",
        "a\nb",
        "<x>",
        "\"",
        "a&b",
        "é",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("crc_token", event)
            .finish();
        assert_eq!(asked("x", &keys, None, &get(&query, &[])), None, "{event}");
    }
    // Zoom's own are signed, and so is the question.
    let body = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    let unsigned = Bent::new(&[], body.as_bytes());
    let keys = [key(row("zoom"), PLAIN)];
    assert_eq!(asked("zoom", &keys, None, &unsigned), None);
    let answer = unsigned
        .with(|call| row("zoom").signed_handshake(&keys, call))
        .unwrap()
        .answer;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer["plainToken"], "qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(answer["encryptedToken"].as_str().unwrap().len(), 64);
    let like_an_event = body.replace("qgg8vlvZRS6UYooatFL8Aw", "v0:1767225600:{}");
    let bent = Bent::new(&[], like_an_event.as_bytes());
    assert_eq!(bent.with(|call| row("zoom").signed_handshake(&keys, call)), None);
}

#[test]
fn the_verify_token_is_asked_for() {
    let keys = [key(row("meta"), PLAIN)];
    let ask = |token: &str, ours: Option<&str>| {
        let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        asked("meta", &keys, ours, &get(&query, &[]))
    };
    assert_eq!(shown(ask("vt", Some("vt"))).1, "1158201444");
    for (theirs, ours) in [("vx", Some("vt")), ("", Some("vt")), ("vt", None), ("", None)] {
        assert!(
            matches!(ask(theirs, ours), Some(Asked::Refused(_))),
            "{theirs} {ours:?}"
        );
    }
    let without_mode = get("hub.challenge=1&hub.verify_token=vt", &[]);
    assert_eq!(asked("meta", &keys, Some("vt"), &without_mode), None);
}

#[test]
fn ebay_is_answered_a_hash_that_no_event_has() {
    let token = "71745723-d031-455c-bfa5-f90d11b4f20a";
    let ask = |token: Option<&str>, url: Option<&str>| {
        let mut bent = get("challenge_code=a8628072-3d33-45ee-9004-bee86830a22d", &[]);
        bent.url = url.map(str::to_owned);
        asked("ebay", &[], token, &bent)
    };
    let url = "https://ngrok.com/webhook?challenge_code=a8628072-3d33-45ee-9004-bee86830a22d";
    let (status, body, _) = shown(ask(Some(token), Some(url)));
    // Made by Python's hashlib of the three texts.
    assert_eq!(
        (status, body.as_str()),
        (
            200,
            r#"{"challengeResponse":"4daffadc86a7a6c20be3fdc32bbd17b141d0de31a78710cc41cfa0d19bdf6410"}"#
        )
    );
    assert_eq!(ask(None, Some(url)), None);
    assert_eq!(ask(Some(token), None), None);
    assert!(row("ebay").has_verify_token());
}

#[test]
fn fitbit_tries_a_wrong_code_and_gets_its_status() {
    let keys = [key(row("fitbit"), PLAIN)];
    let ask = |code: &str| {
        asked(
            "fitbit",
            &keys,
            Some("right-code"),
            &get(&format!("verify={code}"), &[]),
        )
    };
    assert_eq!(shown(ask("right-code")).0, 204);
    assert_eq!(shown(ask("wrong-code")).0, 404);
    assert_eq!(shown(asked("fitbit", &keys, None, &get("verify=x", &[]))).0, 404);
}

#[test]
fn a_handshake_that_is_a_signed_event_needs_what_makes_it_one() {
    let keys = [key(row("line"), PLAIN)];
    let signed =
        |body: &str| Bent::new(&[], body.as_bytes()).with(|call| row("line").signed_handshake(&keys, call));
    assert!(signed(r#"{"destination":"U1","events":[]}"#).is_some());
    for event in [
        r#"{"destination":"U1","events":[{"type":"message"}]}"#,
        r#"{"events":[]}"#,
        "no json",
    ] {
        assert_eq!(signed(event), None, "{event}");
    }
}

#[test]
fn xeros_intent_to_receive_has_no_events() {
    let keys = [key(row("xero"), PLAIN)];
    let signed =
        |body: &str| Bent::new(&[], body.as_bytes()).with(|call| row("xero").signed_handshake(&keys, call));
    let intent = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4nd0mt3xt"}"#;
    let answer = signed(intent).unwrap().answer;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    for event in [
        r#"{"events":[{"eventType":"UPDATE"}],"entropy":"S0m3r4nd0mt3xt"}"#,
        r#"{"events":[{"resourceId":"1"}],"entropy":"S0m3r4nd0mt3xt"}"#,
        r#"{"events":[]}"#,
    ] {
        assert_eq!(signed(event), None, "{event}");
    }
}

#[test]
fn vercel_is_shown_the_token_and_no_logs_are_lost() {
    let keys = [key(row("vercel-log-drains"), PLAIN)];
    let ask = |token: Option<&str>, bent: &Bent| asked("vercel-log-drains", &keys, token, bent);
    let empty = Bent::new(&[], b"");
    for question in [&get("", &[]), &empty] {
        let (status, body, headers) = shown(ask(Some("0d1f2e"), question));
        assert_eq!((status, body.as_str()), (200, ""));
        assert_eq!(headers, ["x-vercel-verify: 0d1f2e"]);
        assert_eq!(ask(None, question), None);
    }
    assert_eq!(ask(Some("0d1f2e"), &Bent::new(&[], b"[{}]")), None);
    let signed = Bent::new(&[("x-vercel-signature", "00")], b"");
    assert_eq!(ask(Some("0d1f2e"), &signed), None);
}

#[test]
fn googles_channels_begin_with_a_message_that_is_no_event() {
    let state = |it: &str| {
        let bent = Bent::new(&[("x-goog-resource-state", it)], b"");
        bent.with(|call| row("google-drive").signed_handshake(&[], call))
    };
    assert_eq!(state("sync").unwrap().answer.status, 200);
    assert_eq!(state("exists"), None);
}

#[test]
fn a_secret_is_handed_over_once() {
    for (name, headers, body) in [
        (
            "asana",
            &[("x-hook-secret", "b537207f20cbfa02357cf448134da559")][..],
            "{}",
        ),
        (
            "notion",
            &[],
            r#"{"verification_token":"secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"}"#,
        ),
    ] {
        let bent = Bent::new(headers, body.as_bytes());
        let first = asked(name, &[], None, &bent);
        assert!(matches!(first, Some(Asked::HandedOver(_))), "{name}: {first:?}");
        let keys = [key(row(name), PLAIN)];
        assert_eq!(asked(name, &keys, None, &bent), None, "{name} has one");
        assert!(bent.verify(row(name), &keys).is_err());
    }
    let (status, _, headers) = shown(asked(
        "asana",
        &[],
        None,
        &Bent::new(&[("x-hook-secret", "abc")], b""),
    ));
    assert_eq!(
        (status, &headers[..]),
        (200, &["x-hook-secret: abc".to_owned()][..])
    );
}

#[test]
fn what_is_signed_is_an_event_and_no_handshake() {
    // Whoever put the field of a handshake into a signed event would else make us drop it.
    for (name, _) in signing() {
        let (provider, keys, mut bent) = signed(name);
        bent.headers.extend([
            ("x-hook-secret".to_owned(), b"abc".to_vec()),
            ("validation-token".to_owned(), b"abc".to_vec()),
            ("x-front-challenge".to_owned(), b"abc".to_vec()),
        ]);
        let handshake = bent.with(|call| provider.unsigned_handshake(&keys, None, call));
        assert_eq!(handshake, None, "{name}");
    }
}

#[test]
fn senders_of_cloud_events_are_answered_in_headers() {
    for name in ["azure-eventgrid", "cloudevents"] {
        let mut bent = Bent::new(
            &[
                ("webhook-request-origin", "eventgrid.azure.net"),
                ("webhook-request-rate", "120"),
            ],
            b"",
        );
        bent.method = "OPTIONS".to_owned();
        let keys = [key(row(name), PLAIN)];
        let (status, body, mut headers) = shown(asked(name, &keys, None, &bent));
        headers.sort();
        assert_eq!((status, body.as_str()), (200, ""), "{name}");
        let wanted = [
            "allow: POST",
            "webhook-allowed-origin: eventgrid.azure.net",
            "webhook-allowed-rate: 120",
        ];
        assert_eq!(headers, wanted, "{name}");
    }
}

#[test]
fn a_hub_is_answered_for_its_topic_alone() {
    const TOPIC: &str = "https://blog.example/feed?of=all";
    let keys = [key(row("websub"), PLAIN)];
    let ask = |mode: &str, topic: &str, given: Option<&str>| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("hub.mode", mode)
            .append_pair("hub.topic", topic)
            .append_pair("hub.challenge", "c4a1lenge")
            .append_pair("hub.lease_seconds", "864000")
            .finish();
        asked("websub", &keys, given, &get(&query, &[]))
    };
    let (status, body, _) = shown(ask("subscribe", TOPIC, Some(TOPIC)));
    assert_eq!((status, body.as_str()), (200, "c4a1lenge"));
    let noted = |asked: Option<Asked>| match asked {
        Some(Asked::Noted(answer, refusal)) => (answer.status, answer.body.len(), refusal.code()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        noted(ask("denied", TOPIC, Some(TOPIC))),
        (200, 0, "subscription_denied")
    );
    for (topic, given) in [
        ("https://blog.example/feed", Some(TOPIC)),
        (TOPIC, None),
        ("", Some(TOPIC)),
    ] {
        for mode in ["subscribe", "denied"] {
            let told = noted(ask(mode, topic, given));
            assert_eq!(told, (404, 0, "wrong_credentials"), "{mode} {topic} {given:?}");
        }
    }
    // Nobody can end what the operator began, of whatever topic.
    for topic in [TOPIC, "https://blog.example/feed", ""] {
        assert_eq!(
            noted(ask("unsubscribe", topic, Some(TOPIC))),
            (404, 0, "unsubscribe_refused")
        );
    }
    for mode in ["", "publish", "Subscribe"] {
        assert_eq!(ask(mode, TOPIC, Some(TOPIC)), None, "{mode}");
    }
    let mut signed = get("hub.mode=denied&hub.topic=x", &[("x-hub-signature", "sha256=00")]);
    signed.method = "POST".to_owned();
    assert_eq!(asked("websub", &keys, Some(TOPIC), &signed), None);
}
