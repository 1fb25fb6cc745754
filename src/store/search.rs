//! Looking for a text in bodies: no index knows them, so a search looks at so many events and so many bytes, and says how far it came.

use std::sync::Arc;

use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::EventId},
    store::{
        error::StoreError,
        filter::{self, Conditions, Engine},
        query::{EventQuery, EventSummary, Page},
        rows::{StoreRow, get},
        value::{Time, unsigned},
    },
};

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub text: Vec<u8>,
    /// Sources whose events are found whatever is in their bodies: whoever asks looks into those.
    pub in_any_case: Vec<Arc<str>>,
}

/// How much one search may look at.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub n_events: u32,
    /// Of bodies, together. The first one is looked at however large it is.
    pub n_bytes: u64,
}

/// What a search found, the newest first.
#[derive(Debug, Clone)]
pub struct Found {
    pub rows: Vec<EventSummary>,
    /// Set if there is more to look at: pass it as `cursor`.
    pub next: Option<EventId>,
    /// Events that were looked at. `None`: no more than the page had room for, and that was full.
    pub n_looked_at: Option<u64>,
    /// When the oldest of them came. `None`: there was none.
    pub back_to: Option<Timestamp>,
}

/// The events that are looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// The last one.
    edge: Uuid,
    back_to: Timestamp,
    n_events: u64,
    /// None is left behind it.
    is_all: bool,
}

/// The newest that the filter finds, without bodies, and one more than may be looked at.
pub(super) fn sizes<DB: Engine>(query: &EventQuery, bounds: Bounds) -> QueryBuilder<DB> {
    let mut it = Conditions::new(
        "select event.id, event.received_at, cast(length(event.body) as bigint) as size from event",
    );
    filter::events_that(&mut it, query);
    it.and_if("event.id < ", query.cursor.map(EventId::uuid));
    it.push(" order by event.id desc limit ")
        .bind(bounds.n_events.saturating_add(1));
    it.builder
}

/// How far the bounds reach. `None`: the filter finds nothing.
pub(super) fn reach<R: StoreRow>(rows: &[R], bounds: Bounds) -> Result<Option<Reach>, StoreError> {
    let mut n_bytes = 0_u64;
    let mut res = None;
    for (idx, row) in rows.iter().take(bounds.n_events as usize).enumerate() {
        n_bytes = n_bytes.saturating_add(unsigned(get(row, "event", "size")?));
        if idx > 0 && n_bytes > bounds.n_bytes {
            break;
        }
        let Time(back_to) = get(row, "event", "received_at")?;
        res = Some(Reach {
            edge: get(row, "event", "id")?,
            back_to,
            n_events: idx as u64 + 1,
            is_all: idx + 1 == rows.len(),
        });
    }
    Ok(res)
}

/// Of these, those whose bodies hold the text.
pub(super) fn holding<DB: Engine>(query: &EventQuery, wanted: &Wanted, reach: Reach) -> QueryBuilder<DB> {
    let mut it = Conditions::new(filter::SELECT_EVENTS);
    filter::events_that(&mut it, query);
    it.and_if("event.id < ", query.cursor.map(EventId::uuid));
    it.and_if("event.id >= ", Some(reach.edge));
    let [before, after] = DB::HOLDS;
    it.and("(").push(before).bind(&*wanted.text);
    it.push(after);
    for source in &wanted.in_any_case {
        it.push(" or event.source = ").bind(&**source);
    }
    it.push(")");
    it.finish(" order by event.id desc", query.limit)
}

impl Found {
    pub(super) const fn nothing() -> Self {
        Self {
            rows: Vec::new(),
            next: None,
            n_looked_at: Some(0),
            back_to: None,
        }
    }

    /// `page`: of what `holding` found.
    pub(super) fn new(page: Page<EventSummary, EventId>, reach: Reach) -> Self {
        let edge = (!reach.is_all).then(|| EventId::from_uuid(reach.edge));
        let last = page.rows.last().filter(|_| page.next.is_some());
        Self {
            back_to: Some(last.map_or(reach.back_to, |it| it.received_at)),
            n_looked_at: page.next.is_none().then_some(reach.n_events),
            next: page.next.or(edge),
            rows: page.rows,
        }
    }
}
