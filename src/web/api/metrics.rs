//! `/metrics`: what was counted, and gauges by query, so that they cannot drift from the truth.

use axum::{
    extract,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    alert::rule::Rule,
    base::metrics::{Metrics, Observed, window::Quantiles},
    store::{
        claim::HoldTarget,
        error::StoreError,
        issue::{Issue, State},
        query::Ledger,
    },
    web::{
        api::numbers::{Counted, Numbers},
        state::AdminState,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// The metrics, and what fills its gauges. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Gauges {
    metrics: Metrics,
    numbers: Numbers,
}

impl Gauges {
    pub(crate) const fn new(metrics: Metrics, numbers: Numbers) -> Self {
        Self { metrics, numbers }
    }

    /// How long this process took to answer senders in the last hour.
    pub(crate) fn recent_acks(&self) -> Option<Quantiles> {
        self.metrics.recent_acks()
    }

    async fn refresh(&self) {
        let asked =
            async { Ok::<_, StoreError>((self.numbers.fresh().await?, self.numbers.issues().await?)) };
        match asked.await {
            Ok((counted, issues)) => {
                self.metrics.observe(&Observed {
                    issues: by_rule(&issues),
                    ..observed(&counted)
                });
                self.metrics.set_store_up(true);
            }
            Err(err) => {
                // The counters are told all the same: they say what happened.
                tracing::warn!(error = %err, "cannot ask the store for its metrics");
                self.metrics.set_store_up(false);
            }
        }
    }
}

fn of_ledger(ledger: &Ledger) -> Observed {
    Observed {
        is_ledger_balanced: Some(ledger.is_balanced()),
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
        stuck: Some(ledger.stuck.total()),
        ..Observed::default()
    }
}

fn observed(counted: &Counted) -> Observed {
    let mut observed = counted
        .audit
        .as_ref()
        .map_or_else(Observed::default, |it| of_ledger(&it.ledger));
    for hold in &counted.holds {
        let (kind, name) = match &hold.target {
            HoldTarget::Route(name) => ("route", name),
            HoldTarget::Destination(name) => ("destination", name),
        };
        observed.held.push((kind, name.clone(), hold.held_by.as_str()));
    }
    let deliveries = counted.stats.deliveries.iter();
    observed.deliveries = deliveries
        .map(|((destination, status), count)| (destination.clone(), status.as_str(), *count))
        .collect();
    let oldest_due = counted.stats.oldest_due.iter();
    observed.oldest_due = oldest_due
        .map(|(destination, at)| (destination.clone(), counted.at.since(*at)))
        .collect();
    observed
}

/// Every rule, also those that find nothing.
fn by_rule(issues: &[Issue]) -> Vec<(&'static str, &'static str, u64)> {
    let mut res = Vec::new();
    for rule in Rule::ALL.map(Rule::as_str) {
        for state in [State::Open, State::Acknowledged] {
            let n_issues = issues
                .iter()
                .filter(|it| it.rule == rule && it.state == state)
                .count();
            res.push((rule, state.as_str(), n_issues as u64));
        }
    }
    res
}

/// For Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
async fn scrape(extract::State(state): extract::State<AdminState>) -> Response {
    let gauges = &state.0.gauges;
    gauges.refresh().await;
    let content_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], gauges.metrics.encode()).into_response()
}
