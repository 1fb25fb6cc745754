//! Renews the leases of what is in hand.

use tokio_util::sync::CancellationToken;

use crate::delivery::{Context, pool::Held};

/// Renews three times in a lease, so that two renewals may fail before work is given to another worker.
pub async fn run(context: Context, held: Held, stop: CancellationToken) {
    let period = context.settings.lease / 3;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => beat(&context, &held).await,
        }
    }
}

async fn beat(context: &Context, held: &Held) {
    let claims = held.all();
    if claims.is_empty() {
        return;
    }
    let until = context.clock.now().plus(context.settings.lease);
    match context
        .store
        .renew(context.handover.worker(), claims.clone(), until)
        .await
    {
        Ok(lost) => held.renewed(&claims, &lost, until),
        Err(error) => {
            context.metrics.store_error(error.kind());
            tracing::warn!(n_claims = claims.len(), "could not renew leases: {error}");
        }
    }
}
