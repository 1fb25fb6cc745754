//! Writing on SQLite: one writer, a transaction a batch.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::{
    event,
    rows::{
        DESTINATION, Meter, ROUTE, Row, SOURCE, Supply,
        postgres::{INSERT_DELIVERY, INSERT_EVENT},
    },
};

pub fn write(
    path: &str,
    supply: &Supply,
    n_rows: usize,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<f64> {
    let mut supply = supply.clone();
    let mut connection = open(path)?;
    let mut meter = Meter::new(n_rows, warm_up, window);
    while !meter.is_over() {
        insert(&mut connection, &supply.batch(n_rows))?;
        meter.committed();
    }
    Ok(meter.per_second())
}

/// Durable as gatepost opens it, with the same cache and the same room in the log.
pub fn open(path: &str) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(3))?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -8192;
         pragma wal_autocheckpoint = 4000; pragma temp_store = memory;",
    )?;
    connection.set_prepared_statement_cache_capacity(8);
    Ok(connection)
}

pub fn insert(connection: &mut Connection, rows: &[Row]) -> anyhow::Result<()> {
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
