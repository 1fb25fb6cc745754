//! Fetches due work from the store, as much as there are free places for.

use std::{collections::HashMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Context, lanes::Lanes},
    store::{
        claim::Wanted,
        handover::{Handover, Place},
    },
};

/// Claims until stopped. Polling is the mechanism; wake-ups only make it quicker.
pub async fn run(context: Context, lanes: Lanes, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let is_backlog = match round(&context, &lanes).await {
            Ok(is_backlog) => is_backlog,
            Err(error) => {
                context.metrics.store_error(error.kind());
                tracing::warn!("could not claim deliveries: {error}");
                false
            }
        };
        // With a backlog the next round waits only for a free place, of which the pool tells by waking us.
        let poll = if is_backlog {
            context.settings.poll / 4
        } else {
            context.settings.poll
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.wake.woken() => (),
            () = tokio::time::sleep(poll) => (),
        }
    }
}

/// One look at the store. True if some destination got all that it asked for, so that there may be more.
async fn round(context: &Context, lanes: &Lanes) -> Result<bool, crate::store::error::StoreError> {
    let holds = context.store.holds().await?;
    lanes.follow(
        &context.registry.current(),
        &holds,
        &context.handover,
        &context.metrics,
    );

    let mut places = reserve_free(lanes, &context.handover);
    if places.is_empty() {
        return Ok(true);
    }
    let per_destination = places
        .iter()
        .map(|(name, places)| (Arc::clone(name), places.len()))
        .collect();
    let wanted = Wanted {
        worker: context.handover.worker(),
        lease: context.settings.lease,
        per_destination,
    };
    let claims = context.store.claim(&wanted, context.clock.now()).await?;
    for claim in claims {
        // The store gives at most what was asked for; a claim too many is left to its lease.
        if let Some(place) = places.get_mut(&claim.delivery.destination).and_then(Vec::pop) {
            place.fill(claim);
        }
    }
    Ok(places.values().any(Vec::is_empty))
}

/// Takes the free places of each lane. A lane with less than a quarter of its places free is left alone until more come
/// together, so that a busy destination costs few large claims instead of many small ones.
fn reserve_free(lanes: &Lanes, handover: &Handover) -> HashMap<Arc<str>, Vec<Place>> {
    let mut res = HashMap::new();
    for (name, lane) in lanes.all() {
        let n_free = lane.places.available_permits();
        if n_free * 4 < lane.n_places {
            continue;
        }
        let places: Vec<_> = (0..n_free)
            .map_while(|_| handover.reserve_in(&lane.places))
            .collect();
        if !places.is_empty() {
            res.insert(name, places);
        }
    }
    res
}
