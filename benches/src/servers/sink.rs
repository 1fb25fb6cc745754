//! The handler that deliveries go to: answers at once, and remembers what came and when. On `/hang` it never answers, on
//! `/fail` always with 500.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use uuid::Uuid;

use crate::{
    event,
    process::{Process, get as http_get},
    servers::serve,
};

/// Where it never answers.
pub const HANG: &str = "/hang";
/// Where it answers 500.
pub const FAIL: &str = "/fail";

#[derive(Default)]
struct Taken {
    n_taken: AtomicU64,
    arrivals: Mutex<Vec<(Uuid, u64)>>,
}

/// `GET /` says how many came, `GET /arrivals` which and when.
pub fn serve_sink() -> anyhow::Result<()> {
    async fn take(State(taken): State<Arc<Taken>>, headers: HeaderMap, _body: Bytes) -> StatusCode {
        taken.n_taken.fetch_add(1, Ordering::Relaxed);
        let external = headers
            .get("gatepost-external-id")
            .and_then(|it| it.to_str().ok());
        if let Some(id) = external.and_then(event::internal) {
            let at_us = event::unix_us();
            let mut arrivals = taken.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            arrivals.push((id, at_us));
        }
        StatusCode::OK
    }
    async fn count(State(taken): State<Arc<Taken>>) -> String {
        taken.n_taken.load(Ordering::Relaxed).to_string()
    }
    async fn arrivals(State(taken): State<Arc<Taken>>) -> String {
        let arrivals = taken.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.iter().fold(String::new(), |mut text, (id, at_us)| {
            let _ = writeln!(text, "{} {at_us}", id.simple());
            text
        })
    }
    async fn hang(_body: Bytes) -> StatusCode {
        std::future::pending().await
    }
    async fn fail(_body: Bytes) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
    serve(async {
        Ok(Router::new()
            .route("/", get(count).post(take))
            .route("/arrivals", get(arrivals))
            .route(HANG, post(hang))
            .route(FAIL, post(fail))
            .with_state(Arc::default()))
    })
}

/// One that runs.
#[derive(Debug)]
pub struct Sink {
    process: Process,
    pub address: SocketAddr,
}

impl Sink {
    pub fn start() -> anyhow::Result<Self> {
        let (process, address) = Process::serve("sink", &[])?;
        Ok(Self { process, address })
    }

    pub fn n_taken(&self) -> anyhow::Result<u64> {
        Ok(http_get(self.address, "/")?.1.parse()?)
    }

    /// When each event came first, in microseconds since 1970.
    pub fn arrivals(&self) -> anyhow::Result<HashMap<Uuid, u64>> {
        let (_, text) = http_get(self.address, "/arrivals")?;
        let mut arrivals = HashMap::new();
        for line in text.lines() {
            let (id, at_us) = line.split_once(' ').context("two words a line")?;
            let at_us: u64 = at_us.parse()?;
            let first = arrivals.entry(Uuid::try_parse(id)?).or_insert(at_us);
            *first = at_us.min(*first);
        }
        Ok(arrivals)
    }

    pub fn stop(self) -> anyhow::Result<()> {
        self.process.stop()
    }
}
