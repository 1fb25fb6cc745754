//! Lists that look through a part at a time.

use gatepost::{
    base::{clock::wall_now, ids::WorkerId},
    store::{
        claim::{HeldBy, HoldTarget},
        query::{DeliveryQuery, EventQuery, Looked, Page, RequestQuery},
        window::Patience,
    },
};

use crate::store::{reject::request, *};

/// One part a page.
const fn part(n_rows: u32) -> Patience {
    Patience {
        n_rows,
        time: Duration::ZERO,
    }
}

/// As many parts as it takes.
const UNTIRED: Patience = Patience {
    n_rows: 2,
    time: Duration::from_hours(1),
};

/// All pages one after the other: the ids, and how many ended before they were full.
macro_rules! all_pages {
    ($store:expr, $list:ident, $query:expr) => {{
        let mut query = $query.clone();
        let (mut found, mut n_short) = (Vec::new(), 0);
        loop {
            let page: Page<_, _> = $store.$list(&query).await.unwrap();
            assert!(page.rows.len() <= query.limit as usize);
            if let Some(looked) = page.looked {
                assert!(page.next.is_some(), "{query:?}");
                assert!(looked.n_rows > 0 && looked.back_to <= wall_now());
                n_short += 1;
            }
            found.extend(page.rows.iter().map(|it| it.id));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break (found, n_short),
            }
        }
    }};
}

/// The same rows come, in the same order, whatever the patience.
macro_rules! check {
    ($store:expr, $list:ident, $query:expr, $n_expected:expr) => {{
        let query = $query;
        let (whole, n_short) = all_pages!($store, $list, query);
        assert_eq!((whole.len(), n_short), ($n_expected, 0), "{query:?}");
        for n_rows in [1, 2, 3, 5, 12, 13, 100] {
            let mut query = query.clone();
            query.patience = Some(part(n_rows));
            let (found, _) = all_pages!($store, $list, query);
            assert_eq!(found, whole, "{query:?}");
        }
        let mut query = query.clone();
        query.patience = Some(UNTIRED);
        let (found, n_short) = all_pages!($store, $list, query);
        assert_eq!((found, n_short), (whole, 0), "{query:?}");
    }};
}

impl TestStore {
    /// Twelve events of now, of which the first and the seventh are rare and fail.
    async fn twelve(&self) -> Vec<NewEvent> {
        let mut all = Vec::new();
        for n in 0..12 {
            let mut new = event_with(
                "s",
                Some(&format!("id-{n}")),
                Bytes::from_static(b"{}"),
                wall_now(),
            );
            let is_rare = n % 6 == 0;
            if is_rare {
                std::sync::Arc::make_mut(&mut new.event).event_type = Some("rare".to_owned());
            }
            new.deliveries = vec![delivery("r", if is_rare { "failing" } else { "billing" })];
            all.push(new);
        }
        self.record(all.clone()).await.unwrap();
        let wanted = wanted(WorkerId::new(), &[("failing", 9)]);
        let now = self.now().await.unwrap();
        for claim in self.claim(&wanted, now).await.unwrap() {
            self.settle_one(&claim, Outcome::Dead, now).await;
        }
        all
    }
}

store_case!(events_are_the_same_whatever_the_patience, |store| {
    let all = store.twelve().await;
    let text = |it: &str| Some(it.to_owned());
    for limit in [1, 2, 5, 50] {
        let base = EventQuery {
            limit,
            ..Default::default()
        };
        for (query, n_expected) in [
            (base.clone(), 12),
            (
                EventQuery {
                    event_type: text("rare"),
                    ..base.clone()
                },
                2,
            ),
            (
                EventQuery {
                    event_type: text("nope"),
                    ..base.clone()
                },
                0,
            ),
            (
                EventQuery {
                    source: text("s"),
                    status: Some(Status::Dead),
                    ..base.clone()
                },
                2,
            ),
            (
                EventQuery {
                    q: text("id-1"),
                    ..base.clone()
                },
                3,
            ),
            (
                EventQuery {
                    after: Some(all[4].event.received_at),
                    before: Some(all[9].event.received_at),
                    ..base.clone()
                },
                5,
            ),
        ] {
            check!(store, events, query, n_expected);
        }
    }
});

store_case!(
    what_was_stored_long_after_it_came_is_listed_by_when_it_came,
    |store| {
        let long_ago = wall_now().minus(Duration::from_hours(240));
        store.twelve().await;
        let mut late = event_with("s", Some("late"), Bytes::new(), long_ago);
        late.deliveries = vec![delivery("r", "billing")];
        store.record(vec![late]).await.unwrap();
        let before = Some(wall_now().minus(Duration::from_hours(120)));
        let events = EventQuery {
            before,
            limit: 5,
            ..Default::default()
        };
        check!(store, events, events, 1);
        let deliveries = DeliveryQuery {
            before,
            limit: 5,
            ..Default::default()
        };
        check!(store, deliveries, deliveries, 1);
    }
);

store_case!(deliveries_are_the_same_whatever_the_patience, |store| {
    let all = store.twelve().await;
    let text = |it: &str| Some(it.to_owned());
    for limit in [1, 5, 50] {
        let base = DeliveryQuery {
            limit,
            ..Default::default()
        };
        for (query, n_expected) in [
            (base.clone(), 12),
            (
                DeliveryQuery {
                    status: Some(Status::Dead),
                    ..base.clone()
                },
                2,
            ),
            (
                DeliveryQuery {
                    status: Some(Status::Dead),
                    destination: text("failing"),
                    event_type: text("rare"),
                    ..base.clone()
                },
                2,
            ),
            (
                DeliveryQuery {
                    status: Some(Status::Pending),
                    ..base.clone()
                },
                10,
            ),
            (
                DeliveryQuery {
                    status: Some(Status::Delivered),
                    ..base.clone()
                },
                0,
            ),
            (
                DeliveryQuery {
                    event_id: Some(all[6].event.id),
                    route: text("r"),
                    ..base.clone()
                },
                1,
            ),
        ] {
            check!(store, deliveries, query, n_expected);
        }
    }
});

