//! Bulk work, and what it looks at.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    base::ids::{DeliveryId, JobId},
    event::delivery::Status,
    store::{
        error::StoreError,
        job::{
            self, DeliveryTally, EventTally, FoundDelivery, Job, Look, OriginalTally, Pace, Reach, State,
            Target,
        },
        value::{Time, unsigned},
    },
};

use super::{StoreRow, get, parsed};

pub(in crate::store) fn job(row: &impl StoreRow) -> Result<Job, StoreError> {
    const TABLE: &str = "job";
    let number = |name| Ok::<u64, StoreError>(unsigned(get(row, TABLE, name)?));
    let per_second: Option<i32> = get(row, TABLE, "per_second")?;
    let (action, config) = parsed(row, TABLE, "action", job::parse_stored_action)?;
    Ok(Job {
        id: JobId::from_uuid(get(row, TABLE, "id")?),
        action,
        config,
        state: parsed(row, TABLE, "state", State::parse)?,
        filter: parsed(row, TABLE, "filter", |text| serde_json::from_str(text).ok())?,
        target: Target {
            route: get(row, TABLE, "to_route")?,
            destination: get(row, TABLE, "to_destination")?,
            url: get(row, TABLE, "to_url")?,
        },
        per_second: per_second.and_then(|it| u32::try_from(it).ok()),
        made_by: get(row, TABLE, "made_by")?,
        reason: get(row, TABLE, "reason")?,
        reach: Reach {
            after: get(row, TABLE, "cursor")?,
            last: get(row, TABLE, "last")?,
        },
        n_planned: number("n_planned")?,
        n_matched: number("n_matched")?,
        n_changed: number("n_changed")?,
        n_skipped: number("n_skipped")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
        ended_at: get::<Option<Time>>(row, TABLE, "ended_at")?.map(|it| it.0),
    })
}

pub(in crate::store) fn found_delivery(row: &impl StoreRow) -> Result<FoundDelivery, StoreError> {
    const TABLE: &str = "delivery";
    Ok(FoundDelivery {
        id: DeliveryId::from_uuid(get(row, TABLE, "id")?),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        status: parsed(row, TABLE, "status", Status::parse_stored)?,
    })
}

pub(in crate::store) fn delivery_tally(row: &impl StoreRow) -> Result<DeliveryTally, StoreError> {
    const TABLE: &str = "delivery";
    Ok(DeliveryTally {
        route: get::<String>(row, TABLE, "route")?.into(),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        status: parsed(row, TABLE, "status", Status::parse_stored)?,
        n_deliveries: unsigned(get(row, TABLE, "n_deliveries")?),
    })
}

pub(in crate::store) fn event_tally(row: &impl StoreRow) -> Result<EventTally, StoreError> {
    const TABLE: &str = "event";
    Ok(EventTally {
        source: get::<String>(row, TABLE, "source")?.into(),
        event_type: get(row, TABLE, "type")?,
        n_events: unsigned(get(row, TABLE, "n_events")?),
    })
}

pub(in crate::store) fn original_tally(row: &impl StoreRow) -> Result<OriginalTally, StoreError> {
    const TABLE: &str = "delivery";
    let n_events = unsigned(get(row, TABLE, "n_events")?);
    Ok(match get::<Option<i32>>(row, TABLE, "is_kept")? {
        None => OriginalTally::Nowhere(n_events),
        Some(0) => OriginalTally::NotKept(n_events),
        Some(_) => OriginalTally::Went {
            route: get::<String>(row, TABLE, "route")?.into(),
            destination: get::<String>(row, TABLE, "destination")?.into(),
            n_events,
        },
    })
}

pub(in crate::store) fn pace(row: &impl StoreRow) -> Result<Pace, StoreError> {
    const TABLE: &str = "attempt";
    Ok(Pace {
        destination: get::<String>(row, TABLE, "destination")?.into(),
        duration: Duration::from_micros(unsigned(get(row, TABLE, "duration_us")?)),
        n_attempts: unsigned(get(row, TABLE, "n_attempts")?),
    })
}

/// What a look brought. Rows that cannot be read are counted and logged: one of them must not stop a job.
///
/// `edge`: the last row that was looked at, where there are more behind it.
pub(in crate::store) fn look<R: StoreRow, T>(
    rows: &[R],
    n_wanted: u32,
    edge: Option<Uuid>,
    read: impl Fn(&R) -> Result<T, StoreError>,
) -> Result<Look<T>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    let mut n_damaged = 0;
    for row in rows {
        match read(row) {
            Ok(it) => found.push(it),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::warn!("a job leaves out a row: {error}");
                n_damaged += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let is_full = rows.len() >= n_wanted as usize;
    let next = match rows.last() {
        Some(last) if is_full => Some(get(last, "look", "id")?),
        _ => edge,
    };
    Ok(Look {
        found,
        n_damaged,
        next,
    })
}
