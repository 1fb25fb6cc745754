//! Whether a destination is sent to: a circuit breaker. Pure; the time is an argument.
//!
//! ```text
//! closed ──► open ──► half-open ──► ramping ──► closed
//!             ▲           │            │
//!             └───────────┴────────────┘
//! ```
//!
//! While it is open nothing is sent, and what waits keeps its attempts. Half-open it lets a probe or two through. Once one
//! is answered the flow grows from one delivery in hand to the full concurrency over the time of `ramp`.

use std::time::{Duration, Instant};

use crate::{
    base::clock::Timestamp,
    delivery::judge::{Judgement, Verdict},
    destination::{Fate, Response, SendError, breaker::Rules},
};

/// At once while half-open: a new delivery and one that is tried again, so that one event that its handler never takes
/// cannot keep the breaker open.
pub const MAX_PROBES: usize = 2;
/// So many answers in a row that ask for a later attempt pause the destination; a single one concerns its own delivery.
const LATER_IN_A_ROW: u32 = 3;
/// So many failures in a row open it again while it ramps up.
const RAMP_FAILURES: u32 = 3;

/// What an attempt says of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It is there: it answered, if only that it does not want this event.
    Answered,
    Failed,
    /// It asked to be left alone for so long.
    Later(Duration),
    /// Nothing: the attempt did not get there, or was broken off by us.
    Nothing,
}

impl Evidence {
    pub fn of(result: &Result<Response, SendError>, judgement: &Judgement, now: Timestamp) -> Self {
        match (result, judgement.verdict) {
            (Err(error), _) if error.code == "transform" => Self::Nothing,
            // Of this event alone.
            (Err(error), _) if error.fate == Fate::Permanent => Self::Answered,
            (Err(error), _) if error.code == "throttled" => Self::Later(Duration::ZERO),
            (Err(_), _) => Self::Failed,
            (_, Verdict::Retry { not_before: Some(at) }) => Self::Later(at.since(now)),
            (
                Ok(Response {
                    status: Some(429), ..
                }),
                _,
            ) => Self::Later(Duration::ZERO),
            (
                Ok(Response {
                    status: Some(500..), ..
                }),
                _,
            ) => Self::Failed,
            (Ok(_), _) => Self::Answered,
        }
    }
}

/// The right to make one attempt. Give it back with what the attempt showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    epoch: u64,
}

/// How many deliveries may be taken from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// As many as there are places.
    All,
    /// So many in hand at once.
    InHand(usize),
    /// So many more, each to probe with.
    Probes(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { n_probes: usize },
    Ramping { since: Instant },
}

impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
            Self::Ramping { .. } => "ramping",
        }
    }
}

/// A turn that somebody should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It opened, or was found to be still down.
    Opened { pause: Duration, reason: String },
    /// A probe was answered.
    Recovered,
}

/// One destination's breaker.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    state: State,
    /// Grows whenever it opens and closes: an attempt that began before says nothing of what holds now.
    epoch: u64,
    recent: Recent,
    n_failed_in_a_row: u32,
    n_later_in_a_row: u32,
    /// How long it stays open the next time.
    next_pause: Duration,
    reason: Option<String>,
}

impl Breaker {
    pub fn new(rules: Rules, now: Instant) -> Self {
        Self {
            state: State::Closed,
            epoch: 0,
            recent: Recent::new(rules.window, now),
            n_failed_in_a_row: 0,
            n_later_in_a_row: 0,
            next_pause: rules.pause,
            reason: None,
            rules,
        }
    }

    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn state(&mut self, now: Instant) -> State {
        match self.state {
            State::Open { until } if until <= now => self.state = State::HalfOpen { n_probes: 0 },
            State::Ramping { since } if self.rules.ramp <= now.saturating_duration_since(since) => {
                self.state = State::Closed;
                self.next_pause = self.rules.pause;
                self.reason = None;
            }
            _ => (),
        }
        self.state
    }

    /// Why it is not closed.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// How much may be in hand, of a destination that takes `n_slots` attempts at once.
    pub fn allowance(&mut self, n_slots: usize, now: Instant) -> Allowance {
        match self.state(now) {
            State::Closed => Allowance::All,
            State::Open { .. } => Allowance::Probes(0),
            State::HalfOpen { n_probes } => Allowance::Probes(MAX_PROBES.saturating_sub(n_probes)),
            State::Ramping { since } => {
                let passed = now.saturating_duration_since(since).as_micros();
                let of = self.rules.ramp.as_micros().max(1);
                let share = (n_slots as u128).saturating_mul(passed) / of;
                Allowance::InHand(usize::try_from(share).unwrap_or(n_slots).clamp(1, n_slots.max(1)))
            }
        }
    }

    /// The part of a rate that is allowed now, from a tenth to all of it.
    pub fn part(&mut self, now: Instant) -> f64 {
        match self.state(now) {
            State::Ramping { since } => {
                let passed = now.saturating_duration_since(since);
                passed.div_duration_f64(self.rules.ramp).clamp(0.1, 1.0)
            }
            _ => 1.0,
        }
    }

