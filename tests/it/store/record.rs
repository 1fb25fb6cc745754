use std::{collections::HashSet, task::Poll};

use gatepost::{
    base::{clock::Timestamp, ids::WorkerId},
    event::body_hash,
    store::{
        error::StoreError,
        query::RequestQuery,
        record::{Claimed, Recorded, Start},
    },
};

use crate::store::*;

store_case!(e03_what_was_recorded_comes_back_byte_for_byte, |store| {
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut new = event_with("stripe", Some("evt\u{fffd}1"), every_byte.clone().into(), at(3));
    std::sync::Arc::make_mut(&mut new.event).headers = Headers::from_pairs([
        ("x-bytes", &every_byte[1..]),
        ("x-twice", b"1"),
        ("x-twice", b""),
        ("content-type", b"text/plain"),
    ]);
    std::sync::Arc::make_mut(&mut new.event).occurred_at = None;
    "shop=%C3%A9+1&shop".clone_into(&mut std::sync::Arc::make_mut(&mut new.event).query);
    store.record(vec![new.clone()]).await.unwrap();

    let read = store.event(new.event.id).await.unwrap();

    assert_eq!(format!("{read:?}"), format!("{:?}", new.event));
    let claims = store.claim_billing(WorkerId::new(), 9, at(9)).await;
    assert_eq!(claims[0].event.query, "shop=%C3%A9+1&shop");
    assert_eq!(read.headers, new.event.headers);
    assert_eq!(read.body, new.event.body);
});

store_case!(
    e23_a_replica_that_knows_no_query_writes_beside_one_that_does,
    |store| {
        store.record(vec![event("stripe", "1")]).await.unwrap();
        let id = EventId::new();
        let hex = id.uuid().simple().to_string();
        let literal = if store.is_postgres() {
            format!("'{hex}'::uuid")
        } else {
            format!("x'{hex}'")
        };
        // As version 0009 has it.
        let n_rows = store
        .raw(&format!(
            "insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at, headers, body) \
             select {literal}, source, null, body_hash, '2', type, origin, verified, occurred_at, received_at, headers, body from event"
        ))
        .await;
        assert_eq!(n_rows, 1);
        store
            .raw("update tally set received = received + 1 where slot = (select min(slot) from tally)")
            .await;

        let read = store.event(id).await.unwrap();

        assert_eq!(
            (read.external_id.as_deref(), read.query.as_str()),
            (Some("2"), "")
        );
    }
);

store_case!(e03_nul_in_every_text_is_replaced_and_stored, |store| {
    let mut new = event_with("str\0ipe", Some("a\0b"), Bytes::from_static(b"\0"), at(0));
    std::sync::Arc::make_mut(&mut new.event).event_type = Some("t\0".to_owned());
    new.deliveries = vec![delivery("r\0", "billing")];
    let answers = store.record(vec![new.clone()]).await.unwrap();
    assert_eq!(answers, [Recorded::Accepted]);

    let read = store.event(new.event.id).await.unwrap();
    assert_eq!(read.external_id.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read.event_type.as_deref(), Some("t\u{fffd}"));
    let claims = store.claim_billing(WorkerId::new(), 9, at(1)).await;
    assert_eq!(&*claims[0].delivery.route, "r\u{fffd}");
    let mut bad = settlement(claims[0].delivery.id, claims[0].fence, Outcome::Dead, at(1));
    bad.attempt.error = Some("no\0".to_owned());
    store.settle(vec![bad], at(1)).await.unwrap();
    let read = store.delivery(claims[0].delivery.id).await.unwrap();
    assert_eq!(read.last_error.as_deref(), Some("no\u{fffd}"));
});

store_case!(e04_ids_of_any_length_are_keys, |store| {
    for len in [1, 2_703, 2_704, 2_705, 8 * 1024, 1024 * 1024] {
        let id = "x".repeat(len);
        let first = event("stripe", &id);
        let again = event("stripe", &id);
        let answers = store.record(vec![first.clone()]).await.unwrap();
        assert_eq!(answers, [Recorded::Accepted], "{len}");
        let answers = store.record(vec![again]).await.unwrap();
        assert_eq!(answers, [Recorded::Duplicate(first.event.id)], "{len}");
    }
});

store_case!(hostile_times_are_stored, |store| {
    let mut new = event("stripe", "a");
    std::sync::Arc::make_mut(&mut new.event).occurred_at = Some(Timestamp::from_unix_seconds(i64::MAX));
    let mut other = event("stripe", "b");
    std::sync::Arc::make_mut(&mut other.event).occurred_at = Some(Timestamp::from_unix_seconds(i64::MIN));
    let id = new.event.id;
    store.record(vec![new, other]).await.unwrap();
    assert_eq!(
        store.event(id).await.unwrap().occurred_at,
        Some(Timestamp::from_micros(i64::MAX))
    );
});

