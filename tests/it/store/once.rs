//! Deduplication within a window: what goes a route's way once, over replicas that race.

use gatepost::{
    event::{body_hash, once::Once},
    store::record::Recorded,
};

use crate::store::*;

/// An event of the sender's own id, which is compared by that key for a minute.
fn compared(key: &str, seconds: i64) -> NewEvent {
    let id = DeliveryId::new().to_string();
    let mut new = event_with("s", Some(&id), format!("body of {id}").into(), at(seconds));
    new.deliveries[0].once = Some(Once {
        key: body_hash(key.as_bytes()),
        within: Duration::from_mins(1),
    });
    new
}

impl TestStore {
    /// Why the first delivery of each is skipped; `-` where it is not.
    async fn causes(&self, events: &[NewEvent]) -> Vec<String> {
        let mut causes = Vec::new();
        for it in events {
            let cause = self.delivery(it.deliveries[0].id).await.unwrap().cause;
            causes.push(cause.unwrap_or_else(|| "-".to_owned()));
        }
        causes
    }
}

store_case!(the_first_of_a_key_goes_and_its_repeats_are_skipped, |store| {
    let first = compared("a", 0);
    let rest = [
        compared("a", 1),
        compared("b", 2),
        compared("a", 59),
        compared("a", 60),
        compared("a", 119),
    ];
    store.record(vec![first.clone()]).await.unwrap();
    // In one batch with others of their key.
    store.record(rest.to_vec()).await.unwrap();
    assert_eq!(store.causes(&[first]).await, ["-"]);
    assert_eq!(
        store.causes(&rest).await,
        ["repeated", "-", "repeated", "-", "repeated"],
        "a window begins with its first event, and a repeat does not prolong it"
    );
    store.assert_balanced().await;
});

store_case!(what_another_route_had_is_no_repeat, |store| {
    let mut new = compared("a", 0);
    let mut other = delivery("to-crm", "crm");
    other.once = new.deliveries[0].once;
    new.deliveries.push(other.clone());
    store.record(vec![new.clone()]).await.unwrap();
    assert_eq!(store.delivery(other.id).await.unwrap().cause, None);
});

store_case!(an_event_that_is_stored_already_begins_no_window, |store| {
    let first = compared("a", 0);
    store.record(vec![first.clone()]).await.unwrap();
    // The same event again, long after the window: a duplicate, of which nothing is delivered.
    let mut again = first.clone();
    again.deliveries[0].id = DeliveryId::new();
    again.event = std::sync::Arc::new(Event {
        id: EventId::new(),
        received_at: at(500),
        ..(*first.event).clone()
    });
    let answers = store.record(vec![again]).await.unwrap();
    assert_eq!(answers, [Recorded::Duplicate(first.event.id)]);
    let next = compared("a", 501);
    store.record(vec![next.clone()]).await.unwrap();
    assert_eq!(store.causes(&[first, next]).await, ["-", "-"]);
});

store_case!(a_batch_whose_answer_was_lost_is_no_repeat_of_itself, |store| {
    let batch = vec![compared("a", 0), compared("b", 0)];
    store.record(batch.clone()).await.unwrap();
    let answers = store.record(batch.clone()).await.unwrap();
    assert_eq!(answers, [Recorded::Accepted; 2]);
    assert_eq!(store.causes(&batch).await, ["-", "-"]);
});

store_case!(of_many_that_race_one_goes, |store| {
    let events: Vec<_> = (0..40)
        .map(|idx| compared(&format!("k{}", idx % 4), idx))
        .collect();
    let mut racing = tokio::task::JoinSet::new();
    for it in &events {
        let (store, batch) = (store.store.clone(), vec![it.clone()]);
        racing.spawn(async move { store.record(batch).await.unwrap() });
    }
    racing.join_all().await;
    let n_sent = store.causes(&events).await.iter().filter(|it| *it == "-").count();
    assert_eq!(n_sent, 4);
});

store_case!(keys_are_forgotten_when_their_window_is_over, |store| {
    let batch: Vec<_> = (0..3).map(|idx| compared(&idx.to_string(), idx)).collect();
    store.record(batch).await.unwrap();
    assert_eq!(store.prune_once(at(61), 10).await.unwrap(), 1);
    assert_eq!(store.prune_once(at(1000), 1).await.unwrap(), 1);
    assert_eq!(store.prune_once(at(1000), 10).await.unwrap(), 1);
});
