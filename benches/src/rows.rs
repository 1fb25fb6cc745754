//! The rows that gatepost writes for one event, and a bare client's ways of writing them.
//!
//! The tables are gatepost's own, made by its own migrations. Nothing is deduplicated, tallied or answered here: this is
//! the least that a store can be asked to do for the same rows.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio_postgres::{Client, NoTls, Statement, types::ToSql};
use uuid::Uuid;

use crate::event;

pub const BATCH: usize = 200;
const N_CONNECTIONS: usize = 4;
const SOURCE: &str = "stripe";
const ROUTE: &str = "stripe-sink";
const DESTINATION: &str = "sink";

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

    fn row(&mut self) -> Row {
        let (headers, body) = self.contents[self.next % self.contents.len()].clone();
        self.next += 1;
        Row::new(event::id(), headers, body, random(), random())
    }

    fn batch(&mut self) -> Vec<Row> {
        (0..BATCH).map(|_| self.row()).collect()
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
    from: Instant,
    until: Instant,
    n_rows: u64,
    last_at: Instant,
}

impl Meter {
    fn new(warm_up: Duration, window: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self {
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
            self.n_rows += BATCH as u64;
            self.last_at = now;
        }
    }

    fn per_second(&self) -> f64 {
        self.n_rows as f64 / self.last_at.duration_since(self.from).as_secs_f64().max(0.001)
    }
}

/// W on Postgres: four connections, each a batch after the other, one statement a batch.
pub fn write_postgres(
    url: &str,
    supply: &Supply,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<f64> {
    crate::runtime()?.block_on(async {
        let mut writers = Vec::new();
        for _ in 0..N_CONNECTIONS {
            let client = connect(url).await?;
            let mut supply = supply.clone();
            writers.push(tokio::spawn(async move {
                let statement = client.prepare(INSERT_BATCH).await?;
                let mut meter = Meter::new(warm_up, window);
                while !meter.is_over() {
                    insert_batch(&client, &statement, &supply.batch()).await?;
                    meter.committed();
                }
                anyhow::Ok(meter.per_second())
            }));
        }
        let mut sum = 0.0;
        for it in writers {
            sum += it.await??;
        }
        Ok(sum)
    })
}

/// W on SQLite: one writer, one transaction a batch.
pub fn write_sqlite(path: &str, supply: &Supply, warm_up: Duration, window: Duration) -> anyhow::Result<f64> {
    let mut supply = supply.clone();
    let mut connection = open_sqlite(path)?;
    let mut meter = Meter::new(warm_up, window);
    while !meter.is_over() {
        insert_sqlite(&mut connection, &supply.batch())?;
        meter.committed();
    }
    Ok(meter.per_second())
}

pub async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Its error is the next statement's error too.
    tokio::spawn(async move { drop(connection.await) });
    client.batch_execute("set synchronous_commit = on").await?;
    Ok(client)
}

pub const INSERT_BATCH: &str = "
    with new_event as (
        insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at,
                           headers, body)
        select *
        from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[],
                    $9::timestamptz[], $10::timestamptz[], $11::bytea[], $12::bytea[])
    )
    insert into delivery (id, event_id, route, destination, origin, status, due_at, created_at)
    select *
    from unnest($13::uuid[], $1::uuid[], $14::text[], $15::text[], $7::text[], $16::text[], $10::timestamptz[],
                $10::timestamptz[])";

pub async fn insert_batch(client: &Client, statement: &Statement, rows: &[Row]) -> anyhow::Result<()> {
    let same = |text: &'static str| vec![text; rows.len()];
    let ids: Vec<_> = rows.iter().map(|it| it.id).collect();
    let delivery_ids: Vec<_> = rows.iter().map(|it| it.delivery_id).collect();
    let keys: Vec<_> = rows.iter().map(|it| &it.key[..]).collect();
    let hashes: Vec<_> = rows.iter().map(|it| &it.body_hash[..]).collect();
    let external_ids: Vec<_> = rows.iter().map(|it| it.external_id.as_str()).collect();
    let times: Vec<_> = rows.iter().map(|it| it.received_at).collect();
    let headers: Vec<_> = rows.iter().map(|it| &it.headers[..]).collect();
    let bodies: Vec<_> = rows.iter().map(|it| &it.body[..]).collect();
    let (sources, types) = (same(SOURCE), same(event::EVENT_TYPE));
    let (origins, verified) = (same("received"), same("body"));
    let (routes, destinations, statuses) = (same(ROUTE), same(DESTINATION), same("pending"));
    let values: [&(dyn ToSql + Sync); 16] = [
        &ids,
        &sources,
        &keys,
        &hashes,
        &external_ids,
        &types,
        &origins,
        &verified,
        &times,
        &times,
        &headers,
        &bodies,
        &delivery_ids,
        &routes,
        &destinations,
        &statuses,
    ];
    client.execute(statement, &values).await?;
    Ok(())
}

pub const INSERT_EVENT: &str = "
    insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at,
                       headers, body)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
pub const INSERT_DELIVERY: &str = "
    insert into delivery (id, event_id, route, destination, origin, status, due_at, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

/// One event and its delivery in one transaction, as one writes it by hand.
pub async fn insert_one(client: &Client, statements: &[Statement; 2], row: &Row) -> anyhow::Result<()> {
    client.batch_execute("begin").await?;
    let at = &row.received_at;
    client
        .execute(
            &statements[0],
            &[
                &row.id,
                &SOURCE,
                &&row.key[..],
                &&row.body_hash[..],
                &row.external_id,
                &event::EVENT_TYPE,
                &"received",
                &"body",
                at,
                at,
                &&row.headers[..],
                &&row.body[..],
            ],
        )
        .await?;
    client
        .execute(
            &statements[1],
            &[
                &row.delivery_id,
                &row.id,
                &ROUTE,
                &DESTINATION,
                &"received",
                &"pending",
                at,
                at,
            ],
        )
        .await?;
    client.batch_execute("commit").await?;
    Ok(())
}

/// Durable as gatepost opens it, with the same cache and the same room in the log.
pub fn open_sqlite(path: &str) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(3))?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -8192;
         pragma wal_autocheckpoint = 4000; pragma temp_store = memory;",
    )?;
    connection.set_prepared_statement_cache_capacity(8);
    Ok(connection)
}

pub fn insert_sqlite(connection: &mut Connection, rows: &[Row]) -> anyhow::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    {
        let mut events = transaction.prepare_cached(INSERT_EVENT)?;
        let mut deliveries = transaction.prepare_cached(INSERT_DELIVERY)?;
        for row in rows {
            let at = row.received_us();
            events.execute(params![
                row.id.as_bytes(),
                SOURCE,
                row.key,
                row.body_hash,
                row.external_id,
                event::EVENT_TYPE,
                "received",
                "body",
                at,
                at,
                &row.headers[..],
                &row.body[..],
            ])?;
            let (id, event_id) = (row.delivery_id.as_bytes(), row.id.as_bytes());
            deliveries.execute(params![
                id,
                event_id,
                ROUTE,
                DESTINATION,
                "received",
                "pending",
                at,
                at
            ])?;
        }
    }
    transaction.commit()?;
    Ok(())
}
