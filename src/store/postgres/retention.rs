//! Removing what is old, the lease that lets one process do it, and who is there to.

use sqlx::Connection;
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::WorkerId},
    store::{
        error::StoreError,
        pool::on,
        postgres::Engine,
        value::{Time, clean, signed, unsigned},
    },
};

impl Engine {
    /// Two statements: the second sees what was committed until the first had locked its events, so that a replay that
    /// came in between keeps its event.
    pub(in crate::store) async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let slot = self.slots.take();
        on!(&self.chores, |conn| {
            let mut transaction = conn.begin().await?;
            let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("sql/prunable.sql"))
                .bind(Time(before))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let n_events: i64 = sqlx::query_scalar(include_str!("sql/prune.sql"))
                .bind(&ids)
                .bind(slot.number())
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(unsigned(n_events))
        })
    }

    pub(in crate::store) async fn prune_requests(
        &self,
        before: Timestamp,
        keep_newest: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(&self.chores, |conn| {
            let done = sqlx::query(include_str!("sql/prune_requests.sql"))
                .bind(Time(before))
                .bind(signed(keep_newest))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn attend(
        &self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u32, StoreError> {
        on!(&self.delivery, |conn| {
            let n_there: i64 = sqlx::query_scalar(include_str!("sql/attend.sql"))
                .bind(worker.uuid())
                .bind(Time(now))
                .bind(Time(until))
                .fetch_one(conn)
                .await?;
            Ok(u32::try_from(n_there).unwrap_or(u32::MAX))
        })
    }

    pub(in crate::store) async fn lease(
        &self,
        name: String,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.chores, |conn| {
            let done = sqlx::query(include_str!("sql/lease.sql"))
                .bind(clean(&name))
                .bind(worker.uuid())
                .bind(Time(now))
                .bind(Time(until))
                .execute(conn)
                .await?;
            Ok(done.rows_affected() == 1)
        })
    }
}
