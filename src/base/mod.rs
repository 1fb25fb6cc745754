//! The ground floor: ids, time, secrets, backoff, metrics.
//!
//! Nothing here knows what a webhook is, and nothing waits; `clock::wall_now` reads the wall clock. `trial` is empty in every
//! build but those of the campaign.
//!
//! Imports: no room.

pub mod backoff;
pub mod clock;
pub mod ids;
pub mod metrics;
pub mod moment;
pub mod nearest;
pub mod safe_url;
pub mod secret;
pub mod trial;
pub mod word;
