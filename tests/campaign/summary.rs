//! What a run found, as a person and as a line of JSON read it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// The invariants of the fault matrix that a campaign can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Everything acknowledged is stored, byte for byte.
    NothingLost,
    /// Nothing unverified is stored as verified or delivered.
    NothingForged,
    /// Everything stored is delivered, byte for byte, or ends as a dead letter.
    Delivered,
    /// Nothing comes more often than faults explain.
    FewDuplicates,
    /// One event for each source and id.
    OneEvent,
    /// Answers are those of the contract.
    RightAnswer,
    /// It is back in time, and stops in time.
    Recovers,
    /// The ledger adds up, also with our own books.
    LedgerBalances,
    /// No secret and no panic in a log.
    CleanLog,
}

impl Invariant {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NothingLost => "I1 nothing acknowledged is lost",
            Self::NothingForged => "I2 nothing forged gets in",
            Self::Delivered => "I3 everything is delivered",
            Self::FewDuplicates => "I4 duplicates are explained",
            Self::OneEvent => "I5 one event per source and id",
            Self::RightAnswer => "I6 answers keep the contract",
            Self::Recovers => "I7 it recovers in time",
            Self::LedgerBalances => "I9 the ledger balances",
            Self::CleanLog => "I10 logs are clean",
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// `campaign`: what kind of line this is.
    pub(crate) kind: String,
    pub(crate) store: String,
    pub(crate) replicas: usize,
    pub(crate) seed: u64,
    pub(crate) commit: String,
    pub(crate) profile: String,
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) flaw: Option<String>,
    pub(crate) is_interrupted: bool,
    pub(crate) cycles: u64,
    pub(crate) rounds: u64,
    /// Processes that were ended without notice.
    pub(crate) n_kills: u64,
    /// Ways in which cycles ended.
    pub(crate) ends: BTreeMap<String, u64>,
    /// How often a process died at each named point.
    pub(crate) points: BTreeMap<String, u64>,
    pub(crate) n_store_faults: u64,
    pub(crate) n_sink_faults: u64,
    pub(crate) n_reloads: u64,
    /// Starts that did not find their store in time.
    #[serde(default)]
    pub(crate) n_failed_starts: u64,
    pub(crate) n_events: u64,
    pub(crate) n_acknowledged: u64,
    pub(crate) n_rejected: u64,
    pub(crate) n_forged: u64,
    pub(crate) n_duplicates: u64,
    pub(crate) n_conflicts: u64,
    pub(crate) n_own_faults: u64,
    pub(crate) n_broken: u64,
    pub(crate) n_refused: u64,
    pub(crate) n_delivered: u64,
    pub(crate) n_dead: u64,
    pub(crate) n_lost: u64,
    pub(crate) n_unverified_as_verified: u64,
    pub(crate) n_stored_twice: u64,
    /// Deliveries that were taken more than once.
    pub(crate) n_delivered_twice: u64,
    /// Attempts whose result was never recorded.
    pub(crate) n_unsettled: u64,
    /// Of those, the most of one process.
    pub(crate) max_unsettled: u64,
    /// Results that came after their lease had ended.
    pub(crate) n_lost_claims: u64,
    /// How many there may be of one process, and of all.
    pub(crate) in_hand: u64,
    pub(crate) unsettled_bound: u64,
    pub(crate) is_balanced: bool,
    /// From the start of a process to its first 200, in milliseconds.
    pub(crate) recovery: Spread,
    /// From the death of a replica until the others have done all that was in its hands.
    pub(crate) takeover: Spread,
    pub(crate) wall_s: f64,
    pub(crate) failures: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) n: usize,
    pub(crate) p50_ms: u64,
    pub(crate) p99_ms: u64,
    pub(crate) max_ms: u64,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            let idx = (times.len() * share).div_ceil(100).saturating_sub(1);
            times
                .get(idx)
                .map_or(0, |it| u64::try_from(it.as_millis()).unwrap())
        };
        Self {
            n: times.len(),
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        }
    }
}

impl Summary {
    pub(crate) fn print(&self) {
        let Self {
            store,
            replicas,
            cycles,
            rounds,
            seed,
            ..
        } = self;
        println!("store {store}, replicas {replicas}, {cycles} cycles on {rounds} new stores, seed {seed}");
        println!(
            "commit {}, profile {}, {:.0} s, {}",
            self.commit, self.profile, self.wall_s, self.machine
        );
        println!("ends       {:?}, {} without notice", self.ends, self.n_kills);
        println!("points     {:?}", self.points);
        println!(
            "faults     {} of the store's connections, {} of the handler's, {} reloads",
            self.n_store_faults, self.n_sink_faults, self.n_reloads
        );
        println!(
            "sent       {} events, {} answered 200 ({} duplicates, {} conflicts), {} of {} forgeries answered 401, {} own faults, {} broken, {} refused",
            self.n_events,
            self.n_acknowledged,
            self.n_duplicates,
            self.n_conflicts,
            self.n_rejected,
            self.n_forged,
            self.n_own_faults,
            self.n_broken,
            self.n_refused
        );
        println!(
            "delivered  {}, {} dead letters that were meant to be",
            self.n_delivered, self.n_dead
        );
        println!(
            "lost {}, unverified as verified {}, stored twice {}, ledger {}",
            self.n_lost,
            self.n_unverified_as_verified,
            self.n_stored_twice,
            if self.is_balanced {
                "balanced"
            } else {
                "NOT balanced"
            }
        );
        println!(
            "taken twice {}; attempts without a record {}, at most {} of one process (bound {}), bound of all {}; {} came after their lease",
            self.n_delivered_twice,
            self.n_unsettled,
            self.max_unsettled,
            self.in_hand,
            self.unsettled_bound,
            self.n_lost_claims
        );
        for (name, it) in [("recovery", &self.recovery), ("takeover", &self.takeover)] {
            if it.n > 0 {
                println!(
                    "{name}   p50 {} ms, p99 {} ms, max {} ms, of {}",
                    it.p50_ms, it.p99_ms, it.max_ms, it.n
                );
            }
        }
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
    }
}
