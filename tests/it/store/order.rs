//! Order and staleness: what a key's deliveries wait for, over replicas that crash.

use std::collections::{BTreeMap, BTreeSet};

use gatepost::{
    base::ids::WorkerId,
    event::{
        body_hash,
        order::{Mode, Position},
    },
    store::record::Recorded,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::store::*;

fn position(mode: Mode, key: &str, seconds: i64) -> Position {
    Position {
        key: body_hash(key.as_bytes()),
        at: at(seconds),
        mode,
    }
}

impl TestStore {
    /// An event of that key, which happened then.
    async fn ordered(&self, mode: Mode, key: &str, seconds: i64) -> DeliveryId {
        let mut new = event("s", &DeliveryId::new().to_string());
        new.deliveries[0].position = Some(position(mode, key, seconds));
        let id = new.deliveries[0].id;
        assert_eq!(self.record(vec![new]).await.unwrap(), [Recorded::Accepted]);
        id
    }

    async fn cause(&self, id: DeliveryId) -> Option<String> {
        self.delivery(id).await.unwrap().cause
    }
}

store_case!(strict_goes_one_at_a_time_the_oldest_first, |store| {
    let worker = WorkerId::new();
    let third = store.ordered(Mode::Strict, "a", 30).await;
    let first = store.ordered(Mode::Strict, "a", 10).await;
    let second = store.ordered(Mode::Strict, "a", 20).await;
    let other = store.ordered(Mode::Strict, "b", 99).await;
    let plain = store.one("plain").await.1;

    let claims = store.claim_billing(worker, 9, at(50)).await;
    let taken: BTreeSet<_> = ids(&claims).into_iter().collect();
    assert_eq!(
        taken,
        BTreeSet::from([first, other, plain]),
        "no key holds up another"
    );
    let of = |id| claims.iter().find(|it| it.delivery.id == id).unwrap();
    store
        .settle_one(of(first), Outcome::Retry { at: at(60) }, at(50))
        .await;
    assert!(
        store.claim_billing(worker, 9, at(55)).await.is_empty(),
        "the next waits for the retry"
    );
    let claims = store.claim_billing(worker, 9, at(60)).await;
    assert_eq!(ids(&claims), [first]);
    store.settle_one(&claims[0], Outcome::Dead, at(60)).await;
    let claims = store.claim_billing(worker, 9, at(60)).await;
    assert_eq!(ids(&claims), [second], "a dead letter lets the next one go");
    store.settle_one(&claims[0], Outcome::Delivered, at(60)).await;
    assert_eq!(ids(&store.claim_billing(worker, 9, at(60)).await), [third]);
});

store_case!(strict_hold_stops_a_key_at_its_dead_letter, |store| {
    let worker = WorkerId::new();
    let first = store.ordered(Mode::StrictHold, "a", 10).await;
    let second = store.ordered(Mode::StrictHold, "a", 20).await;
    let claims = store.claim_billing(worker, 9, at(50)).await;
    store.settle_one(&claims[0], Outcome::Dead, at(50)).await;
    assert!(store.claim_billing(worker, 9, at(50)).await.is_empty());
    store.requeue(first, at(50)).await.unwrap();
    let claims = store.claim_billing(worker, 9, at(50)).await;
    assert_eq!(ids(&claims), [first]);
    store.settle_one(&claims[0], Outcome::Dead, at(50)).await;
    store.requeue(first, at(50)).await.unwrap();
    store.cancel(first, at(50)).await.unwrap();
    assert_eq!(ids(&store.claim_billing(worker, 9, at(50)).await), [second]);
});

store_case!(latest_collapses_a_burst_to_its_newest, |store| {
    let worker = WorkerId::new();
    let mut burst = Vec::new();
    for n in 0..300 {
        burst.push(store.ordered(Mode::Latest, "a", n).await);
    }
    let other = store.ordered(Mode::Latest, "b", 1).await;
    let newest = burst.pop().unwrap();
    let claims = store.claim_billing(worker, 2, at(500)).await;
    let taken: BTreeSet<_> = ids(&claims).into_iter().collect();
    assert_eq!(taken, BTreeSet::from([newest, other]));
    for id in burst {
        assert_eq!(store.status(id).await, Status::Skipped);
        assert_eq!(store.cause(id).await.as_deref(), Some("stale"));
    }
});

store_case!(latest_skips_what_comes_late, |store| {
    let worker = WorkerId::new();
    let newer = store.ordered(Mode::Latest, "a", 20).await;
    let claims = store.claim_billing(worker, 9, at(50)).await;
    assert_eq!(ids(&claims), [newer]);
    let newest = store.ordered(Mode::Latest, "a", 30).await;
    let older = store.ordered(Mode::Latest, "a", 10).await;
    assert!(
        store.claim_billing(worker, 9, at(50)).await.is_empty(),
        "one at a time"
    );
    store.settle_one(&claims[0], Outcome::Delivered, at(50)).await;
    let claims = store.claim_billing(worker, 9, at(50)).await;
    assert_eq!(ids(&claims), [newest]);
    assert_eq!(store.cause(older).await.as_deref(), Some("stale"));
    store.settle_one(&claims[0], Outcome::Delivered, at(50)).await;
    let late = store.ordered(Mode::Latest, "a", 29).await;
    assert!(store.claim_billing(worker, 9, at(50)).await.is_empty());
    assert_eq!(store.status(late).await, Status::Skipped);
});

store_case!(an_operators_retries_of_one_key_go_one_after_the_other, |store| {
    let worker = WorkerId::new();
    let mut dead = Vec::new();
    for n in [10, 20] {
        let id = store.ordered(Mode::Latest, "a", n).await;
        let claims = store.claim_billing(worker, 9, at(50)).await;
        store.settle_one(&claims[0], Outcome::Dead, at(50)).await;
        dead.push(id);
    }
    for id in &dead {
        store.requeue(*id, at(51)).await.unwrap();
    }
    let claims = store.claim_billing(worker, 9, at(51)).await;
    assert_eq!(ids(&claims), [dead[1]]);
    store.settle_one(&claims[0], Outcome::Delivered, at(51)).await;
    let claims = store.claim_billing(worker, 9, at(51)).await;
    assert_eq!(
        ids(&claims),
        [dead[0]],
        "who asks for a stale one by hand gets it"
    );
});

store_case!(flag_sends_all_and_marks_what_is_stale, |store| {
    let worker = WorkerId::new();
    let newer = store.ordered(Mode::Flag, "a", 20).await;
    let older = store.ordered(Mode::Flag, "a", 10).await;
    let claims = store.claim_billing(worker, 9, at(50)).await;
    let stale: BTreeMap<_, _> = claims.iter().map(|it| (it.delivery.id, it.is_stale)).collect();
    assert_eq!(stale, BTreeMap::from([(newer, false), (older, false)]));
    for claim in &claims {
        store
            .settle_one(
                claim,
                if claim.delivery.id == newer {
                    Outcome::Delivered
                } else {
                    Outcome::Retry { at: at(51) }
                },
                at(50),
            )
            .await;
    }
    let newest = store.ordered(Mode::Flag, "a", 30).await;
    let claims = store.claim_billing(worker, 9, at(51)).await;
    let stale: BTreeMap<_, _> = claims.iter().map(|it| (it.delivery.id, it.is_stale)).collect();
    assert_eq!(stale, BTreeMap::from([(older, true), (newest, false)]));
});

/// One schedule: events of a few keys come in any order, three replicas claim side by side, settle, or die.
struct Schedule {
    random: StdRng,
    mode: Mode,
    name: String,
    now: i64,
    known: BTreeMap<DeliveryId, Known>,
    in_hand: Vec<(DeliveryId, Fence)>,
}

struct Known {
    key: u8,
    happened_at: i64,
    is_over: bool,
}

impl Schedule {
    fn place(&self, id: DeliveryId) -> (i64, DeliveryId) {
        (self.known[&id].happened_at, id)
    }

    async fn record(&mut self, store: &Store) {
        let batch: Vec<_> = (0..self.random.random_range(1..6))
            .map(|_| {
                let key = self.random.random_range(0..3);
                let happened_at = self.random.random_range(0..6);
                let mut new = event("s", &DeliveryId::new().to_string());
                let mut delivery = delivery(&self.name, &self.name);
                delivery.position = Some(position(self.mode, &key.to_string(), happened_at));
                let known = Known {
                    key,
                    happened_at,
                    is_over: false,
                };
                self.known.insert(delivery.id, known);
                new.deliveries = vec![delivery];
                new
            })
            .collect();
        store.record(batch).await.unwrap();
    }

    async fn claim(&mut self, replicas: &[Store; 3]) {
        let n = self.random.random_range(1..4);
        let now = at(self.now);
        let claim = |store: &Store| {
            let (store, wanted) = (store.clone(), wanted(WorkerId::new(), &[(&self.name, n)]));
            async move { store.claim(&wanted, now).await.unwrap() }
        };
        let (one, two, three) = tokio::join!(claim(&replicas[0]), claim(&replicas[1]), claim(&replicas[2]));
        self.learn_of_skipped(&replicas[0]).await;
        for claim in one.iter().chain(&two).chain(&three) {
            let id = claim.delivery.id;
            let key = self.known[&id].key;
            assert!(
                !self.in_hand.iter().any(|(other, _)| self.known[other].key == key),
                "two of one key in hand"
            );
            let open = self.known.iter().filter(|(_, it)| it.key == key && !it.is_over);
            for (other, _) in open {
                if self.mode == Mode::Strict {
                    assert!(
                        self.place(id) <= self.place(*other),
                        "an older one was passed over"
                    );
                } else {
                    assert!(self.place(id) >= self.place(*other), "a newer one waits");
                }
            }
            self.in_hand.push((id, claim.fence));
        }
    }

    async fn learn_of_skipped(&mut self, store: &Store) {
        for (id, known) in self.known.iter_mut().filter(|(_, it)| !it.is_over) {
            let delivery = store.delivery(*id).await.unwrap();
            known.is_over = delivery.status == Status::Skipped;
        }
    }

    async fn settle(&mut self, store: &Store, is_kind: bool) {
        if self.in_hand.is_empty() {
            return;
        }
        let idx = self.random.random_range(0..self.in_hand.len());
        let (id, fence) = self.in_hand.swap_remove(idx);
        let outcome = match self.random.random_range(0..4) {
            _ if is_kind => Outcome::Delivered,
            0 => Outcome::Retry { at: at(self.now + 2) },
            1 => Outcome::Dead,
            _ => Outcome::Delivered,
        };
        let is_over = !matches!(outcome, Outcome::Retry { .. });
        if outcome == Outcome::Delivered && self.mode == Mode::Latest {
            let key = self.known[&id].key;
            for (other, it) in &self.known {
                let is_newer = it.key == key && self.place(*other) > self.place(id);
                if is_newer {
                    let status = store.delivery(*other).await.unwrap().status;
                    assert_ne!(status, Status::Delivered, "a stale one was sent after a newer");
                }
            }
        }
        let settled = store
            .settle(vec![settlement(id, fence, outcome, at(self.now))], at(self.now))
            .await
            .unwrap();
        assert_eq!(settled, [Settled::Recorded]);
        self.known.get_mut(&id).unwrap().is_over = is_over;
    }

    /// A replica dies with all that it has in hand; the leases end, and others free it.
    async fn crash(&mut self, store: &Store) {
        self.now += 11;
        self.in_hand.clear();
        store.rescue(at(self.now), 1_000).await.unwrap();
    }

    async fn run(mut self, replicas: &[Store; 3]) {
        for _ in 0..30 {
            self.now += self.random.random_range(0..2);
            match self.random.random_range(0..10) {
                0..=2 => self.record(&replicas[0]).await,
                3..=5 => self.claim(replicas).await,
                6..=8 => self.settle(&replicas[1], false).await,
                _ => self.crash(&replicas[2]).await,
            }
        }
        // Nobody is forgotten: with handlers that take everything, all of it is over soon.
        for _ in 0..self.known.len() + 5 {
            self.now += 3;
            self.claim(replicas).await;
            while !self.in_hand.is_empty() {
                self.settle(&replicas[0], true).await;
            }
        }
        for id in self.known.keys() {
            let delivery = replicas[0].delivery(*id).await.unwrap();
            assert!(!delivery.status.is_open(), "{id} is still {}", delivery.status);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
fn n_schedules() -> u64 {
    let asked = std::env::var("GATEPOST_TEST_ORDER_SCHEDULES").ok();
    asked.and_then(|it| it.parse().ok()).unwrap_or(20)
}

#[expect(clippy::print_stderr, reason = "shown where the test fails: what repeats it")]
async fn play(store: &TestStore, mode: Mode) {
    let replicas = [
        store.replica().await,
        store.replica().await,
        store.replica().await,
    ];
    for seed in 0..n_schedules() {
        eprintln!("{mode:?}, seed {seed}");
        let schedule = Schedule {
            random: StdRng::seed_from_u64(seed),
            mode,
            name: format!("{mode:?}-{seed}"),
            now: 0,
            known: BTreeMap::new(),
            in_hand: Vec::new(),
        };
        schedule.run(&replicas).await;
    }
    store.assert_balanced().await;
}

store_case!(strict_holds_over_random_schedules_with_crashes, |store| {
    play(store, Mode::Strict).await;
});

store_case!(latest_holds_over_random_schedules_with_crashes, |store| {
    play(store, Mode::Latest).await;
});
