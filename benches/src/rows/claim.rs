//! Claims by a bare client: the statements of gatepost's own store over its tables.

use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use crate::{
    event,
    rows::{self, DESTINATION, sqlite},
    samples::Latencies,
    store::{Engine, Store},
};

/// Deliveries of one claim.
pub const N_EACH: usize = 64;
/// So long that nobody rescues what was claimed here.
const LEASE: Duration = Duration::from_hours(24);
/// As gatepost sets its sessions for delivery.
pub const NESTED: &str = "set jit = off; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
    set plan_cache_mode = force_generic_plan";
/// Of what was never tried.
const STATUS: &str = "pending";

#[derive(Debug)]
pub struct Claims {
    pub per_second: f64,
    pub latencies: Latencies,
}

/// Claims so many times what is due, 64 at a time. An error where less was due than that.
pub fn measure(store: &Store, n_claims: usize) -> anyhow::Result<Claims> {
    let mut latencies_us = Vec::with_capacity(n_claims);
    let mut n_claimed = 0;
    let started = Instant::now();
    let mut note = |began: Instant, n_rows: usize| {
        latencies_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
        n_claimed += n_rows;
    };
    match store.engine {
        Engine::Postgres => crate::runtime()?.block_on(async {
            let client = rows::connect(&store.url).await?;
            client.batch_execute(NESTED).await?;
            let statement = client
                .prepare(include_str!("../../../src/store/postgres/sql/claim.sql"))
                .await?;
            let worker = Uuid::now_v7();
            for _ in 0..n_claims {
                let (names, statuses, limits) = (vec![DESTINATION], vec![STATUS], vec![N_EACH as i64]);
                let now = SystemTime::now();
                let began = Instant::now();
                let found = client
                    .query(
                        &statement,
                        &[&names, &limits, &now, &worker, &(now + LEASE), &"", &statuses],
                    )
                    .await?;
                note(began, found.len());
            }
            anyhow::Ok(())
        })?,
        Engine::Sqlite => {
            let mut connection = sqlite::open(store.path())?;
            for _ in 0..n_claims {
                let began = Instant::now();
                let n_rows = claim_sqlite(&mut connection)?;
                note(began, n_rows);
            }
        }
    }
    anyhow::ensure!(
        n_claimed == n_claims * N_EACH,
        "only {n_claimed} deliveries could be claimed"
    );
    Ok(Claims {
        per_second: n_claimed as f64 / started.elapsed().as_secs_f64(),
        latencies: Latencies::new(latencies_us),
    })
}

fn claim_sqlite(connection: &mut Connection) -> anyhow::Result<usize> {
    let now_us = i64::try_from(event::unix_us()).unwrap_or(i64::MAX);
    let lease_until_us = now_us + i64::try_from(LEASE.as_micros()).unwrap_or(0);
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let found: Vec<String> = transaction
        .prepare_cached(include_str!("../../../src/store/sqlite/sql/due.sql"))?
        .query_map(params![DESTINATION, now_us, N_EACH, STATUS], |row| {
            let id: Vec<u8> = row.get("id")?;
            Ok(format!("[\"{}\",0]", hex::encode(id)))
        })?
        .collect::<Result<_, _>>()?;
    let found = format!("[{}]", found.join(","));
    let n_rows = transaction
        .prepare_cached(include_str!("../../../src/store/sqlite/sql/take.sql"))?
        .query_map(params![found, now_us], |row| {
            // The body is what costs; a claim reads it whole.
            let _body: Vec<u8> = row.get("body")?;
            Ok(())
        })?
        .collect::<Result<Vec<()>, _>>()?
        .len();
    transaction
        .prepare_cached(include_str!("../../../src/store/sqlite/sql/claim.sql"))?
        .execute(params![found, Uuid::now_v7().as_bytes(), lease_until_us])?;
    transaction.commit()?;
    Ok(n_rows)
}
