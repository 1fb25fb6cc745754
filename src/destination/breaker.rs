//! When a destination that fails is left alone, as the operator says it.

use std::time::Duration;

/// The rules of a circuit breaker. `delivery` obeys them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Without it nothing is ever left alone.
    pub is_enabled: bool,
    /// It opens after so many failures in a row.
    pub failures: u32,
    /// Or when so many percent of the attempts within `window` failed, of at least `min_attempts`.
    pub percent: u32,
    pub min_attempts: u32,
    pub window: Duration,
    /// How long nothing is sent before it is probed; doubled by each probe that fails, up to `max_pause`.
    pub pause: Duration,
    pub max_pause: Duration,
    /// From the first probe that was answered to the full concurrency.
    pub ramp: Duration,
}

impl Default for Rules {
    /// As `config/default.toml` has them.
    fn default() -> Self {
        Self {
            is_enabled: true,
            failures: 10,
            percent: 80,
            min_attempts: 20,
            window: Duration::from_mins(1),
            pause: Duration::from_secs(2),
            max_pause: Duration::from_secs(30),
            ramp: Duration::from_secs(10),
        }
    }
}
