//! Removing old events.

use uuid::Uuid;

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::on,
        sqlite::{Engine, begin, ids::json_rows},
        value::Time,
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
}
