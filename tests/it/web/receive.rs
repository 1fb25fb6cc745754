//! The public side, down to the store.

use bytes::Bytes;
use gatepost::{
    base::{clock::wall_now, ids::EventId, secret::Secret},
    event::Event,
    provider::{self, Wanted},
    store::query::{RequestQuery, RequestSummary},
};
use tokio::time::Instant;

use crate::web::{
    fixture::Fixture,
    wire::{Answer, PATIENCE},
};

/// A request that GitHub could have sent.
fn signed(secret: &str) -> Vec<u8> {
    let github = provider::find("github").unwrap();
    let sample = github
        .sample(&Secret::new(secret), &Wanted::default(), wall_now())
        .unwrap();
    let length = sample.body.len();
    let head = format!("POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
    let headers: Vec<_> = sample
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    [
        head.as_bytes(),
        headers.concat().as_bytes(),
        b"\r\n",
        &sample.body,
    ]
    .concat()
}

fn open(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head =
        format!("POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let head = "POST /webhooks/open HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    for piece in body.chunks(1000) {
        request.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        request.extend(piece);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

fn id(answer: &Answer) -> EventId {
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

fn check_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], code);
}

async fn stored(app: &Fixture, answer: &Answer) -> Event {
    assert_eq!(answer.status, 200, "{answer:?}");
    app.store.event(id(answer)).await.unwrap()
}

async fn n_received(app: &Fixture) -> u64 {
    app.store.ledger(wall_now()).await.unwrap().received
}

#[tokio::test]
async fn what_verifies_is_stored_before_it_is_answered() {
    let app = Fixture::start().await;
    let request = signed("canary-github-secret");
    let answer = app.public.ask(&request).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.text(),
        format!(r#"{{"id":"{}","status":"accepted"}}"#, id(&answer))
    );
    let event = stored(&app, &answer).await;
    assert!(request.ends_with(&event.body));
    assert_eq!(event.event_type.as_deref(), Some("push"));

    let again = app.public.ask(&request).await;
    assert_eq!(
        again.text(),
        format!(r#"{{"id":"{}","status":"duplicate"}}"#, id(&answer))
    );
}

#[tokio::test]
async fn a_forgery_gets_401_and_only_the_operator_learns_why() {
    let app = Fixture::start().await;
    let mut wire = app.public.connect().await;
    wire.send(signed("another-secret-of-16-bytes")).await;
    let answer = wire.answer().await;
    check_problem(&answer, 401, "unauthorized");
    assert!(!answer.text().contains("signature"), "{}", answer.text());
    let rejected = rejected(&app).await;
    assert_eq!(rejected.cause, "signature_mismatch");
    assert_eq!(rejected.client.as_deref(), Some("127.0.0.1"));
    assert_eq!(rejected.target, "/webhooks/github");

    // Once the secret is mended, it could be accepted; with today's it cannot.
    let body = format!(
        r#"{{"ids":["{}","req_00000000000000000000000000"]}}"#,
        rejected.id
    );
    let json = app.post("/v1/requests/accept", &body).await.json();
    assert_eq!(json["data"][0]["result"], "still_rejected");
    assert_eq!(json["data"][0]["cause"], "signature_mismatch");
    assert_eq!(json["data"][1]["result"], "not_found");
}

/// It is written behind the answer.
async fn rejected(app: &Fixture) -> RequestSummary {
    let query = RequestQuery {
        limit: 1,
        ..RequestQuery::default()
    };
    let look = async {
        loop {
            let mut page = app.store.requests(&query).await.unwrap();
            if let Some(row) = page.rows.pop() {
                return row;
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("it is kept")
}

#[tokio::test]
async fn a05_bytes_are_stored_as_they_came() {
    let app = Fixture::start().await;
    let bodies: [&[u8]; 5] = [
        b"",
        b"\xff\x00\r\n",
        b"\xef\xbb\xbf{\"a\":1,\"a\":1e400}",
        b"a=1&b=%00",
        b"\x1f\x8b\x08\x00not really gzip",
    ];
    for body in bodies {
        let answer = app.public.ask(open("content-encoding: gzip\r\n", body)).await;
        assert_eq!(stored(&app, &answer).await.body, body);
        let answer = app.public.ask(chunked(body)).await;
        assert_eq!(stored(&app, &answer).await.body, body);
    }
    let large = Bytes::from(vec![b'x'; 60_000]);
    let answer = app.public.ask(chunked(&large)).await;
    assert_eq!(stored(&app, &answer).await.body, large);
}

#[tokio::test]
async fn headers_and_client_are_kept() {
    let app = Fixture::start().await;
    let headers = b"x-a: \xff\r\nX-B: 1\r\nx-a: 2\r\nx-forwarded-for: 6.6.6.6, 203.0.113.7\r\n";
    let mut request = b"POST /webhooks/open?x=%41 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n".to_vec();
    request.extend(headers);
    request.extend(b"\r\n");
    let event = stored(&app, &app.public.ask(request).await).await;
    let values: Vec<_> = event.headers.all("x-a").collect();
    assert_eq!(values, [&b"\xff"[..], b"2"]);
    assert_eq!(event.headers.first("x-b"), Some(&b"1"[..]));

    let mut request = signed("another-secret-of-16-bytes");
    let end_of_first_line = request.iter().position(|c| *c == b'\n').unwrap() + 1;
    let forwarded = b"x-forwarded-for: 6.6.6.6, 203.0.113.7\r\n";
    request.splice(end_of_first_line..end_of_first_line, forwarded.iter().copied());
    app.public.ask(request).await;
    assert_eq!(rejected(&app).await.client.as_deref(), Some("203.0.113.7"));
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let app = Fixture::start().await;
    for (target, code) in [
        ("/webhooks/nobody", "no_such_source"),
        ("/webhooks/", "no_such_source"),
        ("/webhooks/open/", "no_such_source"),
        ("/webhooks/OPEN", "no_such_source"),
        ("/webhooks/%6fpen", "no_such_source"),
        ("/webhooks", "not_found"),
        ("/", "not_found"),
        ("//webhooks/open", "not_found"),
        ("/v1/events", "not_found"),
        ("/metrics", "not_found"),
    ] {
        let request = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
        check_problem(&app.public.ask(request).await, 404, code);
    }
    assert_eq!(n_received(&app).await, 0);
    // Names that do not exist are nobody's label.
    assert!(!app.public.metrics().contains("source=\"nobody\""));
    assert!(
        app.public
            .metrics()
            .contains("gatepost_requests_unknown_source_total 5\n")
    );
}

#[tokio::test]
async fn methods_that_no_handshake_needs_are_405() {
    let app = Fixture::start().await;
    for method in [
        "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "WEBHOOK",
    ] {
        let request = format!("{method} /webhooks/open HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut wire = app.public.connect().await;
        wire.send(request).await;
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(answer.contains("\r\nallow: POST\r\n"), "{method}: {answer}");
    }
    let request = "GET /webhooks/open HTTP/1.1\r\nhost: x\r\nx-http-method-override: POST\r\n\r\n";
    assert_eq!(app.public.ask(request).await.status, 405);
}

#[tokio::test]
async fn d01_a_declared_size_over_the_limit_is_refused_unread() {
    let app = Fixture::start().await;
    let mut wire = app.public.connect().await;
    wire.send("POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: 10737418240\r\n\r\n")
        .await;
    check_problem(&wire.answer().await, 413, "body_too_large");
    // A client that goes on sending still gets to read it.
    let mut wire = app.public.connect().await;
    wire.send("POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        .await;
    wire.try_send(vec![b'x'; 1_000_000]).await;
    check_problem(&wire.answer().await, 413, "body_too_large");
    // The source's own limit.
    let request = "POST /webhooks/limited HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\nhello world";
    check_problem(&app.public.ask(request).await, 413, "body_too_large");
    assert_eq!(n_received(&app).await, 0);
}

#[tokio::test]
async fn d05_a_chunked_body_one_byte_over_is_refused_not_cut() {
    let app = Fixture::start().await;
    let exact = vec![b'x'; 64 * 1024];
    assert_eq!(app.public.ask(chunked(&exact)).await.status, 200);
    let over = vec![b'x'; 64 * 1024 + 1];
    check_problem(&app.public.ask(chunked(&over)).await, 413, "body_too_large");
    assert_eq!(n_received(&app).await, 1);
}

#[tokio::test]
async fn d03_a_body_that_does_not_come_gets_408() {
    let app = Fixture::start().await;
    for start in [
        "POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
        "POST /webhooks/open HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let started_at = Instant::now();
        let mut wire = app.public.connect().await;
        wire.send(start).await;
        let answer = wire.answer().await;
        check_problem(&answer, 408, "body_too_slow");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(
            started_at.elapsed().as_millis() < 2500,
            "after the grace, not after the whole time"
        );
        assert_eq!(wire.rest().await, b"");
    }
    assert_eq!(n_received(&app).await, 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nothing() {
    let app = Fixture::start().await;
    let mut wire = app.public.connect().await;
    wire.send("POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
        .await;
    drop(wire);
    assert_eq!(app.public.ask(open("", "whole")).await.status, 200);
    assert_eq!(n_received(&app).await, 1);
    assert!(app.public.metrics().contains("gatepost_panics_total 0\n"));
}

#[tokio::test]
async fn expectations_are_met_or_refused_at_once() {
    let app = Fixture::start().await;
    let head = |n| {
        format!(
            "POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: {n}\r\nexpect: 100-continue\r\n\r\n"
        )
    };
    let mut wire = app.public.connect().await;
    wire.send(head(5)).await;
    assert_eq!(wire.answer().await.status, 100);
    wire.send("hello").await;
    assert_eq!(stored(&app, &wire.answer().await).await.body, "hello");
    let answer = app.public.ask(head(65 * 1024)).await;
    check_problem(&answer, 413, "body_too_large");
}

#[tokio::test]
async fn d01_bodies_over_the_budget_get_503() {
    let app = Fixture::start().await;
    let head = |n| {
        format!(
            "POST /webhooks/open HTTP/1.1\r\nhost: x\r\ncontent-length: {n}\r\nexpect: 100-continue\r\n\r\n"
        )
    };
    let mut first = app.public.connect().await;
    first.send(head(60_000)).await;
    // Its body is asked for, so its room is taken: 60,000 of 102,400 bytes.
    assert_eq!(first.answer().await.status, 100);
    let answer = app.public.ask(head(60_000)).await;
    check_problem(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    first.send(vec![b'x'; 60_000]).await;
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(app.public.ask(open("", vec![b'x'; 60_000])).await.status, 200);
}

#[tokio::test]
async fn over_its_rate_a_source_gets_429() {
    let app = Fixture::start().await;
    let request = "POST /webhooks/limited HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(app.public.ask(request).await.status, 200);
    let answer = app.public.ask(request).await;
    check_problem(&answer, 429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        app.public.ask(open("", "hi")).await.status,
        200,
        "others are not touched"
    );
}

#[tokio::test]
async fn b01_a_forgery_is_refused_by_a_store_that_is_down() {
    let app = Fixture::start().await;
    let known = signed("canary-github-secret");
    assert_eq!(app.public.ask(&known).await.status, 200);
    app.store.close().await;
    let mut tampered = known.clone();
    tampered.pop();
    tampered.push(b'~');
    for forged in [signed("another-secret-of-16-bytes"), tampered] {
        check_problem(&app.public.ask(forged).await, 401, "unauthorized");
    }
    // What is genuine has to be looked up, and is not refused for that.
    check_problem(&app.public.ask(&known).await, 503, "unavailable");
}

#[tokio::test]
async fn f02_a_store_that_is_down_is_503() {
    let app = Fixture::start().await;
    app.store.close().await;
    let answer = app.public.ask(signed("canary-github-secret")).await;
    check_problem(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn odd_targets_reach_their_source_or_none() {
    let app = Fixture::start().await;
    let ask = async |target: &str| {
        let request = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
        app.public.ask(request).await
    };
    assert_eq!(
        ask("http://elsewhere.example/webhooks/open?a=b").await.status,
        200
    );
    check_problem(
        &ask(&format!("/webhooks/{}", "a".repeat(7000))).await,
        404,
        "no_such_source",
    );
    assert_eq!(
        ask(&format!("/webhooks/{}", "a".repeat(10_000))).await.status,
        431
    );
    assert_eq!(ask("/webhooks/open\0").await.status, 400);
}

#[tokio::test]
async fn health_is_here_too() {
    let app = Fixture::start().await;
    let ask = async |method: &str, target: &str| {
        app.public
            .ask(format!("{method} {target} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await
    };
    assert_eq!(ask("GET", "/livez").await.status, 200);
    assert_eq!(ask("GET", "/readyz?x").await.status, 200);
    assert_eq!(ask("POST", "/livez").await.header("allow"), Some("GET, HEAD"));
    app.draining.cancel();
    assert_eq!(ask("GET", "/readyz").await.status, 503);
}

#[tokio::test]
async fn what_is_answered_is_counted() {
    let app = Fixture::start().await;
    let request = signed("canary-github-secret");
    app.public.ask(&request).await;
    app.public.ask(&request).await;
    app.public.ask(signed("another-secret-of-16-bytes")).await;
    app.public.ask(open("", "x")).await;
    let metrics = app.public.metrics();
    for (source, answer) in [
        ("github", "accepted"),
        ("github", "duplicate"),
        ("github", "rejected"),
        ("open", "accepted"),
    ] {
        let line = format!("gatepost_requests_total{{source=\"{source}\",answer=\"{answer}\"}} 1\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let scraped = app.get("/metrics").await;
    assert!(
        scraped.text().contains("gatepost_ledger_balanced 1\n"),
        "{}",
        scraped.text()
    );
}
