//! What one process lets in at once: bytes over all requests, requests over time for each source.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::source::Source;

/// Bytes of bodies that are being read or wait for their commit. A semaphore, so that no path can forget to give back.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
}

/// A permit stands for this many bytes: a semaphore hands out at most `u32::MAX` at once.
const UNIT: u64 = 64;

impl ByteBudget {
    pub fn new(n_bytes: u64) -> Self {
        let n_units = usize::try_from(n_bytes.div_ceil(UNIT)).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(n_units.min(Semaphore::MAX_PERMITS))),
        }
    }

    pub fn admit(&self, n_bytes: u64) -> Option<OwnedSemaphorePermit> {
        let n_units = u32::try_from(n_bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.units).try_acquire_many_owned(n_units).ok()
    }
}

/// A rate per second, and the limiter that keeps it.
type Limiter = (u32, Arc<DefaultDirectRateLimiter>);

/// Each source's own rate, where its settings name one.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    limiters: Arc<Mutex<HashMap<Arc<str>, Limiter>>>,
}

impl Rates {
    /// How long to wait, where the source is over its rate. Counts this request.
    pub fn is_over(&self, source: &Source) -> Option<Duration> {
        let per_second = NonZeroU32::new(source.settings().rate?)?;
        let not_until = self.limiter(source.name(), per_second).check().err()?;
        Some(not_until.wait_time_from(DefaultClock::default().now()))
    }

    fn limiter(&self, source: &Arc<str>, per_second: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((rate, limiter)) = limiters.get(source)
            && *rate == per_second.get()
        {
            return Arc::clone(limiter);
        }
        let limiter = Arc::new(RateLimiter::direct(Quota::per_second(per_second)));
        limiters.insert(Arc::clone(source), (per_second.get(), Arc::clone(&limiter)));
        limiter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_when_a_request_is_over() {
        let budget = ByteBudget::new(1024);
        let first = budget.admit(1000).unwrap();
        assert!(budget.admit(64).is_none());
        drop(first);
        assert!(budget.admit(1024).is_some());
        assert!(budget.admit(u64::MAX).is_none());
    }
}
