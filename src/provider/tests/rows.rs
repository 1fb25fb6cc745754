use std::collections::BTreeSet;

use super::*;
use crate::provider::{find, nearest, place::Reading};

#[test]
fn rows_are_sorted_and_found() {
    let names: Vec<_> = all().iter().map(|it| it.name.as_ref()).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for name in names {
        assert_eq!(find(name).unwrap().name, name);
    }
    assert!(find("strype").is_none());
}

#[test]
fn a_mistyped_name_finds_its_neighbour() {
    for (typed, meant) in [
        ("strip", Some("stripe")),
        ("Stripe", Some("stripe")),
        ("githup", Some("github")),
        ("standardwebhooks", Some("standard-webhooks")),
        ("shopfy", Some("shopify")),
        ("unverifed", Some("unverified")),
        ("qwertyuiop", None),
        ("", None),
    ] {
        assert_eq!(nearest(typed), meant, "{typed}");
    }
}

#[test]
fn places_are_well_formed() {
    for row in all() {
        let readings = [&row.event_id, &row.event_type, &row.event_time, &row.resource];
        for place in readings
            .into_iter()
            .flat_map(|it| it.iter())
            .flat_map(Reading::places)
        {
            match place {
                Place::Header(name) => {
                    assert_eq!(
                        http::HeaderName::from_bytes(name.as_bytes()).unwrap().as_str(),
                        name
                    );
                }
                Place::Body(pointer) | Place::FormJson { pointer, .. } => assert!(pointer.starts_with('/')),
                Place::HeaderPart { .. }
                | Place::Whole
                | Place::Claim { .. }
                | Place::Query(_)
                | Place::Form(_)
                | Place::Xml(_) => {}
            }
        }
        assert!(!row.register.is_empty() && !row.title.is_empty());
        assert!(row.docs.as_ref().is_none_or(|it| it.starts_with("https://")));
    }
}

#[test]
fn only_the_unverified_row_verifies_nothing() {
    for row in all() {
        // Those that sign nothing: the config wants it said (`unverified = true`).
        assert_eq!(
            row.binding() == Binding::None,
            row.is_unverified(),
            "{}",
            row.name
        );
        assert!(row.schemes.len() == 1 || !row.is_unverified(), "{}", row.name);
    }
    assert_eq!(row("stripe").binding(), Binding::Body);
    assert_eq!(row("token").binding(), Binding::Origin);
    assert_eq!(row("gitlab").binding(), Binding::Origin, "the weaker of its two");
    let bent = Bent::new(&[], b"");
    assert_eq!(bent.verify(row("unverified"), &[]), Ok(Binding::None));
}

#[test]
fn a_token_of_cloud_events_may_stand_in_the_query() {
    let provider = row("cloudevents");
    let keys = [key(provider, "another-plain-secret"), key(provider, PLAIN)];
    let sent = |query: &str, authorization: Option<&str>| {
        let headers = authorization.map(|it| ("authorization", it));
        let mut bent = Bent::new(headers.as_slice(), b"{}");
        bent.target = format!("/webhooks/x?{query}");
        bent.verify(provider, &keys)
    };
    let right = format!("p=q&access_token={PLAIN}");
    let bearer = format!("Bearer {PLAIN}");
    assert_eq!(sent(&right, None), Ok(Binding::Origin));
    assert_eq!(sent("p=q", Some(&bearer)), Ok(Binding::Origin));
    // What the header shows counts, wrong or right.
    assert_eq!(sent("access_token=x", Some(&bearer)), Ok(Binding::Origin));
    for (query, authorization, code) in [
        (right.as_str(), Some("Bearer x"), "wrong_credentials"),
        (right.as_str(), Some("Basic x"), "malformed_credentials"),
        (&format!("{right}x"), None, "wrong_credentials"),
        (&format!("access_token=Bearer+{PLAIN}"), None, "wrong_credentials"),
        (&format!("{right}&access_token=x"), None, "duplicate_header"),
        ("access_token=", None, "wrong_credentials"),
        ("ACCESS_TOKEN=x", None, "unsigned"),
        ("p=q", None, "unsigned"),
    ] {
        let verdict = sent(query, authorization);
        assert_eq!(verdict.unwrap_err().code(), code, "{query} {authorization:?}");
    }
    assert_eq!(
        provider.kept_query(&format!("/webhooks/x?{right}&a=1")),
        "p=q&a=1"
    );
    assert_eq!(
        provider.summary(),
        ["token in header:authorization", "token in query:access_token"]
    );
    // Taken, and not yet processed.
    let answer = provider.acknowledgement.as_ref().unwrap();
    assert_eq!((answer.status, answer.body.len()), (202, 0));
}

fn slack(headers: &[(&str, &str)], body: &str) -> Option<crate::provider::Answer> {
    let bent = Bent::new(headers, body.as_bytes());
    let proven = bent.with(|call| row("slack").signed_handshake(&[], call));
    proven.map(|it| it.answer)
}