store_case!(b03_one_id_at_two_sources_is_two_events, |store| {
    let answers = store
        .record(vec![event("a", "1"), event("b", "1")])
        .await
        .unwrap();
    assert_eq!(answers, [Recorded::Accepted, Recorded::Accepted]);
});

store_case!(b04_same_id_with_another_body_is_kept_as_a_conflict, |store| {
    let first = event("stripe", "1");
    let mut other = event("stripe", "1");
    std::sync::Arc::make_mut(&mut other.event).body = Bytes::from_static(b"another");
    other.body_hash = body_hash(b"another");
    store.record(vec![first.clone()]).await.unwrap();

    let answers = store.record(vec![other.clone()]).await.unwrap();

    assert_eq!(answers, [Recorded::Conflict(first.event.id)]);
    assert_eq!(store.event(first.event.id).await.unwrap().body, first.event.body);
    let page = store
        .requests(&RequestQuery {
            limit: 9,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].cause, "conflict");
    let kept = store.request(page.rows[0].id).await.unwrap();
    assert_eq!(kept.body.as_deref(), Some(&b"another"[..]));
    assert_eq!(kept.headers, other.event.headers);
    let ledger = store.ledger(at(0)).await.unwrap();
    assert_eq!(
        (
            ledger.received,
            ledger.duplicates,
            ledger.conflicts,
            ledger.rejected
        ),
        (2, 1, 1, 0)
    );
});

store_case!(e02_repeats_inside_one_batch_are_folded, |store| {
    let first = event("stripe", "1");
    let mut conflict = event("stripe", "1");
    conflict.body_hash = body_hash(b"another");
    let other = event("stripe", "2");
    let batch = vec![
        first.clone(),
        event("stripe", "1"),
        conflict,
        other.clone(),
        event("stripe", "2"),
    ];

    let answers = store.record(batch).await.unwrap();

    let (one, two) = (first.event.id, other.event.id);
    assert_eq!(
        answers,
        [
            Recorded::Accepted,
            Recorded::Duplicate(one),
            Recorded::Conflict(one),
            Recorded::Accepted,
            Recorded::Duplicate(two),
        ]
    );
    let ledger = store.ledger(at(0)).await.unwrap();
    assert_eq!(
        (
            ledger.received,
            ledger.stored,
            ledger.duplicates,
            ledger.deliveries
        ),
        (5, 2, 3, 2)
    );
});

store_case!(e02_a_poison_row_leaves_nothing_behind, |store| {
    let first = event("stripe", "1");
    store.record(vec![first.clone()]).await.unwrap();
    let before = store.ledger(at(0)).await.unwrap();
    let mut batch: Vec<_> = (0..40).map(|n| event("stripe", &format!("new {n}"))).collect();
    // A value that this database has no form for.
    let poison = if store.is_postgres() {
        "insert into event select * from event"
    } else {
        "create trigger poison before insert on event when new.type = 'poison' begin select raise(abort, 'no'); end"
    };
    if store.is_postgres() {
        store
            .raw("alter table event add constraint poison check (type is distinct from 'poison')")
            .await;
    } else {
        store.raw(poison).await;
    }
    std::sync::Arc::make_mut(&mut batch[17].event).event_type = Some("poison".to_owned());

    let error = store.record(batch.clone()).await.unwrap_err();

    assert!(error.is_row_fault(), "{error:?}");
    assert_eq!(store.ledger(at(0)).await.unwrap(), before);
    batch.remove(17);
    let answers = store.record(batch).await.unwrap();
    assert!(answers.iter().all(|it| *it == Recorded::Accepted));
});

store_case!(b02_unverified_events_are_nobodys_duplicate, |store| {
    let mut unverified = event("open", "1");
    unverified.key = None;
    let mut again = event("open", "1");
    again.key = None;
    let verified = event("open", "1");
    let answers = store.record(vec![unverified, again, verified]).await.unwrap();
    assert_eq!(answers, [Recorded::Accepted; 3]);
});

store_case!(
    e13_the_same_batch_given_again_is_accepted_and_counted_once,
    |store| {
        let mut unkeyed = event("open", "1");
        unkeyed.key = None;
        let batch = vec![event("stripe", "1"), unkeyed, event("stripe", "2")];
        store.record(batch.clone()).await.unwrap();
        let before = store.ledger(at(0)).await.unwrap();

        let answers = store.record(batch).await.unwrap();

        assert_eq!(answers, [Recorded::Accepted; 3]);
        assert_eq!(store.ledger(at(0)).await.unwrap(), before);
    }
);

