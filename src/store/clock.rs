//! The store's clock, without asking it each time.
//!
//! Leases and schedules are on the store's clock, so that replicas whose wall clocks differ agree. This process asks
//! now and then, and counts on from the answer with its own monotonic clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use crate::{
    base::clock::{Timestamp, wall_now},
    store::{Store, error::StoreError},
};

/// An estimate of the store's `now`. Clones share it.
#[derive(Debug, Clone)]
pub struct StoreClock {
    start: Instant,
    /// The store's time at `start`, in microseconds.
    store_at_start: Arc<AtomicI64>,
}

impl StoreClock {
    /// Takes this machine's wall clock until the first `sync`.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            store_at_start: Arc::new(AtomicI64::new(wall_now().as_micros())),
        }
    }

    /// Asks the store. Wrong by at most the round trip, until the store's clock is set or this machine was suspended.
    pub async fn sync(&self, store: &Store) -> Result<(), StoreError> {
        let now = store.now().await?;
        let since_start = self.start.elapsed();
        self.store_at_start
            .store(now.minus(since_start).as_micros(), Ordering::Relaxed);
        Ok(())
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.store_at_start.load(Ordering::Relaxed)).plus(self.start.elapsed())
    }
}

impl Default for StoreClock {
    fn default() -> Self {
        Self::new()
    }
}
