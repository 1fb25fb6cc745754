//! Taking deliveries in hand, and saying what became of them.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, WorkerId},
    },
    event::{
        Event,
        attempt::{Attempt, Outcome},
        delivery::{Delivery, Fence},
    },
};

/// What a worker asks for: at most so many deliveries for each destination that has room.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub worker: WorkerId,
    pub lease: Duration,
    pub per_destination: Vec<(Arc<str>, usize)>,
}

/// A delivery in hand. Valid until `lease_until`; after that another worker may hold it.
#[derive(Debug, Clone)]
pub struct Claim {
    pub delivery: Delivery,
    pub event: Arc<Event>,
    /// Changes with every claim, so that a late worker cannot overwrite a newer one's result.
    pub fence: Fence,
    pub lease_until: Timestamp,
    /// An operator asked for this attempt.
    pub is_manual: bool,
}

/// The result of one attempt, to be recorded with it.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub delivery_id: DeliveryId,
    pub fence: Fence,
    pub attempt: Attempt,
    pub outcome: Outcome,
}

/// What the store said to a settlement, in the order of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Recorded,
    /// Another worker holds the delivery by now, or an operator cancelled it. The attempt is recorded all the same; the
    /// status is not touched.
    LostClaim,
}

/// What is held back, and by whom it is let go again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HoldTarget {
    Route(Arc<str>),
    Destination(Arc<str>),
}

/// A route or a destination whose deliveries wait.
#[derive(Debug, Clone)]
pub struct Hold {
    pub target: HoldTarget,
    pub reason: String,
    pub since: Timestamp,
}
