//! One event for one route, and the moves that its status may make.

use std::{fmt, sync::Arc};

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId},
        word::Word,
    },
    event::Origin,
};

/// One event for one route.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: DeliveryId,
    pub event_id: EventId,
    pub route: Arc<str>,
    pub destination: Arc<str>,
    pub origin: Origin,
    pub status: Status,
    /// Attempts made and recorded so far.
    pub n_attempts: u32,
    /// When the next attempt may start; only while `status` is open.
    pub next_attempt_at: Option<Timestamp>,
    pub last_error: Option<String>,
    /// Why it is skipped, in a stable word: `filtered`, `repeated` or `stale`.
    pub cause: Option<String>,
    pub created_at: Timestamp,
}

/// Where a delivery stands.
///
/// ```text
/// pending ──► delivering ──► delivered
///    ▲            │  ├─────► dead
///    │            │  └─────► retrying ──► delivering
///    └── lease expired, released
/// pending, retrying ──► held ──► pending          any open one ──► cancelled
/// pending, retrying ──► dead                      (its time is up while nothing is sent)
/// dead, cancelled, delivered ──► pending          (an operator's retry)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Never tried, or put back untried.
    Pending,
    /// In some worker's hands, under a lease.
    Delivering,
    /// Tried and failed; will be tried again.
    Retrying,
    /// Waits until its route or destination is resumed.
    Held,
    Delivered,
    /// Given up: a dead letter.
    Dead,
    Cancelled,
    /// A filter or a rule decided that it need not be sent.
    Skipped,
    /// Where a newer version put it: nobody here touches it.
    Newer(Word),
}

impl Status {
    /// Those that are known here.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Delivering,
        Self::Retrying,
        Self::Held,
        Self::Delivered,
        Self::Dead,
        Self::Cancelled,
        Self::Skipped,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivering => "delivering",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Newer(word) => word.as_str(),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// Also what a newer version wrote.
    pub fn parse_stored(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| Word::new(text).map(Self::Newer))
    }

    /// Still to be delivered: retention never touches it.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Delivering | Self::Retrying | Self::Held | Self::Newer(_) => true,
            Self::Delivered | Self::Dead | Self::Cancelled | Self::Skipped => false,
        }
    }

    /// Whether a delivery may go from this status to that one.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending | Self::Retrying => {
                matches!(
                    next,
                    Self::Delivering
                        | Self::Held
                        | Self::Dead
                        | Self::Cancelled
                        | Self::Skipped
                        | Self::Pending
                )
            }
            Self::Delivering => matches!(
                next,
                Self::Pending
                    | Self::Delivered
                    | Self::Dead
                    | Self::Retrying
                    | Self::Held
                    | Self::Cancelled
                    | Self::Skipped
            ),
            Self::Held => matches!(next, Self::Pending | Self::Cancelled),
            Self::Delivered | Self::Dead | Self::Cancelled => matches!(next, Self::Pending),
            Self::Skipped | Self::Newer(_) => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A generation number that changes with every claim, so that a late worker cannot overwrite a newer one's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub i64);
