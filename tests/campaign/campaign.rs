//! A whole run: rounds of cycles, until something breaks or all are played.

use std::{fmt::Write as _, io::Write as _, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cycle,
    options::{Run, variable},
    plan::{self, Plan, ROUND},
    round::Round,
    summary::{Failure, Invariant, Spread, Summary},
    verify::verify,
};

/// How often a run says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// From a replica's death until others have done its work, at p99.
const TAKEOVER: Duration = Duration::from_secs(15);

/// What a run plays, beside what was asked for on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) plan: Plan,
    /// How long nothing may become better at the end of a round.
    pub(crate) patience: Duration,
    pub(crate) is_quiet: bool,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            plan: Plan::Mixed,
            patience: Duration::from_mins(1),
            is_quiet: false,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    pub(crate) failures: Vec<Failure>,
    recoveries: Vec<Duration>,
    takeovers: Vec<Duration>,
}

pub(crate) async fn main(run: Run, stop: CancellationToken) -> bool {
    let outcome = play(&run, Scene::default(), &stop).await;
    report(&run, outcome)
}

/// Says what was found, writes it down, and whether all is well.
pub(crate) fn report(run: &Run, outcome: Outcome) -> bool {
    outcome.summary.print();
    if let Some(path) = &run.out {
        write_line(path, &outcome.summary);
    }
    if !outcome.failures.is_empty() {
        println!("{}", replay(run, &outcome.summary));
    }
    outcome.failures.is_empty()
}

/// Appended, so that several runs may share a file.
pub(crate) fn write_line(path: &std::path::Path, line: &impl serde::Serialize) {
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let text = format!("{}\n", serde_json::to_string(line).unwrap());
    file.write_all(text.as_bytes()).unwrap();
}

pub(crate) async fn play(run: &Run, scene: Scene, stop: &CancellationToken) -> Outcome {
    let seed = run.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    assert!(
        run.replicas == 1 || run.store == crate::options::Engine::Postgres,
        "SQLite takes one process"
    );
    let started = Instant::now();
    let mut said_at = started;
    let mut outcome = Outcome::default();
    outcome.summary.is_balanced = true;
    let end = run.from + run.cycles;
    let mut number = run.from;
    while number < end && !stop.is_cancelled() && outcome.failures.is_empty() {
        let round_number = number / ROUND;
        let mut round = Round::start(run, seed, round_number, scene.patience).await;
        while number < end && number / ROUND == round_number && !stop.is_cancelled() {
            let cycle = plan::choose(run, scene.plan, seed, number);
            cycle::play(&mut round, &cycle).await;
            number += 1;
            if !round.failures.is_empty() {
                break;
            }
            if said_at.elapsed() > PROGRESS && !scene.is_quiet {
                said_at = Instant::now();
                let n_done = number - run.from;
                let n_acknowledged =
                    outcome.summary.n_acknowledged + round.sender.book(|it| it.n_acknowledged);
                eprintln!(
                    "campaign: {n_done} of {} cycles, {n_acknowledged} acknowledged, {:.0} s",
                    run.cycles,
                    started.elapsed().as_secs_f64()
                );
            }
        }
        let ledger = round.settle_down().await;
        verify(&mut round, &ledger).await;
        outcome.take(round, scene.is_quiet);
    }
    outcome.close(run, seed, stop.is_cancelled() && number < end, started.elapsed());
    outcome
}

impl Outcome {
    fn take(&mut self, mut round: Round, is_quiet: bool) {
        if !round.failures.is_empty() && !is_quiet {
            let kept = round.site.keep();
            eprintln!(
                "campaign: round {} failed; its directory is {}",
                round.number,
                kept.display()
            );
        }
        let (all, its) = (&mut self.summary, round.summary);
        all.rounds += 1;
        for (sum, part) in [(&mut all.ends, its.ends), (&mut all.points, its.points)] {
            for (name, n) in part {
                *sum.entry(name).or_default() += n;
            }
        }
        macro_rules! add {
            ($($field:ident)*) => { $(all.$field += its.$field;)* };
        }
        add!(cycles n_kills n_store_faults n_sink_faults n_reloads n_failed_starts n_events n_acknowledged n_rejected n_forged);
        add!(n_duplicates n_conflicts n_own_faults n_broken n_refused n_delivered n_dead n_lost);
        add!(n_unverified_as_verified n_stored_twice n_delivered_twice n_unsettled unsettled_bound n_lost_claims);
        all.max_unsettled = all.max_unsettled.max(its.max_unsettled);
        all.in_hand = its.in_hand;
        all.is_balanced &= its.is_balanced;
        self.recoveries.append(&mut round.recoveries);
        self.takeovers.append(&mut round.takeovers);
        self.failures.append(&mut round.failures);
    }

    fn close(&mut self, run: &Run, seed: u64, is_interrupted: bool, wall: Duration) {
        let known = |name: &str| variable(name).unwrap_or_else(|| "unknown".to_owned());
        let all = &mut self.summary;
        "campaign".clone_into(&mut all.kind);
        run.store.name().clone_into(&mut all.store);
        all.replicas = run.replicas;
        all.seed = seed;
        all.commit = known("GATEPOST_CAMPAIGN_COMMIT");
        all.profile = known("GATEPOST_CAMPAIGN_BUILT");
        all.date = known("GATEPOST_CAMPAIGN_DATE");
        all.machine = machine();
        all.command = command(run, seed, run.from, run.cycles);
        all.flaw.clone_from(&run.flaw);
        all.is_interrupted = is_interrupted;
        all.recovery = Spread::of(std::mem::take(&mut self.recoveries));
        all.takeover = Spread::of(std::mem::take(&mut self.takeovers));
        if Duration::from_millis(all.takeover.p99_ms) > TAKEOVER {
            let what = format!("others took over after {} ms at p99", all.takeover.p99_ms);
            let invariant = Invariant::Recovers;
            self.failures.push(Failure { invariant, what });
        }
        all.wall_s = wall.as_secs_f64();
        let text = |it: &Failure| format!("{}: {}", it.invariant.name(), it.what);
        all.failures = self.failures.iter().map(text).collect();
    }
}

fn command(run: &Run, seed: u64, from: u64, cycles: u64) -> String {
    let mut text = format!(
        "tests/campaign/run --cycles {cycles} --store {} --replicas {} --seed {seed}",
        run.store.name(),
        run.replicas
    );
    for (name, value) in [("point", &run.point), ("flaw", &run.flaw)] {
        if let Some(value) = value {
            let _ = write!(text, " --{name} {value}");
        }
    }
    if from > 0 {
        let _ = write!(text, " --from {from}");
    }
    text
}

/// The command that plays the last round again. The same plan and traffic; the timing is the machine's.
fn replay(run: &Run, summary: &Summary) -> String {
    let last = run.from + summary.cycles.max(1) - 1;
    let first = (last / ROUND * ROUND).max(run.from);
    let again = command(run, summary.seed, first, last - first + 1);
    format!("play it again (the same plan and traffic, not the same timing):\n  {again}")
}

pub(crate) fn machine() -> String {
    let n_cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find(|it| it.starts_with("MemTotal"));
    let kib = total.and_then(|it| it.split_whitespace().nth(1)?.parse::<u64>().ok());
    format!("{n_cores} cores, {} GiB", kib.unwrap_or(0) / 1024 / 1024)
}
