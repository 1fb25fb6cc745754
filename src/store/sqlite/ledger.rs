//! The counts that must add up, and the numbers for gauges.

use std::{sync::Arc, time::Duration};

use crate::{
    base::clock::Timestamp,
    event::delivery::Status,
    store::{
        error::StoreError,
        pool::on,
        query::{Ledger, Stats},
        rows::{self, get},
        sqlite::Engine,
        value::{Time, unsigned},
    },
};

/// How long work may wait untaken, or a lease be over, before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_mins(1);

impl Engine {
    pub(in crate::store) async fn ledger(&self, now: Timestamp) -> Result<Ledger, StoreError> {
        on!(&self.readers, |conn| {
            let row = sqlx::query(include_str!("sql/ledger.sql"))
                .bind(Time(now.minus(STUCK_AFTER)))
                .fetch_one(conn)
                .await?;
            rows::ledger(&row)
        })
    }

    pub(in crate::store) async fn stats(&self, since: Timestamp) -> Result<Stats, StoreError> {
        on!(&self.readers, |conn| {
            let mut stats = Stats::default();
            let sql = include_str!("sql/stats_deliveries.sql");
            for row in &sqlx::query(sql).fetch_all(&mut *conn).await? {
                let text = |name| get::<String>(row, "delivery", name);
                let (Ok(destination), Ok(status)) = (text("destination"), text("status")) else {
                    // A damaged word must not hide the numbers of the others.
                    continue;
                };
                let (destination, status) = (Arc::<str>::from(destination), Status::parse(&status));
                let oldest_due: Option<Time> = get(row, "delivery", "oldest_due")?;
                if let Some(Time(at)) = oldest_due {
                    let oldest = stats.oldest_due.entry(destination.clone()).or_insert(at);
                    *oldest = at.min(*oldest);
                }
                if let Some(status) = status {
                    let n_rows = unsigned(get(row, "delivery", "n_rows")?);
                    stats.deliveries.insert((destination, status), n_rows);
                }
            }
            let sql = "select source, count(*) as n_rows from event where received_at >= ?1 group by source";
            for row in &sqlx::query(sql).bind(Time(since)).fetch_all(&mut *conn).await? {
                let Ok(source) = get::<String>(row, "event", "source") else {
                    continue;
                };
                let n_rows = unsigned(get(row, "event", "n_rows")?);
                stats.recent_events.insert(source.into(), n_rows);
            }
            let sql = include_str!("sql/stats_rejected.sql");
            for row in &sqlx::query(sql).bind(Time(since)).fetch_all(&mut *conn).await? {
                let source = get::<String>(row, "rejected_request", "source")?.into();
                let cause = get(row, "rejected_request", "cause")?;
                let n_rows = unsigned(get(row, "rejected_request", "n_rows")?);
                stats.recent_rejected.insert((source, cause), n_rows);
            }
            Ok(stats)
        })
    }
}
