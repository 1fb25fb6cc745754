//! Bulk work: retry, replay or cancel of all that a filter finds. Planned first, then worked off as a job.
//!
//! `request` reads what is asked for, `plan` counts what it would do, `work` does it: a small batch at a time, by one replica,
//! from a cursor in the store; `guests` are the URLs that replays go to. It never has more than a batch in memory, and never does what a single call would refuse.
//!
//! Imports: `base`, `event`, `egress`, `store`, `route`, `destination`, `source`, `registry`, `ingest`.

pub mod guests;
pub mod plan;
pub mod replay;
pub mod request;
pub mod work;

use crate::{
    base::{ids::WorkerId, metrics::Metrics},
    registry::Registry,
    store::{Store, clock::StoreClock, wake::Wake},
};

/// What jobs are worked off with.
#[derive(Debug, Clone)]
pub struct Context {
    pub store: Store,
    pub registry: Registry,
    pub clock: StoreClock,
    pub metrics: Metrics,
    pub worker: WorkerId,
    pub wake: Wake,
}
