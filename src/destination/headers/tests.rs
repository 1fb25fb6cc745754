use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    base::{clock::Timestamp, ids::DeliveryId, secret::Secret},
    event::{
        Binding, Event, Origin,
        headers::Headers,
        trace::{Trace, Traceparent},
    },
};

fn message(headers: &[(&str, &[u8])]) -> Message {
    let headers = Headers::from_pairs(headers.iter().copied());
    let traceparent = Traceparent {
        trace: Trace::given(&headers).unwrap_or_else(|| Trace::begun(Uuid::nil())),
        span_id: 1,
    };
    Message {
        event: Arc::new(Event {
            id: "evt_01jdq8z3e9f7v8k2m4n6p8r0st".parse().unwrap(),
            source: "stripe".into(),
            external_id: Some("evt_1".into()),
            event_type: Some("charge.refunded".into()),
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: Timestamp::from_unix_seconds(1_700_000_000),
            query: String::new(),
            headers,
            body: Bytes::from_static(b"{}"),
        }),
        delivery_id: DeliveryId::new(),
        origin: Origin::Received,
        attempt: 1,
        is_stale: false,
        order_key: None,
        traceparent,
        now: Timestamp::from_unix_seconds(1_700_000_100),
    }
}

fn with_event(mut message: Message, change: impl FnOnce(&mut Event)) -> Message {
    change(Arc::get_mut(&mut message.event).unwrap());
    message
}

fn signer() -> Signer {
    Signer::new(&Secret::new(*b"a plain text of enough bytes")).unwrap()
}

fn sent(message: &Message) -> HeaderMap {
    Outbound::new(Vec::new(), Some(signer())).headers(message)
}

fn all<'a>(map: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    map.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

#[test]
fn end_to_end_headers_keep_order_duplicates_and_bytes() {
    let map = sent(&message(&[
        ("stripe-signature", b"t=1,v1=ab"),
        ("x-many", b"1"),
        ("content-type", b"application/json; charset=utf-8"),
        ("x-many", b"2"),
        ("x-latin", b"caf\xe9 \xff"),
        ("content-encoding", b"gzip"),
        ("x-empty", b""),
    ]));
    assert_eq!(all(&map, "x-many"), [b"1", b"2"]);
    assert_eq!(all(&map, "x-latin"), [b"caf\xe9 \xff"]);
    assert_eq!(all(&map, "x-empty"), [b""]);
    assert_eq!(all(&map, "content-encoding"), [b"gzip"]);
    let names: Vec<_> = map.keys().take(3).map(HeaderName::as_str).collect();
    assert_eq!(names, ["stripe-signature", "x-many", "content-type"]);
}

#[test]
fn c08_what_belongs_to_the_connection_or_the_way_is_dropped() {
    let dropped = [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
        "proxy-authenticate",
        "http2-settings",
        "host",
        "content-length",
        "expect",
        "cookie",
        "authorization",
        "accept-encoding",
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded",
        "x-forwarded-client-cert",
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "tracestate",
    ];
    let given: Vec<(&str, &[u8])> = dropped.iter().map(|&it| (it, &b"x"[..])).collect();
    let map = sent(&message(&given));
    for name in dropped {
        assert!(!map.contains_key(name), "{name}");
    }
}

#[test]
fn c08_names_listed_in_connection_are_dropped() {
    let map = sent(&message(&[
        ("connection", b"close, X-Secret-Hop ,\tx-other"),
        ("connection", b"x-third"),
        ("x-secret-hop", b"1"),
        ("x-other", b"1"),
        ("x-third", b"1"),
        ("x-kept", b"1"),
    ]));
    assert!(
        !map.contains_key("x-secret-hop") && !map.contains_key("x-other") && !map.contains_key("x-third")
    );
    assert!(map.contains_key("x-kept"));
}

