//! The rows that gatepost writes for one event, and a bare client's ways of writing and moving them.
//!
//! The tables are gatepost's own, made by its own migrations. Nothing is deduplicated, tallied or answered here: this is
//! the least that a store can be asked to do for the same rows.

pub mod claim;
pub mod fill;
pub mod postgres;
pub mod settle;
pub mod sqlite;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::{
    event,
    rows::postgres::Insert,
    store::{Engine, Store},
};

/// How many rows, over how many connections at once. SQLite has one writer, whatever it says.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    pub n_rows: usize,
    pub n_connections: usize,
}

/// The best of both stores: more gains nothing.
pub const BEST: Batches = Batches {
    n_rows: 200,
    n_connections: 4,
};
const SOURCE: &str = "stripe";
const ROUTE: &str = "stripe-sink";
pub const DESTINATION: &str = "sink";

#[derive(Debug)]
pub struct Row {
    pub id: Uuid,
    pub delivery_id: Uuid,
    pub key: [u8; 32],
    pub body_hash: [u8; 32],
    pub external_id: String,
    pub headers: Bytes,
    pub body: Bytes,
    pub received_at: SystemTime,
}

impl Row {
    pub fn new(external_id: String, headers: Bytes, body: Bytes, key: [u8; 32], body_hash: [u8; 32]) -> Self {
        Self {
            id: Uuid::now_v7(),
            delivery_id: Uuid::now_v7(),
            key,
            body_hash,
            external_id,
            headers,
            body,
            received_at: SystemTime::now(),
        }
    }

    fn received_us(&self) -> i64 {
        let since = self.received_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Rows with contents that were made before, and ids and keys of their own.
#[derive(Debug, Clone)]
pub struct Supply {
    contents: Vec<(Bytes, Bytes)>,
    next: usize,
}

impl Supply {
    pub fn new(n_contents: usize) -> Self {
        let signed = event::sign_many(n_contents);
        let contents = signed
            .iter()
            .map(|it| (encoded(&it.headers), it.body.clone()))
            .collect();
        Self { contents, next: 0 }
    }

    /// With small bodies and no headers, where only the number of rows matters.
    pub fn small() -> Self {
        let body = Bytes::from_static(&[b'.'; 200]);
        Self {
            contents: vec![(Bytes::new(), body)],
            next: 0,
        }
    }

    fn row(&mut self) -> Row {
        let (headers, body) = self.contents[self.next % self.contents.len()].clone();
        self.next += 1;
        Row::new(event::external(Uuid::now_v7()), headers, body, random(), random())
    }

    fn batch(&mut self, n_rows: usize) -> Vec<Row> {
        (0..n_rows).map(|_| self.row()).collect()
    }
}

/// As random as a hash, and cheaper.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    // Without the fixed bits of a UUID in front, where an index would see them.
    bytes.rotate_left(9);
    bytes
}

/// All headers in one value, as gatepost keeps them.
pub fn encoded(headers: &HeaderMap) -> Bytes {
    let mut bytes = Vec::with_capacity(384);
    for (name, value) in headers {
        bytes.extend_from_slice(&(name.as_str().len() as u16).to_be_bytes());
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes.into()
}

/// Rows per second over the window: counts what was committed between its ends.
struct Meter {
    n_rows_each: usize,
    from: Instant,
    until: Instant,
    n_rows: u64,
    last_at: Instant,
}

impl Meter {
    fn new(n_rows_each: usize, warm_up: Duration, window: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self {
            n_rows_each,
            from,
            until: from + window,
            n_rows: 0,
            last_at: from,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    fn committed(&mut self) {
        let now = Instant::now();
        if now < self.from {
            // Counted from the end of the last batch of the warm-up, so that no batch counts in part.
            self.last_at = now;
        } else {
            if self.n_rows == 0 {
                self.from = self.last_at;
            }
            self.n_rows += self.n_rows_each as u64;
            self.last_at = now;
        }
    }

    fn per_second(&self) -> f64 {
        self.n_rows as f64 / self.last_at.duration_since(self.from).as_secs_f64().max(0.001)
    }
}

/// W: rows per second in batches.
pub fn write(
    store: &Store,
    supply: &Supply,
    batches: Batches,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<f64> {
    match store.engine {
        Engine::Sqlite => sqlite::write(store.path(), supply, batches.n_rows, warm_up, window),
        Engine::Postgres => postgres::write(&store.url, supply, batches, Insert::Bare, warm_up, window),
    }
}

/// So many events with a delivery that is due.
pub fn write_pending(store: &Store, supply: &Supply, n_rows: usize) -> anyhow::Result<()> {
    let mut supply = supply.clone();
    let sizes = (0..n_rows)
        .step_by(BEST.n_rows)
        .map(|it| BEST.n_rows.min(n_rows - it));
    match store.engine {
        Engine::Sqlite => {
            let mut connection = sqlite::open(store.path())?;
            for n_rows in sizes {
                sqlite::insert(&mut connection, &supply.batch(n_rows))?;
            }
            Ok(())
        }
        Engine::Postgres => crate::runtime()?.block_on(async {
            let client = connect(&store.url).await?;
            let statement = client.prepare(postgres::INSERT_BATCH).await?;
            for n_rows in sizes {
                postgres::insert_batch(&client, &statement, &supply.batch(n_rows)).await?;
            }
            Ok(())
        }),
    }
}

pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its error is the next statement's error too.
    tokio::spawn(async move { drop(connection.await) });
    client.batch_execute("set synchronous_commit = on").await?;
    Ok(client)
}
