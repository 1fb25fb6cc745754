use gatepost::{
    base::ids::WorkerId,
    store::{
        error::StoreError,
        query::{DeliveryQuery, EventQuery},
    },
};

use crate::store::*;

store_case!(
    e21_a_damaged_row_becomes_a_dead_letter_and_the_others_flow,
    |store| {
        let blob = if store.is_postgres() { r"'\x00'" } else { "x'00'" };
        for (n, damage) in [
            format!("update event set headers = {blob}"),
            "update event set origin = 'no word'".to_owned(),
            "update event set verified = ''".to_owned(),
            "update delivery set origin = 'no word'".to_owned(),
            "delete from event".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let id = store.one(&format!("bad {n}")).await;
            let clause = if damage.contains("delivery") {
                "destination = 'billing' and status = 'pending'"
            } else {
                "external_id like 'bad%'"
            };
            assert!(store.raw(&format!("{damage} where {clause}")).await >= 1);
            let (_, good) = store.one(&format!("good {n}")).await;

            let claims = store.claim_billing(WorkerId::new(), 9, at(10)).await;

            assert_eq!(ids(&claims), [good], "{damage}");
            store.settle_one(&claims[0], Outcome::Delivered, at(10)).await;
            if !damage.contains("delivery") {
                let read = store.delivery(id.1).await.unwrap();
                assert_eq!(read.status, Status::Dead);
                assert!(read.last_error.unwrap().contains("damaged"));
            }
            // An operator's lists show the rest.
            let page = store
                .events(&EventQuery {
                    limit: 50,
                    ..Default::default()
                })
                .await
                .unwrap();
            assert!(!page.rows.is_empty());
            if damage.starts_with("delete") {
                // So that the ledger, which has noticed, balances for the end of the case.
                assert!(!store.ledger(at(0)).await.unwrap().is_balanced());
                store.raw("update tally set pruned_events = pruned_events + (select sum(received) from tally) - (select count(*) from event) where slot = (select min(slot) from tally)").await;
            }
        }
    }
);

store_case!(
    e21_an_unknown_status_is_left_alone_and_shows_in_the_ledger,
    |store| {
        let (_, bad) = store.one("bad").await;
        store.raw("update delivery set status = 'from the future'").await;
        let (_, good) = store.one("good").await;
        assert_eq!(ids(&store.claim_billing(WorkerId::new(), 9, at(1)).await), [good]);
        assert!(store.delivery(bad).await.is_err());
        assert_eq!(store.rescue(at(99), 9).await.unwrap(), 1);
        assert!(!store.ledger(at(0)).await.unwrap().is_balanced());
        assert_eq!(store.prune(at(99), 9).await.unwrap(), 0);
        store.raw("update delivery set status = 'pending'").await;
    }
);

