//! Holding back a route or a destination, and letting it go.

use crate::{
    base::clock::Timestamp,
    store::{
        claim::{HeldBy, Hold, HoldTarget},
        error::StoreError,
        pool::on,
        rows::{self, target_columns},
        value::{Time, clean},
    },
};

use super::Engine;

/// Rows marked by one statement: a large backlog must not keep the writer for long.
const CHUNK: i64 = 5_000;

impl Engine {
    pub(in crate::store) async fn hold(
        &self,
        target: HoldTarget,
        held_by: HeldBy,
        reason: String,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (kind, name) = target_columns(&target);
        on!(self.chore_writer(), |conn| {
            sqlx::query(
                "insert into hold (kind, name, held_by, reason, since) \
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
            )
            .bind(kind)
            .bind(clean(name))
            .bind(held_by.as_str())
            .bind(clean(&reason))
            .bind(Time(now))
            .execute(conn)
            .await?;
            Ok(())
        })?;
        self.hold_waiting().await
    }

    pub(in crate::store) async fn resume(
        &self,
        target: HoldTarget,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (kind, name) = target_columns(&target);
        on!(self.chore_writer(), |conn| {
            sqlx::query("delete from hold where kind = $1 and name = $2")
                .bind(kind)
                .bind(clean(name))
                .execute(conn)
                .await?;
            Ok(())
        })?;
        self.free_held(now).await
    }

    pub(in crate::store) async fn mark_held(&self, now: Timestamp) -> Result<u64, StoreError> {
        let n_held = self.hold_waiting().await?;
        // Also what a resume left behind that did not get to its end.
        let n_free = self.free_held(now).await?;
        Ok(n_held + n_free)
    }

    pub(in crate::store) async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(
                "select kind, name, held_by, reason, since from hold order by kind, name limit 10000",
            )
            .fetch_all(conn)
            .await?;
            rows::holds(&rows)
        })
    }

    async fn hold_waiting(&self) -> Result<u64, StoreError> {
        let mut n_rows = 0;
        loop {
            match self.mark_held_chunk(CHUNK).await? {
                0 => return Ok(n_rows),
                n_marked => n_rows += n_marked,
            }
        }
    }

    async fn free_held(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut n_rows = 0;
        loop {
            match self.mark_free_chunk(CHUNK, now).await? {
                0 => return Ok(n_rows),
                n_marked => n_rows += n_marked,
            }
        }
    }
}
