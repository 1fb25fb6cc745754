//! The headers that a handler gets: written to the wire and read again by another parser; a sender can never set ours.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use aws_lc_rs::hmac::Key;
use bytes::Bytes;
use gatepost::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId},
        secret::Secret,
    },
    destination::{Message, headers::Outbound, signing::Signer},
    event::{
        Binding, Event, Origin,
        headers::Headers,
        trace::{Trace, Traceparent},
    },
};
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::{
    Target, Verdict,
    input::{Input, joined},
    mac,
    request::NOW,
    text::is_token,
};

pub const TARGET: Target = Target {
    name: "headers_out",
    run: |bytes| compare(may_pass, bytes),
    seeds,
};

const BINDINGS: [Binding; 4] = [Binding::Body, Binding::Origin, Binding::None, Binding::Partial];
const SECRET: &str = "a plain signing secret of enough bytes";
const OURS: &[&str] = &[
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "traceparent",
    "gatepost-source",
    "gatepost-event-type",
    "gatepost-external-id",
    "gatepost-attempt",
    "gatepost-verified",
    "gatepost-origin",
];

/// Whether a header of the sender's, by its name, is for the handler.
pub(crate) type Reference = fn(&str) -> bool;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static OUTBOUND: OnceLock<Outbound> = OnceLock::new();
    let outbound = OUTBOUND.get_or_init(|| {
        let signer = Signer::new(&Secret::new(SECRET)).expect("it is a secret");
        let name = HeaderName::from_static("x-configured");
        Outbound::new(
            vec![(name, HeaderValue::from_static("by the operator"))],
            Some(signer),
        )
    });
    let mut input = Input::new(bytes);
    let [flags, attempt] = input.array();
    let (event_type, external_id, head) = (input.utf8(), input.utf8(), input.text());
    let pairs: Vec<(&str, &[u8])> = head
        .split(|it| *it == b'\n')
        .take(16)
        .filter_map(|line| {
            let colon = line.iter().position(|it| *it == b':')?;
            Some((
                std::str::from_utf8(&line[..colon]).ok()?,
                line[colon + 1..].trim_ascii(),
            ))
        })
        .collect();
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let event = Event {
        id: EventId::from_uuid(Uuid::from_u128(7)),
        source: "stripe".into(),
        external_id: some(external_id),
        event_type: some(event_type),
        origin: Origin::Received,
        binding: BINDINGS[usize::from(flags) % BINDINGS.len()],
        occurred_at: None,
        received_at: Timestamp::EPOCH,
        query: String::new(),
        headers: Headers::from_pairs(pairs.iter().copied()),
        body: Bytes::from_static(b"{}"),
    };
    let traceparent = Traceparent {
        trace: Trace::of(&event.headers, event.id),
        span_id: 5,
    };
    let message = Message {
        event: Arc::new(event),
        delivery_id: DeliveryId::from_uuid(Uuid::nil()),
        origin: Origin::Replayed,
        attempt: attempt.into(),
        is_stale: false,
        order_key: None,
        traceparent,
        now: Timestamp::from_unix_seconds(NOW),
    };
    let map = outbound.headers(&message);
    let seen = on_the_wire(&map)?;
    check_ours(&message, &seen)?;
    check_theirs(reference, &pairs, &seen)
}

/// What an HTTP parser sees, by name.
fn on_the_wire(map: &HeaderMap) -> Result<BTreeMap<String, Vec<Vec<u8>>>, String> {
    let mut wire = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in map {
        wire.extend(name.as_str().as_bytes());
        wire.extend(b": ");
        wire.extend(value.as_bytes());
        wire.extend(b"\r\n");
    }
    wire.extend(b"\r\n");
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let end = request.parse(&wire);
    ensure!(
        end == Ok(httparse::Status::Complete(wire.len())),
        "{end:?} for {}",
        wire.escape_ascii()
    );
    let mut seen: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for header in request.headers.iter() {
        seen.entry(header.name.to_owned())
            .or_default()
            .push(header.value.to_vec());
    }
    ensure!(
        request.headers.len() == map.len(),
        "{} headers became {}",
        map.len(),
        request.headers.len()
    );
    for (name, values) in &seen {
        let sent: Vec<_> = map
            .get_all(name)
            .iter()
            .map(|it| it.as_bytes().trim_ascii().to_vec())
            .collect();
        ensure!(sent == *values, "`{name}` was {sent:?}, arrives as {values:?}");
    }
    Ok(seen)
}

