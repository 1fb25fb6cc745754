//! How often sources usually say something.

use std::{sync::Arc, time::Duration};

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::on,
        rhythm::{DAYS, Rhythm, day_of},
        rows,
        value::{Time, clean},
    },
};

use super::{Engine, begin, dialect};

impl Engine {
    pub(in crate::store) async fn hear(
        &self,
        sources: Vec<Arc<str>>,
        listened_for: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let most_us = i64::try_from(listened_for.as_micros()).unwrap_or(i64::MAX);
        on!(self.chore_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            for source in &sources {
                sqlx::query(dialect::HEAR)
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
        on!(self.chore_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/rhythms.sql"))
                .bind(today.saturating_sub(DAYS))
                .fetch_all(conn)
                .await?;
            rows.iter().map(|it| rows::rhythm(it, today)).collect()
        })
    }
}
