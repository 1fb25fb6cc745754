//! Traces: which are kept, what spans say, and how they get to a collector (OpenTelemetry, OTLP over HTTP).
//!
//! A span never holds a body, a secret, or anything else that a sender wrote; it holds our ids and names, and what is counted. Whoever
//! makes one never waits: what the collector does not take in time is dropped and counted. Off, nothing is measured.
//!
//! `arrival` and `attempt` are what the hot paths keep, `export` is the way out, `otlp` its format.
//!
//! Imports: `base`, `event`, `egress`.

pub mod arrival;
pub mod attempt;
pub mod export;
pub mod otlp;
pub mod span;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::{
    base::{clock::wall_now, metrics::Metrics, safe_url::SafeUrl, secret::Secret},
    event::trace::Trace,
    telemetry::span::Span,
};

/// What the operator says of traces. Without it there are none.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The collector's URL, whole.
    pub endpoint: SafeUrl,
    /// Added to every export; values may be secret.
    pub headers: Vec<(String, Secret)>,
    /// The share of traces that are kept: 0 to 1.
    pub sample_ratio: f64,
    pub service_name: String,
}

/// The most spans that wait for their export: some megabytes.
const MAX_WAITING: usize = 8192;

/// Where spans go. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    sample_ratio: f64,
    metrics: Metrics,
    waiting: mpsc::Sender<Span>,
}

impl Tracer {
    /// Keeps nothing.
    pub const OFF: Self = Self(None);

    /// Also what the exporter takes from.
    pub fn new(settings: &Settings, metrics: Metrics) -> (Self, mpsc::Receiver<Span>) {
        let (waiting, spans) = mpsc::channel(MAX_WAITING);
        let recorder = Recorder {
            sample_ratio: settings.sample_ratio,
            metrics,
            waiting,
        };
        (Self(Some(Arc::new(recorder))), spans)
    }

    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The trace as it goes on from here: its flag says whether it is kept. Off, it stays as it is.
    pub fn sampled(&self, trace: Trace) -> Trace {
        match &self.0 {
            Some(it) => trace.sampled(it.keeps(trace.trace_id)),
            None => trace,
        }
    }
}

impl Recorder {
    /// The same answer in every process with the same ratio. A sender's flag has no say in it: it could else switch its traces off, or
    /// all of them on.
    fn keeps(&self, trace_id: u128) -> bool {
        if self.sample_ratio >= 1.0 {
            return true;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "32 bits are whole in a float of 64, and share enough"
        )]
        let share = (mixed(trace_id) >> 32) as f64 / (1_u64 << 32) as f64;
        share < self.sample_ratio
    }

    /// Never waits.
    fn push(&self, span: Span) {
        if self.waiting.try_send(span).is_err() {
            self.metrics.spans_dropped("queue_full", 1);
        }
    }
}

/// Ids that begin here count up within a millisecond, and a sender chooses its own: neither may be taken for random. This is the end of
/// MurmurHash3.
const fn mixed(id: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
    let mut it = (id >> 64) as u64 ^ (id as u64).rotate_left(32);
    it ^= it >> 33;
    it = it.wrapping_mul(0xff51_afd7_ed55_8ccd);
    it ^= it >> 33;
    it = it.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    it ^ (it >> 33)
}

/// When a span began, by both clocks: the wall says when it was, the other one how long it took.
#[derive(Debug, Clone, Copy)]
struct Begun {
    unix_nanos: u64,
    at: Instant,
}

impl Begun {
    fn at(at: Instant) -> Self {
        let unix_nanos = wall_nanos().saturating_sub(nanos(at.elapsed()));
        Self { unix_nanos, at }
    }

    /// A queue's consumer may have had it for longer than this machine is up.
    fn ago(ago: Duration) -> Self {
        let now = Instant::now();
        Self {
            unix_nanos: wall_nanos().saturating_sub(nanos(ago)),
            at: now.checked_sub(ago).unwrap_or(now),
        }
    }

    /// The wall clock's nanoseconds at a later moment.
    fn nanos_at(&self, later: Instant) -> u64 {
        let since = later.saturating_duration_since(self.at);
        self.unix_nanos.saturating_add(nanos(since))
    }
}

fn wall_nanos() -> u64 {
    let micros = u64::try_from(wall_now().as_micros()).unwrap_or_default();
    micros.saturating_mul(1_000)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::EventId;

    fn recorder(sample_ratio: f64) -> (Recorder, mpsc::Receiver<Span>) {
        let (waiting, spans) = mpsc::channel(2);
        let metrics = Metrics::new();
        let recorder = Recorder {
            sample_ratio,
            metrics,
            waiting,
        };
        (recorder, spans)
    }

    #[test]
    fn a_ratio_keeps_its_share_of_the_traces() {
        for ratio in [0.0, 0.01, 0.5, 1.0] {
            let (recorder, _spans) = recorder(ratio);
            let keeps = |_: &usize| recorder.keeps(EventId::new().uuid().as_u128());
            let n_kept = (0..10_000).filter(keeps).count();
            let expected = ratio * 10_000.0;
            let is_near =
                (f64::from(u32::try_from(n_kept).unwrap()) - expected).abs() <= 300.0_f64.min(expected);
            assert!(is_near, "{n_kept} of 10000 with {ratio}");
        }
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (recorder, _spans) = recorder(1.0);
        for _ in 0..5 {
            recorder.push(Span::internal("x", Trace::begun(EventId::new().uuid()), 1, 0, 0));
        }
        let text = recorder.metrics.encode();
        let line = "gatepost_spans_dropped_total{cause=\"queue_full\"} 3";
        assert!(text.lines().any(|it| it == line), "{text}");
    }

    #[test]
    fn off_a_trace_stays_as_it_is() {
        let trace = Trace::begun(EventId::new().uuid());
        assert_eq!(Tracer::OFF.sampled(trace), trace);
        let (recorder, _spans) = recorder(0.0);
        assert_eq!(Tracer(Some(Arc::new(recorder))).sampled(trace).flags, 0);
    }
}
