//! What the bytes of a request may look like.

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    response::{IntoResponse, Response},
};

use crate::web::wire::{PATIENCE, Server, limits};

/// Says what it saw: method, path and query, the values of `x`, the body.
async fn mirror(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let values: Vec<_> = head
        .headers
        .get_all("x")
        .iter()
        .map(|it| it.as_bytes().to_vec())
        .collect();
    let body: Bytes = match axum::body::to_bytes(body, 1 << 20).await {
        Ok(body) => body,
        Err(_) => return http::StatusCode::BAD_REQUEST.into_response(),
    };
    format!("{} {} {values:?} {}", head.method, head.uri, body.escape_ascii()).into_response()
}

async fn server() -> Server {
    Server::start(Router::new().fallback(mirror), limits()).await
}

/// Everything that comes back until the server closes or falls idle; how many answers, and the first one's status.
async fn answers(server: &Server, request: impl AsRef<[u8]>) -> (usize, String) {
    let mut wire = server.connect().await;
    wire.send(request).await;
    let all = String::from_utf8_lossy(&wire.rest().await).into_owned();
    (all.matches("HTTP/1.1 ").count(), all)
}

#[tokio::test]
async fn d08_too_many_headers_get_431() {
    let server = server().await;
    let head = |n| {
        let headers: Vec<_> = (0..n).map(|it| format!("h{it}: v\r\n")).collect();
        let headers = headers.concat();
        format!("GET / HTTP/1.1\r\n{headers}\r\n")
    };
    assert_eq!(server.ask(head(100)).await.status, 200);
    assert_eq!(server.ask(head(101)).await.status, 431);
}

#[tokio::test]
async fn d08_another_limit_of_headers_holds_too() {
    let mut limits = limits();
    limits.max_headers = 3;
    let server = Server::start(Router::new().fallback(mirror), limits).await;
    assert_eq!(
        server
            .ask("GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\n\r\n")
            .await
            .status,
        200
    );
    assert_eq!(
        server
            .ask("GET / HTTP/1.1\r\na: b\r\nc: d\r\ne: f\r\ng: h\r\n\r\n")
            .await
            .status,
        431
    );
}

#[tokio::test]
async fn d08_a_head_that_is_too_large_gets_431() {
    let server = server().await;
    let long = "v".repeat(9 * 1024);
    assert_eq!(
        server
            .ask(format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"))
            .await
            .status,
        431
    );
    // Without an end, and much longer than any buffer: the answer arrives all the same.
    let mut wire = server.connect().await;
    wire.send(format!("GET / HTTP/1.1\r\nx: {}", "v".repeat(200 * 1024)))
        .await;
    assert_eq!(wire.answer().await.status, 431);
}

#[tokio::test]
async fn d07_two_lengths_that_differ_are_refused() {
    let server = server().await;
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhelloX";
    let (n, all) = answers(&server, request).await;
    assert_eq!(n, 1, "{all}");
    assert!(!all.starts_with("HTTP/1.1 2"), "{all}");
}

#[tokio::test]
async fn d07_a_length_beside_chunks_ends_the_connection() {
    let server = server().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for order in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{order}\r\n0\r\n\r\n{smuggled}");
        let (n, all) = answers(&server, request).await;
        assert_eq!(n, 1, "one request seen: {all}");
        assert!(!all.contains("smuggled"), "{all}");
    }
}

#[tokio::test]
async fn d07_what_smuggles_elsewhere_is_refused_here() {
    let server = server().await;
    for headers in [
        "content-length: +5",
        "content-length: -1",
        "content-length: 5, 5",
        "content-length: 0x5",
        "content-length: 99999999999999999999",
        "content-length : 5",
        "content-length:",
        "transfer-encoding: xchunked",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: identity",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "\u{b}transfer-encoding: chunked",
        "x: y\r\n folded: z",
        "x: y\rtransfer-encoding: chunked",
        "x: a\0b",
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\nhelloGET /smuggled HTTP/1.1\r\n\r\n");
        let (n, all) = answers(&server, request).await;
        assert!(n <= 1, "{headers:?}: {all}");
        assert!(!all.contains("smuggled"), "{headers:?}: {all}");
    }
    for chunks in [
        "5x\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX0\r\n\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}GET /smuggled HTTP/1.1\r\n\r\n"
        );
        let (n, all) = answers(&server, request).await;
        assert!(n <= 1 && !all.contains("smuggled"), "{chunks:?}: {all}");
        assert!(!all.starts_with("HTTP/1.1 2"), "{chunks:?}: {all}");
    }
}

