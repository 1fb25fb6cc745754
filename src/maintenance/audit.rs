//! Rings when the ledger does not add up, or when work is stuck.

use crate::{maintenance::Context, store::error::StoreError};

pub async fn run(context: &Context) -> Result<(), StoreError> {
    let ledger = context.store.ledger(context.clock.now()).await?;
    if !ledger.is_balanced() {
        tracing::error!(
            ?ledger,
            "the ledger does not add up: rows are missing or were counted twice"
        );
    }
    if ledger.stuck > 0 {
        let n_stuck = ledger.stuck;
        tracing::error!(
            n_stuck,
            "{n_stuck} deliveries are past due and nobody has taken them for a minute"
        );
    }
    Ok(())
}
