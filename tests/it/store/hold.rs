use gatepost::{
    base::ids::WorkerId,
    store::claim::{HeldBy, HoldTarget},
};
use sqlx::Executor;

use crate::store::*;

fn destination(name: &str) -> HoldTarget {
    HoldTarget::Destination(name.into())
}

fn route(name: &str) -> HoldTarget {
    HoldTarget::Route(name.into())
}

store_case!(f09_a_held_destination_waits_and_goes_on_when_resumed, |store| {
    let (_, id) = store.one("1").await;
    assert_eq!(
        store
            .hold(destination("billing"), HeldBy::Gatepost, "410", at(1))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store
            .hold(destination("billing"), HeldBy::Operator, "again", at(2))
            .await
            .unwrap(),
        0
    );
    assert_eq!(store.status(id).await, Status::Held);
    let (_, later) = store.one("2").await;
    assert!(store.claim_billing(WorkerId::new(), 9, at(9)).await.is_empty());
    assert_eq!(store.next_due(&["billing".into()]).await.unwrap(), None);
    assert_eq!(store.mark_held(at(9)).await.unwrap(), 1);
    assert_eq!(store.status(later).await, Status::Held);

    let holds = store.holds().await.unwrap();
    assert_eq!(holds.len(), 1);
    assert_eq!(
        (
            &holds[0].target,
            holds[0].held_by,
            holds[0].reason.as_str(),
            holds[0].since
        ),
        (&destination("billing"), HeldBy::Gatepost, "410", at(1))
    );

    store
        .hold(route("r"), HeldBy::Operator, "ours", at(3))
        .await
        .unwrap();
    let holds = store.holds().await.unwrap();
    let of_route = holds.iter().find(|it| it.target == route("r")).unwrap();
    assert_eq!(
        (of_route.held_by, of_route.reason.as_str()),
        (HeldBy::Operator, "ours")
    );
    store.resume(&route("r"), at(3)).await.unwrap();

    assert_eq!(store.resume(&destination("billing"), at(20)).await.unwrap(), 2);
    let read = store.delivery(id).await.unwrap();
    assert_eq!(
        (read.status, read.next_attempt_at),
        (Status::Pending, Some(at(20)))
    );
    assert_eq!(store.claim_billing(WorkerId::new(), 9, at(20)).await.len(), 2);
    assert!(store.holds().await.unwrap().is_empty());
});

store_case!(f05_a_day_of_waiting_costs_no_attempt, |store| {
    let (_, id) = store.one("1").await;
    let worker = WorkerId::new();
    let claims = store.claim_billing(worker, 1, at(0)).await;
    store
        .settle_one(&claims[0], Outcome::Retry { at: at(1) }, at(0))
        .await;
    store
        .hold(destination("billing"), HeldBy::Gatepost, "it is away", at(1))
        .await
        .unwrap();
    for hour in 0..24 {
        let now = at(hour * 3600 + 2);
        store.mark_held(now).await.unwrap();
        assert!(store.claim_billing(worker, 9, now).await.is_empty());
        assert_eq!(store.rescue(now, 9).await.unwrap(), 0);
    }
    let now = at(24 * 3600);
    assert_eq!(store.delivery(id).await.unwrap().n_attempts, 1);
    store.resume(&destination("billing"), now).await.unwrap();
    let claims = store.claim_billing(worker, 9, now).await;
    assert_eq!((ids(&claims), claims[0].delivery.n_attempts), (vec![id], 1));
});

store_case!(what_two_hold_waits_for_both, |store| {
    let (_, id) = store.one("1").await;
    store
        .hold(destination("billing"), HeldBy::Gatepost, "a", at(1))
        .await
        .unwrap();
    assert_eq!(
        store
            .hold(route("to-billing"), HeldBy::Gatepost, "b", at(1))
            .await
            .unwrap(),
        0
    );
    assert_eq!(store.resume(&destination("billing"), at(2)).await.unwrap(), 0);
    assert_eq!(store.status(id).await, Status::Held);
    assert_eq!(store.resume(&route("to-billing"), at(3)).await.unwrap(), 1);
    assert_eq!(store.status(id).await, Status::Pending);
});

store_case!(a_held_route_leaves_the_destinations_others_alone, |store| {
    let mut new = event("s", "1");
    new.deliveries.push(delivery("other", "billing"));
    let other = new.deliveries[1].id;
    store
        .hold(route("to-billing"), HeldBy::Gatepost, "x", at(0))
        .await
        .unwrap();
    store.record(vec![new]).await.unwrap();
    assert_eq!(
        ids(&store.claim_billing(WorkerId::new(), 9, at(9)).await),
        [other]
    );
});

