//! A campaign that sees nothing proves nothing: each deliberate defect must make it fail.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use gatepost::base::trial::Flaw;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    campaign::{Outcome, Scene, play, write_line},
    options::{Engine, Flaws, Run, variable},
    plan::{Only, Plan},
    summary::Invariant,
};

/// What is enough to see it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trap {
    store: Engine,
    replicas: usize,
    only: Only,
    cycles: u64,
    /// What must break: another invariant may break by the way, and proves nothing.
    breaks: Invariant,
}

/// `None`: another campaign sees it.
fn trap(flaw: Flaw) -> Option<Trap> {
    use Invariant::{
        Delivered, FewDuplicates, LedgerBalances, NothingForged, NothingLost, OneEvent, RightAnswer,
    };
    let one = |breaks, only, cycles| Trap {
        store: Engine::Sqlite,
        replicas: 1,
        only,
        cycles,
        breaks,
    };
    let three = |breaks, only, cycles| Trap {
        store: Engine::Postgres,
        replicas: 3,
        only,
        cycles,
        breaks,
    };
    Some(match flaw {
        // Only power that fails tells it from a process that dies.
        Flaw::SynchronousNormal => return None,
        Flaw::AcknowledgeBeforeCommit => one(NothingLost, Only::Kill, 12),
        Flaw::TimeoutIsAcknowledged => one(NothingLost, Only::Locked, 4),
        Flaw::UnsignedIsVerified => one(NothingForged, Only::Kill, 4),
        Flaw::BodyIsTrimmed => one(NothingLost, Only::Kill, 4),
        Flaw::SeenBeforeVerified => one(NothingLost, Only::Kill, 4),
        Flaw::CheckThenInsert => three(OneEvent, Only::Kill, 4),
        Flaw::KeyWithoutSource => one(NothingLost, Only::Kill, 4),
        Flaw::PoisonFailsBatch => one(RightAnswer, Only::Poison, 3),
        Flaw::OwnFaultIs400 => one(RightAnswer, Only::Locked, 4),
        Flaw::SettleWithoutFence => three(FewDuplicates, Only::Sleep, 2),
        Flaw::LeasesNeverEnd => one(Delivered, Only::Kill, 12),
        Flaw::SettledBeforeSent => one(Delivered, Only::Kill, 4),
        Flaw::ServerErrorIsDelivered => one(Delivered, Only::Kill, 4),
        Flaw::RetryIsEmpty => one(Delivered, Only::Kill, 4),
        Flaw::StopAbortsAttempts => one(FewDuplicates, Only::Terminate, 8),
        Flaw::DuplicatesUncounted => one(LedgerBalances, Only::Kill, 4),
    })
}

/// Traps that tell a flaw from none: without one, each must stay empty.
fn controls() -> Vec<Trap> {
    let mut controls: Vec<Trap> = Vec::new();
    for trap in Flaw::ALL.into_iter().filter_map(trap) {
        let same = |it: &Trap| (it.store, it.replicas, it.only) == (trap.store, trap.replicas, trap.only);
        match controls.iter_mut().find(|it| same(it)) {
            Some(known) => known.cycles = known.cycles.max(trap.cycles),
            None => controls.push(trap),
        }
    }
    controls
}

/// What became of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Caught {
    /// `flaw`: what kind of line this is.
    pub(crate) kind: String,
    pub(crate) flaw: String,
    /// The invariants that broke; none: it was not seen.
    pub(crate) by: Vec<String>,
    pub(crate) store: String,
    pub(crate) replicas: usize,
    pub(crate) cycles: u64,
    pub(crate) wall_s: f64,
    pub(crate) example: String,
    pub(crate) seed: u64,
    pub(crate) commit: String,
    pub(crate) profile: String,
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) machine: String,
}

/// Requests a second: fewer than in a campaign, because several hunts share the machine.
const RATE: u32 = 100;

/// Hunts side by side. More of them would slow each other down, and a slow machine hides races.
const N_AT_ONCE: usize = 3;

/// How often a trap is set before a flaw counts as missed: some take a race to show.
const N_TRIES: u64 = 3;

