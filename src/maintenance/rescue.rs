//! Gives back what a dead worker held.

use crate::{
    base::trial::{self, Flaw},
    maintenance::Context,
    store::error::StoreError,
};

/// The most rows of one statement.
const SLICE: u32 = 1000;

pub async fn run(context: &Context) -> Result<(), StoreError> {
    while !trial::has(Flaw::LeasesNeverEnd) {
        let n_rescued = context.store.rescue(context.clock.now(), SLICE).await?;
        if n_rescued > 0 {
            context.metrics.rescued(n_rescued);
            tracing::warn!(
                n_rescued,
                "took {n_rescued} deliveries back from workers whose leases ended"
            );
        }
        if n_rescued < u64::from(SLICE) {
            break;
        }
    }
    Ok(())
}