store_case!(
    e24_a_resume_that_stopped_halfway_is_finished_by_the_sweep,
    |store| {
        let (_, id) = store.one("1").await;
        store
            .hold(destination("billing"), HeldBy::Gatepost, "x", at(0))
            .await
            .unwrap();
        store.raw("delete from hold").await;
        assert_eq!(store.status(id).await, Status::Held);
        assert_eq!(store.mark_held(at(5)).await.unwrap(), 1);
        assert_eq!(store.status(id).await, Status::Pending);
    }
);

store_case!(a_sweep_frees_just_what_nothing_holds_any_more, |store| {
    let mut new = event("s", "1");
    new.deliveries = ["a", "b", "c", "c", "d"]
        .into_iter()
        .zip(["of-a", "of-b", "of-c", "also-of-c", "of-d"])
        .map(|(to, route)| delivery(route, to))
        .collect();
    let ids: Vec<_> = new.deliveries.iter().map(|it| it.id).collect();
    store.record(vec![new]).await.unwrap();
    for target in [
        destination("a"),
        destination("b"),
        destination("c"),
        destination("d"),
        route("also-of-c"),
    ] {
        store.hold(target, HeldBy::Operator, "x", at(1)).await.unwrap();
    }
    store
        .raw("delete from hold where kind = 'destination' and name in ('b', 'c', 'd')")
        .await;
    assert_eq!(store.mark_held(at(5)).await.unwrap(), 3);
    let mut statuses = Vec::new();
    for id in ids {
        statuses.push(store.status(id).await);
    }
    let (held, free) = (Status::Held, Status::Pending);
    assert_eq!(statuses, [held, free, free, held, free]);
});

/// Whatever comes in waits for the one who writes, and there may be a million to look at.
#[tokio::test]
async fn e10_a_sweep_that_finds_nothing_does_not_wait_for_the_writer() {
    let store = TestStore::sqlite().await;
    let mut new = event("s", "1");
    new.deliveries.push(delivery("elsewhere", "other"));
    store.record(vec![new]).await.unwrap();
    for target in [destination("billing"), route("another")] {
        store.hold(target, HeldBy::Operator, "x", at(0)).await.unwrap();
    }
    let mut writer = SqliteConnection::connect(store.url()).await.unwrap();
    writer.execute("begin immediate").await.unwrap();
    assert_eq!(store.mark_held(at(1)).await.unwrap(), 0);
    writer
        .execute("delete from hold where name = 'billing'")
        .await
        .unwrap();
    writer.execute("commit").await.unwrap();
    assert_eq!(store.mark_held(at(2)).await.unwrap(), 1);
    writer.close().await.unwrap();
    store.finish().await;
}

store_case!(what_is_in_hand_is_not_held, |store| {
    let (_, id) = store.one("1").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(0)).await;
    assert_eq!(
        store
            .hold(destination("billing"), HeldBy::Gatepost, "x", at(1))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .settle_one(&claims[0], Outcome::Retry { at: at(2) }, at(1))
            .await,
        Settled::Recorded
    );
    assert_eq!(store.mark_held(at(3)).await.unwrap(), 1);
    assert_eq!(store.status(id).await, Status::Held);
});

store_case!(what_waited_too_long_is_given_up_without_an_attempt, |store| {
    let mut old = event("stripe", "old");
    old.deliveries.push(delivery("other", "other"));
    let (first, elsewhere) = (old.deliveries[0].id, old.deliveries[1].id);
    store.record(vec![old]).await.unwrap();
    let (_, tried) = store.one("tried").await;
    let (_, in_hand) = store.one("in hand").await;
    let worker = WorkerId::new();
    for claim in store.claim_billing(worker, 9, at(0)).await {
        if claim.delivery.id == tried {
            store
                .settle_one(&claim, Outcome::Retry { at: at(1) }, at(0))
                .await;
        } else if claim.delivery.id == first {
            store.release(held(&[claim]), at(0)).await.unwrap();
        }
    }
    let created_at = store.delivery(first).await.unwrap().created_at;
    let give_up = |before| async move {
        store
            .give_up(&"billing".into(), before, "too late", 9)
            .await
            .unwrap()
    };
    assert_eq!(give_up(created_at.minus(Duration::from_secs(1))).await, 0);
    let later = created_at.plus(Duration::from_hours(1));
    assert_eq!(give_up(later).await, 2);
    assert_eq!(give_up(later).await, 0);
    for (id, n_attempts, error) in [(first, 0, "too late"), (tried, 1, "it said no; too late")] {
        let read = store.delivery(id).await.unwrap();
        assert_eq!((read.status, read.n_attempts), (Status::Dead, n_attempts));
        assert_eq!(read.last_error.as_deref(), Some(error));
        assert_eq!(read.next_attempt_at, None);
    }
    assert_eq!(store.status(in_hand).await, Status::Delivering);
    assert_eq!(store.status(elsewhere).await, Status::Pending);
    // Somebody wants it after all: that is not given up again.
    store.requeue(first, at(50)).await.unwrap();
    assert_eq!(give_up(later).await, 0);
    assert_eq!(store.status(first).await, Status::Pending);
});
