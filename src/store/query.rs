//! What the admin side reads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, RequestId},
    },
    event::{Binding, Origin, delivery::Status, headers::Headers},
    store::window::Patience,
};

/// The most rows that one page holds.
pub const MAX_LIMIT: u32 = 200;

/// A page of a list, newest first. The next page starts after the last id of this one.
#[derive(Debug, Clone)]
pub struct Page<T, I> {
    pub rows: Vec<T>,
    /// Set if there is more: pass it as `cursor`.
    pub next: Option<I>,
    /// Set where patience ended before the page was full. There may be more behind it.
    pub looked: Option<Looked>,
}

/// How far a look came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    pub n_rows: u64,
    /// When the oldest of them was made, to the millisecond.
    pub back_to: Timestamp,
}

/// Which events to list. All given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    pub source: Option<String>,
    /// An event type, or a prefix that ends in `*`.
    pub event_type: Option<String>,
    /// Received at or after.
    pub after: Option<Timestamp>,
    /// Received before.
    pub before: Option<Timestamp>,
    /// Only events that have a delivery in this status.
    pub status: Option<Status>,
    /// Only events that have a delivery to this destination.
    pub destination: Option<String>,
    /// Part of the external id or of the type.
    pub q: Option<String>,
    /// 1 to `MAX_LIMIT`.
    pub limit: u32,
    pub cursor: Option<EventId>,
    /// `None`: looks as far as it has to.
    pub patience: Option<Patience>,
}

/// An event without its headers and body.
#[derive(Debug, Clone)]
pub struct EventSummary {
    pub id: EventId,
    pub source: Arc<str>,
    pub external_id: Option<String>,
    pub event_type: Option<String>,
    pub origin: Origin,
    pub binding: Binding,
    pub occurred_at: Option<Timestamp>,
    pub received_at: Timestamp,
    pub content_type: Option<String>,
    pub size: u64,
}

/// Which deliveries to list. All given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    pub source: Option<String>,
    pub event_type: Option<String>,
    pub event_id: Option<EventId>,
    pub route: Option<String>,
    pub destination: Option<String>,
    pub status: Option<Status>,
    /// Why it is skipped.
    pub cause: Option<String>,
    /// Created at or after.
    pub after: Option<Timestamp>,
    /// Created before.
    pub before: Option<Timestamp>,
    /// Part of the last error, of the external id or of the type.
    pub q: Option<String>,
    pub limit: u32,
    pub cursor: Option<DeliveryId>,
    /// `None`: looks as far as it has to.
    pub patience: Option<Patience>,
}

/// Which rejected requests to list. All given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestQuery {
    pub source: Option<String>,
    pub cause: Option<String>,
    pub after: Option<Timestamp>,
    pub before: Option<Timestamp>,
    /// Part of the explanation.
    pub q: Option<String>,
    pub limit: u32,
    pub cursor: Option<RequestId>,
    /// `None`: looks as far as it has to.
    pub patience: Option<Patience>,
}

/// So many rejected requests of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTally {
    pub source: Arc<str>,
    pub cause: String,
    pub n_found: u64,
    /// Of these, those that were kept whole and are not accepted yet.
    pub n_acceptable: u64,
}

impl RequestTally {
    pub(super) const fn add(&mut self, other: &Self) {
        self.n_found += other.n_found;
        self.n_acceptable += other.n_acceptable;
    }
}

/// Rejected requests by source and cause.
#[derive(Debug, Clone)]
pub struct RequestCount {
    pub tallies: Vec<RequestTally>,
    /// Set where patience ended before all were counted.
    pub looked: Option<Looked>,
}

/// A rejected request without its body.
#[derive(Debug, Clone)]
pub struct RequestSummary {
    pub id: RequestId,
    pub source: Arc<str>,
    pub cause: String,
    pub explanation: String,
    pub received_at: Timestamp,
    pub method: String,
    pub target: String,
    pub client: Option<String>,
    pub headers: Headers,
    pub size: u64,
    /// Whether the body was kept, so that the request can be accepted after all.
    pub has_body: bool,
    pub accepted_as: Option<EventId>,
}

