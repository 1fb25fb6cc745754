use gatepost::base::ids::WorkerId;

use crate::store::*;

store_case!(every_outcome_leads_where_it_should, |store| {
    for (name, outcome, status, due_at) in [
        ("1", Outcome::Delivered, Status::Delivered, None),
        ("2", Outcome::Retry { at: at(50) }, Status::Retrying, Some(at(50))),
        ("3", Outcome::Dead, Status::Dead, None),
    ] {
        let (_, id) = store.one(name).await;
        let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
        assert_eq!(ids(&claims), [id]);
        assert_eq!(
            store.settle_one(&claims[0], outcome.clone(), at(2)).await,
            Settled::Recorded
        );
        let read = store.delivery(id).await.unwrap();
        assert_eq!(
            (read.status, read.next_attempt_at, read.n_attempts),
            (status, due_at, 1)
        );
        let error = (outcome != Outcome::Delivered).then(|| "it said no".to_owned());
        assert_eq!(read.last_error, error);
    }
});

store_case!(attempts_come_back_as_they_were, |store| {
    let (_, id) = store.one("1").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
    let mut first = settlement(id, claims[0].fence, Outcome::Retry { at: at(2) }, at(1));
    first.attempt.status_code = None;
    first.attempt.response_headers = Headers::default();
    first.attempt.response_body = Bytes::from_static(b"\xff\x00\xfe");
    first.attempt.trigger = Trigger::Manual;
    store.settle(vec![first.clone()], at(1)).await.unwrap();
    let claims = store.claim_billing(WorkerId::new(), 1, at(3)).await;
    let mut second = settlement(id, claims[0].fence, Outcome::Delivered, at(3));
    second.attempt.number = 2;
    store.settle(vec![second.clone()], at(3)).await.unwrap();

    let read = store.attempts(id).await.unwrap();

    assert_eq!(format!("{:?}", read[0]), format!("{:?}", first.attempt));
    assert_eq!(format!("{:?}", read[1]), format!("{:?}", second.attempt));
    assert_eq!(read.len(), 2);
    assert!(store.attempts(DeliveryId::new()).await.unwrap().is_empty());
});

store_case!(answers_are_in_the_order_of_the_batch, |store| {
    store
        .record((0..150).map(|n| event("s", &format!("{n}"))).collect())
        .await
        .unwrap();
    let claims = store.claim_billing(WorkerId::new(), 200, at(1)).await;
    assert_eq!(claims.len(), 150);
    let batch: Vec<_> = claims
        .iter()
        .rev()
        .enumerate()
        .map(|(n, it)| {
            let fence = if n % 3 == 0 {
                Fence(it.fence.0 + 7)
            } else {
                it.fence
            };
            settlement(it.delivery.id, fence, Outcome::Delivered, at(2))
        })
        .collect();
    let settled = store.settle(batch, at(2)).await.unwrap();
    for (n, it) in settled.iter().enumerate() {
        let expected = if n % 3 == 0 {
            Settled::LostClaim
        } else {
            Settled::Recorded
        };
        assert_eq!(*it, expected, "{n}");
    }
});

store_case!(e13_the_same_settlement_given_again_is_recorded_once, |store| {
    let (_, id) = store.one("1").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
    let batch = vec![settlement(id, claims[0].fence, Outcome::Delivered, at(1))];
    store.settle(batch.clone(), at(1)).await.unwrap();
    let again = store.settle(batch, at(1)).await.unwrap();
    assert_eq!(again, [Settled::Recorded]);
    assert_eq!(store.attempts(id).await.unwrap().len(), 1);
    assert_eq!(store.delivery(id).await.unwrap().n_attempts, 1);
});

store_case!(
    e05_two_settlements_of_one_delivery_in_one_batch_count_once,
    |store| {
        let (_, id) = store.one("1").await;
        let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
        let batch = vec![
            settlement(id, claims[0].fence, Outcome::Delivered, at(1)),
            settlement(id, claims[0].fence, Outcome::Dead, at(1)),
        ];
        let settled = store.settle(batch, at(1)).await.unwrap();
        assert_eq!(settled, [Settled::Recorded, Settled::LostClaim]);
        let read = store.delivery(id).await.unwrap();
        assert_eq!((read.status, read.n_attempts), (Status::Delivered, 2));
    }
);

store_case!(f12_a_cancelled_delivery_stays_cancelled, |store| {
    let (_, id) = store.one("1").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
    store.cancel(id, at(2)).await.unwrap();
    assert_eq!(
        store.settle_one(&claims[0], Outcome::Delivered, at(3)).await,
        Settled::LostClaim
    );
    assert_eq!(store.status(id).await, Status::Cancelled);
    assert_eq!(store.attempts(id).await.unwrap().len(), 1);
});

store_case!(e06_settlements_in_opposite_order_do_not_deadlock, |store| {
    let mut new = event("s", "many");
    new.deliveries = (0..60).map(|n| delivery(&format!("r{n}"), "billing")).collect();
    store.record(vec![new]).await.unwrap();
    for round in 0..5 {
        let claims = store.claim_billing(WorkerId::new(), 60, at(round)).await;
        assert_eq!(claims.len(), 60, "{round}");
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..3 {
            let store = store.replica().await;
            let mut batch: Vec<_> = claims
                .iter()
                .map(|it| settlement(it.delivery.id, it.fence, Outcome::Retry { at: at(round) }, at(0)))
                .collect();
            if n % 2 == 0 {
                batch.reverse();
            }
            tasks.spawn(async move { store.settle(batch, at(0)).await.unwrap() });
        }
        let all: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(all.iter().filter(|it| **it == Settled::Recorded).count(), 60);
    }
});
