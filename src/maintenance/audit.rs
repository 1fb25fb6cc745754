//! Rings when the ledger does not add up, or when work is stuck.

use std::time::Instant;

use crate::{
    maintenance::Context,
    store::{error::StoreError, query::Audit},
};

pub async fn run(context: &Context) -> Result<(), StoreError> {
    let (at, began) = (context.clock.now(), Instant::now());
    let ledger = context.store.ledger(at).await?;
    let took = began.elapsed();
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
    context.ledger.send_replace(Some(Audit { at, took, ledger }));
    Ok(())
}
