//! Counters that a hot path looks up once and keeps.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};

use crate::base::metrics::{
    families::Families,
    labels::{
        DestinationLabel, DestinationOutcome, DestinationWay, NotificationOutcome, SourceAnswer, SourceCause,
    },
};

/// What a request was answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestAnswer {
    Accepted,
    Duplicate,
    /// A duplicate with another body.
    Conflict,
    Rejected,
    Handshake,
    /// 429.
    TooMany,
    /// 503.
    Unavailable,
}

/// What became of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Delivered,
    Retrying,
    Dead,
    /// Another worker had it by then.
    LostClaim,
}

/// One source's counters, to be kept by whoever serves it.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    name: Arc<str>,
    answers: [Counter; 7],
    rejected: Family<SourceCause, Counter>,
}

/// One destination's counters, to be kept by whoever sends to it.
#[derive(Debug, Clone)]
pub struct DestinationMetrics {
    name: Arc<str>,
    attempts: Family<DestinationOutcome, Counter>,
    delivered: Counter,
    attempt: Histogram,
    handed_over: Counter,
    claimed: Counter,
    settled: [Counter; 4],
    latency: Histogram,
    in_flight: Gauge,
    breaker: Gauge,
    breaker_opened: Counter,
}

/// One attempt under way; it is over when this is dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl RequestAnswer {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Accepted, "accepted"),
        (Self::Duplicate, "duplicate"),
        (Self::Conflict, "conflict"),
        (Self::Rejected, "rejected"),
        (Self::Handshake, "handshake"),
        (Self::TooMany, "too_many"),
        (Self::Unavailable, "unavailable"),
    ];

    pub const fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl Settled {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Delivered, "delivered"),
        (Self::Retrying, "retrying"),
        (Self::Dead, "dead"),
        (Self::LostClaim, "lost_claim"),
    ];
}

/// The outcome of an attempt that the handler took.
const DELIVERED: &str = "delivered";

impl SourceMetrics {
    pub(super) fn new(name: Arc<str>, families: &Families) -> Self {
        let counter = |answer| {
            let source = name.clone();
            families
                .requests
                .get_or_create_owned(&SourceAnswer { source, answer })
        };
        Self {
            answers: RequestAnswer::ALL.map(|(_, answer)| counter(answer)),
            rejected: families.rejected.clone(),
            name,
        }
    }

    pub fn answered(&self, answer: RequestAnswer) {
        self.answers[answer as usize].inc();
    }

    /// Counts the cause; `answered(Rejected)` besides.
    pub fn rejected(&self, cause: &'static str) {
        let source = self.name.clone();
        self.rejected.get_or_create(&SourceCause { source, cause }).inc();
    }
}

impl DestinationMetrics {
    pub(super) fn new(name: Arc<str>, families: &Families) -> Self {
        let of = |family: &Family<DestinationOutcome, Counter>, outcome| {
            let destination = name.clone();
            family.get_or_create_owned(&DestinationOutcome { destination, outcome })
        };
        let taken = |way| {
            let destination = name.clone();
            families
                .taken
                .get_or_create_owned(&DestinationWay { destination, way })
        };
        let label = DestinationLabel {
            destination: name.clone(),
        };
        Self {
            attempts: families.attempts.clone(),
            delivered: of(&families.attempts, DELIVERED),
            attempt: families.attempt.get_or_create_owned(&label),
            handed_over: taken("handed_over"),
            claimed: taken("claimed"),
            settled: Settled::ALL.map(|(_, outcome)| of(&families.settled, outcome)),
            latency: families.latency.get_or_create_owned(&label),
            in_flight: families.in_flight.get_or_create_owned(&label),
            breaker: families.breaker.get_or_create_owned(&label),
            breaker_opened: families.breaker_opened.get_or_create_owned(&label),
            name,
        }
    }

    /// In hand: claimed from the store, or handed over by ingest of the same process.
    pub fn taken(&self, is_from_store: bool) {
        if is_from_store {
            self.claimed.inc();
        } else {
            self.handed_over.inc();
        }
    }

    /// Counts an attempt as under way until the result is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// `outcome`: `delivered`, `status` (the handler refused it), or the code of the failure to send.
    pub fn attempted(&self, outcome: &'static str, duration: Duration) {
        self.attempt.observe(duration.as_secs_f64());
        if outcome == DELIVERED {
            self.delivered.inc();
            return;
        }
        let destination = self.name.clone();
        let label = DestinationOutcome { destination, outcome };
        self.attempts.get_or_create(&label).inc();
    }

    /// 0: closed, 1: ramping up, 2: half-open, 3: open.
    pub fn set_breaker(&self, state: i64) {
        self.breaker.set(state);
    }

    pub fn breaker_opened(&self) {
        self.breaker_opened.inc();
    }

    pub fn settled(&self, settled: Settled) {
        self.settled[settled as usize].inc();
    }

    /// From the event's arrival to the handler's 2xx.
    pub fn delivered_after(&self, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
    }
}

/// One notification's counters. All are there from the first look on, so that the first failure shows as an increase.
#[derive(Debug, Clone)]
pub struct NotificationMetrics {
    sent: Counter,
    failed: Counter,
    given_up: Counter,
}

impl NotificationMetrics {
    pub(super) fn new(name: &Arc<str>, kind: &'static str, families: &Families) -> Self {
        let counter = |outcome| {
            let label = NotificationOutcome {
                notification: Arc::clone(name),
                kind,
                outcome,
            };
            families.notices.get_or_create(&label).clone()
        };
        Self {
            sent: counter("sent"),
            failed: counter("failed"),
            given_up: counter("given_up"),
        }
    }

    pub fn sent(&self, n_notices: usize) {
        self.sent.inc_by(n_notices as u64);
    }

    /// They are tried again.
    pub fn failed(&self, n_notices: usize) {
        self.failed.inc_by(n_notices as u64);
    }

    /// They were tried for the last time.
    pub fn given_up(&self, n_notices: usize) {
        self.given_up.inc_by(n_notices as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_settlements_are_counted_where_they_belong() {
        for (idx, (answer, _)) in RequestAnswer::ALL.iter().enumerate() {
            assert_eq!(*answer as usize, idx);
        }
        for (idx, (settled, _)) in Settled::ALL.iter().enumerate() {
            assert_eq!(*settled as usize, idx);
        }
    }
}
