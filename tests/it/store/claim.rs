use std::collections::HashSet;

use gatepost::base::ids::WorkerId;

use crate::store::*;

store_case!(
    the_oldest_due_comes_first_and_each_destination_gets_its_share,
    |store| {
        let mut expected = Vec::new();
        for n in [3, 1, 2] {
            let mut new = event_with("s", Some(&format!("{n}")), Bytes::new(), at(n));
            new.deliveries.push(delivery("r2", "mail"));
            expected.push((n, new.deliveries[0].id));
            store.record(vec![new]).await.unwrap();
        }
        expected.sort_by_key(|it| it.0);
        let worker = WorkerId::new();
        let claims = store
            .claim(
                &wanted(worker, &[("billing", 2), ("mail", 1), ("nobody", 5)]),
                at(10),
            )
            .await
            .unwrap();
        let billing: Vec<_> = claims
            .iter()
            .filter(|it| &*it.delivery.destination == "billing")
            .collect();
        assert_eq!(claims.len(), 3);
        assert_eq!(billing[0].delivery.id, expected[0].1);
        assert_eq!(billing[1].delivery.id, expected[1].1);
        assert_eq!(billing[0].lease_until, at(20));
        assert_eq!(billing[0].delivery.status, Status::Delivering);
        assert_eq!(billing[0].delivery.next_attempt_at, None);
        assert!(!billing[0].is_manual);
        assert_eq!(billing[0].event.external_id.as_deref(), Some("1"));
    }
);

store_case!(what_is_not_due_is_not_claimed, |store| {
    let (_, id) = store.one("1").await;
    let worker = WorkerId::new();
    let first = store.claim_billing(worker, 1, at(1)).await;
    store
        .settle_one(&first[0], Outcome::Retry { at: at(100) }, at(2))
        .await;
    assert!(store.claim_billing(worker, 1, at(99)).await.is_empty());
    let next_due = store.next_due(&["billing".into(), "other".into()]).await.unwrap();
    assert_eq!(next_due, Some(at(100)));
    assert_eq!(store.next_due(&["other".into()]).await.unwrap(), None);
    let second = store.claim_billing(worker, 1, at(100)).await;
    assert_eq!(ids(&second), [id]);
    assert_eq!(second[0].delivery.n_attempts, 1);
    assert!(first[0].fence < second[0].fence);
});

store_case!(b05_concurrent_workers_never_claim_the_same, |store| {
    let batch: Vec<_> = (0..120).map(|n| event("s", &format!("{n}"))).collect();
    store.record(batch).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let store = store.replica().await;
        tasks.spawn(async move {
            let mut mine = Vec::new();
            for _ in 0..10 {
                let worker = WorkerId::new();
                mine.extend(ids(&store
                    .claim(&wanted(worker, &[("billing", 3)]), at(1))
                    .await
                    .unwrap()));
            }
            mine
        });
    }
    let all: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let distinct: HashSet<_> = all.iter().copied().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(all.len(), 120);
});

store_case!(e05_a_late_worker_cannot_settle_renew_or_release, |store| {
    let (_, id) = store.one("1").await;
    let (late, new) = (WorkerId::new(), WorkerId::new());
    let first = store.claim_billing(late, 1, at(0)).await;
    assert_eq!(store.rescue(at(9), 10).await.unwrap(), 0);
    assert_eq!(store.rescue(at(11), 10).await.unwrap(), 1);
    let second = store.claim_billing(new, 1, at(12)).await;

    assert_eq!(
        store.settle_one(&first[0], Outcome::Delivered, at(13)).await,
        Settled::LostClaim
    );
    assert_eq!(store.renew(late, held(&first), at(99)).await.unwrap(), [id]);
    assert_eq!(store.release(held(&first), at(13)).await.unwrap(), 0);

    assert_eq!(store.status(id).await, Status::Delivering);
    assert_eq!(store.attempts(id).await.unwrap().len(), 1);
    assert_eq!(
        store.settle_one(&second[0], Outcome::Delivered, at(14)).await,
        Settled::Recorded
    );
    let read = store.delivery(id).await.unwrap();
    assert_eq!((read.status, read.n_attempts), (Status::Delivered, 2));
});

store_case!(e05_a_renewed_lease_is_not_rescued, |store| {
    store.one("1").await;
    let worker = WorkerId::new();
    let claims = store.claim_billing(worker, 1, at(0)).await;
    assert!(
        store
            .renew(worker, held(&claims), at(30))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.rescue(at(29), 10).await.unwrap(), 0);
    let thief = store.renew(WorkerId::new(), held(&claims), at(99)).await.unwrap();
    assert_eq!(thief, ids(&claims), "only the worker that holds it may renew");
    assert_eq!(store.rescue(at(31), 10).await.unwrap(), 1);
});

