//! Random verbs against a model: every move that the store makes is a legal one, only what waits and is not held is
//! claimed, a lease that has not ended is not broken, no open delivery is pruned, and the ledger adds up after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gatepost::{
    base::ids::WorkerId,
    store::{
        claim::{HeldBy, HoldTarget},
        error::StoreError,
        record::Recorded,
    },
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::store::*;

const N_STEPS: usize = 250;

/// Seconds for which `wanted` claims.
const LEASE: i64 = 10;

/// What the store must hold.
struct Model {
    random: StdRng,
    /// Seconds of `at`.
    now: i64,
    events: HashMap<String, EventId>,
    /// Ordered, so that a seed plays the same steps again.
    deliveries: BTreeMap<DeliveryId, Known>,
    in_hand: Vec<Claimed>,
    held: BTreeSet<&'static str>,
    n_pruned_events: u64,
    n_pruned_deliveries: u64,
}

struct Known {
    status: Status,
    event: EventId,
    received_at: i64,
    route: &'static str,
}

#[derive(Clone, Copy)]
struct Claimed {
    id: DeliveryId,
    fence: Fence,
    worker: WorkerId,
    until: i64,
}

const ROUTES: [&str; 2] = ["to-billing", "also-to-billing"];

/// The name of the destination, or of one of the routes to it.
fn target(name: &str) -> HoldTarget {
    match name {
        "billing" => HoldTarget::Destination(name.into()),
        _ => HoldTarget::Route(name.into()),
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            now: 0,
            events: HashMap::new(),
            deliveries: BTreeMap::new(),
            in_hand: Vec::new(),
            held: BTreeSet::new(),
            n_pruned_events: 0,
            n_pruned_deliveries: 0,
        }
    }

    fn some_delivery(&mut self) -> Option<DeliveryId> {
        let n = self.deliveries.len();
        (n > 0).then(|| {
            *self
                .deliveries
                .keys()
                .nth(self.random.random_range(0..n))
                .unwrap()
        })
    }

    fn is_held(&self, route: &str) -> bool {
        self.held.contains("billing") || self.held.contains(route)
    }

    /// One verb, and what the store says to it at once.
    async fn step(&mut self, store: &TestStore) -> &'static str {
        self.now += self.random.random_range(0..4);
        let now = at(self.now);
        match self.random.random_range(0..18) {
            0..=2 => self.record(store).await,
            3..=4 => self.claim(store).await,
            5..=6 => self.settle(store).await,
            7 => self.rescue(store).await,
            8 => {
                let batch = std::mem::take(&mut self.in_hand);
                store
                    .release(batch.iter().map(|it| (it.id, it.fence)).collect(), now)
                    .await
                    .unwrap();
                "release"
            }
            9 => {
                if let Some(id) = self.some_delivery() {
                    let _ = store.requeue(id, now).await;
                }
                "requeue"
            }
            10 => {
                if let Some(id) = self.some_delivery() {
                    let _ = store.cancel(id, now).await;
                }
                "cancel"
            }
            11..=12 => self.hold_or_resume(store).await,
            13 => self.mark_held(store).await,
            14 => self.renew(store).await,
            15 => self.replay(store).await,
            _ => self.prune(store).await,
        }
    }

    async fn record(&mut self, store: &TestStore) -> &'static str {
        let batch: Vec<_> = (0..self.random.random_range(1..5))
            .map(|_| {
                let mut new = event("s", &self.random.random_range(0..40).to_string());
                Arc::make_mut(&mut new.event).received_at = at(self.now);
                if self.random.random_bool(0.3) {
                    new.deliveries.push(delivery(ROUTES[1], "billing"));
                }
                new
            })
            .collect();
        let answers = store.record(batch.clone()).await.unwrap();
        for (new, answer) in batch.iter().zip(answers) {
            let name = new.event.external_id.clone().unwrap();
            match (self.events.get(&name), answer) {
                (None, Recorded::Accepted) => {
                    self.events.insert(name, new.event.id);
                    for (idx, it) in new.deliveries.iter().enumerate() {
                        self.know(it.id, new.event.id, self.now, ROUTES[idx]);
                    }
                }
                (Some(known), Recorded::Duplicate(id)) => assert_eq!(*known, id),
                other => panic!("{name}: {other:?}"),
            }
        }
        "record"
    }

    fn know(&mut self, id: DeliveryId, event: EventId, received_at: i64, route: &'static str) {
        let known = Known {
            status: Status::Pending,
            event,
            received_at,
            route,
        };
        assert!(self.deliveries.insert(id, known).is_none());
    }

    async fn claim(&mut self, store: &TestStore) -> &'static str {
        let worker = WorkerId::new();
        let n = self.random.random_range(1..4);
        let claims = store.claim_billing(worker, n, at(self.now)).await;
        let n_retries = claims.iter().filter(|it| it.is_retry).count();
        assert!(n_retries <= n && claims.len() - n_retries <= n);
        for claim in claims {
            let known = &self.deliveries[&claim.delivery.id];
            assert!(
                matches!(known.status, Status::Pending | Status::Retrying),
                "claimed while {}",
                known.status
            );
            assert!(!self.is_held(known.route), "claimed though held");
            self.in_hand.push(Claimed {
                id: claim.delivery.id,
                fence: claim.fence,
                worker,
                until: self.now + LEASE,
            });
        }
        "claim"
    }

    async fn settle(&mut self, store: &TestStore) -> &'static str {
        if self.in_hand.is_empty() {
            return "settle nothing";
        }
        let idx = self.random.random_range(0..self.in_hand.len());
        let Claimed { id, fence, .. } = self.in_hand.swap_remove(idx);
        let now = at(self.now);
        let outcome = match self.random.random_range(0..3) {
            0 => Outcome::Delivered,
            1 => Outcome::Retry { at: at(self.now + 2) },
            _ => Outcome::Dead,
        };
        let before = self.deliveries.get(&id).map(|it| it.status);
        let settled = store
            .settle(vec![settlement(id, fence, outcome, now)], now)
            .await
            .unwrap();
        match before {
            Some(before) if settled == [Settled::Recorded] => assert_eq!(before, Status::Delivering),
            Some(before) => assert_eq!(before, store.status(id).await),
            None => assert_eq!(settled, [Settled::LostClaim], "{id} was pruned"),
        }
        "settle"
    }

    /// What a worker holds by a lease that has not ended stays its own.
    async fn rescue(&mut self, store: &TestStore) -> &'static str {
        let mut newest: BTreeMap<DeliveryId, Claimed> = BTreeMap::new();
        for it in &self.in_hand {
            let known = newest.entry(it.id).or_insert(*it);
            if it.fence > known.fence {
                *known = *it;
            }
        }
        store.rescue(at(self.now), 3).await.unwrap();
        for (id, claimed) in newest {
            let is_alive = claimed.until > self.now;
            let known = self.deliveries.get(&id).map(|it| it.status);
            if is_alive && known == Some(Status::Delivering) {
                assert_eq!(store.status(id).await, Status::Delivering, "{id} was freed");
            }
        }
        "rescue"
    }

    async fn hold_or_resume(&mut self, store: &TestStore) -> &'static str {
        let name = ["billing", ROUTES[0], ROUTES[1]][self.random.random_range(0..3)];
        if self.random.random_bool(0.5) {
            store
                .hold(target(name), HeldBy::Gatepost, "x", at(self.now))
                .await
                .unwrap();
            self.held.insert(name);
            "hold"
        } else {
            store.resume(&target(name), at(self.now)).await.unwrap();
            self.held.remove(name);
            "resume"
        }
    }

    /// After it, what waits is held exactly if its route or destination is.
    async fn mark_held(&mut self, store: &TestStore) -> &'static str {
        store.mark_held(at(self.now)).await.unwrap();
        for (id, known) in &self.deliveries {
            match store.status(*id).await {
                Status::Held => assert!(self.is_held(known.route), "{id} is held by nothing"),
                Status::Pending | Status::Retrying => {
                    assert!(!self.is_held(known.route), "{id} is not held");
                }
                _ => {}
            }
        }
        "mark_held"
    }

    /// A claim that its worker still has gets longer; the answer names those that are another's now.
    async fn renew(&mut self, store: &TestStore) -> &'static str {
        let Some(one) = self.in_hand.last().copied() else {
            return "renew nothing";
        };
        let until = self.now + LEASE;
        let lost = store
            .renew(one.worker, vec![(one.id, one.fence)], at(until))
            .await
            .unwrap();
        if lost.is_empty() {
            assert_eq!(self.deliveries[&one.id].status, Status::Delivering);
            self.in_hand.last_mut().unwrap().until = until;
        } else {
            assert_eq!(lost, [one.id]);
            self.in_hand.pop();
        }
        "renew"
    }

    async fn replay(&mut self, store: &TestStore) -> &'static str {
        let Some(id) = self.some_delivery() else {
            return "replay nothing";
        };
        let (event, received_at) = (self.deliveries[&id].event, self.deliveries[&id].received_at);
        let again = NewDelivery {
            origin: Origin::Replayed,
            ..delivery(ROUTES[1], "billing")
        };
        let new = again.id;
        store.replay(event, vec![again], at(self.now)).await.unwrap();
        self.know(new, event, received_at, ROUTES[1]);
        "replay"
    }

    /// Whole events go, none that is younger or has an open delivery, and none that could go stays.
    async fn prune(&mut self, store: &TestStore) -> &'static str {
        let before = self.now - self.random.random_range(0..60);
        let mut events: BTreeMap<EventId, bool> = BTreeMap::new();
        for it in self.deliveries.values() {
            *events.entry(it.event).or_insert(true) &= it.received_at < before && !it.status.is_open();
        }
        let gone: BTreeSet<_> = events.into_iter().filter(|it| it.1).map(|it| it.0).collect();
        let limit = self.random.random_range(1..200);
        let n = store.prune(at(before), limit).await.unwrap();
        assert_eq!(
            n,
            (gone.len() as u64).min(u64::from(limit)),
            "pruned before {before}"
        );
        let mut gone_events = BTreeSet::new();
        let mut left = BTreeMap::new();
        for (id, known) in std::mem::take(&mut self.deliveries) {
            if gone.contains(&known.event)
                && matches!(store.delivery(id).await, Err(StoreError::NotFound { .. }))
            {
                self.n_pruned_deliveries += 1;
                gone_events.insert(known.event);
            } else {
                left.insert(id, known);
            }
        }
        assert_eq!(gone_events.len() as u64, n);
        assert!(
            left.values().all(|it| !gone_events.contains(&it.event)),
            "half of an event"
        );
        self.deliveries = left;
        self.n_pruned_events += n;
        self.events.retain(|_, id| !gone_events.contains(id));
        "prune"
    }

    /// Looks at every delivery: it either stayed or made a legal move.
    async fn observe(&mut self, store: &TestStore) {
        for (id, known) in &mut self.deliveries {
            let found = store.status(*id).await;
            // Each step makes at most one move of a delivery.
            assert!(
                found == known.status || known.status.may_become(found),
                "{id} went from {} to {found}",
                known.status
            );
            known.status = found;
        }
    }
}

#[expect(clippy::print_stderr, reason = "shown where the test fails: what repeats it")]
async fn run(store: &TestStore, seed: u64) {
    let mut model = Model::new(seed);
    for step in 0..N_STEPS {
        let verb = model.step(store).await;
        eprintln!("seed {seed}, step {step}: {verb}");
        model.observe(store).await;
        store.assert_balanced().await;
    }
    let ledger = store.ledger(at(model.now)).await.unwrap();
    assert_eq!(ledger.stored, model.events.len() as u64 + model.n_pruned_events);
    assert_eq!(
        ledger.deliveries,
        model.deliveries.len() as u64 + model.n_pruned_deliveries
    );
}

store_case!(random_verbs_make_only_legal_moves_seed_1, |store| {
    run(store, 1).await;
});

store_case!(random_verbs_make_only_legal_moves_seed_2, |store| {
    run(store, 2).await;
});

store_case!(random_verbs_make_only_legal_moves_seed_3, |store| {
    run(store, 3).await;
});
