//! A lane for each destination: how many deliveries it may have in hand, how many attempts at once, and how fast.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use tokio::sync::{Semaphore, watch};

use crate::{
    base::metrics::{Metrics, handles::DestinationMetrics},
    delivery::{breaker::Allowance, gate::Gate, pace::Pace},
    registry::{Outlet, Snapshot},
    store::{
        claim::{Hold, HoldTarget},
        handover::Handover,
    },
};

/// In hand for each running attempt: so many more wait beside it, so that a free slot never waits for the store.
const AHEAD: usize = 4;
/// The part of the slots that is kept for first attempts, where there are several: retries that hang take the rest at most.
const KEPT_FOR_FIRST: usize = 4;
/// The part of the free places that a claim leaves to what ingest hands over while the store is asked, unless a backlog is
/// known to wait there: what finds none goes the longer way, by another claim, which would take the places of the next.
const KEPT_FOR_HANDOVER: usize = 4;

/// One destination's share of this process.
#[derive(Debug)]
pub struct Lane {
    /// Deliveries in hand: running, waiting for a slot, or waiting to be settled.
    pub places: Places,
    /// The same for what is tried again.
    pub retry_places: Places,
    /// Attempts in flight.
    pub slots: Arc<Semaphore>,
    /// Those of them that are tried again: so many at most, whoever waits.
    pub retry_slots: Arc<Semaphore>,
    pace: Option<Mutex<Pace>>,
    pub gate: Gate,
    pub metrics: DestinationMetrics,
    concurrency: u32,
    rate: Option<u32>,
    hold_after: Option<u32>,
    n_dead_in_a_row: AtomicU32,
    /// See [`Lane::may_have_more`].
    may_have_more: AtomicBool,
    /// The last claim of first attempts got as many as it asked for.
    has_backlog: AtomicBool,
}

#[derive(Debug)]
pub struct Places {
    pub semaphore: Arc<Semaphore>,
    n_all: usize,
}

impl Places {
    fn new(n_slots: usize) -> Self {
        let n_all = n_slots * AHEAD;
        Self {
            semaphore: Arc::new(Semaphore::new(n_all)),
            n_all,
        }
    }

    fn n_free(&self) -> usize {
        self.semaphore.available_permits()
    }

    fn n_taken(&self) -> usize {
        self.n_all - self.n_free()
    }

    /// With less than a quarter of them free they are left alone until more come together, so that a busy destination costs
    /// few large claims instead of many small ones.
    fn n_worth_a_claim(&self) -> usize {
        let n_free = self.n_free();
        if n_free * 4 < self.n_all { 0 } else { n_free }
    }
}

impl Lane {
    /// `gate`: that of the lane before it, which knows how the destination is.
    fn new(outlet: &Outlet, gate: Option<Gate>, metrics: DestinationMetrics) -> Self {
        let (concurrency, rate) = (outlet.settings.concurrency, outlet.settings.rate);
        let rules = &outlet.settings.breaker;
        let gate = gate
            .filter(|it| it.obeys(rules))
            .unwrap_or_else(|| Gate::new(Arc::clone(&outlet.name), rules.clone(), metrics.clone()));
        let n_slots = concurrency.max(1) as usize;
        let n_retry_slots = (n_slots - n_slots.div_ceil(KEPT_FOR_FIRST)).max(1);
        Self {
            places: Places::new(n_slots),
            retry_places: Places::new(n_retry_slots),
            retry_slots: Arc::new(Semaphore::new(n_retry_slots)),
            slots: Arc::new(Semaphore::new(n_slots)),
            pace: rate.map(|it| Mutex::new(Pace::new(it, Instant::now()))),
            gate,
            metrics,
            concurrency,
            rate,
            hold_after: outlet.settings.hold_after,
            n_dead_in_a_row: AtomicU32::new(0),
            may_have_more: AtomicBool::new(true),
            has_backlog: AtomicBool::new(false),
        }
    }

    fn obeys(&self, outlet: &Outlet) -> bool {
        let settings = &outlet.settings;
        (self.concurrency, self.rate, self.hold_after)
            == (settings.concurrency, settings.rate, settings.hold_after)
            && self.gate.obeys(&settings.breaker)
    }

    /// Waits for the turn of one more attempt, where the destination has a rate.
    pub async fn paced(&self, n_replicas: &mut watch::Receiver<u32>) {
        let Some(pace) = &self.pace else { return };
        // Until it is known nothing may go: the others may take all of the rate.
        let Ok(n_sharers) = n_replicas.wait_for(|it| *it > 0).await.map(|it| *it) else {
            return;
        };
        let part = self.gate.part();
        let wait = pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(n_sharers, part, Instant::now());
        tokio::time::sleep(wait).await;
    }

    /// Notes how a delivery ended. Says after how many dead letters in a row the destination has to be held, if it has to.
    pub fn ended(&self, is_dead: bool) -> Option<u32> {
        if !is_dead {
            self.n_dead_in_a_row.store(0, Ordering::Relaxed);
            return None;
        }
        let n_dead = self.n_dead_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        let is_over = self.hold_after.is_some_and(|it| n_dead >= it);
        is_over.then(|| {
            // Whoever resumes it gives it another chance.
            self.n_dead_in_a_row.store(0, Ordering::Relaxed);
            n_dead
        })
    }