store_case!(f05_released_work_is_put_back_uncounted, |store| {
    let (_, id) = store.one("1").await;
    let worker = WorkerId::new();
    let claims = store.claim_billing(worker, 1, at(0)).await;
    assert_eq!(store.release(held(&claims), at(1)).await.unwrap(), 1);
    let read = store.delivery(id).await.unwrap();
    assert_eq!(
        (read.status, read.n_attempts, read.next_attempt_at),
        (Status::Pending, 0, Some(at(1)))
    );
    let claims = store.claim_billing(worker, 1, at(2)).await;
    store
        .settle_one(&claims[0], Outcome::Retry { at: at(3) }, at(2))
        .await;
    let claims = store.claim_billing(worker, 1, at(4)).await;
    store.release(held(&claims), at(5)).await.unwrap();
    assert_eq!(store.status(id).await, Status::Retrying);
});

store_case!(
    e22_rescue_finds_the_one_that_is_due_behind_ten_thousand,
    |store| {
        let (worker, dead) = (WorkerId::new(), WorkerId::new());
        let mut new = event("s", "many");
        new.deliveries = (0..10_000)
            .map(|n| delivery(&format!("r{n}"), "billing"))
            .collect();
        for (n, it) in new.deliveries.iter_mut().enumerate() {
            let (worker, until) = if n == 7_777 { (dead, 5) } else { (worker, 1_000) };
            it.start = gatepost::store::record::Start::Claimed(gatepost::store::record::Claimed {
                worker,
                lease_until: at(until),
            });
        }
        let id = new.deliveries[7_777].id;
        store.record(vec![new]).await.unwrap();
        assert_eq!(store.rescue(at(10), 1).await.unwrap(), 1);
        assert_eq!(store.status(id).await, Status::Pending);
        assert_eq!(store.rescue(at(10), 1).await.unwrap(), 0);
    }
);

store_case!(rescue_keeps_to_its_limit, |store| {
    store
        .record((0..5).map(|n| event("s", &format!("{n}"))).collect())
        .await
        .unwrap();
    store.claim_billing(WorkerId::new(), 9, at(0)).await;
    assert_eq!(store.rescue(at(60), 2).await.unwrap(), 2);
    assert_eq!(store.rescue(at(60), 9).await.unwrap(), 3);
});

store_case!(nothing_wanted_is_nothing_claimed, |store| {
    store.one("1").await;
    assert!(
        store
            .claim(&wanted(WorkerId::new(), &[]), at(9))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .claim(&wanted(WorkerId::new(), &[("billing", 0)]), at(9))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.next_due(&[]).await.unwrap(), None);
});

store_case!(f60_a_replica_whose_clock_is_ahead_does_not_delay, |store| {
    let now = store.now().await.unwrap();
    let ahead = now.plus(Duration::from_mins(10));
    store
        .record(vec![event_with("s", Some("1"), Bytes::new(), ahead)])
        .await
        .unwrap();
    let soon = store.now().await.unwrap().plus(Duration::from_secs(1));
    assert_eq!(store.claim_billing(WorkerId::new(), 1, soon).await.len(), 1);
});

store_case!(processes_that_deliver_count_each_other, |store| {
    let (first, second) = (WorkerId::new(), WorkerId::new());
    let attend = |worker, now| async move { store.attend(worker, at(now), at(now + 10)).await.unwrap() };
    assert_eq!(attend(first, 0).await, 1);
    let both = if store.is_postgres() { 2 } else { 1 };
    assert_eq!(attend(second, 1).await, both);
    assert_eq!(attend(first, 2).await, both);
    // The second one said nothing for too long.
    assert_eq!(attend(first, 11).await, 1);
    assert_eq!(attend(second, 12).await, both);
});

store_case!(
    first_attempts_and_retries_are_taken_by_shares_of_their_own,
    |store| {
        let worker = WorkerId::new();
        let mut tried = Vec::new();
        for n in 0..5 {
            tried.push(store.one(&format!("tried {n}")).await.1);
        }
        for claim in store.claim_billing(worker, 9, at(0)).await {
            assert!(!claim.is_retry);
            store
                .settle_one(&claim, Outcome::Retry { at: at(1) }, at(0))
                .await;
        }
        let mut new = Vec::new();
        for n in 0..5 {
            new.push(store.one(&format!("new {n}")).await.1);
        }
        let mut shares = wanted(worker, &[("billing", 0)]);
        (
            shares.per_destination[0].n_first,
            shares.per_destination[0].n_retries,
        ) = (3, 1);
        let claims = store.claim(&shares, at(2)).await.unwrap();
        let taken = |is_retry| {
            let kind = claims.iter().filter(|it| it.is_retry == is_retry);
            kind.map(|it| it.delivery.id).collect::<Vec<_>>()
        };
        assert_eq!(taken(false), new[..3]);
        // All were due at once.
        assert_eq!(taken(true).len(), 1);
        assert!(tried.contains(&taken(true)[0]));
        shares.per_destination[0].n_retries = 0;
        let claims = store.claim(&shares, at(2)).await.unwrap();
        assert_eq!(ids(&claims), new[3..]);
    }
);
