//! The campaign of power losses on SQLite: what was acknowledged survives the loss of everything that was not synced.
//!
//! A gatepost takes events under load while `amnesia.c`, preloaded into it, remembers what a power loss would take. It is
//! killed at some moment: at random, in a checkpoint, before a sync, during its start or its stop. `loss` then undoes what
//! was never synced: all of it, or sector by sector as the seed has it, so that later writes survive where earlier ones do
//! not. On what is left a gatepost must start, have every acknowledged event byte for byte and nothing that was not sent,
//! answer its first 200 in time, and have a ledger that adds up; SQLite must find its file intact. The senders keep the
//! book (`sender`), and they outlive every loss.
//!
//! What it takes for granted, as SQLite does: a write does not harm bytes beside it in its sector, and a sync that has
//! returned is true. `--flaw lying-disk`, where one is not, is the counter-proof of the second; `--flaw
//! synchronous-normal` is that of `synchronous=FULL`. Both must be caught. Names are lost from the end, in each directory;
//! contents in any order.
//!
//! A seed chooses plans, bodies and losses, but not how threads take turns: the same seed makes the same kind of trouble,
//! not the same trouble.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a campaign reports on the terminal, and panics where it cannot go on itself"
)]

mod book;
mod campaign;
mod check;
mod entries;
mod life;
mod loss;
mod plan;
mod probe;
mod process;
mod report;
mod rows;
mod sender;
mod shim;
mod site;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{campaign::Orders, loss::Mode, shim::Shim};

#[derive(Debug, Parser)]
#[command(about = "Power losses on SQLite", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    orders: Orders,
    /// Appends the figures to this file, one JSON line.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The shim by itself, then a few cycles: nothing is lost, and what is built in to lose is caught. For every day.
    Short,
    /// Whether the shim forgets what it should, and nothing else.
    Shim,
    /// What the shim's own check runs under the shim.
    #[command(hide = true)]
    Probe { case: String, directory: PathBuf },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let out = arguments.out.as_deref();
    if let Some(Task::Probe { case, directory }) = &arguments.task {
        probe::act(case, directory);
    }
    let shim = Shim::build();
    let is_fine = match arguments.task {
        Some(Task::Shim) => probe::check_all(&shim),
        Some(_) => {
            let tasks = [
                Orders::short(30, Mode::Mixed, None),
                Orders::short(24, Mode::All, Some("synchronous-normal")),
                Orders::short(16, Mode::Torn, Some(campaign::LYING_DISK)),
            ];
            probe::check_all(&shim) && tasks.iter().all(|it| campaign::run(&shim, it, out))
        }
        None => campaign::run(&shim, &arguments.orders, out),
    };
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