#[test]
fn slack_gets_its_challenge_back_as_text() {
    let answer = slack(
        &[("content-type", "application/json")],
        r#"{"token":"x","challenge":"3eZbrw1a<b>","type":"url_verification"}"#,
    )
    .unwrap();
    assert_eq!(
        (answer.status, answer.content_type.as_deref()),
        (200, Some("text/plain"))
    );
    assert_eq!(answer.body, b"3eZbrw1a<b>");
    let long = format!(
        r#"{{"type":"url_verification","challenge":"{}"}}"#,
        "x".repeat(1025)
    );
    for body in [
        r#"{"type":"event_callback","challenge":"x"}"#,
        r#"{"challenge":"x"}"#,
        r#"{"type":"url_verification"}"#,
        r#"{"type":"url_verification","challenge":""}"#,
        r#"{"type":"url_verification","challenge":["x"]}"#,
        r#"{"event":{"type":"url_verification"},"challenge":"x"}"#,
        long.as_str(),
        "",
    ] {
        assert_eq!(slack(&[], body), None, "{body}");
    }
}

#[test]
fn slack_gets_an_empty_answer_to_its_certificate_check() {
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let answer = slack(&form, "token=x&ssl_check=1").unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(slack(&form, "ssl_check=1&command=%2Fdeploy"), None);
    assert_eq!(slack(&form, "ssl_check=0"), None);
    assert_eq!(slack(&[], "ssl_check=1"), None);
    for other in all().iter().filter(|it| it.name != "slack") {
        let bent = Bent::new(&form, b"ssl_check=1");
        assert_eq!(bent.with(|call| other.signed_handshake(&[], call)), None);
    }
}

#[test]
fn names_come_from_where_the_row_says() {
    let names = |name: &str, headers: &[(&str, &str)], body: &str| {
        let names = Bent::new(headers, body.as_bytes()).with(|call| row(name).names(call));
        let id = names
            .external_id
            .map(|it| String::from_utf8_lossy(&it).into_owned());
        (
            id,
            names.event_type,
            names.occurred_at.map(Timestamp::as_unix_seconds),
        )
    };
    let text = |it: &str| Some(it.to_owned());
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        names(
            "stripe",
            &[],
            r#"{"id":"evt_1","created":"2026-01-01T00:00:00.5Z","type":"v2.core.x"}"#
        ),
        (text("evt_1"), text("v2.core.x"), Some(1_767_225_600))
    );
    assert_eq!(names("stripe", &[], "not json"), (None, None, None));
    assert_eq!(
        names("stripe", &[], r#"{"id":"","type":null,"created":"soon"}"#),
        (None, None, None)
    );
    assert_eq!(
        names("slack", &[], r#"{"type":"app_rate_limited","event_id":7}"#),
        (text("7"), text("app_rate_limited"), None)
    );
    assert_eq!(
        names(
            "slack",
            &[form],
            "payload=%7B%22type%22%3A%22view_submission%22%7D"
        ),
        (None, text("view_submission"), None)
    );
    assert_eq!(
        names("slack", &[form], "command=%2Fdeploy&text="),
        (None, text("/deploy"), None)
    );
    assert_eq!(
        names(
            "gitlab",
            &[("x-gitlab-event", "Push Hook"), ("webhook-id", "w")],
            "{}"
        ),
        (text("w"), text("Push Hook"), None)
    );
    assert_eq!(
        names(
            "gitlab",
            &[("idempotency-key", "k"), ("webhook-id", "w")],
            r#"{"object_kind":"push"}"#
        ),
        (text("w"), text("push"), None)
    );
    assert_eq!(
        names(
            "github",
            &[("x-github-delivery", "d"), ("x-github-event", "push")],
            "{}"
        ),
        (text("d"), text("push"), None)
    );
}

#[test]
fn an_id_is_kept_byte_for_byte() {
    let mut bent = Bent::new(&[("x-github-delivery", "")], b"");
    *bent.header("x-github-delivery") = vec![0xff; 5_000];
    let names = bent.with(|call| row("github").names(call));
    assert_eq!(names.external_id, Some(vec![0xff; 5_000]));
}

#[test]
fn a_row_says_in_words_how_it_verifies() {
    assert_eq!(
        row("stripe").summary(),
        ["HMAC-SHA256 over {timestamp}.{body} in field v1 of header:stripe-signature, at most 300 s old"]
    );
    assert_eq!(
        row("github").summary(),
        ["HMAC-SHA256 over {body} in header:x-hub-signature-256"]
    );
    assert_eq!(
        row("gitlab").summary(),
        [
            "HMAC-SHA256 or Ed25519 over {id}.{timestamp}.{body} in header:webhook-signature, at most 300 s old",
            "token in header:x-gitlab-token"
        ]
    );
    assert_eq!(row("unverified").summary(), ["nothing is verified"]);
}
