//! Random verbs against a model that fits on one page: every move that the store makes is a legal one, every claim has
//! one holder, and the ledger adds up after every step.

use std::collections::HashMap;

use gatepost::{
    base::ids::WorkerId,
    store::{claim::HoldTarget, record::Recorded},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::store::*;

const N_STEPS: usize = 150;

#[derive(Default)]
struct Model {
    statuses: HashMap<DeliveryId, Status>,
    events: HashMap<String, EventId>,
    in_hand: Vec<(DeliveryId, Fence)>,
}

impl Model {
    /// Looks at every delivery: it either stayed or made a legal move.
    async fn observe(&mut self, store: &TestStore, step: &str) {
        for (id, known) in &mut self.statuses {
            let found = store.status(*id).await;
            // Several verbs may lie between two looks; each here makes at most one move.
            assert!(
                found == *known || known.may_become(found),
                "{step}: {id} went from {known} to {found}"
            );
            *known = found;
        }
    }
}

async fn run(store: &TestStore, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut model = Model::default();
    let mut now = 0;
    for step in 0..N_STEPS {
        now += random.random_range(0..4);
        let worker = WorkerId::new();
        let some = |random: &mut StdRng, model: &Model| {
            let mut ids: Vec<_> = model.statuses.keys().copied().collect();
            ids.sort();
            (!ids.is_empty()).then(|| ids[random.random_range(0..ids.len())])
        };
        let verb = random.random_range(0..12);
        match verb {
            0..=2 => {
                let batch: Vec<_> = (0..random.random_range(1..5))
                    .map(|_| event("s", &random.random_range(0..40).to_string()))
                    .collect();
                let answers = store.record(batch.clone()).await.unwrap();
                for (new, answer) in batch.iter().zip(answers) {
                    let name = new.event.external_id.clone().unwrap();
                    match (model.events.get(&name), answer) {
                        (None, Recorded::Accepted) => {
                            model.events.insert(name, new.event.id);
                            model.statuses.insert(new.deliveries[0].id, Status::Pending);
                        }
                        (Some(known), Recorded::Duplicate(id)) => assert_eq!(*known, id),
                        other => panic!("seed {seed}, step {step}: {other:?}"),
                    }
                }
            }
            3..=4 => {
                let claims = store
                    .claim_billing(worker, random.random_range(1..4), at(now))
                    .await;
                model.in_hand.extend(held(&claims));
            }
            5..=6 if !model.in_hand.is_empty() => {
                let idx = random.random_range(0..model.in_hand.len());
                let (id, fence) = model.in_hand.swap_remove(idx);
                let outcome = match random.random_range(0..3) {
                    0 => Outcome::Delivered,
                    1 => Outcome::Retry { at: at(now + 2) },
                    _ => Outcome::Dead,
                };
                let before = store.status(id).await;
                let settled = store
                    .settle(vec![settlement(id, fence, outcome, at(now))], at(now))
                    .await
                    .unwrap();
                if settled == [Settled::Recorded] {
                    assert_eq!(before, Status::Delivering, "seed {seed}, step {step}");
                } else {
                    assert_eq!(before, store.status(id).await, "seed {seed}, step {step}");
                }
            }
            7 => drop(store.rescue(at(now), 3).await.unwrap()),
            8 => {
                let batch = std::mem::take(&mut model.in_hand);
                store.release(batch, at(now)).await.unwrap();
            }
            9 => {
                if let Some(id) = some(&mut random, &model) {
                    let _ = store.requeue(id, at(now)).await;
                }
            }
            10 => {
                if let Some(id) = some(&mut random, &model) {
                    let _ = store.cancel(id, at(now)).await;
                }
            }
            _ => {
                let target = HoldTarget::Destination("billing".into());
                if random.random_bool(0.5) {
                    store.hold(target, "x", at(now)).await.unwrap();
                } else {
                    store.resume(&target, at(now)).await.unwrap();
                }
            }
        }
        model
            .observe(store, &format!("seed {seed}, step {step}, verb {verb}"))
            .await;
        store.assert_balanced().await;
    }
    let ledger = store.ledger(at(now)).await.unwrap();
    assert_eq!(ledger.stored, model.events.len() as u64);
    assert_eq!(ledger.deliveries, model.statuses.len() as u64);
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
