//! One destination's breaker in the hands of all who send to it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    base::metrics::handles::DestinationMetrics,
    delivery::breaker::{Allowance, Breaker, Evidence, Pass, State, Turn},
    destination::breaker::Rules,
};

/// Clones share the breaker.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    destination: Arc<str>,
    metrics: DestinationMetrics,
    breaker: Mutex<Breaker>,
}

/// How a breaker stands, for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// `closed`, `open`, `half_open`, `ramping`, or `off`.
    pub state: &'static str,
    pub reason: Option<String>,
    /// Until the next probe, while it is open.
    pub probes_in: Option<Duration>,
}

/// The right to make one attempt. Dropped without a report, the attempt says nothing.
#[derive(Debug)]
pub struct Admitted {
    gate: Gate,
    pass: Pass,
    is_reported: bool,
}

impl Gate {
    pub fn new(destination: Arc<str>, rules: Rules, metrics: DestinationMetrics) -> Self {
        metrics.set_breaker(0);
        Self(Arc::new(Inner {
            destination,
            metrics,
            breaker: Mutex::new(Breaker::new(rules, Instant::now())),
        }))
    }

    pub fn obeys(&self, rules: &Rules) -> bool {
        self.lock().rules() == rules
    }

    /// Asked just before an attempt. `None`: put the delivery back, untried.
    pub fn admit(&self) -> Option<Admitted> {
        let pass = self.lock().admit(Instant::now())?;
        Some(Admitted {
            gate: self.clone(),
            pass,
            is_reported: false,
        })
    }

    /// How much may be in hand, of a destination that takes `n_slots` attempts at once.
    pub fn allowance(&self, n_slots: usize) -> Allowance {
        let mut breaker = self.lock();
        let now = Instant::now();
        let allowance = breaker.allowance(n_slots, now);
        self.0.metrics.set_breaker(number(breaker.state(now)));
        allowance
    }

    /// Whether all flows as if there were no breaker.
    pub fn is_closed(&self) -> bool {
        self.lock().state(Instant::now()) == State::Closed
    }

    /// The part of its rate that it is sent: less than all of it while it ramps up.
    pub fn part(&self) -> f64 {
        self.lock().part(Instant::now())
    }

    /// Whether it fails: nothing is sent, or probes only.
    pub fn is_open(&self) -> bool {
        matches!(
            self.lock().state(Instant::now()),
            State::Open { .. } | State::HalfOpen { .. }
        )
    }

    pub fn probe_now(&self) {
        self.lock().probe_now(Instant::now());
    }

    pub fn shown(&self) -> Shown {
        let mut breaker = self.lock();
        let now = Instant::now();
        let state = breaker.state(now);
        Shown {
            state: if breaker.rules().is_enabled {
                state.as_str()
            } else {
                "off"
            },
            reason: breaker.reason().map(str::to_owned),
            probes_in: match state {
                State::Open { until } => Some(until.saturating_duration_since(now)),
                _ => None,
            },
        }
    }

    fn record(&self, pass: Pass, evidence: Evidence) {
        let (turn, state) = {
            let mut breaker = self.lock();
            let now = Instant::now();
            (breaker.record(pass, evidence, now), breaker.state(now))
        };
        let Some(turn) = turn else { return };
        let name = &self.0.destination;
        self.0.metrics.set_breaker(number(state));
        match turn {
            Turn::Opened { pause, reason } => {
                self.0.metrics.breaker_opened();
                tracing::warn!(
                    destination = %name,
                    "sending nothing to `{name}` for {pause:?}: {reason}; its deliveries wait, and no attempt is counted"
                );
            }
            Turn::Recovered => {
                tracing::info!(destination = %name, "`{name}` answers again: sending more and more to it");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    pub fn report(mut self, evidence: Evidence) {
        self.is_reported = true;
        self.gate.record(self.pass, evidence);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if !self.is_reported {
            self.gate.record(self.pass, Evidence::Nothing);
        }
    }
}

const fn number(state: State) -> i64 {
    match state {
        State::Closed => 0,
        State::Ramping { .. } => 1,
        State::HalfOpen { .. } => 2,
        State::Open { .. } => 3,
    }
}
