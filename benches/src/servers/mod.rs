//! The servers to compare with, each a process of its own: one that only verifies, one that also writes to a log (`log`), one
//! with a transaction for each request (`single`), and the handler that deliveries go to (`sink`).

pub mod log;
pub mod single;
pub mod sink;

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::Hmac;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::event;

/// Serves until standard input ends, so that no server outlives the run. Says its address first.
fn serve(router: impl Future<Output = anyhow::Result<Router>>) -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    crate::runtime()?.block_on(async {
        let router = router.await?;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}

/// V: the signature, and nothing else.
pub fn verify() -> anyhow::Result<()> {
    async fn receive(State(key): State<Arc<Hmac<Sha256>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
        if event::is_signed(&key, &headers, &body) {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        }
    }
    serve(async {
        Ok(Router::new()
            .route("/", post(receive))
            .with_state(Arc::new(event::key())))
    })
}
