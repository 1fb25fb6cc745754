//! Removing what is old, and the lease that lets one process do it.

use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::WorkerId},
    store::{
        error::StoreError,
        pool::on,
        sqlite::{Engine, begin, ids::json_rows},
        value::{Time, clean, signed},
    },
};

impl Engine {
    pub(in crate::store) async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let ids: Vec<Uuid> = sqlx::query_scalar(include_str!("sql/prunable.sql"))
                .bind(Time(before))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let json = json_rows(ids.iter().map(|id| (id, 0)));
            for sql in [
                include_str!("sql/tally_pruned.sql"),
                include_str!("sql/prune_attempts.sql"),
                "delete from delivery where event_id in (select unhex(value ->> 0) from json_each(?1))",
                "delete from event where id in (select unhex(value ->> 0) from json_each(?1))",
            ] {
                sqlx::query(sql).bind(&json).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(ids.len() as u64)
        })
    }

    pub(in crate::store) async fn prune_requests(
        &self,
        before: Timestamp,
        keep_newest: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/prune_requests.sql"))
                .bind(Time(before))
                .bind(signed(keep_newest))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    /// One process has the file.
    #[expect(clippy::unused_async, reason = "the other engine has work to do")]
    pub(in crate::store) async fn attend(
        &self,
        _worker: WorkerId,
        _now: Timestamp,
        _until: Timestamp,
    ) -> Result<u32, StoreError> {
        Ok(1)
    }

    pub(in crate::store) async fn lease(
        &self,
        name: String,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(&self.writer, |conn| {
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
