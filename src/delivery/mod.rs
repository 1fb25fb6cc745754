//! Claim, attempt, settle: a pool per process, fair across destinations.
//!
//! A destination holds only its own places, so one that hangs cannot hold up another. Work comes from the store (`claimer`)
//! or was handed over by ingest of the same process; both take a place first, and both arrive in `pool`, which makes the
//! attempts, unless the destination's breaker (`breaker`, `gate`) is open. `settler` writes the results in batches, `heartbeat` keeps the leases of what is in hand, and
//! counts the processes that share a destination's rate (`pace`).
//!
//! What consumers fetch (`queue`) takes the same claims and leaves them by the same settlements, without the pool.
//!
//! It knows nothing of requests: `ingest` and `delivery` meet only in the store.
//!
//! Imports: `base`, `event`, `store`, `destination`, `route`, `telemetry`, `registry`.

pub mod attempt;
pub mod breaker;
pub mod claimer;
pub mod gate;
pub mod heartbeat;
pub mod judge;
pub mod lanes;
pub mod originals;
pub mod pace;
pub mod pool;
pub mod queue;
pub mod receipt;
pub mod schedule;
pub mod settler;

use std::time::Duration;

use crate::{
    base::metrics::Metrics,
    delivery::originals::Originals,
    registry::Registry,
    store::{Store, clock::StoreClock, handover::Handover, wake::Wake},
    telemetry::Tracer,
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim is this process's, unless renewed.
    pub lease: Duration,
    /// How often the store is asked for work when nothing else wakes the pool.
    pub poll: Duration,
}

/// What every part of the pool works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub store: Store,
    pub registry: Registry,
    pub clock: StoreClock,
    pub metrics: Metrics,
    pub tracer: Tracer,
    pub handover: Handover,
    pub wake: Wake,
    pub originals: Originals,
    pub settings: Settings,
}