    /// Asked just before an attempt. `None`: put the delivery back, untried.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        match self.state(now) {
            State::Closed | State::Ramping { .. } => (),
            State::HalfOpen { n_probes } if n_probes < MAX_PROBES => {
                self.state = State::HalfOpen {
                    n_probes: n_probes + 1,
                };
            }
            State::HalfOpen { .. } | State::Open { .. } => return None,
        }
        Some(Pass { epoch: self.epoch })
    }

    /// Takes a pass back.
    pub fn record(&mut self, pass: Pass, evidence: Evidence, now: Instant) -> Option<Turn> {
        if pass.epoch != self.epoch || !self.rules.is_enabled {
            return None;
        }
        match self.state(now) {
            State::HalfOpen { n_probes } => self.probed(n_probes.saturating_sub(1), evidence, now),
            // Nothing was admitted since it opened.
            State::Open { .. } => None,
            State::Closed | State::Ramping { .. } => self.observed(evidence, now),
        }
    }

    /// An operator says that it is back: the next delivery probes it.
    pub fn probe_now(&mut self, now: Instant) {
        if let State::Open { .. } = self.state {
            self.state = State::Open { until: now };
        }
    }

    fn probed(&mut self, n_left: usize, evidence: Evidence, now: Instant) -> Option<Turn> {
        if evidence == Evidence::Answered {
            self.epoch += 1;
            self.recent.clear(now);
            self.n_failed_in_a_row = 0;
            self.n_later_in_a_row = 0;
            self.state = State::Ramping { since: now };
            return Some(Turn::Recovered);
        }
        self.state = State::HalfOpen { n_probes: n_left };
        match evidence {
            // The other one may still be answered.
            _ if n_left > 0 => None,
            Evidence::Failed => Some(self.open(self.next_pause, "a probe failed".to_owned(), now)),
            Evidence::Later(asked) => Some(self.open_for_later(asked, now)),
            Evidence::Nothing | Evidence::Answered => None,
        }
    }

    fn observed(&mut self, evidence: Evidence, now: Instant) -> Option<Turn> {
        match evidence {
            Evidence::Nothing => None,
            Evidence::Answered => {
                self.recent.add(false, now);
                self.n_failed_in_a_row = 0;
                self.n_later_in_a_row = 0;
                None
            }
            Evidence::Later(asked) => {
                self.n_later_in_a_row += 1;
                (self.n_later_in_a_row >= LATER_IN_A_ROW).then(|| self.open_for_later(asked, now))
            }
            Evidence::Failed => {
                self.recent.add(true, now);
                self.n_failed_in_a_row += 1;
                let reason = self.broken(now)?;
                Some(self.open(self.next_pause, reason, now))
            }
        }
    }

    /// Why it has to open, if it has to.
    fn broken(&mut self, now: Instant) -> Option<String> {
        let n_allowed = match self.state {
            State::Ramping { .. } => RAMP_FAILURES.min(self.rules.failures),
            _ => self.rules.failures,
        };
        if self.n_failed_in_a_row >= n_allowed {
            return Some(format!("{} attempts in a row failed", self.n_failed_in_a_row));
        }
        let (n_failed, n_all) = self.recent.counts(now);
        let is_enough = n_all >= u64::from(self.rules.min_attempts);
        (is_enough && n_failed * 100 >= n_all * u64::from(self.rules.percent))
            .then(|| format!("{n_failed} of the last {n_all} attempts failed"))
    }

    /// No longer than `max_pause`: what one answer asked for must not stop a destination for a day.
    fn open_for_later(&mut self, asked: Duration, now: Instant) -> Turn {
        let pause = asked.clamp(self.rules.pause.min(self.rules.max_pause), self.rules.max_pause);
        self.open(
            pause,
            "it asks for a later attempt, again and again".to_owned(),
            now,
        )
    }

    fn open(&mut self, pause: Duration, reason: String, now: Instant) -> Turn {
        let pause = pause.min(self.rules.max_pause);
        self.epoch += 1;
        self.state = State::Open { until: now + pause };
        self.next_pause = pause.saturating_mul(2).min(self.rules.max_pause);
        self.recent.clear(now);
        self.n_failed_in_a_row = 0;
        self.n_later_in_a_row = 0;
        // Why it opened says more than that a probe failed since.
        let first = self.reason.get_or_insert_with(|| reason.clone()).clone();
        Turn::Opened { pause, reason: first }
    }
}

const N_PARTS: usize = 10;

/// The attempts of the last while, in ten parts of it.
#[derive(Debug)]
struct Recent {
    part: Duration,
    /// When the newest part began.
    begun_at: Instant,
    /// Failed, and all; the newest first.
    parts: [(u64, u64); N_PARTS],
}

impl Recent {
    fn new(window: Duration, now: Instant) -> Self {
        let n_parts = u32::try_from(N_PARTS).unwrap_or(1);
        Self {
            part: (window / n_parts).max(Duration::from_micros(1)),
            begun_at: now,
            parts: [(0, 0); N_PARTS],
        }
    }

    fn add(&mut self, is_failed: bool, now: Instant) {
        self.forget(now);
        let (n_failed, n_all) = &mut self.parts[0];
        *n_failed += u64::from(is_failed);
        *n_all += 1;
    }

    fn counts(&mut self, now: Instant) -> (u64, u64) {
        self.forget(now);
        let add = |sum: (u64, u64), part: &(u64, u64)| (sum.0 + part.0, sum.1 + part.1);
        self.parts.iter().fold((0, 0), add)
    }

    fn forget(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.begun_at).as_micros() / self.part.as_micros();
        let n_over = usize::try_from(passed).unwrap_or(N_PARTS).min(N_PARTS);
        if n_over == N_PARTS {
            self.clear(now);
        } else if n_over > 0 {
            self.parts.rotate_right(n_over);
            self.parts[..n_over].fill((0, 0));
            self.begun_at += self.part * u32::try_from(n_over).unwrap_or(0);
        }
    }

    fn clear(&mut self, now: Instant) {
        self.parts = [(0, 0); N_PARTS];
        self.begun_at = now;
    }
}

#[cfg(test)]
mod tests;