/// Ours are there once each, and say what is so, whatever the sender sent.
fn check_ours(message: &Message, seen: &BTreeMap<String, Vec<Vec<u8>>>) -> Verdict {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::new(mac::HMAC_SHA256, SECRET.as_bytes()));
    let event = &message.event;
    let signed = format!("{}.{NOW}.", event.id);
    let signature = mac::base64(
        mac::STANDARD,
        true,
        &mac::hmac(key, &[signed.as_bytes(), &event.body]),
    );
    let expected = [
        ("webhook-id", Some(event.id.to_string())),
        ("webhook-timestamp", Some(NOW.to_string())),
        (
            "webhook-signature",
            (event.binding != Binding::None).then(|| format!("v1,{signature}")),
        ),
        ("gatepost-source", Some("stripe".to_owned())),
        ("gatepost-attempt", Some(message.attempt.to_string())),
        ("gatepost-verified", Some(event.binding.as_str().to_owned())),
        ("gatepost-origin", Some("replayed".to_owned())),
        ("x-configured", Some("by the operator".to_owned())),
    ];
    for (name, value) in expected {
        let found = seen.get(name).map(|it| it.concat());
        let value = value.map(String::into_bytes);
        ensure!(found == value, "`{name}` is {found:?}, expected {value:?}");
    }
    for (name, text) in [
        ("gatepost-event-type", &event.event_type),
        ("gatepost-external-id", &event.external_id),
    ] {
        let found = seen.get(name).map(|it| it.concat());
        match (found, text) {
            (None, None) => {}
            (Some(value), Some(text)) => {
                let is_plain = value.iter().all(|it| (b' '..=b'~').contains(it));
                ensure!(
                    is_plain && value.len() <= 1024,
                    "`{name}` is {}",
                    value.escape_ascii()
                );
                let back = unescaped(&value);
                let is_whole = value.len() < 1000;
                let fits = if is_whole {
                    back == *text
                } else {
                    text.starts_with(back.trim_end())
                };
                ensure!(
                    fits,
                    "`{name}` is {}, which reads as `{back}`",
                    value.escape_ascii()
                );
            }
            (found, text) => return Err(format!("`{name}` is {found:?} for {text:?}")),
        }
    }
    let trace = seen.get("traceparent").map(|it| it.concat()).unwrap_or_default();
    ensure!(
        trace.len() == 55 && trace.starts_with(b"00-"),
        "traceparent is {}",
        trace.escape_ascii()
    );
    Ok(())
}

