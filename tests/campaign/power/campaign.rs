//! Cycle after cycle, on one store after the other.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    life::{Cycle, Life},
    loss::Mode,
    report::{self, Report},
    shim::Shim,
};

/// The flaw that is the disk's and not gatepost's: a sync of the main file, before the log is begun anew, does nothing.
pub(crate) const LYING_DISK: &str = "lying-disk";
/// Cycles of one store: enough for it to grow old, few enough to be looked at in full each time.
pub(crate) const CYCLES_OF_A_LIFE: u64 = 10;
/// With more of them nothing new is learned.
const MAX_FAULTS_SHOWN: usize = 10;

#[derive(Debug, Clone, Args)]
pub(crate) struct Orders {
    /// Power losses.
    #[arg(long, default_value_t = 200)]
    pub(crate) cycles: u64,
    /// Chooses plans, bodies and losses.
    #[arg(long, default_value_t = rand::random::<u32>().into())]
    pub(crate) seed: u64,
    /// The number of the first cycle, a multiple of ten.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Built in, and to be caught: `synchronous-normal`, or `lying-disk`.
    #[arg(long)]
    pub(crate) flaw: Option<String>,
    #[arg(long, value_enum, default_value = "mixed")]
    pub(crate) mode: Mode,
    /// The longest from a start to its first 200.
    #[arg(long, default_value_t = 2000)]
    pub(crate) recovery_ms: u64,
    /// Keeps the store of a cycle that fails, as it was (`disk`) and as the loss before had left it (`before`).
    #[arg(long)]
    pub(crate) keep: bool,
}

impl Orders {
    pub(crate) fn short(cycles: u64, mode: Mode, flaw: Option<&str>) -> Self {
        Self {
            cycles,
            seed: rand::random::<u32>().into(),
            from: 0,
            flaw: flaw.map(str::to_owned),
            mode,
            // It runs beside other things; the long campaign is the one that measures.
            recovery_ms: 10_000,
            keep: false,
        }
    }

    /// Of one cycle; the seeds of neighbours have nothing in common.
    pub(crate) fn seed_of(&self, cycle: u64) -> u64 {
        (self.seed ^ cycle.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(17)
    }

    /// From the beginning of that cycle's store to that cycle.
    fn command(&self, cycle: u64) -> String {
        let from = cycle - cycle % CYCLES_OF_A_LIFE;
        let flaw = self
            .flaw
            .as_ref()
            .map_or(String::new(), |it| format!(" --flaw {it}"));
        format!(
            "tests/campaign/power/run --seed {} --from {from} --cycles {} --mode {}{flaw}",
            self.seed,
            cycle + 1 - from,
            format!("{:?}", self.mode).to_lowercase()
        )
    }
}

/// Whether it found what it should: nothing, or the flaw.
pub(crate) fn run(shim: &Shim, orders: &Orders, out: Option<&Path>) -> bool {
    let gatepost = gatepost();
    let mut report = Report::default();
    let end = orders.from + orders.cycles;
    let mut number = orders.from;
    while number < end {
        let mut life = Life::begin(shim, orders, &gatepost, number);
        let last = end.min(number - number % CYCLES_OF_A_LIFE + CYCLES_OF_A_LIFE);
        let mut is_sound = true;
        while number < last && is_sound {
            is_sound = tell(&mut report, orders, number, &life.cycle(number));
            report.n_cycles += 1;
            number += 1;
        }
        if is_sound {
            is_sound = tell(&mut report, orders, number - 1, &life.end());
        }
        if orders.keep && !is_sound {
            println!("  kept: {}", life.keep().display());
        }
        let book = life.book.get_mut().unwrap();
        report.n_acknowledged += book.acknowledged.len();
        report.n_own_faults += book.n_own_faults;
        report.n_broken += book.n_broken;
        report.n_forged += book.n_forged;
    }
    let line = report.to_json(orders);
    println!("{line}");
    if let Some(out) = out {
        report::append(out, &line);
    }
    judge(orders, &report)
}

/// Whether the store can be used further.
fn tell(report: &mut Report, orders: &Orders, number: u64, cycle: &Cycle) -> bool {
    // What was built in is only counted.
    let max_shown = orders.flaw.as_ref().map_or(MAX_FAULTS_SHOWN, |_| 0);
    for (idx, fault) in cycle.faults.iter().enumerate() {
        if report.n_faults + idx < max_shown {
            println!("cycle {number}: {fault}");
        }
    }
    if !cycle.faults.is_empty() && report.n_faults < max_shown {
        println!("  again: {}", orders.command(number));
    }
    report.add(cycle);
    cycle.faults.is_empty()
}

fn judge(orders: &Orders, report: &Report) -> bool {
    let verdict = match orders.flaw.as_deref() {
        Some(LYING_DISK) if report.n_damaged + report.n_not_started == 0 => {
            Err("not caught: a disk that lies left every store intact")
        }
        Some(LYING_DISK) => Ok("caught: stores were damaged"),
        Some(_) if report.n_lost == 0 => Err("not caught: nothing was lost"),
        Some(_) => Ok("caught: acknowledged events were lost"),
        None if report.n_faults > 0 => Err("failed"),
        None if !report.is_telling() => Err("too little happened to prove anything"),
        None => Ok("nothing acknowledged was lost"),
    };
    println!("{}", verdict.unwrap_or_else(|it| it));
    verdict.is_ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a campaign has no settings to take it from"
)]
fn gatepost() -> PathBuf {
    let path = std::env::var_os("GATEPOST_CAMPAIGN_GATEPOST")
        .expect("GATEPOST_CAMPAIGN_GATEPOST names a gatepost that was built with `--features trial`");
    let path = PathBuf::from(path);
    assert!(path.is_file(), "there is no `{}`", path.display());
    path
}
