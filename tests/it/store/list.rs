use gatepost::{
    base::ids::WorkerId,
    store::{
        claim::{HeldBy, HoldTarget},
        query::{DeliveryQuery, EventQuery},
    },
};

use crate::store::*;

store_case!(events_are_listed_by_every_filter, |store| {
    let mut all = vec![
        event("stripe", "ab"),
        event("github", "cd"),
        event("stripe", "e%_f"),
    ];
    std::sync::Arc::make_mut(&mut all[1].event).event_type = Some("push".to_owned());
    all[1].deliveries = vec![delivery("mirror", "mirror")];
    std::sync::Arc::make_mut(&mut all[2].event).event_type = Some("invoice.void".to_owned());
    std::sync::Arc::make_mut(&mut all[2].event).received_at = at(10);
    store.record(all.clone()).await.unwrap();
    store.cancel(all[1].deliveries[0].id, at(1)).await.unwrap();
    let base = EventQuery {
        limit: 9,
        ..Default::default()
    };
    let text = |it: &str| Some(it.to_owned());
    for (query, expected) in [
        (base.clone(), vec![2, 1, 0]),
        (
            EventQuery {
                source: text("stripe"),
                ..base.clone()
            },
            vec![2, 0],
        ),
        (
            EventQuery {
                event_type: text("push"),
                ..base.clone()
            },
            vec![1],
        ),
        (
            EventQuery {
                event_type: text("invoice.*"),
                ..base.clone()
            },
            vec![2, 0],
        ),
        (
            EventQuery {
                event_type: text("INVOICE.*"),
                ..base.clone()
            },
            vec![],
        ),
        (
            EventQuery {
                event_type: text("%*"),
                ..base.clone()
            },
            vec![],
        ),
        (
            EventQuery {
                event_type: text("*"),
                ..base.clone()
            },
            vec![2, 1, 0],
        ),
        (
            EventQuery {
                after: Some(at(10)),
                ..base.clone()
            },
            vec![2],
        ),
        (
            EventQuery {
                before: Some(at(10)),
                ..base.clone()
            },
            vec![1, 0],
        ),
        (
            EventQuery {
                status: Some(Status::Cancelled),
                ..base.clone()
            },
            vec![1],
        ),
        (
            EventQuery {
                destination: text("billing"),
                ..base.clone()
            },
            vec![2, 0],
        ),
        (
            EventQuery {
                destination: text("billing"),
                status: Some(Status::Cancelled),
                ..base.clone()
            },
            vec![],
        ),
        (
            EventQuery {
                q: text("AB"),
                ..base.clone()
            },
            vec![0],
        ),
        (
            EventQuery {
                q: text("void"),
                ..base.clone()
            },
            vec![2],
        ),
        (
            EventQuery {
                q: text("%_"),
                ..base.clone()
            },
            vec![2],
        ),
        (
            EventQuery {
                q: text("\\"),
                ..base.clone()
            },
            vec![],
        ),
        (
            EventQuery {
                q: text("a\0"),
                ..base.clone()
            },
            vec![],
        ),
        (
            EventQuery {
                cursor: Some(all[1].event.id),
                ..base.clone()
            },
            vec![0],
        ),
    ] {
        let page = store.events(&query).await.unwrap();
        let found: Vec<_> = page.rows.iter().map(|it| it.id).collect();
        let expected: Vec<_> = expected.into_iter().map(|idx: usize| all[idx].event.id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
    let row = store.events(&base).await.unwrap().rows.remove(2);
    assert_eq!(row.content_type.as_deref(), Some("application/json"));
    assert_eq!(
        (row.size, row.binding, row.occurred_at),
        (10, Binding::Body, Some(at(-5)))
    );
});

store_case!(deliveries_are_listed_by_every_filter, |store| {
    let mut all = vec![event("stripe", "ab"), event("github", "cd")];
    all[0].deliveries.push(delivery("mirror", "mirror"));
    std::sync::Arc::make_mut(&mut all[1].event).event_type = Some("push".to_owned());
    std::sync::Arc::make_mut(&mut all[1].event).received_at = at(10);
    store.record(all.clone()).await.unwrap();
    let claims = store
        .claim(&wanted(WorkerId::new(), &[("mirror", 1)]), at(20))
        .await
        .unwrap();
    store.settle_one(&claims[0], Outcome::Dead, at(20)).await;
    let of = |event: usize, idx: usize| all[event].deliveries[idx].id;
    let known = [of(0, 0), of(0, 1), of(1, 0)];
    let base = DeliveryQuery {
        limit: 9,
        ..Default::default()
    };
    let text = |it: &str| Some(it.to_owned());
    for (query, expected) in [
        (base.clone(), vec![0, 1, 2]),
        (
            DeliveryQuery {
                source: text("github"),
                ..base.clone()
            },
            vec![2],
        ),
        (
            DeliveryQuery {
                event_type: text("invoice*"),
                ..base.clone()
            },
            vec![0, 1],
        ),
        (
            DeliveryQuery {
                event_id: Some(all[0].event.id),
                ..base.clone()
            },
            vec![0, 1],
        ),
        (
            DeliveryQuery {
                route: text("mirror"),
                ..base.clone()
            },
            vec![1],
        ),
        (
            DeliveryQuery {
                destination: text("billing"),
                ..base.clone()
            },
            vec![0, 2],
        ),
        (
            DeliveryQuery {
                status: Some(Status::Dead),
                ..base.clone()
            },
            vec![1],
        ),
        (
            DeliveryQuery {
                after: Some(at(10)),
                ..base.clone()
            },
            vec![2],
        ),
        (
            DeliveryQuery {
                before: Some(at(10)),
                ..base.clone()
            },
            vec![0, 1],
        ),
        (
            DeliveryQuery {
                q: text("SAID no"),
                ..base.clone()
            },
            vec![1],
        ),
        (
            DeliveryQuery {
                q: text("cd"),
                ..base.clone()
            },
            vec![2],
        ),
    ] {
        let page = store.deliveries(&query).await.unwrap();
        let found: Vec<_> = page.rows.iter().map(|it| it.id).collect();
        let mut expected: Vec<_> = expected.into_iter().map(|idx: usize| known[idx]).collect();
        expected.sort_unstable_by(|left, right| right.cmp(left));
        assert_eq!(found, expected, "{query:?}");
    }
    let newest = *known.iter().max().unwrap();
    let page = store
        .deliveries(&DeliveryQuery {
            cursor: Some(newest),
            ..base
        })
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 2);
});

store_case!(
    e19_pages_are_bounded_and_follow_each_other_without_gap_or_overlap,
    |store| {
        store
            .record((0..450).map(|n| event("s", &format!("{n}"))).collect())
            .await
            .unwrap();
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let query = EventQuery {
                limit: u32::MAX,
                cursor,
                ..Default::default()
            };
            let page = store.events(&query).await.unwrap();
            assert!(page.rows.len() <= 200);
            found.extend(page.rows.iter().map(|it| it.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 450);
        assert!(found.is_sorted_by(|left, right| left > right));
        let page = store
            .events(&EventQuery {
                limit: 0,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(page.rows.len(), 1);
        let page = store
            .deliveries(&DeliveryQuery {
                limit: 200,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(
            (page.rows.len(), page.next),
            (200, page.rows.last().map(|it| it.id))
        );
    }
);

store_case!(g12_numbers_come_from_the_rows, |store| {
    let mut late = event("github", "late");
    std::sync::Arc::make_mut(&mut late.event).received_at = at(1_000);
    late.deliveries = vec![delivery("r", "mail")];
    store
        .record(vec![event("stripe", "1"), event("stripe", "2"), late])
        .await
        .unwrap();
    let claims = store.claim_billing(WorkerId::new(), 1, at(1)).await;
    store.settle_one(&claims[0], Outcome::Delivered, at(1)).await;
    let stats = store.stats(at(500), at(1_100)).await.unwrap();
    let of = |destination: &str, status| stats.deliveries.get(&(destination.into(), status)).copied();
    // What is over is only in the ledger.
    assert_eq!(of("billing", Status::Delivered), None);
    assert_eq!(of("billing", Status::Pending), Some(1));
    assert_eq!(of("mail", Status::Pending), Some(1));
    assert_eq!(stats.oldest_due.get("billing"), Some(&at(0)));
    assert_eq!(stats.oldest_due.get("mail"), Some(&at(1_000)));
    assert_eq!(stats.recent_events.len(), 1);
    // The 50th of 60 parts of 600 seconds begins 500 seconds after the beginning.
    let github = stats.recent_events["github"];
    assert_eq!((github.total(), github.parts()[50]), (1, 1));
    assert_eq!(stats.last_event["github"], at(1_000));
    let since = store.stats(at(0), at(60)).await.unwrap();
    assert_eq!(since.recent_events["stripe"].parts()[0], 2);
    // What is later than its end counts in the last part.
    assert_eq!(since.recent_events["github"].newest(1), 1);
    let made = since.recent_deliveries["billing"];
    assert_eq!(
        (made.delivered.total(), made.open.total(), made.dead.total()),
        (1, 1, 0)
    );
    assert_eq!(since.recent_deliveries["mail"].open.total(), 1);
    assert!(
        since.oldest_open["billing"]
            >= gatepost::base::clock::wall_now().minus(std::time::Duration::from_mins(5))
    );
    let seen = store.last_seen(9).await.unwrap();
    assert_eq!((seen.len(), seen["github"]), (2, at(1_000)));
    // Of the two newest, none is the other's; ids are in the order of their making.
    assert_eq!(store.last_seen(1).await.unwrap().len(), 1);
});

store_case!(f13_untaken_work_and_expired_leases_count_as_stuck, |store| {
    store
        .record(vec![event("s", "1"), event("s", "2"), event("s", "3")])
        .await
        .unwrap();
    assert_eq!(store.ledger(at(60)).await.unwrap().stuck.total(), 0);
    assert_eq!(store.ledger(at(61)).await.unwrap().stuck.total(), 3);
    store.claim_billing(WorkerId::new(), 1, at(61)).await;
    assert_eq!(store.ledger(at(62)).await.unwrap().stuck.total(), 2);
    assert_eq!(store.ledger(at(200)).await.unwrap().stuck.total(), 3);
    let (target, held_by) = (HoldTarget::Route("to-billing".into()), HeldBy::Operator);
    store.hold(target, held_by, "x", at(62)).await.unwrap();
    assert_eq!(store.ledger(at(200)).await.unwrap().stuck.total(), 1);
    // Held by nothing: the sweep that frees such deliveries did not come.
    store.raw("delete from hold").await;
    let stuck = store.ledger(at(200)).await.unwrap().stuck;
    assert_eq!((stuck.delivering, stuck.waiting, stuck.held), (1, 0, 2));
    store.mark_held(at(201)).await.unwrap();
    let stuck = store.ledger(at(400)).await.unwrap().stuck;
    assert_eq!((stuck.delivering, stuck.waiting, stuck.held), (1, 2, 0));
});
