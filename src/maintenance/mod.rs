//! Chores: what keeps the store in order while gatepost runs. One file each; the short ones share a loop, so do the long ones, and
//! `hold`, which may be either, has one to itself.
//!
//! A chore works in bounded slices and can be done by any replica; `prune` alone is done by one at a time.
//!
//! Imports: `base`, `event`, `store`.

pub mod audit;
pub mod clock;
pub mod hold;
pub mod prune;
pub mod rescue;

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{ids::WorkerId, metrics::Metrics},
    store::{Store, clock::StoreClock, error::StoreError, query::Audit},
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// How long finished events are kept.
    pub retention: Duration,
    /// How long rejected requests are kept.
    pub rejected_retention: Duration,
    /// How many rejected requests are kept.
    pub rejected_keep: u64,
}

/// What every chore works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub store: Store,
    pub clock: StoreClock,
    pub metrics: Metrics,
    pub worker: WorkerId,
    pub settings: Settings,
    /// Where the last count is told.
    pub ledger: watch::Sender<Option<Audit>>,
}

/// With the lease of a dead replica this decides how soon its work is taken over: within 15 s.
const RESCUE_EVERY: Duration = Duration::from_secs(1);
const PRUNE_EVERY: Duration = Duration::from_mins(1);
const AUDIT_EVERY: Duration = Duration::from_mins(1);
/// The audit counts every row. It rests for so many times as long as it took, so that a very large store is counted less often.
const AUDIT_REST: u32 = 50;
const HOLD_EVERY: Duration = Duration::from_secs(1);
/// For a held route, all that waits is looked at. Until it is marked, whoever claims looks at it as well.
const HOLD_REST: u32 = 10;
/// Often, so that little is copied at a time: a commit waits for the same disk.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(30);
const SYNC_CLOCK_EVERY: Duration = Duration::from_secs(10);

/// Does every chore when it is due, until stopped. What may take long goes on beside the short ones, so that no rescue waits for it.
pub async fn run(context: Context, stop: CancellationToken) {
    tokio::join!(
        run_short(&context, &stop),
        run_long(&context, &stop),
        run_hold(&context, &stop)
    );
}

async fn run_short(context: &Context, stop: &CancellationToken) {
    let mut rescue = tokio::time::interval(RESCUE_EVERY);
    let mut sync_clock = tokio::time::interval(SYNC_CLOCK_EVERY);
    let mut checkpoint = tokio::time::interval(CHECKPOINT_EVERY);
    let mut is_apart = false;
    checkpoint.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (chore, result) = tokio::select! {
            () = stop.cancelled() => return,
            _ = rescue.tick() => ("rescue", rescue::run(context).await),
            _ = sync_clock.tick() => ("sync the clock", clock::run(context, &mut is_apart).await),
            _ = checkpoint.tick() => ("checkpoint", context.store.checkpoint().await),
        };
        if let Err(error) = result {
            note(context, chore, &error);
        }
    }
}

async fn run_long(context: &Context, stop: &CancellationToken) {
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut audit_at = Instant::now();
    loop {
        let (chore, result) = tokio::select! {
            () = stop.cancelled() => return,
            _ = prune.tick() => ("prune", prune::run(context, stop).await),
            () = tokio::time::sleep_until(audit_at) => {
                let started_at = Instant::now();
                let result = audit::run(context).await;
                audit_at = Instant::now() + AUDIT_EVERY.max(started_at.elapsed() * AUDIT_REST);
                ("audit the ledger", result)
            }
        };
        if let Err(error) = result {
            note(context, chore, &error);
        }
    }
}

async fn run_hold(context: &Context, stop: &CancellationToken) {
    let mut rest = HOLD_EVERY;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => (),
        }
        let started_at = Instant::now();
        if let Err(error) = hold::run(context).await {
            note(context, "hold what waits", &error);
        }
        rest = HOLD_EVERY.max(started_at.elapsed() * HOLD_REST);
    }
}

fn note(context: &Context, chore: &str, error: &StoreError) {
    context.metrics.store_error(error.kind());
    tracing::warn!("could not {chore}: {error}");
}
