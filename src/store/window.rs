//! A list with conditions, looked through a part at a time: no page takes long, however rare what it asks for is.

use std::time::Duration;

use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, RequestId},
    },
    event::delivery::Status,
    store::{
        filter::{self, Conditions, Engine},
        query::{DeliveryQuery, EventQuery, RequestQuery},
    },
};

/// How far the clock of the process that made an id may be behind the one that the time beside it is from. An id is made after the
/// row's own time, and may be much later: a request that is accepted again keeps the time when it came.
const SLACK: Duration = Duration::from_hours(1);
/// So many times as long may a look take that begins in the past: it passes all that came since.
const PAST: u32 = 20;

/// How long a look through many rows may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Rows of one part, at least one.
    pub n_rows: u32,
    /// After so long no further part begins.
    pub time: Duration,
}

impl Patience {
    pub(super) fn longer_for(self, before: Option<Timestamp>) -> Self {
        let factor = if before.is_some() { PAST } else { 1 };
        Self {
            time: self.time * factor,
            ..self
        }
    }
}

/// The rows whose ids lie between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Without this one.
    pub(super) below: Option<Uuid>,
    /// With this one.
    pub(super) from: Option<Uuid>,
    /// What is asked for is so rare that its ids are found first, by their index.
    pub(super) is_rare: bool,
}

/// Which rows of a list are asked for, whatever its conditions are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) cursor: Option<Uuid>,
    pub(super) after: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    pub(super) limit: u32,
    /// `None`: one statement looks as far as it has to. So it is where nothing narrows the list down, or where an index does.
    pub(super) patience: Option<Patience>,
}

impl Turn {
    /// Where a look begins, and where it ends if it goes a part at a time: what came later has later ids.
    pub(super) fn window(&self) -> Window {
        let after = self.after.filter(|_| self.patience.is_some());
        Window {
            below: self.cursor,
            from: after.map(|it| least_at(it.minus(SLACK))),
            is_rare: false,
        }
    }
}

/// Ids of every kind have their time in the same place.
fn least_at(at: Timestamp) -> Uuid {
    EventId::least_at(at).uuid()
}

/// To the millisecond.
pub(super) fn made_at(id: Uuid) -> Option<Timestamp> {
    EventId::from_uuid(id).made_at()
}

/// A list that can be looked through a part at a time.
pub(super) trait List {
    fn turn(&self) -> Turn;
    /// The ids that the parts are counted in. Rows that an index knows apart are not counted.
    fn ids<DB: Engine>(&self) -> Conditions<DB>;
    /// How many rows an index of what is rare knows, and no more than so many are counted; for a database that does not see for itself
    /// that this index is the shorter way.
    fn n_rare<DB: Engine>(&self, _at_most: u32) -> Option<QueryBuilder<DB>> {
        None
    }
    fn page<DB: Engine>(&self, window: Window) -> QueryBuilder<DB>;
}

/// The last id of a part that begins where the window does; no row where fewer than so many are left in it.
pub(super) fn edge<DB: Engine>(list: &impl List, window: Window, n_rows: u32) -> QueryBuilder<DB> {
    let mut it = list.ids();
    it.and_if("id < ", window.below);
    it.and_if("id >= ", window.from);
    it.push(" order by id desc limit 1 offset ")
        .bind(n_rows.max(1) - 1);
    it.builder
}

impl List for EventQuery {
    fn turn(&self) -> Turn {
        let all = Self {
            limit: self.limit,
            cursor: self.cursor,
            patience: self.patience,
            ..Self::default()
        };
        Turn {
            cursor: self.cursor.map(EventId::uuid),
            after: self.after,
            before: self.before,
            limit: self.limit,
            patience: self.patience.filter(|_| *self != all),
        }
    }

    fn ids<DB: Engine>(&self) -> Conditions<DB> {
        Conditions::new("select id from event")
    }

    fn page<DB: Engine>(&self, window: Window) -> QueryBuilder<DB> {
        filter::events(self, window)
    }
}

impl List for DeliveryQuery {
    fn turn(&self) -> Turn {
        let all = Self {
            limit: self.limit,
            cursor: self.cursor,
            patience: self.patience,
            ..Self::default()
        };
        Turn {
            cursor: self.cursor.map(DeliveryId::uuid),
            after: self.after,
            before: self.before,
            limit: self.limit,
            patience: self.patience.filter(|_| *self != all && self.event_id.is_none()),
        }
    }

    fn ids<DB: Engine>(&self) -> Conditions<DB> {
        let mut it = Conditions::new("select id from delivery");
        match self.status {
            Some(Status::Dead) => {
                it.and("status = 'dead'");
                it.and_if("destination = ", self.destination.as_deref());
            }
            // Few as a rule, wherever they are: the partial indexes of what is open find them.
            Some(status) if status.is_open() => {
                it.and("status = '").push(status.as_str()).push("'");
            }
            _ => {}
        }
        it
    }

    fn n_rare<DB: Engine>(&self, at_most: u32) -> Option<QueryBuilder<DB>> {
        let is_known = |it: &Status| it.is_open() && !matches!(it, Status::Newer(_));
        let status = self.status.filter(is_known).filter(|_| !DB::KEEPS_STATISTICS)?;
        let mut it = Conditions::new("select count(*) from (");
        filter::open_ids(&mut it, status, self.destination.as_deref());
        it.push(" limit ").bind(at_most);
        it.push(")");
        Some(it.builder)
    }

    fn page<DB: Engine>(&self, window: Window) -> QueryBuilder<DB> {
        filter::deliveries(self, window)
    }
}

impl List for RequestQuery {
    fn turn(&self) -> Turn {
        let all = Self {
            limit: self.limit,
            cursor: self.cursor,
            patience: self.patience,
            ..Self::default()
        };
        Turn {
            cursor: self.cursor.map(RequestId::uuid),
            after: self.after,
            before: self.before,
            limit: self.limit,
            patience: self.patience.filter(|_| *self != all),
        }
    }

    fn ids<DB: Engine>(&self) -> Conditions<DB> {
        Conditions::new("select id from rejected_request")
    }

    fn page<DB: Engine>(&self, window: Window) -> QueryBuilder<DB> {
        filter::requests(self, window)
    }
}