store_case!(words_of_a_newer_version_are_carried_along, |store| {
    let (event_id, id) = store.one("1").await;
    let worker = WorkerId::new();
    // As a newer replica beside this one might write them.
    store
        .raw("update event set origin = 'forwarded', verified = 'chain'")
        .await;
    store.raw("update delivery set origin = 'rerouted'").await;

    let claims = store.claim_billing(worker, 9, at(1)).await;

    assert_eq!(ids(&claims), [id]);
    let (event, delivery) = (&claims[0].event, &claims[0].delivery);
    assert_eq!(
        (event.origin.as_str(), event.binding.as_str()),
        ("forwarded", "chain")
    );
    assert!(
        !event.binding.is_verified(),
        "nothing is built on what is not known"
    );
    assert_eq!(delivery.origin.as_str(), "rerouted");

    store
        .settle_one(&claims[0], Outcome::Retry { at: at(5) }, at(2))
        .await;
    store.raw("update attempt set trigger = 'ripple'").await;
    let attempts = store.attempts(id).await.unwrap();
    assert_eq!(attempts[0].trigger.as_str(), "ripple");

    store
        .raw("update delivery set status = 'parked', cause = 'not-ripe'")
        .await;
    let read = store.delivery(id).await.unwrap();
    assert_eq!(
        (read.status.as_str(), read.cause.as_deref()),
        ("parked", Some("not-ripe"))
    );
    let listed = store
        .deliveries(&DeliveryQuery {
            limit: 9,
            ..Default::default()
        })
        .await
        .unwrap();
    assert!(listed.rows.iter().any(|it| same_delivery(it, &read)));
    let listed = store
        .events(&EventQuery {
            limit: 9,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(listed.rows[0].origin.as_str(), "forwarded");
    // Whoever does not know where it stands leaves it there.
    assert!(store.claim_billing(worker, 9, at(99)).await.is_empty());
    assert_eq!(store.rescue(at(99), 9).await.unwrap(), 0);
    assert_eq!(store.prune(at(1_000_000), 9).await.unwrap(), 0);
    for refused in [store.requeue(id, at(99)).await, store.cancel(id, at(99)).await] {
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    }
    assert_eq!(store.event(event_id).await.unwrap().id, event_id);

    let since = if store.is_postgres() { "now()" } else { "1" };
    store
        .raw(&format!(
            "insert into hold (kind, name, reason, since) values ('source', 'stripe', 'why', {since})"
        ))
        .await;
    assert!(store.holds().await.unwrap().is_empty());
    store
        .raw("update delivery set status = 'retrying', cause = null")
        .await;
    assert_eq!(ids(&store.claim_billing(worker, 9, at(99)).await), [id]);
});

/// What a column may hold that nobody wrote there.
#[derive(Clone, Copy)]
enum Kind {
    Id,
    Text,
    Bytes,
    Time,
    Number,
    /// `int4` on Postgres.
    Small,
    Flag,
}

const COLUMNS: &[(&str, &str, Kind)] = &[
    ("event", "id", Kind::Id),
    ("event", "source", Kind::Text),
    ("event", "key", Kind::Bytes),
    ("event", "body_hash", Kind::Bytes),
    ("event", "external_id", Kind::Text),
    ("event", "type", Kind::Text),
    ("event", "origin", Kind::Text),
    ("event", "verified", Kind::Text),
    ("event", "occurred_at", Kind::Time),
    ("event", "received_at", Kind::Time),
    ("event", "headers", Kind::Bytes),
    ("event", "body", Kind::Bytes),
    ("delivery", "id", Kind::Id),
    ("delivery", "event_id", Kind::Id),
    ("delivery", "route", Kind::Text),
    ("delivery", "destination", Kind::Text),
    ("delivery", "origin", Kind::Text),
    ("delivery", "status", Kind::Text),
    ("delivery", "is_manual", Kind::Flag),
    ("delivery", "n_attempts", Kind::Small),
    ("delivery", "due_at", Kind::Time),
    ("delivery", "fence", Kind::Number),
    ("delivery", "worker", Kind::Id),
    ("delivery", "lease_until", Kind::Time),
    ("delivery", "last_error", Kind::Text),
    ("delivery", "created_at", Kind::Time),
    ("delivery", "program_id", Kind::Id),
];

impl Kind {
    const fn on_sqlite(self) -> &'static [&'static str] {
        match self {
            Self::Id => &["x''", "x'00'", "zeroblob(16)", "zeroblob(17)"],
            Self::Text => &[
                "''",
                "'junk'",
                "'no word'",
                "cast(x'ff00fe' as text)",
                "char(10, 27, 0)",
            ],
            Self::Bytes => &["x''", "x'00'", "x'ffffffffffffffffffff'", "zeroblob(100)"],
            Self::Time | Self::Number | Self::Small | Self::Flag => {
                &["-1", "2147483648", "9223372036854775807", "-9223372036854775808"]
            }
        }
    }

    const fn on_postgres(self) -> &'static [&'static str] {
        match self {
            Self::Id => &["'00000000-0000-0000-0000-000000000000'"],
            Self::Text => &["''", "'junk'", "'no word'", "chr(10) || chr(27)"],
            Self::Bytes => &["''", r"'\x00'", r"'\xffffffffffffffffffff'"],
            Self::Time => &["'infinity'", "'-infinity'", "'294276-12-31'", "'4713-01-01 BC'"],
            Self::Number => &["-1", "9223372036854775807", "-9223372036854775808"],
            Self::Small => &["-1", "2147483647", "-2147483648"],
            Self::Flag => &["true"],
        }
    }
}

