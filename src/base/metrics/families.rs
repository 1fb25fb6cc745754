//! Names, meanings and buckets.

use std::{
    sync::{Mutex, atomic::AtomicU64},
    time::Instant,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use crate::base::metrics::{
    labels::{
        BuildLabel, CauseLabel, CountLabel, DestinationLabel, DestinationOutcome, DestinationStatus,
        DestinationWay, HeldLabel, KindLabel, NotificationOutcome, OutcomeLabel, RuleState, SourceAnswer,
        SourceCall, SourceCause,
    },
    window::Window,
};

pub(super) type GaugeF64 = Gauge<f64, AtomicU64>;
pub(super) type Seconds<S> = Family<S, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub(super) struct Families {
    /// Held while gauges are exchanged and while text is written, so that no scrape sees half of them.
    pub(super) registry: Mutex<Registry>,
    pub(super) requests: Family<SourceAnswer, Counter>,
    pub(super) rejected: Family<SourceCause, Counter>,
    pub(super) unknown_source: Counter,
    pub(super) sender_calls: Family<SourceCall, Counter>,
    pub(super) ack: Histogram,
    /// Not for Prometheus, which makes quantiles itself.
    pub(super) recent_acks: Window,
    pub(super) body: Histogram,
    pub(super) batch_rows: Histogram,
    pub(super) batch: Histogram,
    pub(super) bytes_in_flight: Gauge,
    pub(super) attempts: Family<DestinationOutcome, Counter>,
    pub(super) attempt: Seconds<DestinationLabel>,
    pub(super) in_flight: Family<DestinationLabel, Gauge>,
    pub(super) taken: Family<DestinationWay, Counter>,
    pub(super) settled: Family<DestinationOutcome, Counter>,
    pub(super) latency: Seconds<DestinationLabel>,
    pub(super) breaker: Family<DestinationLabel, Gauge>,
    pub(super) breaker_opened: Family<DestinationLabel, Counter>,
    pub(super) replicas: Gauge,
    pub(super) rescued: Counter,
    pub(super) pruned: Family<KindLabel, Counter>,
    pub(super) reloads: Family<OutcomeLabel, Counter>,
    pub(super) store_errors: Family<KindLabel, Counter>,
    pub(super) panics: Counter,
    pub(super) notices: Family<NotificationOutcome, Counter>,
    pub(super) spans_exported: Counter,
    pub(super) spans_dropped: Family<CauseLabel, Counter>,
    pub(super) deliveries: Family<DestinationStatus, Gauge>,
    pub(super) oldest_due: Family<DestinationLabel, GaugeF64>,
    pub(super) held: Family<HeldLabel, Gauge>,
    pub(super) issues: Family<RuleState, Gauge>,
    pub(super) ledger: Family<CountLabel, Gauge>,
    pub(super) ledger_balanced: Gauge,
    pub(super) stuck: Gauge,
    pub(super) store_up: Gauge,
}

/// At 1 from the start: what was not counted yet is not known to be off.
fn sound() -> Gauge {
    let gauge = Gauge::default();
    gauge.set(1);
    gauge
}

impl Families {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("gatepost");
        let r = &mut registry;
        let version = env!("CARGO_PKG_VERSION");
        r.register(
            "build",
            "The version that runs",
            Info::new(BuildLabel { version }),
        );
        Self {
            requests: add(
                r,
                "requests",
                "Requests to known sources, by what they were answered with",
                Family::default(),
            ),
            rejected: add(
                r,
                "requests_rejected",
                "Rejected requests, by cause",
                Family::default(),
            ),
            unknown_source: add(
                r,
                "requests_unknown_source",
                "Requests to sources that do not exist",
                Counter::default(),
            ),
            sender_calls: add(
                r,
                "sender_calls",
                "Calls to senders, for their keys and to confirm subscriptions, by outcome",
                Family::default(),
            ),
            recent_acks: Window::new(Instant::now()),
            ack: add(r, "ack_seconds", "From a request's head to its answer", seconds()),
            body: add(
                r,
                "request_body_bytes",
                "Bodies of requests",
                Histogram::new(BYTES),
            ),
            batch_rows: add(r, "batch_events", "Events of one commit", Histogram::new(ROWS)),
            batch: add(r, "batch_seconds", "Duration of one commit", seconds()),
            bytes_in_flight: add(
                r,
                "bytes_in_flight",
                "Bytes of bodies being read or waiting for their commit",
                Gauge::default(),
            ),
            attempts: add(r, "attempts", "Attempts, by outcome", Family::default()),
            attempt: add(r, "attempt_seconds", "Duration of attempts", family_of_seconds()),
            in_flight: add(r, "attempts_in_flight", "Attempts under way", Family::default()),
            taken: add(
                r,
                "deliveries_taken",
                "Deliveries taken in hand, by the way they came",
                Family::default(),
            ),
            settled: add(
                r,
                "deliveries_settled",
                "What became of deliveries after an attempt",
                Family::default(),
            ),
            latency: add(
                r,
                "delivery_latency_seconds",
                "From an event's arrival to its handler's 2xx",
                family_of_seconds(),
            ),
            breaker: add(
                r,
                "breaker",
                "Of a destination's breaker: 0 closed, 1 ramping up, 2 probing, 3 open, so that nothing is sent",
                Family::default(),
            ),
            breaker_opened: add(
                r,
                "breaker_opened",
                "How often a destination's breaker opened",
                Family::default(),
            ),
            replicas: add(
                r,
                "replicas",
                "Processes that deliver, as this one sees it; they share the rates of the destinations",
                Gauge::default(),
            ),
            rescued: add(
                r,
                "deliveries_rescued",
                "Deliveries taken back from workers that died",
                Counter::default(),
            ),
            pruned: add(
                r,
                "pruned",
                "Rows that retention took, by kind",
                Family::default(),
            ),
            reloads: add(
                r,
                "reloads",
                "Reloads of the config, by outcome",
                Family::default(),
            ),
            store_errors: add(
                r,
                "store_errors",
                "Errors of the store, by kind",
                Family::default(),
            ),
            panics: add(r, "panics", "Panics that were caught", Counter::default()),
            notices: add(
                r,
                "notices",
                "Tries to tell of a change of an issue, by notification and outcome",
                Family::default(),
            ),
            spans_exported: add(
                r,
                "spans_exported",
                "Spans that the collector of traces took",
                Counter::default(),
            ),
            spans_dropped: add(
                r,
                "spans_dropped",
                "Spans that it never got or refused, by cause",
                Family::default(),
            ),
            deliveries: add(
                r,
                "deliveries",
                "Open and dead deliveries in the store, by status",
                Family::default(),
            ),
            oldest_due: add(
                r,
                "oldest_due_seconds",
                "For how long the oldest due delivery has been due",
                Family::default(),
            ),
            held: add(
                r,
                "held",
                "Routes and destinations whose deliveries wait, by who holds them back (operator, gatepost)",
                Family::default(),
            ),
            issues: add(
                r,
                "issues",
                "Issues that are open or acknowledged, by rule",
                Family::default(),
            ),
            ledger: add(
                r,
                "ledger",
                "The counts of the ledger: received = rejected + duplicates + stored, deliveries = delivered + open + dead + \
                 cancelled + skipped",
                Family::default(),
            ),
            ledger_balanced: add(r, "ledger_balanced", "1 unless the counts do not add up", sound()),
            stuck: add(
                r,
                "deliveries_stuck",
                "Deliveries that nobody moves though they are due",
                Gauge::default(),
            ),
            store_up: add(
                r,
                "store_up",
                "1 if the store answered last time",
                Gauge::default(),
            ),
            registry: Mutex::new(registry),
        }
    }
}

const BYTES: [f64; 8] = [
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    10_485_760.0,
];
const ROWS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
/// From a commit on a fast disk to a delivery that waited for a day.
const SECONDS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0,
    86_400.0,
];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn family_of_seconds<S: Clone + std::hash::Hash + Eq>() -> Seconds<S> {
    Family::new_with_constructor(seconds as fn() -> Histogram)
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
