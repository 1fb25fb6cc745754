//! Retention: finished events go when their time is up, open deliveries never. Rejected requests go by age and number.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    base::trial::{self, Point},
    maintenance::Context,
    store::error::StoreError,
};

/// The most rows of one transaction, so that a large prune never holds up a commit for long.
const SLICE: u32 = 500;
/// Long enough for one run; a replica that dies in it is followed by another after that.
const LEASE: Duration = Duration::from_mins(2);

pub async fn run(context: &Context, stop: &CancellationToken) -> Result<(), StoreError> {
    let now = context.clock.now();
    if !context
        .store
        .lease("prune", context.worker, now, now.plus(LEASE))
        .await?
    {
        return Ok(());
    }
    // The store's time: a wall clock that is years ahead would take everything.
    let oldest_event = now.minus(context.settings.retention);
    let mut n_pruned = 0;
    while !stop.is_cancelled() {
        let prune = context.store.prune(oldest_event, SLICE);
        let n_events = trial::during(Point::Pruning, prune).await?;
        n_pruned += n_events;
        if n_events < u64::from(SLICE) {
            break;
        }
    }
    let oldest_request = now.minus(context.settings.rejected_retention);
    let keep = context.settings.rejected_keep;
    while !stop.is_cancelled() {
        let n_requests = context.store.prune_requests(oldest_request, keep, SLICE).await?;
        if n_requests < u64::from(SLICE) {
            break;
        }
    }
    while !stop.is_cancelled() {
        let n_keys = context.store.prune_once(now, SLICE).await?;
        if n_keys < u64::from(SLICE) {
            break;
        }
    }
    while !stop.is_cancelled() {
        let n_programs = context.store.prune_programs(oldest_event, SLICE).await?;
        if n_programs < u64::from(SLICE) {
            break;
        }
    }
    if n_pruned > 0 {
        context.metrics.pruned("events", n_pruned);
        tracing::info!(
            n_pruned,
            "removed {n_pruned} finished events past their retention"
        );
    }
    Ok(())
}
