//! Slow, greedy and vanishing clients, and the stop.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing};
use tokio::{sync::Notify, time::Instant};

use crate::web::wire::{Server, limits};

#[expect(clippy::panic, reason = "to see it caught")]
async fn fail() -> &'static str {
    panic!("on purpose")
}

fn hello() -> Router {
    Router::new()
        .route("/", routing::get(|| async { "hello" }))
        .route("/echo", routing::post(|body: axum::body::Bytes| async { body }))
        .route("/panic", routing::get(fail))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn d02_a_silent_connection_is_closed() {
    let server = Server::start(hello(), limits()).await;
    let mut wire = server.connect().await;
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn d02_half_a_head_gets_408() {
    let server = Server::start(hello(), limits()).await;
    let mut wire = server.connect().await;
    wire.send("GET / HTTP/1.1\r\nho").await;
    assert_eq!(wire.answer().await.status, 408);
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn d02_a_head_that_trickles_has_one_deadline() {
    let server = Server::start(hello(), limits()).await;
    let mut wire = server.connect().await;
    let started_at = Instant::now();
    wire.send("GET / HTTP/1.1\r\n").await;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while wire.try_send("x: y\r\n").await && started_at.elapsed() < Duration::from_secs(5) {
        pace.tick().await;
    }
    assert!(
        started_at.elapsed() < Duration::from_secs(5),
        "each line must not buy new time"
    );
}

#[tokio::test]
async fn an_idle_connection_has_its_own_time() {
    let mut limits = limits();
    limits.head_timeout = Duration::from_millis(100);
    limits.idle_timeout = Duration::from_millis(600);
    let server = Server::start(hello(), limits).await;
    let mut wire = server.connect().await;
    wire.send(GET).await;
    assert_eq!(wire.answer().await.text(), "hello");
    let idle_since = Instant::now();
    assert_eq!(wire.rest().await, b"");
    let idle = idle_since.elapsed();
    assert!(
        idle >= Duration::from_millis(500) && idle < Duration::from_secs(5),
        "{idle:?}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let n_dropped = Arc::new(Notify::new());
    let dropped = Arc::clone(&n_dropped);
    let router = Router::new().route(
        "/",
        routing::get(move || {
            let on_drop = NotifyOnDrop(Arc::clone(&dropped));
            let endless = futures_util::stream::repeat_with(move || {
                let _ = &on_drop;
                Ok::<_, std::io::Error>(vec![0_u8; 1 << 20])
            });
            async { Body::from_stream(endless) }
        }),
    );
    let server = Server::start(router, limits()).await;
    let mut wire = server.connect().await;
    wire.send(GET).await;
    tokio::time::timeout(Duration::from_secs(10), n_dropped.notified())
        .await
        .expect("the answer is given up");
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_a_place() {
    let mut limits = limits();
    limits.max_connections = 2;
    let server = Server::start(hello(), limits).await;
    // Both places go to clients that say nothing; the third is served once one of them was closed.
    let silent = [server.connect().await, server.connect().await];
    assert_eq!(server.ask(GET).await.text(), "hello");
    drop(silent);
}

#[tokio::test]
async fn d11_a_panic_is_500_and_the_connection_goes_on() {
    let server = Server::start(hello(), limits()).await;
    let mut wire = server.connect().await;
    wire.send("GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], "internal");
    wire.send(GET).await;
    assert_eq!(wire.answer().await.status, 200);
    assert!(server.metrics().contains("gatepost_panics_total 1\n"));
}

#[tokio::test]
async fn a_stop_lets_open_requests_finish() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (its_entered, its_go) = (Arc::clone(&entered), Arc::clone(&go));
    let router = Router::new().route(
        "/",
        routing::get(move || async move {
            its_entered.notify_one();
            its_go.notified().await;
            "answered"
        }),
    );
    let mut limits = limits();
    limits.idle_timeout = Duration::from_mins(1);
    let server = Server::start(router, limits).await;
    let mut open = server.connect().await;
    open.send(GET).await;
    entered.notified().await;
    server.stop.cancel();
    // The listener closes first.
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    go.notify_one();
    let answer = open.answer().await;
    assert_eq!(answer.text(), "answered");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(open.rest().await, b"");
    server.ended().await;
}

#[tokio::test]
async fn a_stop_closes_idle_connections() {
    let mut limits = limits();
    limits.idle_timeout = Duration::from_mins(1);
    let server = Server::start(hello(), limits).await;
    // Accepted in this order: once the second has its answer, the first is in hand too.
    let mut fresh = server.connect().await;
    let mut used = server.connect().await;
    used.send(GET).await;
    used.answer().await;
    server.stop.cancel();
    assert_eq!(used.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
    server.ended().await;
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end_in_time() {
    let entered = Arc::new(Notify::new());
    let its_entered = Arc::clone(&entered);
    let router = Router::new().route(
        "/",
        routing::get(move || async move {
            its_entered.notify_one();
            std::future::pending::<&'static str>().await
        }),
    );
    let mut limits = limits();
    limits.drain = Duration::from_millis(100);
    let server = Server::start(router, limits).await;
    let mut wire = server.connect().await;
    wire.send(GET).await;
    entered.notified().await;
    server.stop.cancel();
    server.ended().await;
}
