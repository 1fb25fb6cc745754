//! What is recorded of an accepted request, and the answer to it.

use std::sync::Arc;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, WorkerId},
    },
    event::{Event, Hash, Origin, delivery::Fence},
};

/// An event with its deliveries, to be stored in one transaction.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event: Arc<Event>,
    /// `None` where nothing was verified: such an event is never anybody's duplicate.
    pub key: Option<Hash>,
    pub body_hash: Hash,
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery to be stored.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub id: DeliveryId,
    pub route: Arc<str>,
    pub destination: Arc<str>,
    pub origin: Origin,
    /// Set: recorded as already claimed by this worker (hand-over). Absent: pending, for any worker.
    pub claimed: Option<Claimed>,
}

/// Whose a delivery is from the moment that it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Claimed {
    pub worker: WorkerId,
    pub lease_until: Timestamp,
}

impl Claimed {
    /// The fence of a delivery that was handed over when it was recorded.
    pub const FENCE: Fence = Fence(1);
}

/// The answer to one recorded event, in the order of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Accepted,
    /// The source already has this event: the id is the stored one's.
    Duplicate(EventId),
    /// The source already has an event of this key with another body. The newcomer is kept as a rejected request with
    /// the cause `conflict`; the id is the stored one's.
    Conflict(EventId),
}
