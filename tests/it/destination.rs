//! What a handler really gets, and what becomes of its answers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, ids::DeliveryId, safe_url::SafeUrl, secret::Secret},
    delivery::{
        judge::{Verdict, judge},
        schedule,
    },
    destination::{
        self, Destination, Kind, Message, Settings, Way,
        breaker::Rules,
        retry::{Retry, Statuses},
    },
    event::{
        Binding, Event, Origin, body_hash,
        headers::Headers,
        trace::{Trace, Traceparent},
    },
};

use crate::handler::{Handler, Received};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
const RETRY: Retry = Retry {
    max_attempts: 12,
    max_age: Duration::from_hours(72),
    first: Duration::from_secs(10),
    cap: Duration::from_hours(6),
    schedule: Vec::new(),
    on: None,
    never: Statuses::NONE,
};

fn settings(url: &str) -> Settings {
    Settings {
        name: "billing".into(),
        kind: Kind::Http(SafeUrl::new(url.parse().unwrap())),
        timeout: Duration::from_secs(20),
        concurrency: 4,
        rate: None,
        signing_secret: Some(Secret::new(*b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        signing_secrets: Vec::new(),
        headers: vec![("authorization".into(), Secret::new(*b"Bearer of-the-operator"))],
        retry: RETRY,
        hold_after: None,
        oauth2: None,
        proxy: None,
        tls: destination::Tls::default(),
        breaker: Rules::default(),
    }
}

fn build(url: &str) -> Arc<dyn Destination> {
    match destination::build(&settings(url)).unwrap() {
        Way::Push(destination) => destination,
        Way::Pull(_) => unreachable!("a URL is sent to"),
    }
}

fn event(headers: &[(&str, &[u8])], body: &'static [u8]) -> Event {
    Event {
        id: "evt_01jdq8z3e9f7v8k2m4n6p8r0st".parse().unwrap(),
        source: "stripe".into(),
        external_id: Some("evt_1NG8Du2eZvKYlo2CUI79vXWy".into()),
        event_type: Some("payment_intent.succeeded".into()),
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: None,
        received_at: NOW,
        query: String::new(),
        headers: Headers::from_pairs(headers.iter().copied()),
        body: Bytes::from_static(body),
    }
}

fn message(event: Event) -> Message {
    let traceparent = Traceparent {
        trace: Trace::of(&event.headers, event.id),
        span_id: 1,
    };
    Message {
        event: Arc::new(event),
        delivery_id: DeliveryId::new(),
        origin: Origin::Received,
        attempt: 1,
        is_stale: false,
        order_key: None,
        traceparent,
        now: NOW,
    }
}

/// What the handler got, with what differs from run to run blotted out.
fn shown(received: &Received) -> String {
    let mut lines = received.lines();
    for line in &mut lines {
        if line.starts_with("host: ") {
            "host: 127.0.0.1:PORT".clone_into(line);
        }
        if let Some(rest) = line.strip_prefix("traceparent: ") {
            let (trace, _) = rest.split_at("00-".len() + 32);
            *line = format!("traceparent: {trace}-SPAN-01");
        }
        *line = line.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    }
    lines.join("\n")
}

async fn exchange(event: Event) -> Received {
    let (handler, mut requests) = Handler::answering(OK).await;
    let response = build(&handler.url("/hooks?x=1"))
        .send(&message(event))
        .await
        .unwrap();
    assert_eq!((response.status, &response.body[..]), (Some(200), &b"ok"[..]));
    requests.recv().await.unwrap()
}

const SENDERS: &[(&str, &[u8])] = &[
    ("Host", b"hooks.example.com"),
    ("Content-Type", b"application/json; charset=utf-8"),
    ("Content-Length", b"999"),
    ("User-Agent", b"Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
    ("Accept", b"*/*; q=0.5, application/xml"),
    ("Accept-Encoding", b"gzip"),
    ("Cache-Control", b"no-cache"),
    ("Stripe-Signature", b"t=1767225600,v1=5257a869"),
    ("X-Twice", b"1"),
    ("X-Twice", b"2"),
    ("Connection", b"keep-alive, x-hop, gatepost-verified"),
    ("Keep-Alive", b"timeout=5"),
    ("X-Hop", b"1"),
    ("TE", b"trailers"),
    ("Trailer", b"x-checksum"),
    ("Transfer-Encoding", b"chunked"),
    ("Upgrade", b"h2c"),
    ("Expect", b"100-continue"),
    ("Proxy-Authorization", b"Basic c2VuZGVy"),
    ("Authorization", b"Basic c2VuZGVy"),
    ("Cookie", b"session=theirs"),
    ("Forwarded", b"for=10.0.0.1"),
    ("X-Forwarded-For", b"10.0.0.1"),
    ("X_Forwarded_For", b"10.0.0.1"),
    ("X-Real-IP", b"10.0.0.1"),
    ("Via", b"1.1 proxy"),
    ("CF-Connecting-IP", b"10.0.0.1"),
    ("Webhook-Id", b"msg_theirs"),
    ("Webhook-Timestamp", b"1"),
    ("Webhook-Signature", b"v1,theirs"),
    ("Gatepost-Verified", b"body"),
    ("Gatepost_Verified", b"body"),
    ("Gatepost-Made-Up", b"theirs"),
];

#[tokio::test]
async fn c08_exactly_these_headers_reach_the_handler() {
    let received = exchange(event(SENDERS, b"{\"id\":\"evt_1\"}")).await;
    insta::assert_snapshot!(shown(&received), @r"
    POST /hooks?x=1 HTTP/1.1
    content-type: application/json; charset=utf-8
    user-agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)
    accept: */*; q=0.5, application/xml
    cache-control: no-cache
    stripe-signature: t=1767225600,v1=5257a869
    x-twice: 1
    x-twice: 2
    authorization: Bearer of-the-operator
    webhook-signature: v1,4LLN82C1LF3axDfyohx+6d8hIxByHYTXaR1DmTkO6oM=
    webhook-id: evt_01jdq8z3e9f7v8k2m4n6p8r0st
    webhook-timestamp: 1767225600
    gatepost-source: stripe
    gatepost-event-type: payment_intent.succeeded
    gatepost-external-id: evt_1NG8Du2eZvKYlo2CUI79vXWy
    gatepost-attempt: 1
    gatepost-verified: body
    gatepost-origin: received
    traceparent: 00-01936e8f8dc979f6898a84a9ac8c033a-SPAN-01
    host: 127.0.0.1:PORT
    content-length: 14
    ");
    assert_eq!(received.body, b"{\"id\":\"evt_1\"}");
}

#[tokio::test]
async fn c09_what_is_not_verified_is_never_signed() {
    let mut unverified = event(&[("webhook-signature", b"v1,theirs")], b"{}");
    unverified.binding = Binding::None;
    unverified.external_id = None;
    unverified.event_type = None;
    let received = exchange(unverified).await;
    insta::assert_snapshot!(shown(&received), @r"
    POST /hooks?x=1 HTTP/1.1
    authorization: Bearer of-the-operator
    user-agent: gatepost/VERSION
    webhook-id: evt_01jdq8z3e9f7v8k2m4n6p8r0st
    webhook-timestamp: 1767225600
    gatepost-source: stripe
    gatepost-attempt: 1
    gatepost-verified: none
    gatepost-origin: received
    traceparent: 00-01936e8f8dc979f6898a84a9ac8c033a-SPAN-01
    accept: */*
    host: 127.0.0.1:PORT
    content-length: 2
    ");
}

#[tokio::test]
async fn c07_a_hostile_type_or_id_stays_within_its_header() {
    let mut hostile = event(
        &[
            ("x-latin", b"caf\xe9"),
            ("x-crlf", b"a\r\nx-smuggled: 1"),
            ("x-nul", b"a\0b"),
            ("x lf", b"1"),
        ],
        b"{}",
    );
    hostile.event_type = Some("a\r\nx-smuggled: 1\r\n\r\nGET / HTTP/1.1".into());
    hostile.external_id = Some("\u{0}\u{7f}é\n".into());
    let received = exchange(hostile).await;
    assert!(received.header("x-smuggled").is_empty() && received.header("x-crlf").is_empty());
    assert_eq!(received.header("x-latin"), ["caf\u{e9}"]);
    assert_eq!(
        received.header("gatepost-event-type"),
        ["a%0D%0Ax-smuggled: 1%0D%0A%0D%0AGET / HTTP/1.1"]
    );
    assert_eq!(received.header("gatepost-external-id"), ["%00%7F%C3%A9%0A"]);
    // A parser that is not the client's finds nothing but names and values.
    for line in received.lines().iter().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        assert!(
            name.bytes().all(|it| it.is_ascii_graphic() && it != b':'),
            "{line:?}"
        );
        assert!(!value.contains(['\r', '\n', '\0']), "{line:?}");
    }
}

#[tokio::test]
async fn f10_every_attempt_carries_the_whole_body() {
    const BODY: &[u8] = b"\x00\xff\xfe{ \"spaces\" :\r\n 1.0 }\n\x1f\x8b";
    let (handler, mut requests) = Handler::answering(*b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    let destination = build(&handler.url("/"));
    let mut message = message(event(&[], BODY));
    let mut ids = Vec::new();
    for attempt in 1..=4 {
        message.attempt = attempt;
        destination.send(&message).await.unwrap();
        let received = requests.recv().await.unwrap();
        assert_eq!(body_hash(&received.body), body_hash(BODY));
        assert_eq!(received.header("gatepost-attempt"), [attempt.to_string()]);
        ids.extend(received.header("webhook-id"));
    }
    ids.dedup();
    assert_eq!(ids, ["evt_01jdq8z3e9f7v8k2m4n6p8r0st"]);
}

#[tokio::test]
async fn an_empty_body_is_sent_as_one() {
    let received = exchange(event(&[], b"")).await;
    assert_eq!(received.header("content-length"), ["0"]);
    assert!(received.body.is_empty());
}

async fn verdict_of(answer: &str) -> Verdict {
    let (handler, _requests) = Handler::answering(answer).await;
    let result = build(&handler.url("/")).send(&message(event(&[], b"{}"))).await;
    judge(&result, &RETRY, NOW).verdict
}

#[tokio::test]
async fn f08_a_handler_says_when_to_come_again() {
    let answer = "HTTP/1.1 429 Slow Down\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n";
    let Verdict::Retry { not_before } = verdict_of(answer).await else {
        panic!("not tried again");
    };
    let at = schedule::next(&RETRY, 1, NOW, NOW, 0.0, not_before).unwrap();
    assert_eq!(at.since(NOW), Duration::from_secs(90));
}

#[tokio::test]
async fn f08_a_handler_cannot_put_a_delivery_off_for_ever() {
    let answer = "HTTP/1.1 503 Later\r\nretry-after: 1000000000000\r\ncontent-length: 0\r\n\r\n";
    let Verdict::Retry { not_before } = verdict_of(answer).await else {
        panic!("not tried again");
    };
    let at = schedule::next(&RETRY, 1, NOW, NOW, 0.0, not_before).unwrap();
    assert_eq!(at.since(NOW), Duration::from_hours(24));
}

#[tokio::test]
async fn f09_gone_ends_the_delivery_and_holds_the_route() {
    let verdict = verdict_of("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(verdict, Verdict::Dead { hold_route: true });
}

#[tokio::test]
async fn f11_a_huge_answer_still_counts_and_little_of_it_is_kept() {
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\nset-cookie: a=hunter2\r\nx-a: b\r\n\r\n".to_vec();
    answer.resize(1 << 20, b'x');
    let (handler, _requests) = Handler::answering(answer).await;
    let result = build(&handler.url("/")).send(&message(event(&[], b"{}"))).await;
    assert_eq!(judge(&result, &RETRY, NOW).verdict, Verdict::Delivered);
    let response = result.unwrap();
    assert_eq!(response.body.len(), 4 << 10);
    assert_eq!(response.headers.first_str("x-a"), Some("b"));
    assert!(response.headers.first("set-cookie").is_none());
}

#[tokio::test]
async fn a_failure_names_the_host_and_no_secret() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hunter2?key=hunter2", listener.local_addr().unwrap());
    drop(listener);
    let result = build(&url).send(&message(event(&[], b"hunter2"))).await;
    let error = result.clone().unwrap_err();
    assert_eq!(error.code, "refused");
    let text = format!("{error:?} {:?}", judge(&result, &RETRY, NOW));
    assert!(text.contains("127.0.0.1") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_built_destination_prints_no_secret() {
    let text = format!("{:?}", build("http://127.0.0.1:9/hunter2?key=hunter2"));
    assert!(
        !text.contains("hunter2") && !text.contains("of-the-operator"),
        "{text}"
    );
}