    /// How many deliveries to ask the store for: of those that wait for their first attempt, and of those that are tried again.
    pub fn n_wanted(&self) -> (usize, usize) {
        // Before the look at the places: one that comes free after it is told of.
        self.may_have_more.store(true, Ordering::SeqCst);
        let (first, retries) = (&self.places, &self.retry_places);
        // Half of each, and one of each at least.
        let half_each = |n: usize| {
            (
                n.div_ceil(2).min(first.n_free()),
                n.div_ceil(2).min(retries.n_free()),
            )
        };
        match self.gate.allowance(self.concurrency.max(1) as usize) {
            Allowance::All => {
                let n_first = first.n_worth_a_claim();
                let n_kept = if self.has_backlog.load(Ordering::Relaxed) {
                    0
                } else {
                    n_first / KEPT_FOR_HANDOVER
                };
                (n_first - n_kept, retries.n_worth_a_claim())
            }
            Allowance::InHand(n) => half_each(n.saturating_sub(first.n_taken() + retries.n_taken())),
            Allowance::Probes(n) => half_each(n),
        }
    }

    /// Whether the last look at the store left something for it there, as far as is known. Who frees a place of it then wakes the
    /// claimer.
    pub fn may_have_more(&self) -> bool {
        self.may_have_more.load(Ordering::SeqCst)
    }

    /// What a claim of so many first attempts left unfilled, of these and of retries. Where that is some of each, the store has no
    /// more; what is recorded after that is told of by whoever records it.
    pub fn claimed(&self, n_first: usize, unfilled: (usize, usize)) {
        // Who asked for none, because no place was free, knows nothing new.
        if n_first > 0 {
            self.has_backlog.store(unfilled.0 == 0, Ordering::Relaxed);
        }
        if unfilled.0 > 0 && unfilled.1 > 0 {
            self.may_have_more.store(false, Ordering::SeqCst);
        }
    }
}

/// The lanes of all destinations. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    by_destination: Arc<Mutex<BTreeMap<Arc<str>, Arc<Lane>>>>,
    /// The processes that share the rates; 0 until that is known.
    n_replicas: watch::Sender<u32>,
}

impl Lanes {
    /// Follows the config and the holds, and tells ingest which destinations take hand-overs. A lane whose settings did
    /// not change stays as it is; what is in the hands of a changed one finishes in the old.
    pub fn follow(&self, snapshot: &Snapshot, holds: &[Hold], handover: &Handover, metrics: &Metrics) {
        let mut lanes = self.lock();
        // What consumers fetch has no lane: it is neither claimed nor handed over.
        let pushed = |outlet: &Outlet| !outlet.is_pulled();
        lanes.retain(|name, _| snapshot.destination(name).is_some_and(|it| pushed(it)));
        for (name, outlet) in snapshot.destinations.iter().filter(|it| pushed(it.1)) {
            let old = lanes.get(name);
            if !old.is_some_and(|it| it.obeys(outlet)) {
                let gate = old.map(|it| it.gate.clone());
                let lane = Lane::new(outlet, gate, metrics.destination(name));
                lanes.insert(Arc::clone(name), Arc::new(lane));
            }
        }
        let closed = closed_to_handover(snapshot, holds);
        let open: HashMap<_, _> = lanes
            .iter()
            .filter(|(name, lane)| !closed.contains(*name) && lane.gate.is_closed())
            .map(|(name, lane)| (Arc::clone(name), Arc::clone(&lane.places.semaphore)))
            .collect();
        drop(lanes);
        handover.publish(open);
    }

    /// Whether some destination has room that is worth a claim.
    pub fn have_room(&self) -> bool {
        self.lock().values().any(|lane| lane.n_wanted() != (0, 0))
    }

    pub fn get(&self, destination: &str) -> Option<Arc<Lane>> {
        self.lock().get(destination).cloned()
    }

    pub fn all(&self) -> Vec<(Arc<str>, Arc<Lane>)> {
        self.lock()
            .iter()
            .map(|(name, lane)| (Arc::clone(name), Arc::clone(lane)))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Arc<Lane>>> {
        self.by_destination.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many processes share the rates from now on.
    pub fn share_among(&self, n_replicas: u32) {
        self.n_replicas.send_replace(n_replicas);
    }

    pub fn n_replicas(&self) -> watch::Receiver<u32> {
        self.n_replicas.subscribe()
    }
}

/// A held route closes its whole destination to hand-over: the claim query tells its routes apart, a place cannot.
fn closed_to_handover(snapshot: &Snapshot, holds: &[Hold]) -> HashSet<Arc<str>> {
    holds
        .iter()
        .filter_map(|hold| match &hold.target {
            HoldTarget::Destination(name) => Some(Arc::clone(name)),
            HoldTarget::Route(name) => snapshot
                .routes
                .iter()
                .find(|it| it.name == *name)
                .map(|it| Arc::clone(&it.destination)),
        })
        .collect()
}
