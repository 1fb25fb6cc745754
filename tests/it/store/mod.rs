//! The store's conformance: every case on both engines, the ledger checked after each.

mod access;
mod audit;
mod backlog;
mod churn;
mod claim;
mod damage;
mod hold;
mod issue;
mod job;
mod list;
mod model;
mod once;
mod open;
mod operate;
mod order;
mod program;
mod record;
mod reject;
mod retention;
mod schema;
mod search;
mod settle;
mod window;

use std::{ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use gatepost::{
    base::{
        clock::Timestamp,
        ids::{AttemptId, DeliveryId, EventId, WorkerId},
        secret::Secret,
    },
    event::{
        Binding, Event, Origin,
        attempt::{Attempt, Outcome, Trigger},
        body_hash, deduplication_key,
        delivery::{Delivery, Fence, Status},
        headers::Headers,
    },
    store::{
        PoolMode, Settings, Store,
        claim::{Claim, Settled, Settlement, Share, Wanted},
        record::{NewDelivery, NewEvent, Start},
    },
};
use sqlx::{Connection, PgConnection, QueryBuilder, SqliteConnection};
use tempfile::TempDir;

use crate::{
    pooler::Pooler,
    postgres::{self, TestDatabase},
};

/// One case, run on either engine, and on Postgres through a pooler that lends a session for one transaction. The body sees a `TestStore` and may use `?` on store errors only through `unwrap`.
macro_rules! store_case {
    ($name:ident, |$store:ident| $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "a short case may need nothing")]
            use super::*;

            async fn case($store: &crate::store::TestStore) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let store = crate::store::TestStore::sqlite().await;
                case(&store).await;
                store.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let store = crate::store::TestStore::postgres().await;
                case(&store).await;
                store.finish().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn e20_through_pgbouncer() {
                let store = crate::store::TestStore::pooled().await;
                case(&store).await;
                store.finish().await;
            }
        }
    };
}
use store_case;

/// A store of one test's own.
struct TestStore {
    store: Store,
    settings: Settings,
    place: Place,
}

enum Place {
    Postgres(TestDatabase),
    Sqlite(TempDir),
}

impl Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl TestStore {
    async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/gatepost.db", directory.path().display());
        let store = Self::open(settings(&url), Place::Sqlite(directory)).await;
        store.migrate().await.unwrap();
        store
    }

    async fn postgres() -> Self {
        let database = postgres::database().await;
        Self::open(settings(&database.url), Place::Postgres(database)).await
    }

    /// Postgres through PgBouncer, in transaction mode.
    async fn pooled() -> Self {
        let database = postgres::database().await;
        Self::open(pooled(&database), Place::Postgres(database)).await
    }

    async fn open(settings: Settings, place: Place) -> Self {
        let store = Store::open(&settings).await.unwrap();
        Self {
            store,
            settings,
            place,
        }
    }

    /// A second handle with connections of its own, as another replica has; on SQLite the same one again.
    async fn replica(&self) -> Store {
        match self.place {
            Place::Postgres(_) => Store::open(&self.settings).await.unwrap(),
            Place::Sqlite(_) => self.store.clone(),
        }
    }

    /// Behind the store's back: a statement that both engines know.
    async fn raw(&self, sql: &str) -> u64 {
        let url = self.url();
        match self.place {
            Place::Postgres(_) => {
                let mut conn = PgConnection::connect(url).await.unwrap();
                let done = QueryBuilder::new(sql).build().execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                done.rows_affected()
            }
            Place::Sqlite(_) => {
                let mut conn = SqliteConnection::connect(url).await.unwrap();
                let done = QueryBuilder::new(sql).build().execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
                done.rows_affected()
            }
        }
    }

    /// Of the store itself, whatever is before it.
    fn url(&self) -> &str {
        match &self.place {
            Place::Postgres(database) => &database.url,
            Place::Sqlite(_) => self.settings.url.expose_str().unwrap(),
        }
    }

    fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres(_))
    }

    async fn assert_balanced(&self) {
        let ledger = self.ledger(at(0)).await.unwrap();
        assert!(ledger.is_balanced(), "{ledger:?}");
    }

    /// What must hold after every case.
    async fn finish(self) {
        self.assert_balanced().await;
        self.ping().await.unwrap();
        self.close().await;
    }

    async fn status(&self, id: DeliveryId) -> Status {
        self.store.delivery(id).await.unwrap().status
    }

    /// Claims for `billing`.
    async fn claim_billing(&self, worker: WorkerId, n: usize, now: Timestamp) -> Vec<Claim> {
        self.claim(&wanted(worker, &[("billing", n)]), now).await.unwrap()
    }

    async fn settle_one(&self, claim: &Claim, outcome: Outcome, now: Timestamp) -> Settled {
        let batch = vec![settlement(claim.delivery.id, claim.fence, outcome, now)];
        self.settle(batch, now).await.unwrap()[0]
    }

    /// Records one event with one delivery to `billing`.
    async fn one(&self, external_id: &str) -> (EventId, DeliveryId) {
        let event = event("stripe", external_id);
        let ids = (event.event.id, event.deliveries[0].id);
        self.record(vec![event]).await.unwrap();
        ids
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        url: Secret::new(url),
        max_connections: 3,
        pool_mode: PoolMode::Session,
    }
}

