//! The limit of settling: the statements of gatepost's own store, in batches of 200, by a bare client.

use std::time::Instant;

use rusqlite::{Transaction, TransactionBehavior, params, types::Null};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::{
    event,
    rows::{self, BEST, Supply, sqlite},
    store::{Engine, Store},
};

/// An answer's headers, as gatepost keeps them.
const HEADERS: &[u8] = b"\0\x0e\0\0\0\x01content-length0\0\x04\0\0\0\x1ddateTue, 24 Nov 2026 19:00:00 GMT";
const TAKE: &str = "update delivery set status = 'delivering', fence = 1, due_at = null";

/// Deliveries per second from `delivering` to `delivered`, each with its attempt.
pub fn measure(store: &Store, supply: &Supply, n_rows: usize) -> anyhow::Result<f64> {
    rows::write_pending(store, supply, n_rows)?;
    match store.engine {
        Engine::Postgres => crate::runtime()?.block_on(on_postgres(store)),
        Engine::Sqlite => on_sqlite(store),
    }
}

async fn on_postgres(store: &Store) -> anyhow::Result<f64> {
    let client = rows::connect(&store.url).await?;
    client.batch_execute(TAKE).await?;
    client.batch_execute("vacuum analyze delivery").await?;
    let found = client.query("select id from delivery order by id", &[]).await?;
    let ids: Vec<Uuid> = found.iter().map(|it| it.get(0)).collect();
    client.batch_execute("checkpoint").await?;
    let started = Instant::now();
    let mut writers = Vec::new();
    for share in ids.chunks(ids.len().div_ceil(BEST.n_connections).max(1)) {
        let client = rows::connect(&store.url).await?;
        client.batch_execute(rows::claim::NESTED).await?;
        let share = share.to_vec();
        writers.push(tokio::spawn(async move {
            let statement = client
                .prepare(include_str!("../../../src/store/postgres/sql/settle.sql"))
                .await?;
            for batch in share.chunks(BEST.n_rows) {
                let same = |text: &'static str| vec![text; batch.len()];
                let attempts: Vec<_> = batch.iter().map(|_| Uuid::now_v7()).collect();
                let (fences, durations) = (vec![1_i64; batch.len()], vec![900_i64; batch.len()]);
                let due = vec![None::<std::time::SystemTime>; batch.len()];
                let started = vec![std::time::SystemTime::now(); batch.len()];
                let (numbers, codes) = (vec![1_i32; batch.len()], vec![Some(200_i32); batch.len()]);
                let errors = vec![None::<&str>; batch.len()];
                let (headers, bodies) = (vec![HEADERS; batch.len()], vec![&b""[..]; batch.len()]);
                let (statuses, triggers) = (same("delivered"), same("initial"));
                let values: [&(dyn ToSql + Sync); 13] = [
                    &batch, &fences, &statuses, &due, &attempts, &numbers, &triggers, &started, &durations,
                    &codes, &errors, &headers, &bodies,
                ];
                client.query_one(&statement, &values).await?;
            }
            anyhow::Ok(())
        }));
    }
    for it in writers {
        it.await??;
    }
    let per_second = ids.len() as f64 / started.elapsed().as_secs_f64();
    let n_settled: i64 = client
        .query_one("select count(*) from delivery where status = 'delivered'", &[])
        .await?
        .get(0);
    anyhow::ensure!(n_settled as usize == ids.len(), "only {n_settled} were settled");
    Ok(per_second)
}

fn on_sqlite(store: &Store) -> anyhow::Result<f64> {
    let mut connection = sqlite::open(store.path())?;
    connection.execute(TAKE, [])?;
    let ids: Vec<Vec<u8>> = connection
        .prepare("select id from delivery order by id")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    let started = Instant::now();
    for batch in ids.chunks(BEST.n_rows) {
        let transaction = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        for id in batch {
            settle(&transaction, id)?;
        }
        transaction.commit()?;
    }
    let per_second = ids.len() as f64 / started.elapsed().as_secs_f64();
    let n_settled: usize = connection.query_row(
        "select count(*) from delivery where status = 'delivered'",
        [],
        |row| row.get(0),
    )?;
    anyhow::ensure!(n_settled == ids.len(), "only {n_settled} were settled");
    Ok(per_second)
}

/// The two statements of gatepost's `store::sqlite::settle`.
fn settle(transaction: &Transaction<'_>, id: &[u8]) -> anyhow::Result<()> {
    transaction
        .prepare_cached(include_str!("../../../src/store/sqlite/sql/insert_attempt.sql"))?
        .execute(params![
            id,
            Uuid::now_v7().as_bytes(),
            1,
            "initial",
            i64::try_from(event::unix_us())?,
            900,
            200,
            Null,
            HEADERS,
            &b""[..],
        ])?;
    let n_rows = transaction
        .prepare_cached(include_str!("../../../src/store/sqlite/sql/settle.sql"))?
        .execute(params![id, 1, "delivered", Null, Null])?;
    anyhow::ensure!(n_rows == 1, "a claim of our own is lost");
    Ok(())
}
