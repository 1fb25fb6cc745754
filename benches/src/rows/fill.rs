//! Fills a store with millions of events, past its indexes, which are made anew afterwards: what lies there, not how it came
//! there, is what the next figures depend on. Bodies of 200 bytes and no headers, so that disk and time stay bounded.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};
use tokio_postgres::Client;
use uuid::{Builder, Uuid};

use crate::{
    event,
    rows::{self, DESTINATION, ROUTE, SOURCE, random},
    store::{Engine, Store},
};

/// Rows of one transaction.
const CHUNK: u64 = 250_000;
/// So long at most; what is there by then is what is measured.
const PATIENCE: Duration = Duration::from_mins(8);
const BODY: [u8; 200] = [b'.'; 200];
const TABLES: &str = "('event', 'delivery', 'attempt')";

/// Events in the order of their times and ids.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// Delivered, with an attempt each; or still to be delivered, and due.
    pub is_delivered: bool,
    /// When the first one came, in milliseconds since 1970.
    pub first_at_ms: u64,
    /// Microseconds from one to the next.
    pub step_us: u64,
}

impl Fill {
    /// So many events spread over the time until now.
    pub fn over(span: Duration, n_events: u64, is_delivered: bool) -> Self {
        let span_us = u64::try_from(span.as_micros()).unwrap_or(0);
        Self {
            is_delivered,
            first_at_ms: (event::unix_us() - span_us) / 1000,
            step_us: span_us / n_events.max(1),
        }
    }

    fn at_ms(&self, number: u64) -> u64 {
        self.first_at_ms + number * self.step_us / 1000
    }

    /// Adds the events of these numbers. Gives back how many events the store then holds.
    pub fn run(&self, store: &Store, from: u64, until: u64) -> anyhow::Result<u64> {
        match store.engine {
            Engine::Postgres => crate::runtime()?.block_on(self.on_postgres(&store.url, from, until)),
            Engine::Sqlite => self.on_sqlite(store.path(), from, until),
        }
    }

    async fn on_postgres(&self, url: &str, from: u64, until: u64) -> anyhow::Result<u64> {
        let (first, second) = (rows::connect(url).await?, rows::connect(url).await?);
        for client in [&first, &second] {
            client.batch_execute(PREPARE).await?;
        }
        let indexes: Vec<(String, String, String)> = first
            .query(
                &format!(
                    "select tablename::text, indexname::text, indexdef from pg_indexes
                     where tablename in {TABLES} and indexname not in (select conname from pg_constraint)"
                ),
                &[],
            )
            .await?
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect();
        for (_, name, _) in &indexes {
            first.batch_execute(&format!("drop index {name}")).await?;
        }
        let started = Instant::now();
        let mut at = from;
        while at < until && started.elapsed() < PATIENCE {
            let next = until.min(at + CHUNK);
            let events = async { insert(&first, INSERT_EVENTS, self, at, next).await };
            let others = async {
                let status = if self.is_delivered {
                    INSERT_DELIVERED
                } else {
                    INSERT_PENDING
                };
                insert(&second, status, self, at, next).await?;
                if self.is_delivered {
                    insert(&second, INSERT_ATTEMPTS, self, at, next).await?;
                }
                anyhow::Ok(())
            };
            tokio::try_join!(events, others)?;
            at = next;
            eprint!("\r  filled {at} of {until} ({:.0?})   ", started.elapsed());
        }
        let make = |of_event: bool| {
            let wanted = indexes.iter().filter(move |it| (it.0 == "event") == of_event);
            wanted.map(|it| it.2.clone()).collect::<Vec<_>>().join(";")
        };
        let n_new = i64::try_from(at - from)?;
        let tally =
            "insert into tally (slot, received, deliveries) values (0, $1, $1) on conflict (slot) do update
                     set received = tally.received + $1, deliveries = tally.deliveries + $1";
        first.execute(tally, &[&n_new]).await?;
        let (of_event, of_others) = (make(true), make(false));
        tokio::try_join!(first.batch_execute(&of_event), second.batch_execute(&of_others))?;
        tokio::try_join!(
            first.batch_execute("vacuum (analyze) event"),
            second.batch_execute("vacuum (analyze) delivery")
        )?;
        first.batch_execute("vacuum (analyze) attempt").await?;
        first.batch_execute("checkpoint").await?;
        eprintln!(
            "\r  filled {at}, indexed and vacuumed ({:.0?})   ",
            started.elapsed()
        );
        Ok(at)
    }

    fn on_sqlite(&self, path: &str, from: u64, until: u64) -> anyhow::Result<u64> {
        let mut connection = Connection::open(path)?;
        // Nothing else reads it meanwhile, and a run that ends here begins again.
        connection.execute_batch(
            "pragma locking_mode = exclusive; pragma journal_mode = delete; pragma journal_mode = off;
             pragma synchronous = off; pragma cache_size = -1000000;",
        )?;
        let indexes: Vec<(String, String)> = connection
            .prepare(&format!(
                "select name, sql from sqlite_schema where type = 'index' and sql is not null and tbl_name in {TABLES}"
            ))?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (name, _) in &indexes {
            connection.execute_batch(&format!("drop index {name}"))?;
        }
        let started = Instant::now();
        let mut at = from;
        while at < until && started.elapsed() < PATIENCE {
            let next = until.min(at + CHUNK);
            self.insert_sqlite(&mut connection, at, next)?;
            at = next;
            eprint!("\r  filled {at} of {until} ({:.0?})   ", started.elapsed());
        }
        connection.execute(
            "update tally set received = received + ?1, deliveries = deliveries + ?1",
            params![at - from],
        )?;
        for (_, sql) in &indexes {
            connection.execute_batch(sql)?;
        }
        connection.execute_batch("pragma locking_mode = normal; pragma journal_mode = wal;")?;
        drop(connection);
        rustix::fs::sync();
        eprintln!("\r  filled {at} and indexed ({:.0?})   ", started.elapsed());
        Ok(at)
    }