store_case!(open_deliveries_are_the_same_whatever_the_patience, |store| {
    store.twelve().await;
    let now = store.now().await.unwrap();
    let wanted = wanted(WorkerId::new(), &[("billing", 4)]);
    for claim in &store.claim(&wanted, now).await.unwrap()[..2] {
        store.settle_one(claim, Outcome::Retry { at: now }, now).await;
    }
    let check = async |status, n_expected| {
        for (limit, source, destination, n_expected) in [
            (1, None, None, n_expected),
            (5, Some("s"), None, n_expected),
            (5, Some("s"), Some("billing"), n_expected),
            (5, Some("nope"), None, 0),
            (5, None, Some("failing"), 0),
        ] {
            let query = DeliveryQuery {
                status: Some(status),
                source: source.map(str::to_owned),
                destination: destination.map(str::to_owned),
                limit,
                ..Default::default()
            };
            check!(store, deliveries, query, n_expected);
        }
    };
    check(Status::Pending, 6).await;
    check(Status::Delivering, 2).await;
    check(Status::Retrying, 2).await;
    check(Status::Held, 0).await;
    let billing = HoldTarget::Destination("billing".into());
    store.hold(billing, HeldBy::Operator, "", now).await.unwrap();
    check(Status::Held, 8).await;
    check(Status::Delivering, 2).await;
    check(Status::Retrying, 0).await;
});

store_case!(requests_are_the_same_whatever_the_patience, |store| {
    let mut all: Vec<_> = (0..7).map(|_| request("unsigned", wall_now())).collect();
    "stale".clone_into(&mut all[2].cause);
    store.reject(all, Vec::new()).await.unwrap();
    for limit in [1, 50] {
        let query = RequestQuery {
            cause: Some("stale".to_owned()),
            limit,
            ..Default::default()
        };
        check!(store, requests, query, 1);
    }
});

store_case!(requests_are_counted_as_far_as_patience_goes, |store| {
    let mut all: Vec<_> = (0..7).map(|_| request("unsigned", wall_now())).collect();
    "stale".clone_into(&mut all[2].cause);
    all[3].body = None;
    let oldest_of_two = all[5].id;
    store.reject(all, Vec::new()).await.unwrap();
    let count = async |query: &RequestQuery, patience| {
        let counted = store.count_requests(query, patience).await.unwrap();
        let tallies = counted.tallies.into_iter();
        let tallies: Vec<_> = tallies
            .map(|it| (it.cause, it.n_found, it.n_acceptable))
            .collect();
        (tallies, counted.looked)
    };
    let tally = |cause: &str, n_found, n_acceptable| (cause.to_owned(), n_found, n_acceptable);
    let query = RequestQuery::default();
    let whole = (vec![tally("stale", 1, 1), tally("unsigned", 6, 5)], None);
    for patience in [UNTIRED, part(8), part(100)] {
        assert_eq!(count(&query, patience).await, whole, "{patience:?}");
    }
    let looked = Looked {
        n_rows: 2,
        back_to: oldest_of_two.made_at().unwrap(),
    };
    let newest = (vec![tally("unsigned", 2, 2)], Some(looked));
    assert_eq!(count(&query, part(2)).await, newest);
    let query = RequestQuery {
        cause: Some("stale".to_owned()),
        ..query
    };
    assert_eq!(count(&query, part(2)).await, (Vec::new(), Some(looked)));
    assert_eq!(count(&query, UNTIRED).await, (vec![tally("stale", 1, 1)], None));
});

store_case!(a_page_ends_where_its_patience_does, |store| {
    let all = store.twelve().await;
    let query = EventQuery {
        event_type: Some("nope".to_owned()),
        limit: 5,
        patience: Some(part(5)),
        ..Default::default()
    };
    let page = store.events(&query).await.unwrap();
    assert!(page.rows.is_empty());
    // The newest five were looked at.
    assert_eq!(page.next, Some(all[7].event.id));
    let looked = page.looked.unwrap();
    assert_eq!(
        (looked.n_rows, Some(looked.back_to)),
        (5, all[7].event.id.made_at())
    );
    // A list that nothing narrows down fills its page.
    let query = EventQuery {
        event_type: None,
        patience: Some(part(1)),
        ..query
    };
    assert_eq!(store.events(&query).await.unwrap().rows.len(), 5);
});

store_case!(a_senders_id_is_found_however_far_back, |store| {
    let all = store.twelve().await;
    let found = store.events_of_external_id("id-1", 50).await.unwrap();
    let found: Vec<_> = found.iter().map(|it| it.id).collect();
    assert_eq!(found, [all[1].event.id]);
    let long = event_with("s", Some("id-that-goes-on-and-on"), Bytes::new(), at(0));
    store.record(vec![long.clone()]).await.unwrap();
    let found = store
        .events_of_external_id("id-that-goes-on-and-on", 50)
        .await
        .unwrap();
    assert_eq!(found[0].id, long.event.id);
    for id in ["id-that-goes-on", "", "id-", "ID-1"] {
        assert!(
            store.events_of_external_id(id, 50).await.unwrap().is_empty(),
            "{id}"
        );
    }
});
