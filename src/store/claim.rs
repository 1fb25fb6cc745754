//! Taking deliveries in hand, and saying what became of them.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, ProgramId, WorkerId},
    },
    event::{
        Event,
        attempt::{Attempt, Outcome},
        delivery::{Delivery, Fence, Status},
    },
};

/// What a worker asks for: so many deliveries for each destination that has room.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub worker: WorkerId,
    pub lease: Duration,
    pub per_destination: Vec<Share>,
}

/// What one destination has room for.
#[derive(Debug, Clone)]
pub struct Share {
    pub destination: Arc<str>,
    /// Deliveries that wait for their first attempt, or that an operator let go.
    pub n_first: usize,
    /// Deliveries that are tried again.
    pub n_retries: usize,
}

impl Share {
    /// How many of each status.
    pub(super) const fn by_status(&self) -> [(Status, usize); 2] {
        [
            (Status::Pending, self.n_first),
            (Status::Retrying, self.n_retries),
        ]
    }
}

/// A delivery in hand. Valid until `lease_until`; after that another worker may hold it.
#[derive(Debug, Clone)]
pub struct Claim {
    pub delivery: Delivery,
    pub event: Arc<Event>,
    /// Changes with every claim, so that a late worker cannot overwrite a newer one's result.
    pub fence: Fence,
    pub lease_until: Timestamp,
    /// What is made of the event in place of what its route does today.
    pub program: Option<ProgramId>,
    /// It was tried before, on the schedule.
    pub is_retry: bool,
    /// An operator asked for this attempt.
    pub is_manual: bool,
    /// Its route marks what is older than the newest delivered one of its key, and it is.
    pub is_stale: bool,
}

/// What an operator reads of a delivery that was skipped for a later one of its key.
pub(super) const STALE: &str = "a later event of its key is there";
/// Rows of one statement that skips what is stale.
pub(super) const STALE_ROWS: u64 = 1000;
/// So often the store looks again, where something that it found was stale.
pub(super) const MAX_STALE_ROUNDS: usize = 100;

/// What is still wanted once these were taken.
pub(super) fn still_wanted(wanted: &Wanted, claims: &[Claim]) -> Wanted {
    let left = |share: &Share| {
        let n_taken = |is_retry| {
            let is_one =
                |it: &&Claim| it.delivery.destination == share.destination && it.is_retry == is_retry;
            claims.iter().filter(is_one).count()
        };
        Share {
            destination: Arc::clone(&share.destination),
            n_first: share.n_first.saturating_sub(n_taken(false)),
            n_retries: share.n_retries.saturating_sub(n_taken(true)),
        }
    };
    Wanted {
        per_destination: wanted
            .per_destination
            .iter()
            .map(left)
            .filter(|it| it.n_first + it.n_retries > 0)
            .collect(),
        ..wanted.clone()
    }
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

/// Who holds something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBy {
    /// After a 410, or many dead letters: somebody has to look.
    Gatepost,
    /// Somebody who meant it.
    Operator,
}

impl HeldBy {
    pub const ALL: [Self; 2] = [Self::Gatepost, Self::Operator];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gatepost => "gatepost",
            Self::Operator => "operator",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// A route or a destination whose deliveries wait.
#[derive(Debug, Clone)]
pub struct Hold {
    pub target: HoldTarget,
    pub held_by: HeldBy,
    pub reason: String,
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::ids::EventId,
        event::{Binding, Origin, headers::Headers},
    };

    fn taken(destination: &str, is_retry: bool) -> Claim {
        let at = Timestamp::from_unix_seconds(0);
        let event = Event {
            id: EventId::new(),
            source: "stripe".into(),
            external_id: None,
            event_type: None,
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: at,
            query: String::new(),
            headers: Headers::default(),
            body: bytes::Bytes::new(),
        };
        Claim {
            delivery: Delivery {
                id: DeliveryId::new(),
                event_id: event.id,
                route: "route".into(),
                destination: destination.into(),
                origin: Origin::Received,
                status: Status::Delivering,
                n_attempts: u32::from(is_retry),
                next_attempt_at: None,
                last_error: None,
                cause: None,
                created_at: at,
            },
            event: Arc::new(event),
            fence: Fence(1),
            lease_until: at,
            program: None,
            is_retry,
            is_manual: false,
            is_stale: false,
        }
    }

    #[test]
    fn what_was_taken_is_wanted_no_more() {
        let share = |destination: &str, n_first, n_retries| Share {
            destination: destination.into(),
            n_first,
            n_retries,
        };
        let wanted = Wanted {
            worker: WorkerId::new(),
            lease: Duration::from_secs(1),
            per_destination: vec![share("a", 2, 1), share("b", 1, 1), share("c", 0, 1)],
        };
        let left = |claims: &[Claim]| {
            let left = still_wanted(&wanted, claims).per_destination;
            let left = left
                .iter()
                .map(|it| format!("{} {} {}", it.destination, it.n_first, it.n_retries));
            left.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(left(&[]), "a 2 1, b 1 1, c 0 1");
        assert_eq!(
            left(&[taken("a", false), taken("b", true)]),
            "a 1 1, b 1 0, c 0 1"
        );
        assert_eq!(
            left(&[taken("b", false), taken("b", true), taken("c", true)]),
            "a 2 1"
        );
        // More than was asked for leaves nothing, and takes from nobody else.
        let many: Vec<_> = (0..3).map(|_| taken("a", false)).collect();
        assert_eq!(left(&many), "a 0 1, b 1 1, c 0 1");
    }
}