pub(crate) async fn main(options: Flaws, stop: CancellationToken) -> bool {
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!(
        "{:<28} {:<9} {:>6} {:>5}  caught by",
        "flaw", "store", "cycles", "s"
    );
    let is_wanted = |flaw: &Flaw| options.only.as_ref().is_none_or(|it| it == flaw.name());
    let mut hunts: Vec<(Option<Flaw>, Trap)> = Vec::new();
    if options.only.is_none() {
        hunts.extend(controls().into_iter().map(|it| (None, it)));
    }
    for flaw in Flaw::ALL.into_iter().filter(is_wanted) {
        match trap(flaw) {
            Some(trap) => hunts.push((Some(flaw), trap)),
            None => println!(
                "{:<28} is for losses of power: tests/campaign/run power",
                flaw.name()
            ),
        }
    }
    let mut missed = Vec::new();
    // Most of a hunt is waiting for leases to end.
    let mut results = stream::iter(&hunts)
        .map(|(flaw, trap)| async { (*flaw, *trap, hunt(*flaw, trap, seed, &stop).await) })
        .buffered(N_AT_ONCE);
    while let Some((flaw, trap, caught)) = results.next().await {
        tell(&caught, &options);
        match flaw {
            None if !caught.by.is_empty() => {
                missed.push(format!("no flaw, {:?}: {}", trap.only, caught.example));
            }
            Some(flaw) if !caught.by.iter().any(|it| it == trap.breaks.name()) => {
                missed.push(flaw.name().to_owned());
            }
            _ => (),
        }
    }
    if !missed.is_empty() {
        println!("FAILED: not told apart: {}; seed {seed}", missed.join(", "));
    }
    missed.is_empty() && !stop.is_cancelled()
}

fn tell(caught: &Caught, options: &Flaws) {
    println!(
        "{:<28} {:<9} {:>6} {:>5.0}  {}",
        caught.flaw,
        caught.store,
        caught.cycles,
        caught.wall_s,
        if caught.by.is_empty() {
            "nothing".to_owned()
        } else {
            caught.by.join("; ")
        }
    );
    if let Some(path) = &options.out {
        write_line(path, caught);
    }
}

async fn hunt(flaw: Option<Flaw>, trap: &Trap, seed: u64, stop: &CancellationToken) -> Caught {
    let mut caught = Caught {
        kind: "flaw".to_owned(),
        flaw: flaw.map_or("none", Flaw::name).to_owned(),
        by: Vec::new(),
        store: trap.store.name().to_owned(),
        replicas: trap.replicas,
        cycles: 0,
        wall_s: 0.0,
        example: String::new(),
        seed,
        commit: variable("GATEPOST_CAMPAIGN_COMMIT").unwrap_or_default(),
        profile: variable("GATEPOST_CAMPAIGN_BUILT").unwrap_or_default(),
        date: variable("GATEPOST_CAMPAIGN_DATE").unwrap_or_default(),
        command: format!("tests/campaign/run flaws --seed {seed}"),
        machine: crate::campaign::machine(),
    };
    let n_tries = if flaw.is_some() { N_TRIES } else { 1 };
    for n in 0..n_tries {
        if caught.by.iter().any(|it| it == trap.breaks.name()) || stop.is_cancelled() {
            break;
        }
        let run = Run {
            cycles: trap.cycles,
            store: trap.store,
            replicas: trap.replicas,
            seed: Some(seed + n),
            from: 0,
            point: None,
            flaw: flaw.map(|it| it.name().to_owned()),
            rate: RATE,
            out: None,
        };
        let scene = Scene {
            plan: Plan::Only(trap.only),
            patience: Duration::from_secs(15),
            is_quiet: true,
        };
        let Outcome {
            summary, failures, ..
        } = play(&run, scene, stop).await;
        caught.cycles += summary.cycles;
        caught.wall_s += summary.wall_s;
        let by: BTreeSet<_> = failures.iter().map(|it| it.invariant).collect();
        // The one that it is about comes first.
        let mut by: Vec<_> = by.into_iter().collect();
        by.sort_by_key(|it| *it != trap.breaks);
        caught.by = by.iter().map(|it| it.name().to_owned()).collect();
        let telling = failures.iter().find(|it| it.invariant == trap.breaks);
        caught.example = telling
            .or(failures.first())
            .map(|it| it.what.chars().take(300).collect())
            .unwrap_or_default();
    }
    caught
}
