//! Rows of counts, put together the same for both engines. A damaged word must not hide the numbers of the others.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    base::{clock::Timestamp, ids::DeliveryId},
    event::delivery::Status,
    store::{
        error::StoreError,
        query::{Series, Stats},
        rows::{StoreRow, get},
        value::{Time, unsigned},
    },
};

/// How far the clock of who made an id may be off that of the store.
const CLOCKS_APART: Duration = Duration::from_mins(1);

/// The time that numbers of recent things are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) since: Timestamp,
    /// Microseconds of one part, at least one.
    pub(super) part_us: i64,
}

impl Span {
    pub(super) fn new(since: Timestamp, until: Timestamp) -> Self {
        let n_parts = i64::try_from(Series::N_PARTS).unwrap_or(i64::MAX);
        let length = until.as_micros().saturating_sub(since.as_micros());
        Self {
            since,
            part_us: (length / n_parts).max(1),
        }
    }

    /// No later than any id that was made in it.
    pub(super) fn before_ids(self) -> Timestamp {
        self.since.minus(CLOCKS_APART)
    }
}

/// Open and dead ones, by destination and status.
pub(super) fn deliveries(stats: &mut Stats, row: &impl StoreRow) -> Result<(), StoreError> {
    const TABLE: &str = "delivery";
    let text = |name| get::<String>(row, TABLE, name);
    let (Ok(destination), Ok(status)) = (text("destination"), text("status")) else {
        return Ok(());
    };
    let destination = Arc::<str>::from(destination);
    if let Some(Time(at)) = get::<Option<Time>>(row, TABLE, "oldest_due")? {
        keep_oldest(&mut stats.oldest_due, &destination, at);
    }
    if let Some(status) = Status::parse(&status) {
        if status.is_open()
            && let Ok(oldest) = get(row, TABLE, "oldest_id")
            && let Some(at) = DeliveryId::from_uuid(oldest).made_at()
        {
            keep_oldest(&mut stats.oldest_open, &destination, at);
        }
        let n_rows = unsigned(get(row, TABLE, "n_rows")?);
        stats.deliveries.insert((destination, status), n_rows);
    }
    Ok(())
}

fn keep_oldest(oldest: &mut BTreeMap<Arc<str>, Timestamp>, destination: &Arc<str>, at: Timestamp) {
    let kept = oldest.entry(Arc::clone(destination)).or_insert(at);
    *kept = at.min(*kept);
}

/// By source and part of the time.
pub(super) fn events(stats: &mut Stats, row: &impl StoreRow) -> Result<(), StoreError> {
    const TABLE: &str = "event";
    let Ok(source) = get::<String>(row, TABLE, "source") else {
        return Ok(());
    };
    let source = Arc::<str>::from(source);
    let Time(last_at) = get(row, TABLE, "last_at")?;
    let last = stats.last_event.entry(Arc::clone(&source)).or_insert(last_at);
    *last = last_at.max(*last);
    add(stats.recent_events.entry(source).or_default(), row, TABLE)
}

/// By source, cause and part of the time.
pub(super) fn rejected(stats: &mut Stats, row: &impl StoreRow) -> Result<(), StoreError> {
    const TABLE: &str = "rejected_request";
    let source = get::<String>(row, TABLE, "source")?.into();
    let cause = get(row, TABLE, "cause")?;
    add(
        stats.recent_rejected.entry((source, cause)).or_default(),
        row,
        TABLE,
    )
}

/// Made in that time: by destination, by what became of them, and by part of the time.
pub(super) fn made(stats: &mut Stats, row: &impl StoreRow) -> Result<(), StoreError> {
    const TABLE: &str = "delivery";
    let text = |name| get::<String>(row, TABLE, name);
    let (Ok(destination), Ok(status)) = (text("destination"), text("status")) else {
        return Ok(());
    };
    let made = stats.recent_deliveries.entry(destination.into()).or_default();
    let series = match Status::parse(&status) {
        Some(Status::Delivered) => &mut made.delivered,
        Some(Status::Dead) => &mut made.dead,
        Some(it) if it.is_open() => &mut made.open,
        _ => return Ok(()),
    };
    add(series, row, TABLE)
}

fn add(series: &mut Series, row: &impl StoreRow, table: &'static str) -> Result<(), StoreError> {
    let part = unsigned(get(row, table, "part")?);
    let n_rows = unsigned(get(row, table, "n_rows")?);
    series.add(usize::try_from(part).unwrap_or(usize::MAX), n_rows);
    Ok(())
}
