//! Group commit: while one batch commits, the next one gathers. Every waiter gets its own answer.

use std::{
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::{
    base::{
        clock::Timestamp,
        metrics::Metrics,
        trial::{self, Flaw, Point},
    },
    event::delivery::{Delivery, Status},
    ingest::fanout::Fanned,
    store::{
        Store,
        claim::Claim,
        error::StoreError,
        handover::Place,
        record::{Claimed, NewEvent, Recorded},
        wake::Wake,
    },
};

/// The event is not in the store, as far as we know. The sender gets 503 and tries again.
#[derive(Debug, Clone, Copy)]
pub struct NotRecorded {
    pub reason: &'static str,
}

/// The queue of events that wait for a commit, and the committers that empty it. Clones share everything.
#[derive(Debug, Clone)]
pub struct Batcher {
    queue: Arc<Queue>,
    store: Store,
    metrics: Metrics,
    wake: Wake,
    max_batch: usize,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    pushed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Batches that are being committed now.
    n_committing: usize,
    /// When the last of them was begun.
    begun_at: Option<Instant>,
    is_closed: bool,
}

/// What a committer does next.
#[derive(Debug)]
enum Next {
    Commit(Vec<Waiting>),
    /// Something waits, but not for long enough, and not enough of it.
    Linger,
    Wait,
    End,
}

impl State {
    /// Whether a committer should take what waits. Beside a commit in progress, only a batch that is worth a statement of
    /// its own: many small ones cost the store a third more, and whoever ends a commit looks again at once. Only where
    /// that commit takes long does nobody wait for it.
    fn is_ripe(&self) -> bool {
        let is_slow = || self.begun_at.is_some_and(|it| it.elapsed() >= PATIENCE);
        let is_worth_it =
            self.n_committing == 0 || self.waiting.len() >= MIN_BESIDE || self.is_closed || is_slow();
        is_worth_it && !self.waiting.is_empty()
    }
}

#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    places: Vec<(usize, Place)>,
    answer: oneshot::Sender<Result<Recorded, NotRecorded>>,
    /// Given back when the commit is over, whether or not anybody still waits for the answer.
    _room: OwnedSemaphorePermit,
}

/// The fewest events that are committed beside another batch.
const MIN_BESIDE: usize = 32;
/// How long fewer of them wait for the commit in progress.
const PATIENCE: Duration = Duration::from_millis(20);

const STOPPING: NotRecorded = NotRecorded {
    reason: "shutting down",
};

impl Batcher {
    pub fn new(store: Store, metrics: Metrics, wake: Wake, max_batch: usize) -> Self {
        Self {
            queue: Arc::default(),
            store,
            metrics,
            wake,
            max_batch: max_batch.max(1),
        }
    }

    /// Puts an event into the next batch. Takes the queue's lock for one push.
    pub fn push(
        &self,
        fanned: Fanned,
        room: OwnedSemaphorePermit,
    ) -> impl Future<Output = Result<Recorded, NotRecorded>> + use<> {
        let (answer, waiter) = oneshot::channel();
        let waiting = Waiting {
            event: fanned.event,
            places: fanned.places,
            answer,
            _room: room,
        };
        let is_news = {
            let mut state = self.lock();
            // Checked under the lock that `close` takes, so that nothing is pushed after the last look.
            if !state.is_closed {
                state.waiting.push(waiting);
            }
            // The first one too, so that somebody looks at it again when it has waited long enough.
            state.waiting.len() == 1 || state.is_ripe()
        };
        if is_news {
            self.queue.pushed.notify_one();
        }
        // A dropped sender means that nobody will commit it.
        async { waiter.await.unwrap_or(Err(STOPPING)) }
    }

