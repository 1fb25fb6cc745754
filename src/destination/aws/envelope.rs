//! An event as SQS and SNS carry one: a text, and at most ten attributes. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::destination::{
    Fate, Message, SendError,
    aws::too_large,
    headers::{Outbound, as_json},
};

/// Headers that are attributes of their own, so that a filter policy can see them and a consumer verify what it has.
const NAMED: &[&str] = &[
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "gatepost-source",
    "gatepost-event-type",
    "gatepost-verified",
    "gatepost-stale",
];
/// All headers, as one JSON object.
const HEADERS: &str = "gatepost-headers";
/// Some of them did not fit.
const HEADERS_CUT: &str = "gatepost-headers-cut";
const BODY_ENCODING: &str = "gatepost-body-encoding";
/// Every attribute is a text.
const TYPE: &str = "String";

const MAX_HEADERS: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The body, or its base64 where `gatepost-body-encoding` says so.
    pub text: String,
    pub attributes: Vec<(&'static str, String)>,
}

/// `title` is the service's, which takes so many bytes at most.
pub fn of(message: &Message, outbound: &Outbound, title: &str, limit: usize) -> Result<Envelope, SendError> {
    let body = &message.event.body;
    if body.is_empty() {
        let explanation = format!("its body is empty, and {title} takes no message without a text");
        return Err(SendError::new("empty", explanation, Fate::Permanent));
    }
    let headers = outbound.headers(message);
    let mut attributes: Vec<(&'static str, String)> = Vec::with_capacity(10);
    for name in NAMED {
        if let Some(value) = headers.get(*name).and_then(|it| it.to_str().ok()) {
            attributes.push((name, value.to_owned()));
        }
    }
    let (json, is_cut) = as_json(&headers, MAX_HEADERS);
    attributes.push((HEADERS, json));
    if is_cut {
        attributes.push((HEADERS_CUT, "true".to_owned()));
    }
    let text = match std::str::from_utf8(body) {
        Ok(text) if text.chars().all(is_carried) => text.to_owned(),
        _ => {
            attributes.push((BODY_ENCODING, "base64".to_owned()));
            STANDARD.encode(body)
        }
    };
    attributes.retain(|(_, value)| !value.is_empty());
    let of_attribute = |(name, value): &(&str, String)| name.len() + TYPE.len() + value.len();
    let len = text.len() + attributes.iter().map(of_attribute).sum::<usize>();
    if len > limit {
        return Err(too_large(title, len, limit));
    }
    Ok(Envelope { text, attributes })
}

/// The characters of XML 1.0: a message with any other is refused.
const fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::{
        base::{clock::Timestamp, ids::DeliveryId, secret::Secret},
        destination::signing::Signer,
        event::{
            Binding, Event, Origin,
            headers::Headers,
            trace::{Trace, Traceparent},
        },
    };

    fn message(body: &[u8], headers: &[(&str, &[u8])]) -> Message {
        Message {
            event: Arc::new(Event {
                id: "evt_01jdq8z3e9f7v8k2m4n6p8r0st".parse().unwrap(),
                source: "stripe".into(),
                external_id: None,
                event_type: Some("rechnung.bezahlt ü".into()),
                origin: Origin::Received,
                binding: Binding::Body,
                occurred_at: None,
                received_at: Timestamp::EPOCH,
                query: String::new(),
                headers: Headers::from_pairs(headers.iter().copied()),
                body: body.to_vec().into(),
            }),
            delivery_id: DeliveryId::new(),
            origin: Origin::Received,
            attempt: 1,
            is_stale: true,
            order_key: None,
            traceparent: Traceparent {
                trace: Trace::begun(Uuid::nil()),
                span_id: 1,
            },
            now: Timestamp::EPOCH,
        }
    }

    fn outbound() -> Outbound {
        let secret = Secret::new(*b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        Outbound::new(Vec::new(), [Signer::new(&secret).unwrap()])
    }

    fn envelope(body: &[u8]) -> Envelope {
        of(&message(body, &[("x-a", b"1")]), &outbound(), "SQS", 1 << 20).unwrap()
    }

    #[test]
    fn a_body_that_is_text_goes_as_it_is_and_any_other_in_base64() {
        let good = envelope("{\"ü\":\t1}\r\n".as_bytes());
        assert_eq!(good.text, "{\"ü\":\t1}\r\n");
        assert!(good.attributes.iter().all(|it| it.0 != BODY_ENCODING));
        for body in [&b"\xff"[..], b"a\0b", b"\x1b[0m", "\u{fffe}".as_bytes()] {
            let other = envelope(body);
            assert_eq!(STANDARD.decode(&other.text).unwrap(), body);
            assert!(other.attributes.contains(&(BODY_ENCODING, "base64".to_owned())));
        }
    }

    #[test]
    fn there_are_never_more_than_ten_attributes_and_none_is_empty() {
        let long = vec![b'x'; 20 << 10];
        let message = message(b"\xff", &[("x-long", &long), ("x-a", b"1")]);
        let full = of(&message, &outbound(), "SQS", 1 << 20).unwrap();
        assert_eq!(full.attributes.len(), 10, "{full:?}");
        assert!(full.attributes.iter().all(|it| !it.1.is_empty()));
        let find = |name: &str| &full.attributes.iter().find(|it| it.0 == name).unwrap().1;
        assert_eq!(find("gatepost-event-type"), "rechnung.bezahlt %C3%BC");
        assert_eq!(find(HEADERS_CUT), "true");
        let headers: serde_json::Value = serde_json::from_str(find(HEADERS)).unwrap();
        assert_eq!(
            (&headers["x-a"], &headers["gatepost-attempt"]),
            (&"1".into(), &"1".into())
        );
        assert!(headers.get("x-long").is_none());
    }

    #[test]
    fn h06_what_no_service_takes_is_given_up_at_once() {
        let largest = vec![b'x'; 1000];
        let of = |body: &[u8], limit| of(&message(body, &[]), &outbound(), "SQS", limit);
        let error = of(&largest, 1000).unwrap_err();
        assert_eq!((error.code, error.fate), ("too_large", Fate::Permanent));
        assert!(error.explanation.contains("SQS takes 1000 at most"), "{error}");
        let error = of(b"", 1000).unwrap_err();
        assert_eq!((error.code, error.fate), ("empty", Fate::Permanent));
    }
}
