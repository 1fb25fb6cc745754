//! Holding what waits, and freeing it, so many at a time.
//!
//! A reader looks for it, as for a claim: this is asked for again and again, there may be a million to look at, and whatever comes in
//! waits for the writer. That one is asked for where something was found, and goes to it by its id.

use uuid::Uuid;

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::on,
        sqlite::{Engine, ids::json_rows},
        value::Time,
    },
};

impl Engine {
    pub(super) async fn mark_held_chunk(&self, limit: i64) -> Result<u64, StoreError> {
        let Some(found) = self.find(include_str!("sql/to_hold.sql"), limit).await? else {
            return Ok(0);
        };
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/mark_held.sql"))
                .bind(&found)
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    /// They are due at that time.
    pub(super) async fn mark_free_chunk(&self, limit: i64, due_at: Timestamp) -> Result<u64, StoreError> {
        let Some(found) = self.find(include_str!("sql/to_free.sql"), limit).await? else {
            return Ok(0);
        };
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/mark_free.sql"))
                .bind(&found)
                .bind(Time(due_at))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    /// The ids as the writer's statements take them, where there are any.
    async fn find(&self, look: &'static str, limit: i64) -> Result<Option<String>, StoreError> {
        let ids: Vec<Uuid> = on!(&self.readers, |conn| {
            Ok(sqlx::query_scalar(look).bind(limit).fetch_all(conn).await?)
        })?;
        Ok((!ids.is_empty()).then(|| json_rows(ids.iter().map(|id| (id, 0)))))
    }
}
