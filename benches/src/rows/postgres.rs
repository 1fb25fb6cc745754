//! Writing on Postgres: in batches, and one event at a time.

use std::time::{Duration, SystemTime};

use tokio_postgres::{Client, Statement, types::ToSql};
use uuid::Uuid;

use crate::{
    event,
    rows::{Batches, DESTINATION, Meter, ROUTE, Row, SOURCE, Supply, connect},
};

/// Which statement writes a batch.
#[derive(Debug, Clone, Copy)]
pub enum Insert {
    /// The rows and nothing else.
    Bare,
    /// gatepost's own: leaves out what is known, says what went in, and counts it.
    Own,
}

impl Insert {
    fn sql(self) -> &'static str {
        match self {
            Self::Bare => INSERT_BATCH,
            Self::Own => include_str!("../../../src/store/postgres/sql/insert_events.sql"),
        }
    }
}

/// Each connection writes a batch after the other, one statement a batch.
pub fn write(
    url: &str,
    supply: &Supply,
    batches: Batches,
    insert: Insert,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<f64> {
    crate::runtime()?.block_on(async {
        let mut writers = Vec::new();
        for slot in 0..batches.n_connections {
            let client = connect(url).await?;
            let mut supply = supply.clone();
            writers.push(tokio::spawn(async move {
                let statement = client.prepare(insert.sql()).await?;
                let mut meter = Meter::new(batches.n_rows, warm_up, window);
                while !meter.is_over() {
                    let rows = supply.batch(batches.n_rows);
                    match insert {
                        Insert::Bare => insert_batch(&client, &statement, &rows).await?,
                        Insert::Own => insert_own(&client, &statement, &rows, i32::try_from(slot)?).await?,
                    }
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

/// The same rows by gatepost's own statement; each connection counts in a slot of its own.
async fn insert_own(client: &Client, statement: &Statement, rows: &[Row], slot: i32) -> anyhow::Result<()> {
    fn none<T: Clone>(rows: &[Row]) -> Vec<Option<T>> {
        vec![None; rows.len()]
    }
    let same = |text: &'static str| vec![text; rows.len()];
    let ids: Vec<_> = rows.iter().map(|it| it.id).collect();
    let keys: Vec<_> = rows.iter().map(|it| &it.key[..]).collect();
    let hashes: Vec<_> = rows.iter().map(|it| &it.body_hash[..]).collect();
    let external_ids: Vec<_> = rows.iter().map(|it| it.external_id.as_str()).collect();
    let times: Vec<_> = rows.iter().map(|it| it.received_at).collect();
    let headers: Vec<_> = rows.iter().map(|it| &it.headers[..]).collect();
    let bodies: Vec<_> = rows.iter().map(|it| &it.body[..]).collect();
    let delivery_ids: Vec<_> = rows.iter().map(|it| it.delivery_id).collect();
    let (due_after, no_time, no_text) = (
        vec![0_i64; rows.len()],
        none::<SystemTime>(rows),
        none::<&str>(rows),
    );
    let values: [&(dyn ToSql + Sync); 27] = [
        &ids,
        &same(SOURCE),
        &keys,
        &hashes,
        &external_ids,
        &same(event::EVENT_TYPE),
        &same("received"),
        &same("body"),
        &times,
        &times,
        &headers,
        &bodies,
        // What the provider sent in the query: nothing.
        &no_text,
        &delivery_ids,
        &ids,
        &same(ROUTE),
        &same(DESTINATION),
        &same("received"),
        // Worker and lease: claimed by nobody.
        &none::<Uuid>(rows),
        &no_time,
        &due_after,
        // Cause and error of what is skipped; mode, key and time of an order.
        &no_text,
        &no_text,
        &no_text,
        &none::<&[u8]>(rows),
        &no_time,
        &slot,
    ];
    let row = client.query_one(statement, &values).await?;
    let left_out: Option<Vec<Uuid>> = row.get(0);
    anyhow::ensure!(left_out.is_none(), "rows with new keys were left out");
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
