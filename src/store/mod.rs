//! The store: every event, delivery, attempt and rejected request, in SQLite or Postgres.
//!
//! One method is one transaction. No transaction, connection, row type or SQL leaves this room; there is no mock of it.
//! A method runs in a task of its own to its end, whatever becomes of its caller: sqlx 0.8.4 to 0.9.0 hand a connection
//! with an open transaction back to the pool when a `begin` is dropped (launchbadge/sqlx 4385).
//!
//! What both engines say alike stands once, in `common`: each engine compiles its files as modules of its own, with its own
//! `Engine`, `Connection` and pools, and says in `dialect` what it must say otherwise.
//!
//! Times that decide something (leases, schedules) are on the store's own clock: see `Store::now`.
//!
//! Imports: `base`, `event`.

pub mod access;
pub mod audit;
pub mod claim;
pub mod clock;
pub mod error;
mod fault;
mod filter;
mod fold;
pub mod handover;
pub mod issue;
pub mod job;
mod look;
mod migrations;
pub mod neighbours;
mod pool;
#[allow(clippy::duplicate_mod, reason = "both engines compile what is in `common`")]
mod postgres;
pub mod program;
pub mod query;
pub mod record;
pub mod rejected;
pub mod rhythm;
mod rows;
pub mod search;
#[allow(clippy::duplicate_mod, reason = "both engines compile what is in `common`")]
mod sqlite;
mod stats;
mod value;
pub mod wake;
pub mod window;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, WorkerId},
        secret::Secret,
    },
    event::{
        Event,
        attempt::Attempt,
        delivery::{Delivery, Fence},
    },
    store::{
        claim::{Claim, HeldBy, Hold, HoldTarget, Settled, Settlement, Wanted},
        error::StoreError,
        query::{DeliveryQuery, EventQuery, EventSummary, Ledger, Page, Stats},
        record::{NewDelivery, NewEvent, Recorded},
    },
};
use std::{collections::BTreeMap, future::Future, sync::Arc};

/// Where the store is and how much of it this process may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://...`; it may hold a password.
    pub url: Secret,
    /// Postgres: the most connections for each of ingest, delivery and the admin side.
    pub max_connections: u32,
    pub pool_mode: PoolMode,
}

/// Postgres: for how long a connection is lent by what it leads to, in PgBouncer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// As long as it is open: the server itself, or a pooler that knows nothing smaller.
    Session,
    /// For one transaction each time. What was set or prepared in one is not there in the next.
    Transaction,
}

/// A handle on the store. Clones share everything.
#[derive(Debug, Clone)]
pub struct Store(Engine);

#[derive(Debug, Clone)]
enum Engine {
    Postgres(Arc<postgres::Engine>),
    Sqlite(Arc<sqlite::Engine>),
}

/// Calls the verb of the engine that is open, in a task of its own.
macro_rules! run {
    ($store:expr, $verb:ident($($argument:expr),*)) => {
        match &$store.0 {
            Engine::Postgres(engine) => {
                let engine = Arc::clone(engine);
                detached(async move { engine.$verb($($argument),*).await }).await
            }
            Engine::Sqlite(engine) => {
                let engine = Arc::clone(engine);
                detached(async move { engine.$verb($($argument),*).await }).await
            }
        }
    };
}

use run;

/// Runs to its end, whatever becomes of the caller.
async fn detached<T: Send + 'static>(
    verb: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited at once; only a caller that is dropped leaves it, and it ends by its own deadline"
    )]
    let task = tokio::spawn(verb);
    task.await.unwrap_or_else(|error| {
        Err(StoreError::Unavailable {
            reason: "a call ended before its time".to_owned(),
            source: Some(Box::new(error)),
        })
    })
}

