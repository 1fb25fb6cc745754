//! Every metric: its name, its labels and its meaning, in one place.
//!
//! Labels are sources, destinations, routes and closed sets of outcomes: never an id, a type or anything else that a
//! sender can choose, and never the name of a source that does not exist.
//!
//! The hot paths ask once for a `SourceMetrics` or `DestinationMetrics` and keep it: counting is an atomic add then.
//! Gauges that need a query are put in by `observe`, just before `encode`.

pub mod handles;

mod families;
mod labels;
pub mod window;

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{encoding::text, registry::Registry};

use crate::base::metrics::{
    families::Families,
    handles::{DestinationMetrics, NotificationMetrics, RequestAnswer, SourceMetrics},
    labels::{
        CauseLabel, CountLabel, DestinationLabel, DestinationStatus, HeldLabel, KindLabel, OutcomeLabel,
        RuleState, SourceAnswer, SourceCall,
    },
    window::Quantiles,
};

/// A place for every metric of this process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

/// What a query found, for the gauges that only a query can fill. What is absent from a list loses its series.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Destination, status, how many.
    pub deliveries: Vec<(Arc<str>, &'static str, u64)>,
    /// Destination, and for how long its oldest due delivery has been due.
    pub oldest_due: Vec<(Arc<str>, Duration)>,
    /// Kind (`route` or `destination`), name, who holds it back.
    pub held: Vec<(&'static str, Arc<str>, &'static str)>,
    /// Rule, state, how many.
    pub issues: Vec<(&'static str, &'static str, u64)>,
    /// The ledger's counts, by name.
    pub ledger: Vec<(&'static str, u64)>,
    /// None: the ledger was not counted, and stays as it was.
    pub is_ledger_balanced: Option<bool>,
    pub stuck: Option<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        Self(Arc::new(Families::new()))
    }

    /// Only for sources of the config: every name becomes a label.
    pub fn source(&self, name: &str) -> SourceMetrics {
        SourceMetrics::new(name.into(), &self.0)
    }

    /// How many requests of a source were taken by this process, those among them that it had already.
    pub fn n_heard(&self, source: &Arc<str>) -> u64 {
        let of = |answer: RequestAnswer| {
            let source = source.clone();
            let label = SourceAnswer {
                source,
                answer: answer.as_str(),
            };
            self.0.requests.get(&label).map_or(0, |it| it.get())
        };
        of(RequestAnswer::Accepted) + of(RequestAnswer::Duplicate) + of(RequestAnswer::Conflict)
    }

    /// Only for destinations of the config: every name becomes a label.
    pub fn destination(&self, name: &str) -> DestinationMetrics {
        DestinationMetrics::new(name.into(), &self.0)
    }

    /// Only for notifications of the config: every name becomes a label. `kind`: `webhook`, `email`, ...
    pub fn notification(&self, name: &Arc<str>, kind: &'static str) -> NotificationMetrics {
        NotificationMetrics::new(name, kind, &self.0)
    }

    /// A request to a source that does not exist; its name is not kept.
    pub fn unknown_source(&self) {
        self.0.unknown_source.inc();
    }

    /// A call to the sender of a source. `call`: `keys` or `confirm`; `outcome`: `ok`, `unfit` (the answer was), or the code of
    /// the failure to send.
    pub fn called_sender(&self, source: &Arc<str>, call: &'static str, outcome: &'static str) {
        let source = source.clone();
        let label = SourceCall {
            source,
            call,
            outcome,
        };
        self.0.sender_calls.get_or_create(&label).inc();
    }

    /// An answer to a request with a body, and how long it took.
    pub fn acknowledged(&self, n_body_bytes: usize, duration: Duration) {
        self.0.body.observe(float(n_body_bytes as u64));
        self.0.ack.observe(duration.as_secs_f64());
        self.0.recent_acks.add(duration, Instant::now());
    }

    /// How long the answers of the last hour took, in this process. `None`: there were none.
    pub fn recent_acks(&self) -> Option<Quantiles> {
        self.0.recent_acks.quantiles(Instant::now())
    }

    pub fn committed(&self, n_events: usize, duration: Duration) {
        self.0.batch_rows.observe(float(n_events as u64));
        self.0.batch.observe(duration.as_secs_f64());
    }

    pub fn set_bytes_in_flight(&self, n_bytes: u64) {
        self.0.bytes_in_flight.set(whole(n_bytes));
    }

    pub fn rescued(&self, n_deliveries: u64) {
        self.0.rescued.inc_by(n_deliveries);
    }

    /// `kind`: `events`, `requests`, ...
    pub fn pruned(&self, kind: &'static str, n_rows: u64) {
        self.0.pruned.get_or_create(&KindLabel { kind }).inc_by(n_rows);
    }

    pub fn reloaded(&self, is_ok: bool) {
        let outcome = if is_ok { "applied" } else { "refused" };
        self.0.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// `kind`: the name of the error's variant.
    pub fn store_error(&self, kind: &'static str) {
        self.0.store_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// How many processes share the rates of the destinations.
    pub fn set_replicas(&self, n_replicas: u32) {
        self.0.replicas.set(i64::from(n_replicas));
    }

    pub fn panicked(&self) {
        self.0.panics.inc();
    }

    pub fn spans_exported(&self, n_spans: usize) {
        self.0.spans_exported.inc_by(n_spans as u64);
    }

    /// `cause`: `queue_full`, `not_taken` (in time), `refused` (by the collector), `stopped`.
    pub fn spans_dropped(&self, cause: &'static str, n_spans: usize) {
        let counter = self.0.spans_dropped.get_or_create(&CauseLabel { cause });
        counter.inc_by(n_spans as u64);
    }

    pub fn set_store_up(&self, is_up: bool) {
        self.0.store_up.set(i64::from(is_up));
    }

    /// Exchanges the gauges that a query fills.
    pub fn observe(&self, observed: &Observed) {
        let _no_scrape_meanwhile = self.registry();
        let inner = &*self.0;
        inner.deliveries.clear();
        for (destination, status, count) in &observed.deliveries {
            let label = DestinationStatus {
                destination: destination.clone(),
                status,
            };
            inner.deliveries.get_or_create(&label).set(whole(*count));
        }
        inner.oldest_due.clear();
        for (destination, age) in &observed.oldest_due {
            let destination = destination.clone();
            let label = DestinationLabel { destination };
            inner.oldest_due.get_or_create(&label).set(age.as_secs_f64());
        }
        inner.held.clear();
        for (kind, name, held_by) in &observed.held {
            let label = HeldLabel {
                kind,
                name: name.clone(),
                held_by,
            };
            inner.held.get_or_create(&label).set(1);
        }
        inner.issues.clear();
        for (rule, state, count) in &observed.issues {
            inner
                .issues
                .get_or_create(&RuleState { rule, state })
                .set(whole(*count));
        }
        for (count, value) in &observed.ledger {
            inner
                .ledger
                .get_or_create(&CountLabel { count })
                .set(whole(*value));
        }
        if let Some(is_balanced) = observed.is_ledger_balanced {
            inner.ledger_balanced.set(i64::from(is_balanced));
        }
        if let Some(n_stuck) = observed.stuck {
            inner.stuck.set(whole(n_stuck));
        }
    }

    /// OpenMetrics text: `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(16 << 10);
        // Writing into a `String` does not fail.
        let _ = text::encode(&mut out, &self.registry());
        out
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 2^53 a histogram need not be exact"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