fn pooled(database: &TestDatabase) -> Settings {
    let pooler = Pooler::of_all(&database.url);
    Settings {
        pool_mode: PoolMode::Transaction,
        ..settings(&pooler.url(&database.url))
    }
}

/// Seconds on the tests' clock.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_600_000_000 + seconds)
}

fn wanted(worker: WorkerId, per_destination: &[(&str, usize)]) -> Wanted {
    Wanted {
        worker,
        lease: Duration::from_secs(10),
        per_destination: per_destination
            .iter()
            .map(|(name, n)| Share {
                destination: Arc::from(*name),
                n_first: *n,
                n_retries: *n,
            })
            .collect(),
    }
}

fn event(source: &str, external_id: &str) -> NewEvent {
    event_with(
        source,
        Some(external_id),
        format!("body of {external_id}").into(),
        at(0),
    )
}

fn event_with(source: &str, external_id: Option<&str>, body: Bytes, received_at: Timestamp) -> NewEvent {
    let hash = body_hash(&body);
    NewEvent {
        key: Some(deduplication_key(source, external_id.map(str::as_bytes), hash)),
        body_hash: hash,
        event: std::sync::Arc::new(Event {
            id: EventId::new(),
            source: source.into(),
            external_id: external_id.map(str::to_owned),
            event_type: Some("invoice.paid".to_owned()),
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: Some(at(-5)),
            received_at,
            query: String::new(),
            headers: Headers::from_pairs([("content-type", &b"application/json"[..]), ("x-two", b"2")]),
            body,
        }),
        deliveries: vec![delivery("to-billing", "billing")],
    }
}

fn delivery(route: &str, destination: &str) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        route: route.into(),
        destination: destination.into(),
        origin: Origin::Received,
        start: Start::NOW,
        position: None,
        once: None,
        program: None,
    }
}

fn attempt(number: u32, error: Option<&str>) -> Attempt {
    Attempt {
        id: AttemptId::new(),
        number,
        started_at: at(1),
        duration: Duration::from_micros(1_234),
        trigger: Trigger::Initial,
        status_code: Some(if error.is_some() { 500 } else { 200 }),
        error: error.map(str::to_owned),
        response_headers: Headers::from_pairs([("server", &b"x"[..])]),
        response_body: Bytes::from_static(b"ok"),
    }
}

fn settlement(id: DeliveryId, fence: Fence, outcome: Outcome, _now: Timestamp) -> Settlement {
    let error = (outcome != Outcome::Delivered).then_some("it said no");
    Settlement {
        delivery_id: id,
        fence,
        attempt: attempt(1, error),
        outcome,
    }
}

fn ids(claims: &[Claim]) -> Vec<DeliveryId> {
    claims.iter().map(|it| it.delivery.id).collect()
}

fn held(claims: &[Claim]) -> Vec<(DeliveryId, Fence)> {
    claims.iter().map(|it| (it.delivery.id, it.fence)).collect()
}

fn same_delivery(left: &Delivery, right: &Delivery) -> bool {
    format!("{left:?}") == format!("{right:?}")
}
