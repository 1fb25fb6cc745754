//! Removing old events.

use sqlx::Connection;
use uuid::Uuid;

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::on,
        postgres::Engine,
        value::{Time, unsigned},
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
}
