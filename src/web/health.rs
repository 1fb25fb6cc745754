//! `/livez` and `/readyz`: for load balancers and orchestrators, without a token, telling nothing but yes or no.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How long an answer of the store holds, so that asking cannot load it.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether this process takes requests. Clones share everything.
#[derive(Debug, Clone)]
pub struct Health {
    store: Store,
    draining: CancellationToken,
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Health {
    /// `draining` fires before the listeners close, so that load balancers look elsewhere in time.
    pub fn new(store: Store, draining: CancellationToken) -> Self {
        Self {
            store,
            draining,
            last: Arc::default(),
        }
    }

    /// What is not ready, if something is not.
    pub async fn fault(&self) -> Option<&'static str> {
        if self.draining.is_cancelled() {
            return Some("stopping");
        }
        // Held while the store answers: all who ask meanwhile share the one answer.
        let mut last = self.last.lock().await;
        let is_up = match *last {
            Some((at, is_up)) if at.elapsed() < FRESH => is_up,
            _ => {
                let pinged = tokio::time::timeout(PATIENCE, self.store.ping()).await;
                let is_up = matches!(pinged, Ok(Ok(())));
                *last = Some((Instant::now(), is_up));
                is_up
            }
        };
        (!is_up).then_some("store")
    }
}

pub(crate) fn live() -> Response {
    answer(StatusCode::OK, r#"{"status":"live"}"#)
}

pub(crate) async fn ready(health: &Health) -> Response {
    match health.fault().await {
        None => answer(StatusCode::OK, r#"{"status":"ready"}"#),
        Some("stopping") => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"status":"not ready","check":"stopping"}"#,
        ),
        Some(_) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"status":"not ready","check":"store"}"#,
        ),
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response {
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
