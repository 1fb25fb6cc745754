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
    let n_stuck = ledger.stuck.total();
    if n_stuck > 0 {
        tracing::error!(
            n_stuck,
            stuck = ?ledger.stuck,
            "{n_stuck} deliveries are past their time and nobody has moved them for a minute"
        );
    }
    context.ledger.send_replace(Some(ledger));
    Ok(())
}