/// The counts that must add up. Counted by query on both sides, so that a row that vanished shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Requests that were answered for, as tallied in the same transactions that stored or refused them.
    pub received: u64,
    pub rejected: u64,
    /// Conflicts among them.
    pub duplicates: u64,
    /// Same id, other body: part of `duplicates`.
    pub conflicts: u64,
    /// Events in the store, and those that retention took.
    pub stored: u64,
    /// Deliveries ever created, as tallied.
    pub deliveries: u64,
    /// The same, counted by status: those in the store, and those that retention took.
    pub delivered: u64,
    pub open: u64,
    pub dead: u64,
    pub cancelled: u64,
    pub skipped: u64,
    pub stuck: Stuck,
}

/// A count of the ledger. It reads every row.
#[derive(Debug, Clone)]
pub struct Audit {
    /// When, by the store's clock.
    pub at: Timestamp,
    pub took: Duration,
    pub ledger: Ledger,
}

/// Open deliveries that nobody moves though they are past their time by more than a minute. Every open status is here, so
/// that none can age unseen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stuck {
    /// In the hands of a worker whose lease has ended.
    pub delivering: u64,
    /// Pending or retrying, due, and held back by nothing.
    pub waiting: u64,
    /// Held, though nothing holds them any more.
    pub held: u64,
}

impl Stuck {
    pub const fn total(&self) -> u64 {
        self.delivering + self.waiting + self.held
    }
}

impl Ledger {
    /// `received = rejected + duplicates + stored` and `deliveries = delivered + open + dead + cancelled + skipped`.
    pub const fn is_balanced(&self) -> bool {
        self.received == self.rejected + self.duplicates + self.stored
            && self.deliveries == self.delivered + self.open + self.dead + self.cancelled + self.skipped
    }
}

/// Counts in equal parts of a span of time, the oldest part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series([u64; Self::N_PARTS]);

impl Default for Series {
    fn default() -> Self {
        Self([0; Self::N_PARTS])
    }
}

impl Series {
    /// Of an hour, a minute is one part.
    pub const N_PARTS: usize = 60;

    /// What comes after the last part counts in it.
    pub fn add(&mut self, part: usize, n: u64) {
        self.0[part.min(Self::N_PARTS - 1)] += n;
    }

    pub const fn parts(&self) -> &[u64; Self::N_PARTS] {
        &self.0
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Of the newest so many parts.
    pub fn newest(&self, n_parts: usize) -> u64 {
        self.0.iter().rev().take(n_parts).sum()
    }
}

impl<'a> std::iter::Sum<&'a Self> for Series {
    fn sum<I: Iterator<Item = &'a Self>>(all: I) -> Self {
        let mut res = Self::default();
        for it in all {
            for (part, n) in it.0.iter().enumerate() {
                res.0[part] += n;
            }
        }
        res
    }
}

/// Deliveries by when they were made, and by what has become of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    pub delivered: Series,
    pub open: Series,
    pub dead: Series,
}

impl Made {
    pub fn total(&self) -> u64 {
        self.delivered.total() + self.open.total() + self.dead.total()
    }
}

/// Numbers for gauges and the overview, by query.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Open and dead ones in the store, by destination and status. What is over otherwise only the ledger counts.
    pub deliveries: BTreeMap<(Arc<str>, Status), u64>,
    /// When the oldest delivery that is open and due became due, by destination.
    pub oldest_due: BTreeMap<Arc<str>, Timestamp>,
    /// When the oldest open delivery was made, by destination: on the clock of the process that made it.
    pub oldest_open: BTreeMap<Arc<str>, Timestamp>,
    /// Events received since `since`, by source.
    pub recent_events: BTreeMap<Arc<str>, Series>,
    /// When the last of them was received.
    pub last_event: BTreeMap<Arc<str>, Timestamp>,
    /// Rejected requests kept since `since`, by source and cause.
    pub recent_rejected: BTreeMap<(Arc<str>, String), Series>,
    /// Deliveries made since `since`, by destination.
    pub recent_deliveries: BTreeMap<Arc<str>, Made>,
}
