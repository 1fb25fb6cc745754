use super::*;
use crate::provider::{
    Wanted, find,
    recipe::{
        Places,
        hmac::{HmacRecipe, hmac},
    },
};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn settings(name: &str, provider: &str, secrets: &[&str]) -> Settings {
    Settings {
        name: name.to_owned(),
        provider: find(provider).unwrap().clone(),
        secrets: secrets.iter().map(|it| Secret::new(*it)).collect(),
        verify_token: None,
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: None,
        redact: crate::source::redact::Redact::default(),
    }
}

fn source(name: &str, provider: &str, secrets: &[&str]) -> Source {
    Source::new(settings(name, provider, secrets)).unwrap()
}

fn faults(settings: Settings) -> Vec<String> {
    let faults = Source::new(settings).unwrap_err();
    assert!(
        faults
            .iter()
            .all(|it| it.hint.is_some() && !it.problem.is_empty())
    );
    faults.into_iter().map(|it| it.key).collect()
}

fn request(headers: &[(&str, &str)], body: &[u8]) -> Request {
    Request {
        method: http::Method::POST,
        target: "/webhooks/x".to_owned(),
        headers: Headers::from_pairs(headers.iter().map(|(name, value)| (*name, value.as_bytes()))),
        body: Bytes::copy_from_slice(body),
        client: None,
        received_at: NOW,
    }
}

/// A request that this provider signed.
fn signed(provider: &str, secret: &str, body: Option<&[u8]>) -> Request {
    let sample = find(provider)
        .unwrap()
        .sample(
            &Secret::new(secret),
            &Wanted {
                body,
                ..Wanted::default()
            },
            NOW,
        )
        .unwrap();
    let headers: Vec<_> = sample
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    request(&headers, &sample.body)
}

