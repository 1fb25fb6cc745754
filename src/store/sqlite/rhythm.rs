//! How often sources usually say something, and how much room is left.

use std::{sync::Arc, time::Duration};

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::on,
        rhythm::{DAYS, Rhythm, day_of},
        rows,
        sqlite::{Engine, begin},
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn hear(
        &self,
        sources: Vec<Arc<str>>,
        listened_for: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let most_us = i64::try_from(listened_for.as_micros()).unwrap_or(i64::MAX);
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            for source in &sources {
                sqlx::query(include_str!("sql/hear.sql"))
                    .bind(clean(source))
                    .bind(day_of(now))
                    .bind(Time(now))
                    .bind(most_us)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn rhythms(&self, now: Timestamp) -> Result<Vec<Rhythm>, StoreError> {
        let today = day_of(now);
        on!(&self.readers, |conn| {
            let rows = sqlx::query(include_str!("sql/rhythms.sql"))
                .bind(today.saturating_sub(DAYS))
                .fetch_all(conn)
                .await?;
            rows.iter().map(|it| rows::rhythm(it, today)).collect()
        })
    }

    /// Of the file system that the file is on.
    pub(in crate::store) fn free_space(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}