#[test]
fn c08_a_sender_can_neither_set_nor_strip_ours() {
    let map = sent(&message(&[
        ("connection", b"webhook-signature, gatepost-verified, webhook-id"),
        ("webhook-id", b"msg_theirs"),
        ("webhook-timestamp", b"1"),
        ("webhook-signature", b"v1,theirs"),
        ("gatepost-verified", b"body"),
        ("gatepost_verified", b"body"),
        ("gatepost.verified", b"body"),
        ("webhook_signature", b"v1,theirs"),
        ("gatepost-anything", b"x"),
        ("x_forwarded_for", b"127.0.0.1"),
    ]));
    assert_eq!(all(&map, "webhook-id"), [b"evt_01jdq8z3e9f7v8k2m4n6p8r0st"]);
    assert_eq!(all(&map, "webhook-timestamp"), [b"1700000100"]);
    assert_eq!(all(&map, "gatepost-verified"), [b"body"]);
    assert_eq!(map.get_all("webhook-signature").iter().count(), 1);
    for name in [
        "gatepost_verified",
        "gatepost.verified",
        "webhook_signature",
        "gatepost-anything",
        "x_forwarded_for",
    ] {
        assert!(!map.contains_key(name), "{name}");
    }
    assert!(!map.values().any(|it| it.as_bytes() == b"v1,theirs"));
}

#[test]
fn c09_what_is_not_verified_is_never_signed() {
    for (binding, is_signed) in [
        (Binding::Body, true),
        (Binding::Partial, true),
        (Binding::Origin, true),
        (Binding::None, false),
        (Binding::parse("a-newer-word").unwrap(), false),
    ] {
        let message = with_event(message(&[("webhook-signature", b"v1,theirs")]), |it| {
            it.binding = binding;
        });
        let map = sent(&message);
        assert_eq!(map.contains_key("webhook-signature"), is_signed, "{binding:?}");
        assert_eq!(all(&map, "gatepost-verified"), [binding.as_str().as_bytes()]);
    }
}

#[test]
fn without_a_secret_a_sender_s_signature_does_not_pass_for_ours() {
    let map = Outbound::new(Vec::new(), None).headers(&message(&[("webhook-signature", b"v1,theirs")]));
    assert!(!map.contains_key("webhook-signature"));
    assert!(map.contains_key("webhook-id"));
}

#[test]
fn the_signature_covers_this_attempt_s_time() {
    let first = message(&[]);
    let map = sent(&first);
    let expected = signer().sign(first.event.id, 1_700_000_100, b"{}");
    assert_eq!(all(&map, "webhook-signature"), [expected.as_bytes()]);
    let second = Message {
        attempt: 2,
        is_stale: false,
        order_key: None,
        now: Timestamp::from_unix_seconds(1_700_009_999),
        ..first
    };
    let later = sent(&second);
    assert_eq!(all(&later, "webhook-id"), all(&map, "webhook-id"));
    assert_eq!(all(&later, "webhook-timestamp"), [b"1700009999"]);
    assert_eq!(all(&later, "gatepost-attempt"), [b"2"]);
    assert_ne!(all(&later, "webhook-signature"), all(&map, "webhook-signature"));
}

#[test]
fn configured_headers_win_over_the_sender_s() {
    let configured = vec![
        (header::AUTHORIZATION, HeaderValue::from_static("Bearer ours")),
        (
            HeaderName::from_static("x-tenant"),
            HeaderValue::from_static("ours"),
        ),
        (header::USER_AGENT, HeaderValue::from_static("ours")),
    ];
    let map = Outbound::new(configured, None).headers(&message(&[
        ("authorization", b"Basic theirs"),
        ("x-tenant", b"theirs"),
        ("X_Tenant", b"theirs"),
        ("user-agent", b"theirs"),
    ]));
    assert_eq!(all(&map, "authorization"), [b"Bearer ours"]);
    assert_eq!(all(&map, "x-tenant"), [b"ours"]);
    assert_eq!(all(&map, "user-agent"), [b"ours"]);
    assert!(!map.contains_key("x_tenant"));
}

