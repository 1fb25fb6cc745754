//! The crash campaign: the real binary is killed, again and again, under a load that keeps its own books, and what is left is
//! held against them.
//!
//! `plan` chooses a cycle from the seed; `campaign` plays rounds of cycles, each on a store of its own; `sender` and `sink` are
//! the two ends, each with its book; `proxy` breaks the connections between; `verify` holds the books against the store.
//! `flaws` proves that it would see a defect, by building each in. It is no test of `cargo test`: see `tests/campaign/run`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a harness that cannot go on says so; it is no part of gatepost, and its tasks end with it"
)]

mod book;
mod campaign;
mod cycle;
mod flaws;
mod http;
mod journal;
mod letter;
mod options;
mod plan;
#[path = "../it/postgres.rs"]
#[expect(dead_code, reason = "the tests want more of it")]
mod postgres;
mod process;
mod proxy;
mod report;
mod round;
mod sender;
mod short;
mod sink;
mod site;
mod store;
mod summary;
mod verify;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let is_fine = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        match options.command {
            Command::Run(run) => campaign::main(run, stop).await,
            Command::Flaws(flaws) => flaws::main(flaws, stop).await,
            Command::Short(short) => short::main(short, stop).await,
            Command::Report(report) => report::main(&report),
        }
    });
    if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The first signal ends the run in order, so that what was found so far is written; the second one at once.
async fn stop_on_signal(stop: CancellationToken) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let mut interrupt = signal(SignalKind::interrupt()).unwrap();
    loop {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        if stop.is_cancelled() {
            #[expect(clippy::exit, reason = "asked twice")]
            std::process::exit(130);
        }
        eprintln!("campaign: stopping after this cycle; once more to stop at once");
        stop.cancel();
    }
}

/// Lets a moment pass. Here the moment is the test: nothing tells when the next interesting one is.
async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// Asks until the answer is there, or the time is up.
async fn until<T, F: Future<Output = Option<T>>>(within: Duration, mut ask: impl FnMut() -> F) -> Option<T> {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        if tokio::time::Instant::now() >= deadline {
            return None;
        }
        pass(Duration::from_millis(20)).await;
    }
}