#[track_caller]
fn verified(source: &Source, request: &Request) -> Verified {
    match receive(source, request, NOW) {
        Received::Verified(verified) => verified,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn rejected(source: &Source, request: &Request) -> Rejection {
    match receive(source, request, NOW) {
        Received::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a02_every_bad_secret_is_a_fault_at_once() {
    let bad = settings("s", "standard-webhooks", &["", "whsec_", WHSEC, "whsec_c2hvcnQ="]);
    assert_eq!(faults(bad), ["secrets[0]", "secrets[1]", "secrets[3]"]);
    assert_eq!(faults(settings("s", "stripe", &[])), ["secrets"]);
    assert_eq!(
        faults(settings("s", "unverified", &["a-long-secret"])),
        ["secrets"]
    );
    let mut bad = settings("s", "github", &["a-long-enough-secret"]);
    bad.tolerance = Some(Duration::from_mins(1));
    bad.rate = Some(0);
    assert_eq!(faults(bad), ["tolerance", "rate"]);
    let mut bad = settings("s", "stripe", &["a-long-enough-secret"]);
    bad.tolerance = Some(Duration::ZERO);
    assert_eq!(faults(bad), ["tolerance"]);
}

#[test]
fn a_rotation_has_two_secrets_in_any_order() {
    for secrets in [
        ["old-secret-of-stripe", "new-secret-of-stripe"],
        ["new-secret-of-stripe", "old-secret-of-stripe"],
    ] {
        let source = source("s", "stripe", &secrets);
        for secret in secrets {
            verified(&source, &signed("stripe", secret, None));
        }
        let rejection = rejected(&source, &signed("stripe", "another-secret", None));
        assert_eq!(rejection.code, "signature_mismatch");
        assert!(rejection.to_string().contains("2 secret(s)"), "{rejection}");
    }
}

#[test]
fn a_rejection_says_exactly_why() {
    let source = source("s", "stripe", &["a-secret-of-stripe"]);
    let request = signed("stripe", "a-secret-of-stripe", None);
    let later = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + 4_000);
    let Received::Rejected(stale) = receive(&source, &request, later) else {
        panic!("not stale");
    };
    assert_eq!(
        stale.to_string(),
        "signed 4000 s ago, at most 300 s allowed; the signature itself is right"
    );
    let unsigned = rejected(&source, &self::request(&[], b"{}"));
    assert_eq!(
        unsigned.to_string(),
        "not signed: `header:stripe-signature` is absent"
    );
    let github = self::source("s", "github", &["a-secret-of-github"]);
    let weak = rejected(&github, &self::request(&[("x-hub-signature", "sha1=00")], b"{}"));
    assert_eq!(
        weak.to_string(),
        "only the outdated signature `x-hub-signature` is there, expected `header:x-hub-signature-256`"
    );
}

#[test]
fn b03_one_id_at_two_sources_makes_two_keys() {
    let request = signed("github", "a-secret-of-github", None);
    let key = |name: &str| verified(&source(name, "github", &["a-secret-of-github"]), &request).key();
    assert_eq!(key("a"), key("a"));
    assert_ne!(key("a"), key("b"));
}

#[test]
fn b06_the_same_request_twice_has_the_same_key() {
    for (provider, secret) in [
        ("stripe", "a-secret-of-stripe"),
        ("slack", "a-secret-of-slack"),
        ("shopify", "a-secret-of-shopify"),
        ("gitlab", WHSEC),
        ("svix", WHSEC),
        ("hmac", "a-secret-of-mine"),
        ("token", "a-secret-of-mine"),
    ] {
        let source = source("s", provider, &[secret]);
        let request = signed(provider, secret, None);
        let key = verified(&source, &request).key();
        assert!(key.is_some(), "{provider}");
        assert_eq!(key, verified(&source, &request).key(), "{provider}");
        assert_ne!(
            key,
            verified(&source, &signed(provider, secret, None)).key(),
            "{provider}"
        );
    }
}

#[test]
fn an_event_without_an_id_is_deduplicated_by_its_body() {
    let source = source("s", "stripe", &["a-secret-of-stripe"]);
    for body in [&b"not json"[..], b"", b"\xff", b"{}", br#"{"id":null}"#] {
        let verified = verified(&source, &signed("stripe", "a-secret-of-stripe", Some(body)));
        assert_eq!(verified.external_id(), None);
        assert_eq!(
            verified.key(),
            Some(event::deduplication_key("s", None, event::body_hash(body)))
        );
        assert_eq!(verified.binding(), Binding::Body);
    }
}

#[test]
fn b02_an_unverified_source_has_no_key() {
    let source = source("s", "unverified", &[]);
    let verified = verified(&source, &request(&[], br#"{"id":"e","type":"t"}"#));
    assert_eq!((verified.binding(), verified.key()), (Binding::None, None));
    assert_eq!(
        (verified.external_id(), verified.event_type()),
        (Some(&b"e"[..]), Some("t"))
    );
}

#[test]
fn a_handshake_is_answered_only_where_it_is_signed() {
    let body = br#"{"type":"url_verification","challenge":"abc"}"#;
    let source = source("s", "slack", &["a-secret-of-slack"]);
    let request = signed("slack", "a-secret-of-slack", Some(body));
    let Received::Answer(answer) = receive(&source, &request, NOW) else {
        panic!("no answer");
    };
    assert_eq!((answer.status, &answer.body[..]), (200, &b"abc"[..]));
    let forged = signed("slack", "another-secret", Some(body));
    assert_eq!(rejected(&source, &forged).code, "signature_mismatch");
    assert_eq!(rejected(&source, &self::request(&[], body)).code, "unsigned");
}

#[test]
fn a15_the_signed_url_is_the_configured_one() {
    let recipe = HmacRecipe {
        header: Some("x-sig".to_owned()),
        signed: Some("{url}{body}".to_owned()),
        ..HmacRecipe::default()
    };
    let mut mine = settings("s", "hmac", &["a-long-enough-secret"]);
    mine.provider = hmac(&recipe, &Places::default()).unwrap();
    assert_eq!(faults(mine.clone()), ["provider"]);
    mine.public_url = Some("https://hooks.example.com/in/".parse().unwrap());
    let source = Source::new(mine).unwrap();
    for (target, url) in [
        ("/webhooks/s?a=1", "https://hooks.example.com/in/webhooks/s?a=1"),
        (
            "http://evil.example/webhooks/s",
            "https://hooks.example.com/in/webhooks/s",
        ),
        ("http://evil.example?x", "https://hooks.example.com/in/?x"),
        ("http://evil.example", "https://hooks.example.com/in/"),
        ("*", "https://hooks.example.com/in/"),
    ] {
        assert_eq!(source.url(target).as_deref(), Some(url), "{target}");
    }
    // HMAC-SHA256 of `https://hooks.example.com/in/webhooks/s{}` under the secret, made by Python's `hmac`.
    let signature = "1a6679a8e4682622430e4820894afa540007fa0fc40d20795654f7b234a00978";
    let headers = [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "gopher"),
        ("forwarded", "host=evil.example;proto=http"),
        ("x-sig", signature),
    ];
    let mut request = request(&headers, b"{}");
    request.target = "/webhooks/s".to_owned();
    assert_eq!(verified(&source, &request).binding(), Binding::Body);
    request.target = "/webhooks/t".to_owned();
    assert_eq!(rejected(&source, &request).code, "signature_mismatch");
}

#[test]
fn what_a_stored_event_is_about_may_stand_in_its_query() {
    let provider = find("mercado-pago").unwrap();
    let mut event = Event {
        id: crate::base::ids::EventId::new(),
        source: "pay".into(),
        external_id: None,
        event_type: None,
        origin: event::Origin::Received,
        binding: Binding::Partial,
        occurred_at: None,
        received_at: NOW,
        query: provider.kept_query("/webhooks/pay?data.id=123&type=payment"),
        headers: Headers::default(),
        body: Bytes::from_static(b"{}"),
    };
    assert_eq!(resource(provider, &event).as_deref(), Some("123"));
    event.query = String::new();
    assert_eq!(resource(provider, &event), None);
}

#[test]
fn what_a_request_says_of_its_event_is_handed_on() {
    let body = br#"{"id":"evt_1","type":"charge.failed","created":1767225599}"#;
    let request = signed("stripe", WHSEC, Some(body));
    let found = verified(&source("pay", "stripe", &[WHSEC]), &request);
    assert_eq!(found.external_id(), Some(&b"evt_1"[..]));
    assert_eq!(found.event_type(), Some("charge.failed"));
    assert_eq!(
        found.occurred_at(),
        Some(Timestamp::from_unix_seconds(1_767_225_599))
    );
    assert!(found.further_types().is_empty());
    let unsigned = names(
        find("stripe").unwrap(),
        &Request {
            headers: Headers::default(),
            ..request
        },
    );
    assert_eq!(unsigned.external_id.as_deref(), Some(&b"evt_1"[..]));
    assert_eq!(unsigned.occurred_at, found.occurred_at());
}

#[test]
fn a_batch_says_all_its_types_when_it_comes_and_when_it_is_read_again() {
    let body =
        br#"{"events":[{"eventCategory":"INVOICE","eventType":"UPDATE"},{"eventCategory":"CONTACT","eventType":"CREATE"}]}"#;
    let secret = "a secret of xero's, long enough";
    let request = signed("xero", secret, Some(body));
    let found = verified(&source("books", "xero", &[secret]), &request);
    assert_eq!(found.event_type(), Some("INVOICE.UPDATE"));
    assert_eq!(found.further_types(), ["CONTACT.CREATE"]);
    let event = Event {
        id: crate::base::ids::EventId::new(),
        source: "books".into(),
        external_id: None,
        event_type: found.event_type().map(str::to_owned),
        origin: event::Origin::Received,
        binding: found.binding(),
        occurred_at: found.occurred_at(),
        received_at: NOW,
        query: String::new(),
        headers: request.headers.clone(),
        body: request.body.clone(),
    };
    assert_eq!(
        further_types(find("xero").unwrap(), &event),
        found.further_types()
    );
}
