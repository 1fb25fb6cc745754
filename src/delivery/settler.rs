//! Writes the results of attempts into the store: while one batch is written, the next one gathers.
//!
//! A result is never dropped because the store is away: it is tried again until the store takes it, or until the process
//! ends (then the lease gives the delivery to another attempt). One that the store refuses holds up no other.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::{
    base::{
        backoff::full_jitter,
        metrics::handles,
        trial::{self, Point},
    },
    delivery::{Context, lanes::Lane, pool::Held},
    event::attempt::Outcome,
    store::claim::{Claim, HeldBy, HoldTarget, Settled, Settlement},
};

/// The most results of one write.
const MAX_BATCH: usize = 200;
/// Tries of one write while the process is told to stop.
const MAX_TRIES_AT_STOP: u32 = 5;

/// A result on its way into the store.
#[derive(Debug)]
pub struct ToSettle {
    pub settlement: Settlement,
    /// The handler wants nothing more of this route.
    pub hold_route: bool,
    pub lane: Arc<Lane>,
}

/// The queue of results and its writers. Clones share everything.
#[derive(Debug, Clone)]
pub struct Settler {
    shared: Arc<Shared>,
    context: Context,
    held: Held,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Vec<Waiting>>,
    pushed: Notify,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    to_settle: ToSettle,
    route: Arc<str>,
    destination: Arc<str>,
    /// The delivery's place in its lane: free again once the result is written.
    _place: OwnedSemaphorePermit,
    /// More of its key may wait in the store for just this result.
    is_from_store: bool,
}

/// Why results were not recorded.
#[derive(Debug, Clone, Copy)]
enum Unsettled {
    /// The store will not take one of them.
    Refused,
    /// The process ends, and the store stays away.
    Ended,
}

const fn counted(settlement: &Settlement, settled: Settled) -> handles::Settled {
    match (settled, &settlement.outcome) {
        (Settled::LostClaim, _) => handles::Settled::LostClaim,
        (Settled::Recorded, Outcome::Delivered) => handles::Settled::Delivered,
        (Settled::Recorded, Outcome::Retry { .. }) => handles::Settled::Retrying,
        (Settled::Recorded, Outcome::Dead) => handles::Settled::Dead,
    }
}

/// Frees the places, and says whether the store may have something for them: where nothing waits, a look for each batch would
/// cost the store more than the batch did.
fn frees_for_more(batch: Vec<Waiting>) -> bool {
    let is_from_store = batch.iter().any(|it| it.is_from_store);
    let lanes: Vec<_> = batch.into_iter().map(|it| it.to_settle.lane).collect();
    is_from_store || lanes.iter().any(|it| it.may_have_more())
}

impl Settler {
    pub fn new(context: Context, held: Held) -> Self {
        Self {
            shared: Arc::default(),
            context,
            held,
        }
    }

    pub fn push(&self, to_settle: ToSettle, claim: &Claim, place: OwnedSemaphorePermit, is_from_store: bool) {
        let waiting = Waiting {
            to_settle,
            route: Arc::clone(&claim.delivery.route),
            destination: Arc::clone(&claim.delivery.destination),
            _place: place,
            is_from_store,
        };
        self.lock().push(waiting);
        self.shared.pushed.notify_one();
    }