/// One damaged row beside a good one, through every verb that a running gatepost uses. Says what went wrong.
async fn live_with(store: &TestStore, damage: &str) -> Result<(), String> {
    let (bad, good) = (event("s", "bad"), event("s", "good"));
    let (bad_id, good_id) = (bad.deliveries[0].id, good.deliveries[0].id);
    let good_event = good.event.id;
    store.record(vec![bad, good]).await.unwrap();
    assert_eq!(store.raw(damage).await, 1, "{damage}");

    let now = at(10);
    let claims = told(
        "claim",
        store
            .claim(&wanted(WorkerId::new(), &[("billing", 9)]), now)
            .await,
    )?;
    if !ids(&claims).contains(&good_id) {
        return Err("the good one is not claimed".to_owned());
    }
    let batch = claims.iter().map(|it| {
        let outcome = if it.delivery.id == good_id {
            Outcome::Delivered
        } else {
            Outcome::Retry { at: at(20) }
        };
        settlement(it.delivery.id, it.fence, outcome, now)
    });
    told("settle", store.settle(batch.collect(), now).await)?;
    if store.status(good_id).await != Status::Delivered {
        return Err("the good one is not delivered".to_owned());
    }
    // Whoever cannot be read, and was taken for that, is a dead letter that says so.
    if let Ok(read) = store.delivery(bad_id).await
        && read.status == Status::Dead
        && !read.last_error.unwrap_or_default().contains("damaged")
    {
        return Err("it died of something else".to_owned());
    }
    let later = at(100_000);
    told("rescue", store.rescue(later, 9).await)?;
    told("mark_held", store.mark_held(later).await)?;
    told("next_due", store.next_due(&["billing".into()]).await)?;
    told("ledger", store.ledger(later).await)?;
    told("stats", store.stats(at(-9), later).await)?;
    told("event", store.event(good_event).await)?;
    let events = EventQuery {
        limit: 9,
        ..Default::default()
    };
    let events = told("events", store.events(&events).await)?;
    let deliveries = DeliveryQuery {
        limit: 9,
        ..Default::default()
    };
    let deliveries = told("deliveries", store.deliveries(&deliveries).await)?;
    if !events.rows.iter().any(|it| it.id == good_event) || !deliveries.rows.iter().any(|it| it.id == good_id)
    {
        return Err("the good one is not listed".to_owned());
    }
    told("prune", store.prune(at(1_000_000), 9).await)?;
    Ok(())
}

fn told<T>(verb: &str, result: Result<T, gatepost::store::error::StoreError>) -> Result<T, String> {
    result.map_err(|error| format!("{verb}: {error}"))
}

store_case!(e21_no_column_of_a_damaged_row_stops_the_others, |store| {
    let mut faults = Vec::new();
    for (table, column, kind) in COLUMNS {
        let values = if store.is_postgres() {
            kind.on_postgres()
        } else {
            kind.on_sqlite()
        };
        let key = if *table == "event" { "id" } else { "event_id" };
        for value in values {
            let damage = format!(
                "update {table} set {column} = {value} where {key} = (select id from event where external_id = 'bad')"
            );
            if let Err(fault) = live_with(store, &damage).await {
                faults.push(format!("{table}.{column} = {value}: {fault}"));
            }
            for table in ["event", "delivery", "attempt", "tally"] {
                store.raw(&format!("delete from {table}")).await;
            }
            if !store.is_postgres() {
                store.raw("insert into tally (slot) values (0)").await;
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
});
