//! Deliveries, their attempts, and what holds them.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    base::ids::{AttemptId, DeliveryId, EventId, ProgramId},
    event::{
        Origin,
        attempt::{Attempt, Trigger},
        delivery::{Delivery, Fence, Status},
    },
    store::{
        claim::{Claim, HeldBy, Hold, HoldTarget},
        error::StoreError,
        program::Program,
        value::{Time, unsigned},
    },
};

use super::{StoreRow, count, event, get, headers, parsed};

pub(in crate::store) fn delivery(row: &impl StoreRow) -> Result<Delivery, StoreError> {
    const TABLE: &str = "delivery";
    let status = parsed(row, TABLE, "status", Status::parse_stored)?;
    Ok(Delivery {
        id: DeliveryId::from_uuid(get(row, TABLE, "id")?),
        event_id: EventId::from_uuid(get(row, TABLE, "event_id")?),
        route: get::<String>(row, TABLE, "route")?.into(),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        origin: parsed(row, TABLE, "origin", Origin::parse)?,
        status,
        n_attempts: count(row, TABLE, "n_attempts")?,
        next_attempt_at: get::<Option<Time>>(row, TABLE, "due_at")?
            .filter(|_| status.is_open())
            .map(|it| it.0),
        last_error: get(row, TABLE, "last_error")?,
        cause: get(row, TABLE, "cause")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
    })
}

/// A claim from a delivery joined with its event; the row may show the delivery as it was before or after.
pub(in crate::store) fn claim(
    row: &impl StoreRow,
    fence: Fence,
    lease_until: Time,
) -> Result<Claim, StoreError> {
    let mut delivery = delivery(row)?;
    delivery.status = Status::Delivering;
    delivery.next_attempt_at = None;
    Ok(Claim {
        delivery,
        event: Arc::new(event(row)?),
        fence,
        lease_until: lease_until.0,
        program: get::<Option<Uuid>>(row, "delivery", "program_id")?.map(ProgramId::from_uuid),
        is_retry: get(row, "delivery", "is_retry")?,
        is_manual: get(row, "delivery", "is_manual")?,
        is_stale: get(row, "delivery", "is_stale")?,
    })
}

/// `None`: nothing was made of events.
pub(in crate::store) fn program(row: &impl StoreRow) -> Result<Option<Program>, StoreError> {
    const TABLE: &str = "program";
    let (name, code) = (get(row, TABLE, "name")?, get(row, TABLE, "code")?);
    Ok(Option::zip(name, code).map(|(name, code)| Program { name, code }))
}

pub(in crate::store) fn attempt(row: &impl StoreRow) -> Result<Attempt, StoreError> {
    const TABLE: &str = "attempt";
    let status_code: Option<i32> = get(row, TABLE, "status_code")?;
    Ok(Attempt {
        id: AttemptId::from_uuid(get(row, TABLE, "id")?),
        number: count(row, TABLE, "number")?,
        started_at: get::<Time>(row, TABLE, "started_at")?.0,
        duration: Duration::from_micros(unsigned(get(row, TABLE, "duration_us")?)),
        trigger: parsed(row, TABLE, "trigger", Trigger::parse)?,
        status_code: status_code.and_then(|it| u16::try_from(it).ok()),
        error: get(row, TABLE, "error")?,
        response_headers: headers(row, TABLE, "response_headers")?,
        response_body: get::<Vec<u8>>(row, TABLE, "response_body")?.into(),
    })
}

fn hold(row: &impl StoreRow) -> Result<Hold, StoreError> {
    const TABLE: &str = "hold";
    let name: String = get(row, TABLE, "name")?;
    Ok(Hold {
        target: parsed(row, TABLE, "kind", |kind| match kind {
            "route" => Some(HoldTarget::Route(name.as_str().into())),
            "destination" => Some(HoldTarget::Destination(name.as_str().into())),
            _ => None,
        })?,
        held_by: parsed(row, TABLE, "held_by", HeldBy::parse)?,
        reason: get(row, TABLE, "reason")?,
        since: get::<Time>(row, TABLE, "since")?.0,
    })
}

/// All but those of a kind that only a newer version knows, and that it minds itself.
pub(in crate::store) fn holds<R: StoreRow>(rows: &[R]) -> Result<Vec<Hold>, StoreError> {
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        match hold(row) {
            Ok(it) => holds.push(it),
            Err(error @ StoreError::Damaged { .. }) => tracing::warn!("a hold is left out: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(holds)
}

/// A hold's two columns.
pub(in crate::store) fn target_columns(target: &HoldTarget) -> (&'static str, &str) {
    match target {
        HoldTarget::Route(name) => ("route", name),
        HoldTarget::Destination(name) => ("destination", name),
    }
}
