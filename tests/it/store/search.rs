//! Looking into bodies, and along a resource.

use gatepost::{
    base::ids::WorkerId,
    event::{
        body_hash,
        order::{Mode, Position},
    },
    store::{
        query::EventQuery,
        search::{Bounds, Found, Wanted},
    },
};

use crate::store::*;

const ALL: Bounds = Bounds {
    n_events: 100,
    n_bytes: 1 << 20,
};

fn query() -> EventQuery {
    EventQuery {
        limit: 10,
        ..Default::default()
    }
}

impl TestStore {
    async fn bodies(&self, bodies: &[&'static [u8]]) -> Vec<EventId> {
        let mut ids = Vec::new();
        for (n, body) in bodies.iter().enumerate() {
            let new = event_with("s", Some(&format!("id-{n}")), Bytes::from_static(body), at(0));
            ids.push(new.event.id);
            self.record(vec![new]).await.unwrap();
        }
        ids
    }

    async fn search(&self, query: &EventQuery, text: &[u8], bounds: Bounds) -> Found {
        let wanted = Wanted {
            text: text.to_vec(),
            in_any_case: Vec::new(),
        };
        self.search_events(query, &wanted, bounds).await.unwrap()
    }
}

fn found(it: &Found) -> Vec<EventId> {
    it.rows.iter().map(|it| it.id).collect()
}

store_case!(a_text_is_found_in_bodies_byte_for_byte, |store| {
    let ids = store
        .bodies(&[
            b"{\"a\":\"needle\"}",
            b"\xff\0needle\0",
            b"NEEDLE",
            b"100%_'needl",
            "n\u{e4}del".as_bytes(),
            b"",
        ])
        .await;
    for (text, expected) in [
        (&b"needle"[..], vec![ids[1], ids[0]]),
        (b"\xff\0n", vec![ids[1]]),
        (b"%_'", vec![ids[3]]),
        (b"\xc3\xa4", vec![ids[4]]),
        (b"e\0", vec![ids[1]]),
        (b"nothing", vec![]),
    ] {
        let all = store.search(&query(), text, ALL).await;
        assert_eq!(
            (found(&all), all.next, all.n_looked_at),
            (expected, None, Some(6)),
            "{text:?}"
        );
        assert_eq!(all.back_to, Some(at(0)));
    }
    let none = EventQuery {
        source: Some("nobody".to_owned()),
        ..query()
    };
    let none = store.search(&none, b"needle", ALL).await;
    assert_eq!(
        (none.rows.len(), none.n_looked_at, none.back_to),
        (0, Some(0), None)
    );
});

store_case!(a_source_is_found_whatever_is_in_its_bodies, |store| {
    let ids = store.bodies(&[b"needle", b"other"]).await;
    let mut theirs = Vec::new();
    for (n, body) in [&b"needle"[..], b"other"].into_iter().enumerate() {
        let id = format!("theirs-{n}");
        let new = event_with("t", Some(&id), Bytes::from_static(body), at(0));
        theirs.push(new.event.id);
        store.record(vec![new]).await.unwrap();
    }
    let wanted = Wanted {
        text: b"needle".to_vec(),
        in_any_case: vec!["t".into(), "nobody".into()],
    };
    let all = store.search_events(&query(), &wanted, ALL).await.unwrap();
    assert_eq!(found(&all), [theirs[1], theirs[0], ids[0]]);
    assert_eq!((all.next, all.n_looked_at), (None, Some(4)));
});

store_case!(a_search_stops_at_its_bounds_and_goes_on_there, |store| {
    let ids = store
        .bodies(&[b"needle 0", b"needle 1", b"other  2", b"needle 3", b"other  4"])
        .await;
    let check = async |bounds: Bounds, limit: u32, expected: &[(&[usize], Option<u64>)]| {
        let mut query = EventQuery { limit, ..query() };
        for (rows, n_looked_at) in expected {
            let part = store.search(&query, b"needle", bounds).await;
            let rows: Vec<_> = rows.iter().map(|it| ids[*it]).collect();
            assert_eq!(
                (found(&part), part.n_looked_at),
                (rows, *n_looked_at),
                "{bounds:?}"
            );
            query.cursor = part.next;
        }
        assert_eq!(query.cursor, None, "{bounds:?}");
    };
    let by_events = Bounds { n_events: 2, ..ALL };
    check(
        by_events,
        10,
        &[(&[3], Some(2)), (&[1], Some(2)), (&[0], Some(1))],
    )
    .await;
    // Two bodies of eight bytes fit; of a body that is larger than all of it, one.
    let by_bytes = Bounds { n_bytes: 17, ..ALL };
    check(by_bytes, 10, &[(&[3], Some(2)), (&[1], Some(2)), (&[0], Some(1))]).await;
    let by_one = Bounds { n_bytes: 1, ..ALL };
    let one = Some(1);
    check(
        by_one,
        10,
        &[(&[], one), (&[3], one), (&[], one), (&[1], one), (&[0], one)],
    )
    .await;
    check(ALL, 1, &[(&[3], None), (&[1], None), (&[0], Some(1))]).await;
});

store_case!(neighbours_of_a_resource_stand_in_its_order, |store| {
    let mut events = Vec::new();
    for (n, key) in ["a", "a", "b", "a", "a", "a"].into_iter().enumerate() {
        let mut new = event("s", &format!("id-{n}"));
        // The last one to come happened first.
        new.deliveries[0].position = Some(Position {
            key: body_hash(key.as_bytes()),
            at: at(100 - i64::try_from(n).unwrap()),
            mode: Mode::Flag,
        });
        events.push((new.event.id, new.deliveries[0].id));
        store.record(vec![new]).await.unwrap();
    }
    let plain = store.one("plain").await.0;
    let worker = WorkerId::new();
    let claims = store.claim_billing(worker, 9, at(200)).await;
    for claim in &claims {
        let outcome = match events.iter().position(|it| it.1 == claim.delivery.id) {
            Some(0) => Outcome::Dead,
            Some(1..=3) => Outcome::Delivered,
            _ => Outcome::Retry { at: at(300) },
        };
        store.settle_one(claim, outcome, at(200)).await;
    }
    let shown = |it: &gatepost::store::neighbours::Neighbours| -> Vec<usize> {
        let place = |event| events.iter().position(|it| it.0 == event).unwrap();
        it.rows.iter().map(|it| place(it.event)).collect()
    };
    let all = store.neighbours(events[3].0, 9).await.unwrap().unwrap();
    assert_eq!(
        (all.route.as_str(), shown(&all)),
        ("to-billing", vec![5, 4, 3, 1, 0])
    );
    let statuses: Vec<_> = all.rows.iter().map(|it| it.status.as_str()).collect();
    assert_eq!(
        statuses,
        ["retrying", "retrying", "delivered", "delivered", "dead"]
    );
    assert_eq!(
        (all.rows[0].at, all.rows[0].external_id.as_deref()),
        (at(95), Some("id-5"))
    );
    let near = store.neighbours(events[3].0, 1).await.unwrap().unwrap();
    assert_eq!(shown(&near), [3, 1]);
    assert_eq!(store.neighbours(plain, 9).await.unwrap(), None);
});
