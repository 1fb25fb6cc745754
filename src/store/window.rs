//! A list with conditions, looked through a part at a time: no page takes long, however rare what it asks for is.

use std::time::Duration;

use sqlx::{Encode, QueryBuilder, Type};
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
        value::{Time, clean},
    },
};

/// How far the clock of the process that made an id may be behind the one that the time beside it is from. An id is made after the
/// row's own time, and may be much later: a request that is accepted again keeps the time when it came.
const SLACK: Duration = Duration::from_hours(1);
/// So many times as long may a look take that begins in the past: it passes all that came since.
const PAST: u32 = 20;

/// How long a look through many rows may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Rows of one part, at least one.
    pub n_rows: u32,
    /// After so long no further part begins.
    pub time: Duration,
}

impl Patience {
    fn longer_for(self, before: Option<Timestamp>) -> Self {
        let factor = if before.is_some() { PAST } else { 1 };
        Self {
            time: self.time * factor,
            ..self
        }
    }
}

/// The rows whose ids lie between.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// Without this one.
    pub(super) below: Option<Uuid>,
    /// With this one.
    pub(super) from: Option<Uuid>,
}

impl Window {
    pub(super) const fn below(below: Option<Uuid>) -> Self {
        Self { below, from: None }
    }

    /// Where a look begins and where it ends: what came later has later ids.
    pub(super) fn of<DB: Engine>(list: &impl List<DB>) -> Self {
        Self {
            below: list.cursor(),
            from: list.after().map(|it| least_at(it.minus(SLACK))),
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
pub(super) trait List<DB: Engine> {
    /// `None`: one statement looks as far as it has to. So it is where nothing narrows the list down, or where an index does.
    fn patience(&self) -> Option<Patience>;
    fn limit(&self) -> u32;
    fn cursor(&self) -> Option<Uuid>;
    fn after(&self) -> Option<Timestamp>;
    /// The ids that the parts are counted in. Rows that an index knows apart are not counted.
    fn ids(&self) -> Conditions<DB>;
    fn page(&self, window: Window) -> QueryBuilder<DB>;
}

/// The last id of a part that begins where the window does; no row where fewer than so many are left in it.
pub(super) fn edge<DB>(list: &impl List<DB>, window: Window, n_rows: u32) -> QueryBuilder<DB>
where
    DB: Engine,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Uuid: for<'t> Encode<'t, DB> + Type<DB>,
    Time: for<'t> Encode<'t, DB> + Type<DB>,
{
    let mut it = list.ids();
    it.id("id < ", window.below);
    it.id("id >= ", window.from);
    it.builder
        .push(" order by id desc limit 1 offset ")
        .push_bind(i64::from(n_rows.max(1)) - 1);
    it.builder
}

impl<DB> List<DB> for EventQuery
where
    DB: Engine,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Uuid: for<'t> Encode<'t, DB> + Type<DB>,
    Time: for<'t> Encode<'t, DB> + Type<DB>,
{
    fn patience(&self) -> Option<Patience> {
        let is_narrowed = self.source.is_some()
            || self.event_type.is_some()
            || self.after.is_some()
            || self.before.is_some()
            || self.status.is_some()
            || self.destination.is_some()
            || self.q.is_some();
        let patience = self.patience.filter(|_| is_narrowed)?;
        Some(patience.longer_for(self.before))
    }

    fn limit(&self) -> u32 {
        self.limit
    }

    fn cursor(&self) -> Option<Uuid> {
        self.cursor.map(EventId::uuid)
    }

    fn after(&self) -> Option<Timestamp> {
        self.after
    }

    fn ids(&self) -> Conditions<DB> {
        Conditions::new("select id from event")
    }

    fn page(&self, window: Window) -> QueryBuilder<DB> {
        filter::events(self, window)
    }
}

impl<DB> List<DB> for DeliveryQuery
where
    DB: Engine,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Uuid: for<'t> Encode<'t, DB> + Type<DB>,
    Time: for<'t> Encode<'t, DB> + Type<DB>,
{
    fn patience(&self) -> Option<Patience> {
        let is_narrowed = self.source.is_some()
            || self.event_type.is_some()
            || self.route.is_some()
            || self.destination.is_some()
            || self.status.is_some()
            || self.cause.is_some()
            || self.after.is_some()
            || self.before.is_some()
            || self.q.is_some();
        let patience = self.patience.filter(|_| is_narrowed && self.event_id.is_none())?;
        Some(patience.longer_for(self.before))
    }

    fn limit(&self) -> u32 {
        self.limit
    }

    fn cursor(&self) -> Option<Uuid> {
        self.cursor.map(DeliveryId::uuid)
    }

    fn after(&self) -> Option<Timestamp> {
        self.after
    }

    fn ids(&self) -> Conditions<DB> {
        let mut it = Conditions::<DB>::new("select id from delivery");
        match self.status {
            Some(Status::Dead) => {
                it.and("status = 'dead'");
                if let Some(destination) = &self.destination {
                    it.and("destination = ")
                        .push_bind(clean(destination).into_owned());
                }
            }
            // Few as a rule, wherever they are: the partial indexes of what is open find them.
            Some(status) if status.is_open() => {
                it.and("status = '").push(status.as_str()).push("'");
            }
            _ => {}
        }
        it
    }

    fn page(&self, window: Window) -> QueryBuilder<DB> {
        filter::deliveries(self, window)
    }
}

impl<DB> List<DB> for RequestQuery
where
    DB: Engine,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    Uuid: for<'t> Encode<'t, DB> + Type<DB>,
    Time: for<'t> Encode<'t, DB> + Type<DB>,
{
    fn patience(&self) -> Option<Patience> {
        let is_narrowed = self.source.is_some()
            || self.cause.is_some()
            || self.after.is_some()
            || self.before.is_some()
            || self.q.is_some();
        let patience = self.patience.filter(|_| is_narrowed)?;
        Some(patience.longer_for(self.before))
    }

    fn limit(&self) -> u32 {
        self.limit
    }

    fn cursor(&self) -> Option<Uuid> {
        self.cursor.map(RequestId::uuid)
    }

    fn after(&self) -> Option<Timestamp> {
        self.after
    }

    fn ids(&self) -> Conditions<DB> {
        Conditions::new("select id from rejected_request")
    }

    fn page(&self, window: Window) -> QueryBuilder<DB> {
        filter::requests(self, window)
    }
}
