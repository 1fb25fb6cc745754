//! Makes the attempts: each delivery in hand is a task of this pool, from its place to its settlement.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{clock::Timestamp, ids::DeliveryId},
    delivery::{Context, attempt, lanes::Lanes, settler::Settler},
    event::delivery::Fence,
    store::{claim::Claim, handover::InHand},
};

/// The deliveries that this process holds a lease on. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<DeliveryId, Lease>>>);

#[derive(Debug, Clone, Copy)]
struct Lease {
    fence: Fence,
    until: Timestamp,
}

impl Held {
    pub fn insert(&self, claim: &Claim) {
        self.lock().insert(
            claim.delivery.id,
            Lease {
                fence: claim.fence,
                until: claim.lease_until,
            },
        );
    }

    /// Forgets a claim, unless a newer one of the same delivery has taken its place.
    pub fn remove(&self, id: DeliveryId, fence: Fence) {
        let mut held = self.lock();
        if held.get(&id).is_some_and(|it| it.fence == fence) {
            held.remove(&id);
        }
    }

    /// Until when a claim is ours; `None` if it was lost.
    pub fn lease_until(&self, id: DeliveryId, fence: Fence) -> Option<Timestamp> {
        self.lock()
            .get(&id)
            .filter(|it| it.fence == fence)
            .map(|it| it.until)
    }

    /// Notes a renewal of these claims; those that the store called lost are forgotten.
    pub fn renewed(&self, claims: &[(DeliveryId, Fence)], lost: &[DeliveryId], until: Timestamp) {
        let mut held = self.lock();
        for (id, fence) in claims {
            let Some(lease) = held.get_mut(id).filter(|it| it.fence == *fence) else {
                continue;
            };
            if lost.contains(id) {
                held.remove(id);
            } else {
                lease.until = until;
            }
        }
    }

    pub fn all(&self) -> Vec<(DeliveryId, Fence)> {
        self.lock().iter().map(|(id, lease)| (*id, lease.fence)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeliveryId, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the pool is told to end.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Start no more attempts; put back what has not started.
    pub soft: CancellationToken,
    /// The grace is over: abort what is in flight, and put it back uncounted.
    pub hard: CancellationToken,
}

/// Runs until stopped and empty-handed.
pub async fn run(
    context: Context,
    lanes: Lanes,
    held: Held,
    settler: Settler,
    mut in_hand: mpsc::UnboundedReceiver<InHand>,
    stop: Stop,
) {
    let mut attempts = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.soft.cancelled() => break,
            // Before new work, so that what has ended never piles up under load.
            Some(ended) = attempts.join_next() => note_panic(&context, ended),
            Some(next) = in_hand.recv() => {
                held.insert(&next.claim);
                let task = attempt::run(
                    context.clone(), lanes.clone(), held.clone(), settler.clone(), next, stop.clone(),
                );
                attempts.spawn(task);
            }
        }
    }
    // What ingest handed over while we were being told: nobody has started it.
    in_hand.close();
    let mut unstarted = Vec::new();
    while let Some(next) = in_hand.recv().await {
        unstarted.push((next.claim.delivery.id, next.claim.fence));
    }
    put_back(&context, unstarted).await;
    while let Some(ended) = attempts.join_next().await {
        note_panic(&context, ended);
    }
}

/// Gives claims back uncounted. If that fails, their leases do it a little later.
pub async fn put_back(context: &Context, held: Vec<(DeliveryId, Fence)>) {
    if held.is_empty() {
        return;
    }
    let n_deliveries = held.len();
    match context.store.release(held, context.clock.now()).await {
        Ok(_) => tracing::debug!(n_deliveries, "put {n_deliveries} deliveries back untried"),
        Err(error) => {
            context.metrics.store_error(error.kind());
            tracing::warn!(
                n_deliveries,
                "could not put deliveries back, their leases will: {error}"
            );
        }
    }
}

/// A task that panicked drops its place; the lease gives its delivery to another try.
fn note_panic(context: &Context, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        context.metrics.panicked();
        tracing::error!("an attempt panicked: {error}");
    }
}
