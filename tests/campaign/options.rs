//! What can be asked for.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Kills gatepost again and again under load, and holds what is left against the books of its sender and its handler.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One campaign on one store.
    Run(Run),
    /// Every deliberate defect must be seen.
    Flaws(Flaws),
    /// Every point on both stores, and all flaws: what a change must pass.
    Short(Short),
    /// Makes `docs/evidence.md` from the results of finished runs.
    Report(Report),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Flaws {
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Look for this one alone.
    #[arg(long)]
    pub(crate) only: Option<String>,
    /// Append the results to this file, as lines of JSON.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Short {
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// On each store.
    #[arg(long, default_value_t = 45)]
    pub(crate) cycles: u64,
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Report {
    /// Where the `*.json` and `*.jsonl` of finished runs are.
    #[arg(default_value = "docs/evidence")]
    pub(crate) directory: PathBuf,
    #[arg(long, default_value = "docs/evidence.md")]
    pub(crate) to: PathBuf,
    /// Write nothing; fail where the page is not what these results make.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// How often gatepost is started, and ended in some way.
    #[arg(long, default_value_t = 100)]
    pub(crate) cycles: u64,
    #[arg(long, value_enum)]
    pub(crate) store: Engine,
    /// Processes over one store; more than one takes Postgres.
    #[arg(long, default_value_t = 1)]
    pub(crate) replicas: usize,
    /// Decides everything random but the timing. Without it, one is chosen and printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The cycle to begin with: to replay a part of a longer run.
    #[arg(long, default_value_t = 0)]
    pub(crate) from: u64,
    /// Die at this kill point alone, `K1` to `K20`.
    #[arg(long)]
    pub(crate) point: Option<String>,
    /// Run a gatepost with this defect, which should make the campaign fail.
    #[arg(long)]
    pub(crate) flaw: Option<String>,
    /// Requests a second.
    #[arg(long, default_value_t = 200)]
    pub(crate) rate: u32,
    /// Append the result to this file, as a line of JSON.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
}

impl Run {
    /// The number of `--point`.
    pub(crate) fn point_number(&self) -> Option<u8> {
        let text = self.point.as_ref()?;
        let number = text.trim_start_matches(['K', 'k']).parse().ok();
        let number = number.filter(|it| crate::plan::POINTS.contains(it));
        Some(number.unwrap_or_else(|| panic!("`{text}` is no kill point: K1 to K18, K20")))
    }
}

/// What the script tells: the gatepost to kill, how it was built, from which commit.
#[expect(clippy::disallowed_methods, reason = "the campaign's own settings")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}