#[test]
fn while_a_secret_is_exchanged_there_is_a_signature_by_each() {
    let other = Signer::new(&Secret::new(*b"another text of enough bytes")).unwrap();
    let alone = |signer| {
        let map = Outbound::new(Vec::new(), [signer]).headers(&message(&[]));
        String::from_utf8(all(&map, "webhook-signature")[0].to_vec()).unwrap()
    };
    let map = Outbound::new(Vec::new(), [signer(), other.clone()]).headers(&message(&[]));
    let both = format!("{} {}", alone(signer()), alone(other));
    assert_eq!(all(&map, "webhook-signature"), [both.as_bytes()]);
}

#[test]
fn the_sender_s_user_agent_is_kept_and_ours_stands_in() {
    assert_eq!(
        all(&sent(&message(&[("user-agent", b"Stripe/1.0")])), "user-agent"),
        [b"Stripe/1.0"]
    );
    let ours = sent(&message(&[]));
    assert!(all(&ours, "user-agent")[0].starts_with(b"gatepost/"));
}

#[test]
fn a_trace_goes_on_with_its_state_and_a_new_one_without() {
    let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let map = sent(&message(&[("traceparent", parent), ("tracestate", b"a=1")]));
    assert_eq!(
        all(&map, "traceparent"),
        [b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01"]
    );
    assert_eq!(all(&map, "tracestate"), [b"a=1"]);
    let map = sent(&message(&[("traceparent", b"nonsense"), ("tracestate", b"a=1")]));
    assert_eq!(map.get_all("traceparent").iter().count(), 1);
    assert!(!map.contains_key("tracestate"));
}

#[test]
fn odd_types_and_ids_are_escaped() {
    let cases = [
        ("charge.refunded", "charge.refunded"),
        ("a b", "a b"),
        (" a ", "%20a%20"),
        (" ", "%20"),
        ("", ""),
        ("100%", "100%25"),
        ("a\r\nx-evil: 1", "a%0D%0Ax-evil: 1"),
        ("nul\0", "nul%00"),
        ("tab\t", "tab%09"),
        ("é", "%C3%A9"),
        ("\u{7f}", "%7F"),
    ];
    for (text, expected) in cases {
        assert_eq!(escaped(text).to_str().unwrap(), expected, "{text:?}");
    }
}

#[test]
fn long_ids_are_cut_between_characters() {
    assert_eq!(escaped(&"x".repeat(5_000)).len(), MAX_VALUE);
    let cut = escaped(&"é".repeat(5_000));
    assert_eq!(cut.len(), MAX_VALUE / 6 * 6);
    let message = with_event(message(&[]), |it| it.external_id = Some("x".repeat(100_000)));
    assert_eq!(
        sent(&message).get("gatepost-external-id").unwrap().len(),
        MAX_VALUE
    );
}

#[test]
fn what_is_absent_has_no_header() {
    let message = with_event(message(&[]), |it| {
        it.event_type = None;
        it.external_id = None;
    });
    let map = sent(&message);
    assert!(!map.contains_key("gatepost-event-type") && !map.contains_key("gatepost-external-id"));
}

proptest! {
    #[test]
    fn c07_no_line_break_gets_through(
        pairs in prop::collection::vec((".{0,12}", prop::collection::vec(any::<u8>(), 0..24)), 0..12),
        event_type: String,
        external_id: String,
        source: String,
    ) {
        let given: Vec<(&str, &[u8])> = pairs.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let message = with_event(message(&given), |it| {
            it.event_type = Some(event_type);
            it.external_id = Some(external_id);
            it.source = source.into();
        });
        let map = sent(&message);
        for (name, value) in &map {
            prop_assert!(!value.as_bytes().iter().any(|it| matches!(it, b'\r' | b'\n' | 0)), "{name}");
        }
        for name in ["webhook-id", "webhook-signature", "gatepost-verified", "gatepost-source"] {
            prop_assert_eq!(map.get_all(name).iter().count(), 1);
        }
    }

    #[test]
    fn escapes_can_be_undone(text in ".{0,60}") {
        let value = escaped(&text);
        let shown = value.to_str().unwrap();
        let mut bytes = Vec::new();
        let mut rest = shown.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            if first == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(first);
                rest = tail;
            }
        }
        prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
}
