//! What a campaign did and found.

use std::{fs::OpenOptions, io::Write, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{campaign::Orders, check::Fault, life::Cycle, loss::Loss};

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) n_cycles: u64,
    pub(crate) n_acknowledged: usize,
    pub(crate) n_own_faults: usize,
    pub(crate) n_broken: usize,
    pub(crate) n_forged: usize,
    pub(crate) n_lost: usize,
    n_foreign: usize,
    pub(crate) n_damaged: usize,
    pub(crate) n_not_started: usize,
    n_unbalanced: usize,
    pub(crate) n_faults: usize,
    n_in_checkpoint: usize,
    largest_log: u64,
    loss: Loss,
    recoveries: Vec<Duration>,
}

impl Report {
    pub(crate) fn add(&mut self, cycle: &Cycle) {
        for fault in &cycle.faults {
            self.n_faults += 1;
            match fault {
                Fault::Lost(_) => self.n_lost += 1,
                Fault::Foreign(_) => self.n_foreign += 1,
                Fault::Damaged(_) => self.n_damaged += 1,
                Fault::DoesNotStart(_) => self.n_not_started += 1,
                Fault::Ledger(_) => self.n_unbalanced += 1,
                _ => (),
            }
        }
        self.n_in_checkpoint += usize::from(cycle.loss.is_in_checkpoint);
        self.largest_log = self.largest_log.max(cycle.log_size);
        self.loss += cycle.loss;
        self.recoveries.extend(cycle.recovery);
    }

    /// A campaign in which nothing was at stake proves nothing.
    pub(crate) fn is_telling(&self) -> bool {
        let n_cycles = usize::try_from(self.n_cycles).unwrap_or(usize::MAX);
        self.n_acknowledged > n_cycles && self.loss.n_forgotten > 0 && self.n_forged > 0
    }

    fn recovery_ms(&self, share: f64) -> f64 {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among a few thousand"
        )]
        let rank = (sorted.len() as f64 * share) as usize;
        let time = sorted.get(rank.min(sorted.len().saturating_sub(1)));
        time.map_or(0.0, |it| (it.as_secs_f64() * 10_000.0).round() / 10.0)
    }

    pub(crate) fn to_json(&self, orders: &Orders) -> Value {
        json!({
            "campaign": "power",
            "commit": commit(),
            "seed": orders.seed,
            "from": orders.from,
            "mode": format!("{:?}", orders.mode).to_lowercase(),
            "flaw": orders.flaw,
            "cycles": self.n_cycles,
            "acknowledged": self.n_acknowledged,
            "unanswered": self.n_broken,
            "own_faults": self.n_own_faults,
            "forgeries_refused": self.n_forged,
            "lost": self.n_lost,
            "foreign": self.n_foreign,
            "integrity_failures": self.n_damaged,
            "failed_starts": self.n_not_started,
            "ledger": if self.n_unbalanced == 0 { "balanced" } else { "unbalanced" },
            "faults": self.n_faults,
            "losses_in_checkpoint": self.n_in_checkpoint,
            "largest_log_bytes": self.largest_log,
            "unsynced_sectors": self.loss.n_sectors,
            "forgotten_sectors": self.loss.n_forgotten,
            "torn_writes": self.loss.n_torn,
            "undone_names": self.loss.n_entries,
            "recovery_p50_ms": self.recovery_ms(0.5),
            "recovery_p99_ms": self.recovery_ms(0.99),
            "recovery_max_ms": self.recovery_ms(1.0),
        })
    }
}

/// One line.
pub(crate) fn append(out: &Path, line: &Value) {
    let mut file = OpenOptions::new().create(true).append(true).open(out).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// With `-dirty` where the checkout has changes, and without a name outside of a checkout.
fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    output
        .map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
        .unwrap_or_default()
}
