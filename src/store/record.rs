//! What is recorded of an accepted request, and the answer to it.

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, ProgramId, WorkerId},
    },
    event::{Event, Hash, Origin, delivery::Fence, once::Once, order::Position},
    store::value::clean,
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
    pub start: Start,
    /// Where its route orders the events of a key.
    pub position: Option<Position>,
    /// Skipped as `repeated` where one of the same key went the route's way within the window.
    pub once: Option<Once>,
    /// What is made of the event in place of what its route does today. Only of a replay.
    pub program: Option<ProgramId>,
}

impl NewDelivery {
    /// Whether nothing but a free place stands in the way of its first attempt. What has a key may have to wait for others, or be a
    /// repeat.
    pub const fn may_be_handed_over(&self) -> bool {
        self.position.is_none()
            && self.once.is_none()
            && matches!(self.start, Start::Due { after } if after.is_zero())
    }
}

/// Null where nothing is kept of it.
pub(super) fn query(event: &Event) -> Option<Cow<'_, str>> {
    (!event.query.is_empty()).then(|| clean(&event.query))
}

/// How a delivery begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// Pending, for any worker, from that long after it was made.
    Due { after: Duration },
    /// Handed over: recorded as already claimed by this worker.
    Claimed(Claimed),
    /// Not to be sent at all.
    Skipped(Skip),
}

/// Why a delivery is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    pub cause: SkipCause,
    /// For the operator.
    pub reason: String,
}

/// Stable words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipCause {
    /// The route's filter refused the event.
    Filtered,
    /// The route takes it for one that it had shortly before.
    Repeated,
    /// The route wants the latest event of a key, and there is a later one.
    Stale,
}

/// For the operator, of a repeat.
pub(super) const REPEAT: &str =
    "what the route's `deduplicate` compares is that of an event which came shortly before";

impl SkipCause {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Repeated => "repeated",
            Self::Stale => "stale",
        }
    }
}

impl Start {
    pub const NOW: Self = Self::Due {
        after: Duration::ZERO,
    };

    /// Whether any worker may claim it at once.
    pub const fn is_now(&self) -> bool {
        matches!(self, Self::Due { after } if after.is_zero())
    }

    pub const fn claimed(&self) -> Option<Claimed> {
        match self {
            Self::Claimed(claimed) => Some(*claimed),
            Self::Due { .. } | Self::Skipped(_) => None,
        }
    }

    pub(super) const fn due_after(&self) -> Option<Duration> {
        match self {
            Self::Due { after } => Some(*after),
            Self::Claimed(_) | Self::Skipped(_) => None,
        }
    }

    pub(super) const fn skip(&self) -> Option<&Skip> {
        match self {
            Self::Skipped(skip) => Some(skip),
            Self::Due { .. } | Self::Claimed(_) => None,
        }
    }
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
