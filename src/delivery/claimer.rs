//! Fetches due work from the store, as much as there are free places for.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{
        Context,
        lanes::{Lanes, Places},
    },
    store::{
        claim::{Claim, Share, Wanted},
        handover::{Handover, Place},
    },
};

/// So often what waits for destinations that are left alone is looked through for what waits too long.
const GIVE_UP_EVERY: Duration = Duration::from_secs(5);
/// For so many times as long as that took, at least: a large backlog must not be looked through all the time.
const GIVE_UP_REST: u32 = 50;
/// Rows of one statement.
const GIVE_UP_ROWS: u32 = 1_000;

/// Claims until stopped. Polling is the mechanism; wake-ups only make it quicker.
pub async fn run(context: Context, lanes: Lanes, stop: CancellationToken) {
    let mut give_up_at = Instant::now();
    while !stop.is_cancelled() {
        let begun_at = Instant::now();
        if give_up_at <= begun_at {
            give_up_overdue(&context, &lanes).await;
            give_up_at = Instant::now() + GIVE_UP_EVERY.max(begun_at.elapsed() * GIVE_UP_REST);
        }
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
            () = rest(&context, &lanes, poll) => (),
        }
    }
}

/// Until the next look: that long, or until somebody knows of work that there is room for.
async fn rest(context: &Context, lanes: &Lanes, poll: Duration) {
    let woken = async {
        loop {
            context.wake.woken().await;
            if lanes.have_room() {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(poll, woken).await;
}

/// A breaker costs no attempt, but it does not stop the clock: `max_age` holds while nothing is sent.
async fn give_up_overdue(context: &Context, lanes: &Lanes) {
    for (name, lane) in lanes.all() {
        let max_age = context
            .registry
            .current()
            .destination(&name)
            .map(|it| it.settings.retry.max_age);
        let Some(max_age) = max_age.filter(|_| lane.gate.is_open()) else {
            continue;
        };
        let before = context.clock.now().minus(max_age);
        let reason = "its time (`max_age`) was up while its destination was left alone";
        loop {
            match context.store.give_up(&name, before, reason, GIVE_UP_ROWS).await {
                Ok(0) => break,
                Ok(n_dead) => {
                    tracing::warn!(destination = %name, n_dead, "gave up {n_dead} deliveries to `{name}`: {reason}");
                    if n_dead < u64::from(GIVE_UP_ROWS) {
                        break;
                    }
                }
                Err(error) => {
                    context.metrics.store_error(error.kind());
                    tracing::warn!(destination = %name, "could not give up what waits too long for `{name}`: {error}");
                    break;
                }
            }
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

    let mut reserved = reserve(lanes, &context.handover);
    if reserved.is_empty() {
        return Ok(true);
    }
    let share = |(name, reserved): (&Arc<str>, &Reserved)| Share {
        destination: Arc::clone(name),
        n_first: reserved.first.len(),
        n_retries: reserved.retries.len(),
    };
    let wanted = Wanted {
        worker: context.handover.worker(),
        lease: context.settings.lease,
        per_destination: reserved.iter().map(share).collect(),
    };
    let claims = context.store.claim(&wanted, context.clock.now()).await?;
    for claim in claims {
        // The store gives at most what was asked for; a claim too many is left to its lease.
        if let Some(place) = reserved
            .get_mut(&claim.delivery.destination)
            .and_then(|it| it.of(&claim).pop())
        {
            place.fill(claim);
        }
    }
    let mut is_backlog = false;
    for share in &wanted.per_destination {
        let left = &reserved[&share.destination];
        let unfilled = (left.first.len(), left.retries.len());
        if let Some(lane) = lanes.get(&share.destination) {
            lane.claimed(share.n_first, unfilled);
        }
        is_backlog |= share.n_first > 0 && unfilled.0 == 0 || share.n_retries > 0 && unfilled.1 == 0;
    }
    Ok(is_backlog)
}

/// The places of one destination that are to be filled.
struct Reserved {
    first: Vec<Place>,
    retries: Vec<Place>,
}

impl Reserved {
    const fn of(&mut self, claim: &Claim) -> &mut Vec<Place> {
        if claim.is_retry {
            &mut self.retries
        } else {
            &mut self.first
        }
    }
}

fn reserve(lanes: &Lanes, handover: &Handover) -> HashMap<Arc<str>, Reserved> {
    let mut res = HashMap::new();
    for (name, lane) in lanes.all() {
        let (n_first, n_retries) = lane.n_wanted();
        let take = |places: &Places, n| {
            (0..n)
                .map_while(|_| handover.reserve_in(&places.semaphore))
                .collect::<Vec<_>>()
        };
        let reserved = Reserved {
            first: take(&lane.places, n_first),
            retries: take(&lane.retry_places, n_retries),
        };
        if !reserved.first.is_empty() || !reserved.retries.is_empty() {
            res.insert(name, reserved);
        }
    }
    res
}
