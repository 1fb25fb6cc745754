use gatepost::{base::ids::WorkerId, store::claim::HoldTarget};

use crate::store::*;

fn destination(name: &str) -> HoldTarget {
    HoldTarget::Destination(name.into())
}

fn route(name: &str) -> HoldTarget {
    HoldTarget::Route(name.into())
}

store_case!(f09_a_held_destination_waits_and_goes_on_when_resumed, |store| {
    let (_, id) = store.one("1").await;
    assert_eq!(store.hold(destination("billing"), "410", at(1)).await.unwrap(), 1);
    assert_eq!(
        store.hold(destination("billing"), "again", at(2)).await.unwrap(),
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
        (&holds[0].target, holds[0].reason.as_str(), holds[0].since),
        (&destination("billing"), "410", at(1))
    );

    assert_eq!(store.resume(&destination("billing"), at(20)).await.unwrap(), 2);
    let read = store.delivery(id).await.unwrap();
    assert_eq!(
        (read.status, read.next_attempt_at),
        (Status::Pending, Some(at(20)))
    );
    assert_eq!(store.claim_billing(WorkerId::new(), 9, at(20)).await.len(), 2);
    assert!(store.holds().await.unwrap().is_empty());
});

store_case!(what_two_hold_waits_for_both, |store| {
    let (_, id) = store.one("1").await;
    store.hold(destination("billing"), "a", at(1)).await.unwrap();
    assert_eq!(store.hold(route("to-billing"), "b", at(1)).await.unwrap(), 0);
    assert_eq!(store.resume(&destination("billing"), at(2)).await.unwrap(), 0);
    assert_eq!(store.status(id).await, Status::Held);
    assert_eq!(store.resume(&route("to-billing"), at(3)).await.unwrap(), 1);
    assert_eq!(store.status(id).await, Status::Pending);
});

store_case!(a_held_route_leaves_the_destinations_others_alone, |store| {
    let mut new = event("s", "1");
    new.deliveries.push(delivery("other", "billing"));
    let other = new.deliveries[1].id;
    store.hold(route("to-billing"), "x", at(0)).await.unwrap();
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
        store.hold(destination("billing"), "x", at(0)).await.unwrap();
        store.raw("delete from hold").await;
        assert_eq!(store.status(id).await, Status::Held);
        assert_eq!(store.mark_held(at(5)).await.unwrap(), 1);
        assert_eq!(store.status(id).await, Status::Pending);
    }
);

store_case!(what_is_in_hand_is_not_held, |store| {
    let (_, id) = store.one("1").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(0)).await;
    assert_eq!(store.hold(destination("billing"), "x", at(1)).await.unwrap(), 0);
    assert_eq!(
        store
            .settle_one(&claims[0], Outcome::Retry { at: at(2) }, at(1))
            .await,
        Settled::Recorded
    );
    assert_eq!(store.mark_held(at(3)).await.unwrap(), 1);
    assert_eq!(store.status(id).await, Status::Held);
});