    /// No more events; the committers commit what waits, and end.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.queue.pushed.notify_waiters();
        self.queue.pushed.notify_one();
    }

    /// How many committers the store can use at once.
    pub fn n_committers(&self) -> usize {
        self.store.n_writers()
    }

    /// One committer: takes what waits, commits it, answers each, until closed and empty.
    pub async fn run(self) {
        loop {
            let pushed = self.queue.pushed.notified();
            match self.next() {
                Next::Commit(batch) => {
                    self.commit(batch).await;
                    self.lock().n_committing -= 1;
                }
                // Whether it was pushed or the time is over: the next look tells.
                Next::Linger => drop(tokio::time::timeout(PATIENCE, pushed).await),
                Next::Wait => pushed.await,
                Next::End => {
                    // Wake the next committer, so that it sees this too.
                    self.queue.pushed.notify_one();
                    return;
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.lock();
        if !state.is_ripe() {
            return match (state.waiting.is_empty(), state.is_closed) {
                (false, _) => Next::Linger,
                (true, false) => Next::Wait,
                (true, true) => Next::End,
            };
        }
        state.n_committing += 1;
        state.begun_at = Some(Instant::now());
        if state.waiting.len() <= self.max_batch {
            return Next::Commit(mem::take(&mut state.waiting));
        }
        let rest = state.waiting.split_off(self.max_batch);
        let batch = mem::replace(&mut state.waiting, rest);
        drop(state);
        // The wake-ups of the rest may be spent already.
        self.queue.pushed.notify_one();
        Next::Commit(batch)
    }

    async fn commit(&self, batch: Vec<Waiting>) {
        let started = Instant::now();
        let n_events = batch.len();
        let mut halves = vec![batch];
        trial::point(Point::BatchGathered);
        while let Some(mut batch) = halves.pop() {
            let events = batch.iter().map(|it| it.event.clone()).collect();
            match self.store.record(events).await {
                Ok(recorded) => {
                    trial::point(Point::Committed);
                    if answer_each(batch, recorded) {
                        self.wake.now();
                    }
                }
                // One row is to blame: halve until it stands alone, so that its neighbours still get their 200.
                Err(error)
                    if error.is_row_fault() && batch.len() > 1 && !trial::has(Flaw::PoisonFailsBatch) =>
                {
                    let upper = batch.split_off(batch.len() / 2);
                    halves.push(upper);
                    halves.push(batch);
                }
                Err(error) => {
                    self.metrics.store_error(error.kind());
                    tracing::warn!(n_events = batch.len(), "could not commit a batch: {error}");
                    let reason = reason(&error);
                    for waiting in batch {
                        let _ = waiting.answer.send(Err(NotRecorded { reason }));
                    }
                }
            }
        }
        self.metrics.committed(n_events, started.elapsed());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.queue.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiter that is gone already is no fault: its event is in the store, and its retry will be a duplicate. True if deliveries
/// wait in the store to be claimed now.
fn answer_each(batch: Vec<Waiting>, recorded: Vec<Recorded>) -> bool {
    let mut is_claim_due = false;
    for (waiting, recorded) in batch.into_iter().zip(recorded) {
        let _ = waiting.answer.send(Ok(recorded));
        if recorded == Recorded::Accepted {
            is_claim_due |= waiting.event.deliveries.iter().any(|it| it.start.is_now());
            hand_over(&waiting.event, waiting.places);
        }
    }
    is_claim_due
}

fn hand_over(event: &NewEvent, places: Vec<(usize, Place)>) {
    for (idx, place) in places {
        if let Some(claim) = event.deliveries.get(idx).and_then(|it| claim_of(event, it)) {
            place.fill(claim);
        }
    }
}

fn claim_of(event: &NewEvent, new: &crate::store::record::NewDelivery) -> Option<Claim> {
    let Claimed { lease_until, .. } = new.start.claimed()?;
    let created_at: Timestamp = event.event.received_at;
    Some(Claim {
        delivery: Delivery {
            id: new.id,
            event_id: event.event.id,
            route: Arc::clone(&new.route),
            destination: Arc::clone(&new.destination),
            origin: new.origin,
            status: Status::Delivering,
            n_attempts: 0,
            next_attempt_at: None,
            last_error: None,
            cause: None,
            created_at,
        },
        event: Arc::clone(&event.event),
        fence: Claimed::FENCE,
        lease_until,
        program: None,
        is_manual: false,
        is_retry: false,
        is_stale: false,
    })
}

const fn reason(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable { .. } => "the store is not available",
        StoreError::Full { .. } => "the store is full",
        StoreError::ReadOnly { .. } => "the store is read-only",
        StoreError::BadRow { .. } => "the store cannot hold this event",
        StoreError::Damaged { .. }
        | StoreError::Unusable { .. }
        | StoreError::NotFound { .. }
        | StoreError::Conflict { .. } => "the store failed",
    }
}