    /// No more results; the writers write what waits, and end.
    pub fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.shared.pushed.notify_one();
    }

    pub async fn run(self) {
        loop {
            let pushed = self.shared.pushed.notified();
            // Looked at before the queue: what was pushed before `close` is then still written.
            let is_closed = self.shared.is_closed.load(Ordering::Acquire);
            let batch = self.take();
            if !batch.is_empty() {
                self.write(batch).await;
            } else if is_closed {
                self.shared.pushed.notify_one();
                return;
            } else {
                pushed.await;
            }
        }
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        if waiting.len() <= MAX_BATCH {
            return mem::take(&mut *waiting);
        }
        let rest = waiting.split_off(MAX_BATCH);
        let batch = mem::replace(&mut *waiting, rest);
        drop(waiting);
        self.shared.pushed.notify_one();
        batch
    }

    async fn write(&self, batch: Vec<Waiting>) {
        let mut halves = vec![batch];
        while let Some(mut batch) = halves.pop() {
            match self.settle_with_patience(&batch).await {
                Ok(settled) => self.settled(batch, settled).await,
                // One of them is to blame: halve until it stands alone, so that its neighbours are recorded.
                Err(Unsettled::Refused) if batch.len() > 1 => {
                    let upper = batch.split_off(batch.len() / 2);
                    halves.push(upper);
                    halves.push(batch);
                }
                Err(Unsettled::Refused) => self.give_up(batch),
                Err(Unsettled::Ended) => return,
            }
        }
    }

    /// What the store will not take is as good as an attempt that was never heard of: another one follows when its lease ends.
    fn give_up(&self, batch: Vec<Waiting>) {
        for waiting in batch {
            let Settlement {
                delivery_id, fence, ..
            } = waiting.to_settle.settlement;
            tracing::error!(
                delivery.id = %delivery_id,
                "the store refuses the result of an attempt of {delivery_id}, which is made again"
            );
            self.held.remove(delivery_id, fence);
        }
        self.context.wake.now();
    }

    async fn settled(&self, batch: Vec<Waiting>, settled: Vec<Settled>) {
        for (waiting, settled) in batch.iter().zip(settled) {
            let Settlement {
                delivery_id, fence, ..
            } = waiting.to_settle.settlement;
            self.held.remove(delivery_id, fence);
            waiting
                .to_settle
                .lane
                .metrics
                .settled(counted(&waiting.to_settle.settlement, settled));
            match settled {
                Settled::Recorded => {
                    self.hold_if_due(waiting).await;
                    if matches!(waiting.to_settle.settlement.outcome, Outcome::Retry { .. }) {
                        trial::point(Point::RetryScheduled);
                    }
                }
                Settled::LostClaim => {
                    tracing::debug!(delivery.id = %delivery_id, "lost the claim on {delivery_id}");
                }
            }
        }
        if frees_for_more(batch) {
            self.context.wake.now();
        }
    }

    async fn settle_with_patience(&self, batch: &[Waiting]) -> Result<Vec<Settled>, Unsettled> {
        let mut n_failures = 0;
        loop {
            let settlements = batch.iter().map(|it| it.to_settle.settlement.clone()).collect();
            let settle = self.context.store.settle(settlements, self.context.clock.now());
            let error = match trial::during(Point::SettleSent, settle).await {
                Ok(settled) => {
                    trial::point(Point::Settled);
                    return Ok(settled);
                }
                Err(error) => error,
            };
            self.context.metrics.store_error(error.kind());
            tracing::warn!(
                n_results = batch.len(),
                "could not record results of attempts: {error}"
            );
            if error.is_row_fault() {
                return Err(Unsettled::Refused);
            }
            n_failures += 1;
            if self.shared.is_closed.load(Ordering::Acquire) && n_failures >= MAX_TRIES_AT_STOP {
                return Err(Unsettled::Ended);
            }
            let wait = full_jitter(
                n_failures,
                Duration::from_millis(50),
                Duration::from_secs(2),
                rand::random(),
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// A handler that wants nothing more of a route, or one that nothing reached for a while.
    async fn hold_if_due(&self, waiting: &Waiting) {
        let ToSettle {
            settlement,
            hold_route,
            lane,
        } = &waiting.to_settle;
        let n_dead = match settlement.outcome {
            Outcome::Retry { .. } => None,
            Outcome::Delivered => lane.ended(false),
            Outcome::Dead => lane.ended(true),
        };
        if *hold_route {
            let target = HoldTarget::Route(Arc::clone(&waiting.route));
            self.hold(target, "route", &waiting.route, "the handler answered 410 (gone)")
                .await;
        }
        if let Some(n_dead) = n_dead {
            let last = settlement.attempt.error.as_deref().unwrap_or("it failed");
            let reason = format!("{n_dead} dead letters in a row; the last one: {last}");
            let target = HoldTarget::Destination(Arc::clone(&waiting.destination));
            self.hold(target, "destination", &waiting.destination, &reason)
                .await;
        }
    }

    async fn hold(&self, target: HoldTarget, kind: &'static str, name: &str, reason: &str) {
        tracing::error!(
            name,
            "holding {kind} `{name}`: {reason}; resume it when the handler is back"
        );
        if let Err(error) = self
            .context
            .store
            .hold(target, HeldBy::Gatepost, reason, self.context.clock.now())
            .await
        {
            self.context.metrics.store_error(error.kind());
            tracing::error!(name, "could not hold {kind} `{name}`: {error}");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
