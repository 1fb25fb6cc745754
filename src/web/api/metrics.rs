//! `/metrics`: what was counted, and gauges by query, so that they cannot drift from the truth.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use tokio::{sync::Mutex, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{
        clock::Timestamp,
        metrics::{Metrics, Observed},
    },
    store::{Store, claim::HoldTarget, error::StoreError},
    web::state::AdminState,
};

/// How long the answers to the queries hold, however often somebody scrapes.
const FRESH: Duration = Duration::from_secs(5);
/// For so many times as long as they took, at least: counting a very large store must not become its main work.
const REST: u32 = 50;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// The metrics, and when its answers become stale. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Gauges {
    metrics: Metrics,
    store: Store,
    fresh_until: Arc<Mutex<Option<Instant>>>,
}

impl Gauges {
    pub(crate) fn new(metrics: Metrics, store: Store) -> Self {
        Self {
            metrics,
            store,
            fresh_until: Arc::default(),
        }
    }

    async fn refresh(&self) {
        // Held while the store answers: all who scrape meanwhile share the one answer.
        let mut fresh_until = self.fresh_until.lock().await;
        let asked_at = Instant::now();
        if fresh_until.is_some_and(|it| asked_at < it) {
            return;
        }
        match self.observe().await {
            Ok(observed) => {
                self.metrics.observe(&observed);
                self.metrics.set_store_up(true);
            }
            Err(err) => {
                // The counters are told all the same: they say what happened.
                tracing::warn!(error = %err, "cannot ask the store for its metrics");
                self.metrics.set_store_up(false);
            }
        }
        *fresh_until = Some(Instant::now() + FRESH.max(asked_at.elapsed() * REST));
    }

    async fn observe(&self) -> Result<Observed, StoreError> {
        let now: Timestamp = self.store.now().await?;
        let stats = self.store.stats(now).await?;
        let ledger = self.store.ledger(now).await?;
        let mut observed = Observed {
            is_ledger_balanced: ledger.is_balanced(),
            ledger: vec![
                ("received", ledger.received),
                ("rejected", ledger.rejected),
                ("duplicates", ledger.duplicates),
                ("conflicts", ledger.conflicts),
                ("stored", ledger.stored),
                ("deliveries", ledger.deliveries),
                ("delivered", ledger.delivered),
                ("open", ledger.open),
                ("dead", ledger.dead),
                ("cancelled", ledger.cancelled),
                ("skipped", ledger.skipped),
            ],
            stuck: ledger.stuck.total(),
            ..Observed::default()
        };
        for hold in self.store.holds().await? {
            match hold.target {
                HoldTarget::Route(name) => observed.held_routes.push(name),
                HoldTarget::Destination(name) => observed.held_destinations.push(name),
            }
        }
        let deliveries = stats.deliveries.into_iter();
        observed.deliveries = deliveries
            .map(|((destination, status), count)| (destination, status.as_str(), count))
            .collect();
        let oldest_due = stats.oldest_due.into_iter();
        observed.oldest_due = oldest_due
            .map(|(destination, at)| (destination, now.since(at)))
            .collect();
        Ok(observed)
    }
}

/// For Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
async fn scrape(State(state): State<AdminState>) -> Response {
    let gauges = &state.0.gauges;
    gauges.refresh().await;
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], gauges.metrics.encode()).into_response()
}
