//! The ground floor: ids, time, secrets, backoff, metrics.
//!
//! Nothing here knows what a webhook is. Nothing here waits, except that `clock::wall_now` reads the wall clock.
//!
//! Imports: no room.

pub mod backoff;
pub mod clock;
pub mod ids;
pub mod metrics;
pub mod safe_url;
pub mod secret;