/// What else arrives is the sender's, as it was; nothing of it that a framework could take for ours.
fn check_theirs(
    reference: Reference,
    pairs: &[(&str, &[u8])],
    seen: &BTreeMap<String, Vec<Vec<u8>>>,
) -> Verdict {
    let named: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .flat_map(|it| it.split(','))
        .map(|it| it.trim_matches([' ', '\t']).to_ascii_lowercase())
        .collect();
    let is_value = |it: &[u8]| it.iter().all(|c| *c >= b' ' && *c != 0x7f || *c == b'\t');
    let mut expected: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (name, value) in pairs {
        let name = name.to_ascii_lowercase();
        let is_dropped = !reference(&name) || named.contains(&name);
        if is_token(&name) && is_value(value) && !is_dropped {
            expected.entry(name).or_default().push(value.to_vec());
        }
    }
    if !expected.contains_key("user-agent") {
        let own = seen.get("user-agent").cloned().unwrap_or_default();
        ensure!(
            own.concat().starts_with(b"gatepost/"),
            "the user agent is {own:?}"
        );
        expected.insert("user-agent".to_owned(), own);
    }
    for (name, values) in seen {
        let is_mine = OURS.contains(&name.as_str()) || name == "x-configured";
        // It goes on only with the sender's own trace.
        if is_mine || name == "tracestate" {
            continue;
        }
        let theirs = expected.remove(name);
        ensure!(
            theirs.as_ref() == Some(values),
            "`{name}` arrives as {values:?}, expected {theirs:?}"
        );
    }
    ensure!(expected.is_empty(), "these do not arrive: {expected:?}");
    Ok(())
}

/// By the form in which CGI and its heirs show a name.
pub(crate) fn may_pass(name: &str) -> bool {
    const CLOSED: &str = " CONNECTION KEEP_ALIVE TE TRAILER TRAILERS TRANSFER_ENCODING UPGRADE HTTP2_SETTINGS WEBHOOK_ID \
        WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE TRACEPARENT TRACESTATE HOST CONTENT_LENGTH EXPECT COOKIE COOKIE2 AUTHORIZATION \
        ACCEPT_ENCODING FORWARDED VIA CDN_LOOP X_REAL_IP X_CLIENT_IP X_CLUSTER_CLIENT_IP X_ORIGINAL_FORWARDED_FOR \
        X_ORIGINAL_HOST X_ORIGINAL_URL X_REWRITE_URL X_HOST X_HTTP_METHOD X_HTTP_METHOD_OVERRIDE X_METHOD_OVERRIDE \
        X_ENVOY_EXTERNAL_ADDRESS X_ENVOY_ORIGINAL_PATH X_APPENGINE_USER_IP X_AZURE_CLIENTIP X_AZURE_SOCKETIP \
        CF_CONNECTING_IP CF_CONNECTING_IPV6 CF_PSEUDO_IPV4 CF_IPCOUNTRY CF_RAY CF_VISITOR CF_WORKER TRUE_CLIENT_IP \
        FASTLY_CLIENT_IP FLY_CLIENT_IP DO_CONNECTING_IP WL_PROXY_CLIENT_IP X_CONFIGURED ";
    let shown: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    let is_closed = CLOSED.contains(&format!(" {shown} "));
    !is_closed
        && !["GATEPOST_", "PROXY_", "X_FORWARDED"]
            .iter()
            .any(|it| shown.starts_with(it))
}

fn unescaped(value: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = value;
    while let Some((c, after)) = rest.split_first() {
        rest = after;
        if *c == b'%'
            && let Some((code, after)) = rest.split_at_checked(2)
        {
            bytes.extend(mac::unhex(code));
            rest = after;
        } else {
            bytes.push(*c);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        ("push", "evt_1", "content-type: application/json\nx-a: 1\nx-a: 2"),
        ("a b", "é%\r\nX: y", "Gatepost-Verified: body\ngatepost_verified: body\nwebhook.id: 1"),
        (" ", "", "Connection: x-a, Webhook-Signature\nx-a: 1\nTE: trailers\nx-b: \u{ff}"),
        ("t", "i", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\ntracestate: a=1\nuser-agent: x"),
        ("", "", "X-Forwarded-For: 1\nx_forwarded_host: h\nCookie: a\nHost: h\nContent-Length: 5\nx-configured: mine"),
        ("", "", "bad name: 1\n: 2\nx: \u{7f}\nproxy-x: 1\nCF_RAY: 1"),
    ]
    .into_iter()
    .enumerate()
    .map(|(idx, (event_type, id, head))| joined(&[idx as u8, 1], &[event_type.as_bytes(), id.as_bytes(), head.as_bytes()]))
    .collect()
}