#[tokio::test]
async fn d07_an_old_version_may_not_chunk() {
    let server = server().await;
    let request = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let (_, all) = answers(&server, request).await;
    assert!(!all.contains(" 200 "), "{all}");
}

#[tokio::test]
async fn odd_targets() {
    let server = server().await;
    let absolute = server
        .ask("GET http://elsewhere/path?q HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert_eq!(absolute.status, 200);
    assert_eq!(
        server.ask("GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n").await.status,
        400
    );
    assert_eq!(
        server
            .ask("GET nonsense HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status
            / 100,
        2
    );
    assert_eq!(
        server
            .ask("\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status,
        200
    );
    assert_eq!(server.ask("nonsense\r\n\r\n").await.status, 400);
}

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn d04_http2_is_closed_whatever_comes_after() {
    let server = server().await;
    let settings = frame(4, 0, 0, &[]);
    // `:method: GET`, `:scheme: http`, `:path: /`.
    let request = |stream| frame(1, 0x4, stream, &[0x82, 0x86, 0x84]);
    let rapid_reset: Vec<_> = (0..5_000)
        .map(|n| [request(2 * n + 1), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat())
        .collect();
    let continuation = [frame(1, 0, 1, &[0x82]), frame(9, 0, 1, &[0; 64]).repeat(5_000)].concat();
    let empty_data = [request(1), frame(0, 0, 1, &[]).repeat(5_000)].concat();
    for frames in [
        Vec::new(),
        settings.clone(),
        settings.repeat(5_000),
        rapid_reset.concat(),
        continuation,
        empty_data,
    ] {
        let mut wire = server.connect().await;
        wire.send(HTTP2_PREFACE).await;
        // The server may have closed it already, with or without a reset.
        wire.try_send(&frames).await;
        let mut all = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut wire.0, &mut all);
        let _ = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("the server closes");
        assert!(all.is_empty(), "it speaks HTTP/2: {}", all.escape_ascii());
    }
    assert!(server.metrics().contains("gatepost_panics_total 0\n"));
}

#[tokio::test]
async fn d04_nobody_is_led_over_to_http2() {
    let server = server().await;
    let upgrade = "GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = server.ask(upgrade).await;
    assert_eq!(answer.status, 200, "as if it had not asked: {answer:?}");
    assert!(answer.head.starts_with("HTTP/1.1 "), "{}", answer.head);
    assert!(answer.header("upgrade").is_none(), "{}", answer.head);
}

#[tokio::test]
async fn header_bytes_pass_as_they_are() {
    let server = server().await;
    let answer = server
        .ask(b"GET / HTTP/1.1\r\nx: \xff\xfe\r\nhost: x\r\nx: b\r\n\r\n")
        .await;
    assert_eq!(answer.text(), "GET / [[255, 254], [98]] ");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = server().await;
    let mut wire = server.connect().await;
    let one = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi");
    wire.send(format!("{}{}{}", one("/1"), one("/2"), one("/3")))
        .await;
    for path in ["/1", "/2", "/3"] {
        assert_eq!(wire.answer().await.text(), format!("POST {path} [] hi"));
    }
}

#[tokio::test]
async fn a_connection_that_ends_in_a_body_harms_nobody() {
    let server = server().await;
    for partial in [
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        let mut wire = server.connect().await;
        wire.send(partial).await;
        drop(wire);
    }
    assert_eq!(server.ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.status, 200);
    assert!(server.metrics().contains("gatepost_panics_total 0\n"));
}
