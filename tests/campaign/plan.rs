//! What happens in a cycle, chosen by the seed and the cycle's number alone, so that any part of a run can be replayed.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::options::{Engine, Run};

/// Cycles on one store. Then a new one: small tables keep cycles short, and each new store is migrated anew.
pub(crate) const ROUND: u64 = 150;

/// K19 is reconciliation, which does not exist yet.
pub(crate) const POINTS: [u8; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20];

/// How a cycle ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// SIGKILL while it works.
    Kill,
    /// It ends itself at the so-manieth pass of a point; SIGKILL where it does not come to that.
    Point {
        number: u8,
        pass: u64,
    },
    /// SIGTERM. It must end with 0, and nothing may be delivered twice for that.
    Terminate,
    TerminateThenKill {
        after: Duration,
    },
    /// SIGKILL while it starts.
    Early {
        after: Duration,
    },
    /// SIGSTOP for longer than the lease, SIGCONT, and then SIGKILL.
    Sleep {
        time: Duration,
    },
    /// Another process holds the store for longer than an acknowledgement may take, and SIGKILL meanwhile.
    Locked,
    /// Rows that the store cannot take come among good ones; then SIGKILL.
    Poison,
}

impl End {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Point { .. } => "point",
            Self::Terminate => "terminate",
            Self::TerminateThenKill { .. } => "terminate then kill",
            Self::Early { .. } => "kill at the start",
            Self::Sleep { .. } => "sleep past the lease, then kill",
            Self::Locked => "kill with the store locked",
            Self::Poison => "kill after poison rows",
        }
    }
}

/// What a connection suffers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// Cut once so many more bytes have passed, in the middle of whatever that is.
    CutAfter(u64),
    CutNow,
    Delay(Duration),
    /// Nothing passes, either way; cut in the end.
    BlackHole(Duration),
    /// What the server answers is lost; cut in the end.
    HalfOpen(Duration),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cycle {
    pub(crate) number: u64,
    /// Which replica.
    pub(crate) slot: usize,
    /// Under load, from the first acknowledgement.
    pub(crate) run_for: Duration,
    pub(crate) end: End,
    pub(crate) reload: bool,
    /// Old events lie in the store when it starts.
    pub(crate) prune: bool,
    pub(crate) store_fault: Option<Fault>,
    pub(crate) sink_fault: Option<Fault>,
    /// The time until the others have done all its work is taken.
    pub(crate) measures_takeover: bool,
}

/// What cycles are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Plan {
    /// All there is, most of it at random.
    #[default]
    Mixed,
    /// Each point in its turn, and random kills between.
    EveryPoint,
    /// One kind of end alone, for a flaw that shows there.
    Only(Only),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    Kill,
    Terminate,
    Sleep,
    Locked,
    Poison,
}

pub(crate) fn random(seed: u64, purpose: &str, number: u64) -> StdRng {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(purpose);
    hash.update(number.to_be_bytes());
    StdRng::from_seed(hash.finalize().into())
}

pub(crate) fn choose(run: &Run, plan: Plan, seed: u64, number: u64) -> Cycle {
    let mut random = random(seed, "cycle", number);
    let in_round = number % ROUND;
    let run_for = Duration::from_millis(random.random_range(0..300));
    let end = match (run.point_number(), plan) {
        (Some(number), _) => point(&mut random, number, in_round),
        (None, Plan::Only(only)) => single(&mut random, only),
        (None, _) if in_round < 2 => point(&mut random, 16, in_round),
        (None, Plan::EveryPoint) => every_point(&mut random, in_round),
        (None, Plan::Mixed) => mixed(&mut random, in_round),
    };
    let is_point = |wanted| matches!(end, End::Point { number, .. } if number == wanted);
    // Faults of connections go with ends that promise nothing about duplicates.
    let may_fault = !matches!(
        end,
        End::Terminate | End::Sleep { .. } | End::Locked | End::Poison | End::Early { .. }
    ) && plan == Plan::Mixed;
    let store_fault =
        (run.store == Engine::Postgres && may_fault && random.random_ratio(1, 5)).then(|| fault(&mut random));
    let sink_fault = (may_fault && random.random_ratio(1, 10)).then(|| fault(&mut random));
    Cycle {
        number,
        slot: random.random_range(0..run.replicas),
        run_for,
        end,
        reload: is_point(18) || random.random_ratio(1, 20),
        prune: is_point(17) || random.random_ratio(1, 40),
        store_fault,
        sink_fault,
        measures_takeover: plan == Plan::Mixed && run.replicas > 1 && random.random_ratio(1, 8),
    }
}

fn mixed(random: &mut StdRng, in_round: u64) -> End {
    // The dear ones come at fixed places of a round, each once.
    match in_round {
        40 => return sleep(random),
        60 | 110 => return End::Locked,
        80 => return End::Poison,
        _ => (),
    }
    match random.random_range(0..100) {
        0..50 => {
            let number = *POINTS.choose(random).unwrap();
            // Nothing is left to migrate.
            let number = if number == 16 { 7 } else { number };
            point(random, number, in_round)
        }
        50..75 => End::Kill,
        75..84 => End::Terminate,
        84..93 => End::TerminateThenKill {
            after: Duration::from_millis(random.random_range(0..30)),
        },
        _ => End::Early {
            after: Duration::from_millis(random.random_range(0..150)),
        },
    }
}

fn every_point(random: &mut StdRng, in_round: u64) -> End {
    if in_round.is_multiple_of(3) {
        return mixed(random, in_round);
    }
    let without_migration = POINTS.len() as u64 - 1;
    let mut number = POINTS[usize::try_from((in_round - in_round / 3) % without_migration).unwrap()];
    if number == 16 {
        number = 20;
    }
    point(random, number, in_round)
}

fn single(random: &mut StdRng, only: Only) -> End {
    match only {
        Only::Kill => End::Kill,
        Only::Terminate => End::Terminate,
        Only::Sleep => sleep(random),
        Only::Locked => End::Locked,
        Only::Poison => End::Poison,
    }
}

fn sleep(random: &mut StdRng) -> End {
    End::Sleep {
        time: Duration::from_millis(random.random_range(7000..8500)),
    }
}

/// At a pass that a short life comes to.
fn point(random: &mut StdRng, number: u8, in_round: u64) -> End {
    let max_pass = match number {
        1 => 6,
        2..=4 | 9 => 30,
        5..=8 | 10..=12 => 12,
        13 | 14 => 8,
        15 | 20 => 3,
        17 => 2,
        _ => 1,
    };
    let pass = if number == 16 {
        // Before the schema is there, and just after.
        in_round % 2 + 1
    } else {
        random.random_range(1..=max_pass)
    };
    End::Point { number, pass }
}

fn fault(random: &mut StdRng) -> Fault {
    let time = Duration::from_millis(random.random_range(30..300));
    match random.random_range(0..10) {
        0..5 => Fault::CutAfter(random.random_range(0..20_000)),
        5 | 6 => Fault::CutNow,
        7 => Fault::Delay(Duration::from_millis(random.random_range(1..40))),
        8 => Fault::BlackHole(time),
        _ => Fault::HalfOpen(time),
    }
}
