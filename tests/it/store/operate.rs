use gatepost::{
    base::ids::WorkerId,
    store::{
        claim::{HeldBy, HoldTarget},
        error::StoreError,
        record::{Claimed, Start},
    },
};

use crate::store::*;

/// A delivery in each status that the store can bring about.
async fn in_status(store: &TestStore, status: Status) -> DeliveryId {
    let name = status.as_str();
    let mut new = event("s", name);
    new.deliveries = vec![delivery(name, name)];
    let id = new.deliveries[0].id;
    store.record(vec![new]).await.unwrap();
    let claim = async || {
        let claims = store
            .claim(&wanted(WorkerId::new(), &[(name, 1)]), at(1))
            .await
            .unwrap();
        claims.into_iter().next().unwrap()
    };
    match status {
        Status::Pending => (),
        Status::Delivering => drop(claim().await),
        Status::Retrying => drop(
            store
                .settle_one(&claim().await, Outcome::Retry { at: at(99) }, at(1))
                .await,
        ),
        Status::Held => drop(
            store
                .hold(HoldTarget::Route(name.into()), HeldBy::Gatepost, "x", at(1))
                .await
                .unwrap(),
        ),
        Status::Delivered => drop(store.settle_one(&claim().await, Outcome::Delivered, at(1)).await),
        Status::Dead => drop(store.settle_one(&claim().await, Outcome::Dead, at(1)).await),
        Status::Cancelled => drop(store.cancel(id, at(1)).await.unwrap()),
        Status::Skipped => drop(
            store
                .raw("update delivery set status = 'skipped' where route = 'skipped'")
                .await,
        ),
        Status::Newer(word) => panic!("no delivery of this version becomes {word:?}"),
    }
    assert_eq!(store.status(id).await, status);
    id
}

store_case!(f12_requeue_makes_only_legal_moves, |store| {
    for status in Status::ALL {
        let id = in_status(store, status).await;
        let result = store.requeue(id, at(50)).await;
        match status {
            Status::Held | Status::Delivering | Status::Skipped => {
                let error = result.unwrap_err();
                let is_right = matches!(&error, StoreError::Conflict { status: found, wanted: "retried", .. } if found == status.as_str());
                assert!(is_right, "{status}: {error:?}");
                assert_eq!(store.status(id).await, status);
            }
            _ => {
                let read = result.unwrap();
                let expected = if status == Status::Retrying {
                    Status::Retrying
                } else {
                    Status::Pending
                };
                assert_eq!(
                    (read.status, read.next_attempt_at),
                    (expected, Some(at(50))),
                    "{status}"
                );
                let claims = store
                    .claim(&wanted(WorkerId::new(), &[(status.as_str(), 1)]), at(50))
                    .await
                    .unwrap();
                assert_eq!(ids(&claims), [id]);
                assert!(claims[0].is_manual);
                store
                    .settle_one(&claims[0], Outcome::Retry { at: at(60) }, at(50))
                    .await;
                let claims = store
                    .claim(&wanted(WorkerId::new(), &[(status.as_str(), 1)]), at(60))
                    .await
                    .unwrap();
                assert!(!claims[0].is_manual, "only the next attempt is the operator's");
            }
        }
    }
});

store_case!(f12_cancel_takes_any_open_one_and_no_other, |store| {
    for status in Status::ALL {
        let id = in_status(store, status).await;
        let result = store.cancel(id, at(50)).await;
        if status.is_open() {
            let read = result.unwrap();
            assert_eq!((read.status, read.next_attempt_at), (Status::Cancelled, None));
            let claims = store
                .claim(&wanted(WorkerId::new(), &[(status.as_str(), 1)]), at(99))
                .await
                .unwrap();
            assert!(claims.is_empty());
        } else {
            assert!(
                matches!(
                    result,
                    Err(StoreError::Conflict {
                        wanted: "cancelled",
                        ..
                    })
                ),
                "{status}"
            );
            assert_eq!(store.status(id).await, status);
        }
    }
});

store_case!(what_is_not_there_is_not_found, |store| {
    let id = DeliveryId::new();
    for error in [
        store.requeue(id, at(0)).await.unwrap_err(),
        store.cancel(id, at(0)).await.unwrap_err(),
        store.delivery(id).await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::NotFound { what: "delivery", id: found } if *found == id.to_string())
        );
    }
    let error = store
        .replay(EventId::new(), vec![delivery("r", "d")], at(0))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "event", .. }));
});

store_case!(f12_a_replay_is_new_deliveries, |store| {
    let (event, first) = store.one("1").await;
    let mut again = delivery("to-billing", "billing");
    again.origin = Origin::Replayed;
    let mut mine = delivery("to-mail", "mail");
    mine.start = Start::Claimed(Claimed {
        worker: WorkerId::new(),
        lease_until: at(30),
    });
    let (again_id, mine_id) = (again.id, mine.id);
    let deliveries = vec![again, mine];
    store.replay(event, deliveries.clone(), at(20)).await.unwrap();
    // Given again after an answer that was lost.
    store.replay(event, deliveries, at(20)).await.unwrap();

    let read = store.delivery(again_id).await.unwrap();
    assert_eq!(
        (read.origin, read.status, read.created_at),
        (Origin::Replayed, Status::Pending, at(20))
    );
    assert_eq!((read.event_id, read.next_attempt_at), (event, Some(at(20))));
    assert_eq!(store.status(mine_id).await, Status::Delivering);
    assert_eq!(store.status(first).await, Status::Pending);
    assert_eq!(store.ledger(at(0)).await.unwrap().deliveries, 3);
    store.replay(event, Vec::new(), at(20)).await.unwrap();
});

store_case!(what_cancel_returns_is_what_is_stored, |store| {
    let (_, id) = store.one("1").await;
    let answer = store.cancel(id, at(1)).await.unwrap();
    assert!(same_delivery(&answer, &store.delivery(id).await.unwrap()));
});
