//! The counts that must add up, and the numbers for gauges.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    base::{clock::Timestamp, ids::DeliveryId},
    store::{
        error::StoreError,
        pool::on,
        query::{Ledger, Stats},
        rows::{self, get},
        stats::{self, Span},
        value::Time,
    },
};

use super::{Engine, dialect};

/// How long work may wait untaken, or a lease be over, before it counts as stuck.
const STUCK_AFTER: Duration = Duration::from_mins(1);

impl Engine {
    pub(in crate::store) async fn ledger(&self, now: Timestamp) -> Result<Ledger, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/ledger.sql"))
                .bind(Time(now.minus(STUCK_AFTER)))
                .fetch_one(conn)
                .await?;
            rows::ledger(&row)
        })
    }

    pub(in crate::store) async fn stats(&self, span: Span) -> Result<Stats, StoreError> {
        let since = Time(span.since);
        on!(self.admin_reader(), |conn| {
            let mut res = Stats::default();
            let sql = dialect::STATS_DELIVERIES;
            for row in &sqlx::query(sql).fetch_all(&mut *conn).await? {
                stats::deliveries(&mut res, row)?;
            }
            let query = sqlx::query(dialect::STATS_EVENTS).bind(since);
            for row in &query.bind(span.part_us).fetch_all(&mut *conn).await? {
                stats::events(&mut res, row)?;
            }
            let query = sqlx::query(dialect::STATS_REJECTED).bind(since);
            for row in &query.bind(span.part_us).fetch_all(&mut *conn).await? {
                stats::rejected(&mut res, row)?;
            }
            let first_id = DeliveryId::least_at(span.before_ids());
            let query = sqlx::query(dialect::STATS_MADE).bind(since);
            let query = query.bind(span.part_us).bind(first_id.uuid());
            for row in &query.fetch_all(&mut *conn).await? {
                stats::made(&mut res, row)?;
            }
            Ok(res)
        })
    }

    pub(in crate::store) async fn last_seen(
        &self,
        n_events: u32,
    ) -> Result<BTreeMap<Arc<str>, Timestamp>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let query = sqlx::query(include_str!("sql/last_seen.sql")).bind(i64::from(n_events));
            let mut res = BTreeMap::new();
            for row in &query.fetch_all(conn).await? {
                let Ok(source) = get::<String>(row, "event", "source") else {
                    continue;
                };
                let Time(at) = get(row, "event", "last_at")?;
                res.insert(source.into(), at);
            }
            Ok(res)
        })
    }
}