store_case!(
    b05_many_writers_of_one_id_store_one_event_and_one_delivery,
    |store| {
        let mut tasks = tokio::task::JoinSet::new();
        for replica in 0..4 {
            let store = store.replica().await;
            for round in 0..10 {
                let store = store.clone();
                tasks.spawn(async move {
                    let mut batch: Vec<_> = (0..20).map(|n| event("stripe", &format!("{n}"))).collect();
                    if (replica + round) % 2 == 0 {
                        batch.reverse();
                    }
                    store.record(batch).await.unwrap()
                });
            }
        }
        let answers: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();

        let n_accepted = answers.iter().filter(|it| **it == Recorded::Accepted).count();
        let duplicates: HashSet<_> = answers
            .iter()
            .filter_map(|it| match it {
                Recorded::Duplicate(id) => Some(*id),
                _ => None,
            })
            .collect();
        assert_eq!((n_accepted, duplicates.len(), answers.len()), (20, 20, 800));
        let ledger = store.ledger(at(0)).await.unwrap();
        assert_eq!((ledger.stored, ledger.deliveries, ledger.received), (20, 20, 800));
    }
);

store_case!(e06_reversed_batches_do_not_deadlock, |store| {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..6 {
        let store = store.replica().await;
        tasks.spawn(async move {
            for round in 0..8 {
                let mut batch: Vec<_> = (0..50).map(|n| event("s", &format!("{round} {n}"))).collect();
                if writer % 2 == 0 {
                    batch.reverse();
                }
                store.record(batch).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.ledger(at(0)).await.unwrap().stored, 400);
});

store_case!(a_handed_over_delivery_is_in_hand_from_the_start, |store| {
    let worker = WorkerId::new();
    let mut new = event("stripe", "1");
    new.deliveries[0].start = Start::Claimed(Claimed {
        worker,
        lease_until: at(10),
    });
    let id = new.deliveries[0].id;
    store.record(vec![new]).await.unwrap();

    assert!(store.claim_billing(WorkerId::new(), 9, at(5)).await.is_empty());
    assert_eq!(store.status(id).await, Status::Delivering);
    let lost = store
        .renew(worker, vec![(id, Claimed::FENCE)], at(20))
        .await
        .unwrap();
    assert!(lost.is_empty());
    let settled = store
        .settle(
            vec![settlement(id, Claimed::FENCE, Outcome::Delivered, at(6))],
            at(6),
        )
        .await
        .unwrap();
    assert_eq!(settled, [Settled::Recorded]);
    assert_eq!(store.status(id).await, Status::Delivered);
});

store_case!(
    e24_an_event_without_routes_is_stored_and_one_with_many_gets_all,
    |store| {
        let mut none = event("stripe", "1");
        none.deliveries.clear();
        let mut many = event("stripe", "2");
        many.deliveries = (0..300).map(|n| delivery(&format!("r{n}"), "billing")).collect();
        store.record(vec![none, many]).await.unwrap();
        assert_eq!(store.ledger(at(0)).await.unwrap().open, 300);
    }
);

store_case!(
    e01_a_caller_that_goes_away_does_not_stop_or_poison_anything,
    |store| {
        for n in 0..200 {
            let mut call = Box::pin(store.record(vec![event("s", &format!("{n}"))]));
            // Polled once or a few times, so that it is given up at different points of its way.
            for _ in 0..=n % 3 {
                let is_over =
                    std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
                if is_over {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let answers = store.record(vec![event("s", "last")]).await.unwrap();
        assert_eq!(answers, [Recorded::Accepted]);
        // Every call that was begun runs to its end, and none leaves a transaction open behind it.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while store.ledger(at(0)).await.unwrap().stored < 201 {
            assert!(
                std::time::Instant::now() < deadline,
                "a call that was begun did not end"
            );
            tokio::task::yield_now().await;
        }
    }
);

store_case!(large_batches_keep_their_order, |store| {
    let batch: Vec<_> = (0..333).map(|n| event("s", &format!("{}", n % 250))).collect();
    let answers = store.record(batch.clone()).await.unwrap();
    for (idx, answer) in answers.iter().enumerate() {
        let expected = if idx < 250 {
            Recorded::Accepted
        } else {
            Recorded::Duplicate(batch[idx - 250].event.id)
        };
        assert_eq!(*answer, expected, "{idx}");
    }
});

store_case!(a_missing_event_is_not_found, |store| {
    let error = store.event(EventId::new()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NotFound { what: "event", .. }),
        "{error:?}"
    );
});
