//! Holding what waits, and freeing it, so many at a time.

use crate::{
    base::clock::Timestamp,
    store::{error::StoreError, pool::on, postgres::Engine, value::Time},
};

impl Engine {
    pub(super) async fn mark_held_chunk(&self, limit: i64) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            let done = sqlx::query(include_str!("sql/mark_held.sql"))
                .bind(limit)
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    /// They are due at that time.
    pub(super) async fn mark_free_chunk(&self, limit: i64, due_at: Timestamp) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            let done = sqlx::query(include_str!("sql/mark_free.sql"))
                .bind(limit)
                .bind(Time(due_at))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }
}