    fn insert_sqlite(&self, connection: &mut Connection, from: u64, until: u64) -> anyhow::Result<()> {
        let transaction = connection.transaction()?;
        {
            let mut events = transaction.prepare_cached(rows::postgres::INSERT_EVENT)?;
            let mut deliveries = transaction.prepare_cached(
                "insert into delivery (id, event_id, route, destination, origin, status, due_at, fence, n_attempts,
                 created_at) values (?1, ?2, ?3, ?4, 'received', ?5, ?6, ?7, ?8, ?9)",
            )?;
            let mut attempts = transaction.prepare_cached(
                "insert into attempt (delivery_id, id, number, trigger, started_at, duration_us, status_code,
                 response_headers, response_body) values (?1, ?2, 1, 'initial', ?3, 900, 200, x'', x'')",
            )?;
            let body_hash = Sha256::digest(BODY);
            for number in from..until {
                let at_ms = self.at_ms(number);
                let at_us = at_ms * 1000;
                let (id, delivery_id) = (v7(at_ms), v7(at_ms));
                let external_id = event::external(id);
                events.execute(params![
                    id.as_bytes(),
                    SOURCE,
                    random(),
                    &body_hash[..],
                    external_id,
                    event::EVENT_TYPE,
                    "received",
                    "body",
                    at_us,
                    at_us,
                    &[][..],
                    &BODY[..],
                ])?;
                let (status, due_at, fence, n_attempts) = if self.is_delivered {
                    ("delivered", None, 2, 1)
                } else {
                    ("pending", Some(at_us), 0, 0)
                };
                deliveries.execute(params![
                    delivery_id.as_bytes(),
                    id.as_bytes(),
                    ROUTE,
                    DESTINATION,
                    status,
                    due_at,
                    fence,
                    n_attempts,
                    at_us
                ])?;
                if self.is_delivered {
                    attempts.execute(params![delivery_id.as_bytes(), v7(at_ms).as_bytes(), at_us])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

async fn insert(client: &Client, sql: &str, fill: &Fill, from: u64, until: u64) -> anyhow::Result<()> {
    let range = format!(
        "generate_series({from}::bigint, {until}::bigint - 1) as number
         cross join lateral (select {} + number * {} / 1000 as ms) as at",
        fill.first_at_ms, fill.step_us
    );
    client.batch_execute(&sql.replace("{range}", &range)).await?;
    Ok(())
}

fn v7(at_ms: u64) -> Uuid {
    let bytes = random();
    let mut tail = [0; 10];
    tail.copy_from_slice(&bytes[..10]);
    Builder::from_unix_timestamp_millis(at_ms, &tail).into_uuid()
}

/// The same id for the same time and salt, so that three tables can be filled side by side.
const PREPARE: &str = "
    create function pg_temp.v7(ms bigint, salt text) returns uuid language sql immutable as $$
        select overlay(overlay(overlay(
            md5(salt) placing lpad(to_hex(ms), 12, '0') from 1) placing '7' from 13) placing '8' from 17)::uuid
    $$;
    set synchronous_commit = off; set maintenance_work_mem = '1GB'; set vacuum_cost_delay = 0;";
const INSERT_EVENTS: &str = "
    insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at,
                       headers, body)
    select pg_temp.v7(at.ms, 'e' || number), 'stripe', sha256(('k' || number)::bytea),
        sha256(convert_to(rpad(number::text, 200, '.'), 'UTF8')),
        'evt_' || md5(number::text), 'invoice.payment_succeeded', 'received', 'body', to_timestamp(at.ms / 1000.0),
        to_timestamp(at.ms / 1000.0), '', convert_to(rpad(number::text, 200, '.'), 'UTF8')
    from {range}
    order by number";
const INSERT_DELIVERED: &str = "
    insert into delivery (id, event_id, route, destination, origin, status, fence, n_attempts, created_at)
    select pg_temp.v7(at.ms, 'd' || number), pg_temp.v7(at.ms, 'e' || number), 'stripe-sink', 'sink', 'received',
        'delivered', 2, 1, to_timestamp(at.ms / 1000.0)
    from {range}
    order by number";
const INSERT_PENDING: &str = "
    insert into delivery (id, event_id, route, destination, origin, status, due_at, created_at)
    select pg_temp.v7(at.ms, 'd' || number), pg_temp.v7(at.ms, 'e' || number), 'stripe-sink', 'sink', 'received',
        'pending', to_timestamp(at.ms / 1000.0), to_timestamp(at.ms / 1000.0)
    from {range}
    order by number";
const INSERT_ATTEMPTS: &str = "
    insert into attempt (delivery_id, id, number, trigger, started_at, duration_us, status_code, response_headers,
                         response_body)
    select pg_temp.v7(at.ms, 'd' || number), pg_temp.v7(at.ms, 'a' || number), 1, 'initial',
        to_timestamp(at.ms / 1000.0), 900, 200, '', ''
    from {range}
    order by number";
