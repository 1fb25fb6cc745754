use gatepost::{base::ids::WorkerId, store::error::StoreError, store::record::Recorded};

use crate::store::*;

store_case!(f93_only_what_is_over_is_removed, |store| {
    let mut kept = Vec::new();
    let mut gone = Vec::new();
    for (n, outcome) in [
        (0, Some(Outcome::Delivered)),
        (1, None),
        (2, Some(Outcome::Dead)),
        (3, Some(Outcome::Retry { at: at(99) })),
        (4, Some(Outcome::Delivered)),
    ] {
        let mut new = event("s", &format!("{n}"));
        std::sync::Arc::make_mut(&mut new.event).received_at = at(n);
        let ids = (new.event.id, new.deliveries[0].id);
        store.record(vec![new]).await.unwrap();
        if n == 4 || outcome.is_none() || matches!(outcome, Some(Outcome::Retry { .. })) {
            kept.push(ids);
        } else {
            gone.push(ids);
        }
        if let Some(outcome) = outcome {
            let claims = store.claim_billing(WorkerId::new(), 9, at(n)).await;
            let claim = claims.iter().find(|it| it.delivery.id == ids.1).unwrap();
            store.settle_one(claim, outcome, at(n)).await;
            let others: Vec<_> = claims.into_iter().filter(|it| it.delivery.id != ids.1).collect();
            store.release(held(&others), at(n)).await.unwrap();
        }
    }
    let cancelled = store.one("cancelled").await;
    store.cancel(cancelled.1, at(0)).await.unwrap();
    gone.push(cancelled);
    let before = store.ledger(at(0)).await.unwrap();

    assert_eq!(store.prune(at(4), 1).await.unwrap(), 1);
    assert_eq!(store.prune(at(4), 100).await.unwrap(), 2);
    assert_eq!(store.prune(at(4), 100).await.unwrap(), 0);

    for (event, delivery) in kept {
        store.event(event).await.unwrap();
        store.delivery(delivery).await.unwrap();
    }
    for (event, delivery) in gone {
        assert!(matches!(
            store.event(event).await,
            Err(StoreError::NotFound { .. })
        ));
        assert!(matches!(
            store.delivery(delivery).await,
            Err(StoreError::NotFound { .. })
        ));
        assert!(store.attempts(delivery).await.unwrap().is_empty());
    }
    assert_eq!(
        store.ledger(at(0)).await.unwrap(),
        before,
        "the ledger remembers what went"
    );
});

store_case!(b07_a_pruned_key_is_free_again, |store| {
    let (_, id) = store.one("1").await;
    store.cancel(id, at(0)).await.unwrap();
    assert_eq!(store.prune(at(9), 9).await.unwrap(), 1);
    assert_eq!(
        store.record(vec![event("stripe", "1")]).await.unwrap(),
        [Recorded::Accepted]
    );
});

store_case!(f84_a_chore_has_one_leader, |store| {
    let (first, second) = (WorkerId::new(), WorkerId::new());
    assert!(store.lease("prune", first, at(0), at(10)).await.unwrap());
    assert!(!store.lease("prune", second, at(5), at(15)).await.unwrap());
    assert!(store.lease("other", second, at(5), at(15)).await.unwrap());
    assert!(
        store.lease("prune", first, at(8), at(18)).await.unwrap(),
        "the leader holds on"
    );
    assert!(!store.lease("prune", second, at(17), at(27)).await.unwrap());
    assert!(
        store.lease("prune", second, at(18), at(28)).await.unwrap(),
        "and is followed"
    );
});

store_case!(f84_of_many_that_ask_at_once_one_leads, |store| {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.replica().await;
        tasks.spawn(async move { store.lease("x", WorkerId::new(), at(0), at(10)).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|it| *it).count(), 1);
});

store_case!(f93_a_replay_and_retention_at_once_leave_no_orphan, |store| {
    for round in 0..15 {
        let (event, id) = store.one(&format!("{round}")).await;
        store.cancel(id, at(0)).await.unwrap();
        let again = delivery("r", "mail");
        let again_id = again.id;
        let (replayed, pruned) =
            tokio::join!(store.replay(event, vec![again], at(1)), store.prune(at(9), 10),);
        pruned.unwrap();
        match replayed {
            Ok(()) => {
                store.event(event).await.unwrap();
                store.cancel(again_id, at(2)).await.unwrap();
            }
            Err(StoreError::NotFound { .. }) => {
                assert!(matches!(
                    store.delivery(again_id).await,
                    Err(StoreError::NotFound { .. })
                ));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
});
