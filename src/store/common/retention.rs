//! Removing what is old, and the lease that lets one process do it.

use crate::{
    base::{clock::Timestamp, ids::WorkerId},
    store::{
        error::StoreError,
        pool::on,
        value::{Time, clean, signed},
    },
};

use super::Engine;

impl Engine {
    pub(in crate::store) async fn prune_requests(
        &self,
        before: Timestamp,
        keep_newest: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            let done = sqlx::query(include_str!("sql/prune_requests.sql"))
                .bind(Time(before))
                .bind(signed(keep_newest))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn prune_once(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            let done = sqlx::query(include_str!("sql/prune_once.sql"))
                .bind(Time(now))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn lease(
        &self,
        name: String,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(self.chore_writer(), |conn| {
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
