//! Renews the leases of what is in hand, and says that this process is there to share the rates.

use tokio_util::sync::CancellationToken;

use crate::delivery::{Context, lanes::Lanes, pool::Held};

/// Renews three times in a lease, so that two renewals may fail before work is given to another worker.
pub async fn run(context: Context, held: Held, lanes: Lanes, stop: CancellationToken) {
    let period = context.settings.lease / 3;
    let mut is_known = attend(&context, &lanes, false).await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => {
                beat(&context, &held).await;
                is_known |= attend(&context, &lanes, is_known).await;
            }
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

/// True if the others know of this process now. Those that are there hear of one that comes at their own next beat: until
/// then they take the whole of a rate, so the newcomer waits for one of its own.
async fn attend(context: &Context, lanes: &Lanes, is_known: bool) -> bool {
    let now = context.clock.now();
    let until = now.plus(context.settings.lease);
    match context.store.attend(context.handover.worker(), now, until).await {
        Ok(n_replicas) => {
            context.metrics.set_replicas(n_replicas);
            if is_known || n_replicas == 1 {
                lanes.share_among(n_replicas);
            }
            true
        }
        Err(error) => {
            context.metrics.store_error(error.kind());
            tracing::warn!("could not tell the other processes that this one is there: {error}");
            false
        }
    }
}