impl Store {
    /// Connects, and refuses a store that is not durable or not usable. Does not migrate.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let settings = settings.clone();
        let url = settings.url.expose_str().unwrap_or_default();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            detached(async move { postgres::Engine::open(&settings).await })
                .await
                .map(|it| Self(Engine::Postgres(Arc::new(it))))
        } else if url.starts_with("sqlite:") {
            detached(async move { sqlite::Engine::open(&settings).await })
                .await
                .map(|it| Self(Engine::Sqlite(Arc::new(it))))
        } else {
            Err(StoreError::Unusable {
                reason: "its `url` names neither SQLite nor Postgres".to_owned(),
                hint: "write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`".to_owned(),
            })
        }
    }

    /// Brings the schema up to date, under a lock, and names what was applied now. Refuses a newer schema.
    pub async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        run!(self, migrate())
    }

    /// What `migrate` would apply. Refuses a newer schema.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        run!(self, pending_migrations())
    }

    /// How many batches this process may write side by side: SQLite has one writer; on Postgres one commits while the
    /// next is sent, and more only make the batches smaller.
    pub const fn n_writers(&self) -> usize {
        match self.0 {
            Engine::Postgres(_) => 2,
            Engine::Sqlite(_) => 1,
        }
    }

    /// `sqlite` or `postgres`.
    pub const fn engine_name(&self) -> &'static str {
        match self.0 {
            Engine::Postgres(_) => "postgres",
            Engine::Sqlite(_) => "sqlite",
        }
    }

    /// Names and values for an operator: version, what makes commits durable, file, size.
    pub async fn describe(&self) -> Result<Vec<(String, String)>, StoreError> {
        run!(self, describe())
    }

    /// Whether it is up and takes writes. Cheap, and leaves no row behind.
    pub async fn ping(&self) -> Result<(), StoreError> {
        run!(self, ping())
    }

    /// The store's clock: the server's on Postgres, this machine's on SQLite.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        run!(self, now())
    }

    /// Waits for calls in progress, then closes every connection. Later calls get `Unavailable`.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Postgres(engine) => engine.close().await,
            Engine::Sqlite(engine) => engine.close().await,
        }
    }

    /// All of the batch, or an error: then the same batch may be given again. Of keys that are equal inside the batch
    /// the first counts. On Postgres, what repeats a stored event is tallied in a second commit, before the answer.
    pub async fn record(&self, batch: Vec<NewEvent>) -> Result<Vec<Recorded>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        run!(self, record(batch))
    }

    /// Takes what is due, the oldest first for each destination. Skips what is held.
    pub async fn claim(&self, wanted: &Wanted, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
        if wanted.per_destination.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = wanted.clone();
        run!(self, claim(wanted, now))
    }

    /// Records attempts, and moves their deliveries on where the claim is still good. The same batch may be given again
    /// after an error: an attempt is recorded once.
    pub async fn settle(&self, batch: Vec<Settlement>, now: Timestamp) -> Result<Vec<Settled>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        run!(self, settle(batch, now))
    }

    /// Holds on for longer. The answer names those that are lost.
    pub async fn renew(
        &self,
        worker: WorkerId,
        held: Vec<(DeliveryId, Fence)>,
        lease_until: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        if held.is_empty() {
            return Ok(Vec::new());
        }
        run!(self, renew(worker, held, lease_until))
    }

    /// Puts back without counting an attempt: pending (retrying if it had attempts), due now. Lost claims are left alone.
    pub async fn release(&self, held: Vec<(DeliveryId, Fence)>, now: Timestamp) -> Result<u64, StoreError> {
        if held.is_empty() {
            return Ok(0);
        }
        run!(self, release(held, now))
    }

    /// Gives up at most `limit` deliveries that wait for this destination and were made before then: dead, without another
    /// attempt. Not those that an operator wants tried again.
    pub async fn give_up(
        &self,
        destination: &Arc<str>,
        created_before: Timestamp,
        reason: &str,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let (destination, reason) = (Arc::clone(destination), reason.to_owned());
        run!(self, give_up(destination, created_before, reason, limit))
    }

    /// When the earliest claimable delivery of these destinations is or was due.
    pub async fn next_due(&self, destinations: &[Arc<str>]) -> Result<Option<Timestamp>, StoreError> {
        if destinations.is_empty() {
            return Ok(None);
        }
        let destinations = destinations.to_vec();
        run!(self, next_due(destinations))
    }

    /// Frees at most `limit` deliveries whose lease has ended: pending (retrying if they had attempts), due now.
    pub async fn rescue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        run!(self, rescue(now, limit))
    }

    /// Removes at most `limit` events that were received before, have no open delivery, and all that hangs on them.
    pub async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        run!(self, prune(before, limit))
    }

    /// Removes at most `limit` rejected requests that came before, or are beyond the newest `keep_newest`.
    pub async fn prune_requests(
        &self,
        before: Timestamp,
        keep_newest: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        run!(self, prune_requests(before, keep_newest, limit))
    }

    /// Forgets at most `limit` keys of deduplication whose window is over.
    pub async fn prune_once(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        run!(self, prune_once(now, limit))
    }

    /// Whether this process does the chore of that name until then. At most one process has it.
    pub async fn lease(
        &self,
        name: &str,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        run!(self, lease(name, worker, now, until))
    }

    /// Says that this process delivers, until then unless it says so again, and how many do. One on SQLite.
    pub async fn attend(
        &self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u32, StoreError> {
        run!(self, attend(worker, now, until))
    }

    /// An operator's retry, due now and marked as manual. Those that are over become pending; pending and retrying ones
    /// keep their status. `Conflict` for held, delivering and skipped ones.
    pub async fn requeue(&self, id: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        run!(self, requeue(id, now))
    }

    /// Any open one; a worker that has it in hand finds its claim lost. `Conflict` for those that are over.
    pub async fn cancel(&self, id: DeliveryId, now: Timestamp) -> Result<Delivery, StoreError> {
        run!(self, cancel(id, now))
    }

    /// Holds a route or a destination back, and marks what waits for it; says how many. Holding twice changes nothing.
    pub async fn hold(
        &self,
        target: HoldTarget,
        held_by: HeldBy,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let reason = reason.to_owned();
        run!(self, hold(target, held_by, reason, now))
    }

    /// Lets it go: held deliveries become pending, due now, unless something else holds them. Says how many.
    pub async fn resume(&self, target: &HoldTarget, now: Timestamp) -> Result<u64, StoreError> {
        let target = target.clone();
        run!(self, resume(target, now))
    }

    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        run!(self, holds())
    }

    /// The sweep: marks what was recorded for a held target after it was held, and frees what nothing holds any more.
    /// Says how many it changed.
    pub async fn mark_held(&self, now: Timestamp) -> Result<u64, StoreError> {
        run!(self, mark_held(now))
    }

    /// Does between commits what the engine would otherwise do during one: SQLite copies its log back. Nothing on Postgres,
    /// which has a process for it.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        run!(self, checkpoint())
    }

    /// New deliveries of a stored event. `NotFound` if the event is not there.
    pub async fn replay(
        &self,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        run!(self, replay(event, deliveries, now))
    }

    pub async fn event(&self, id: EventId) -> Result<Event, StoreError> {
        run!(self, event(id))
    }

    pub async fn events(&self, query: &EventQuery) -> Result<Page<EventSummary, EventId>, StoreError> {
        let query = query.clone();
        run!(self, events(query))
    }

    /// Those that their sender gave this id, the newest first: of verified ones, and of those whose ids begin with the same twelve
    /// characters no more than 5,000.
    pub async fn events_of_external_id(
        &self,
        external_id: &str,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let external_id = external_id.to_owned();
        run!(self, events_of_external_id(external_id, limit))
    }

    /// The events of the filter whose bodies hold a text, as far as the bounds reach.
    pub async fn search_events(
        &self,
        query: &EventQuery,
        wanted: &search::Wanted,
        bounds: search::Bounds,
    ) -> Result<search::Found, StoreError> {
        let (query, wanted) = (query.clone(), wanted.clone());
        run!(self, search_events(query, wanted, bounds))
    }

    /// Deliveries of the same resource around those of this event, at most `n_each` on either side; where several routes order it,
    /// by the first. Only those that wait, are dead or are delivered. `None`: no route orders it.
    pub async fn neighbours(
        &self,
        event: EventId,
        n_each: u32,
    ) -> Result<Option<neighbours::Neighbours>, StoreError> {
        run!(self, neighbours(event, n_each))
    }

    pub async fn delivery(&self, id: DeliveryId) -> Result<Delivery, StoreError> {
        run!(self, delivery(id))
    }

    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        let query = query.clone();
        run!(self, deliveries(query))
    }

    /// The first one first.
    pub async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        run!(self, attempts(id))
    }

    /// The counts that must add up, on one snapshot.
    pub async fn ledger(&self, now: Timestamp) -> Result<Ledger, StoreError> {
        run!(self, ledger(now))
    }

    /// Recent things are those since then, in parts of the time until `until`.
    pub async fn stats(&self, since: Timestamp, until: Timestamp) -> Result<Stats, StoreError> {
        let span = stats::Span::new(since, until);
        run!(self, stats(span))
    }

    /// When the last event of each source came; no further back than `n_events`.
    pub async fn last_seen(&self, n_events: u32) -> Result<BTreeMap<Arc<str>, Timestamp>, StoreError> {
        run!(self, last_seen(n_events))
    }
}
