//! How often sources usually say something: for each day the longest silence that ended on it.

use std::{sync::Arc, time::Duration};

use crate::{
    base::clock::Timestamp,
    store::{Engine, Store, detached, error::StoreError, run},
};

/// For so many days it is remembered.
pub const DAYS: i32 = 14;

/// A source's rhythm, as far as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rhythm {
    pub source: String,
    pub last_at: Timestamp,
    /// Between two looks at which something had come from it.
    pub longest_gap: Duration,
    /// Since it was first heard of, today included.
    pub n_days: u32,
}

/// Days since 1970.
pub(super) fn day_of(at: Timestamp) -> i32 {
    i32::try_from(at.as_unix_seconds().div_euclid(86_400)).unwrap_or(i32::MAX)
}

impl Store {
    /// Notes that these sources said something just now. No silence before is longer than `listened_for`: what nobody heard is none.
    pub async fn hear(
        &self,
        sources: Vec<Arc<str>>,
        listened_for: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if sources.is_empty() {
            return Ok(());
        }
        run!(self, hear(sources, listened_for, now))
    }

    /// Of all sources that were heard of in the last `DAYS` days, by name.
    pub async fn rhythms(&self, now: Timestamp) -> Result<Vec<Rhythm>, StoreError> {
        run!(self, rhythms(now))
    }

    /// Bytes that are free where the store is, if this process can know that.
    pub fn free_space(&self) -> Option<u64> {
        match &self.0 {
            Engine::Postgres(_) => None,
            Engine::Sqlite(engine) => engine.free_space(),
        }
    }
}
