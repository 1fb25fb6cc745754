//! Events, and requests that were rejected.

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    base::ids::{EventId, RequestId},
    event::{Binding, Event, Origin, body_hash},
    store::{
        error::StoreError,
        query::{EventSummary, RequestSummary, RequestTally},
        rejected::RejectedRequest,
        value::{Time, unsigned},
    },
};

use super::{StoreRow, content_type, count, get, headers, parsed};

pub(in crate::store) fn event(row: &impl StoreRow) -> Result<Event, StoreError> {
    const TABLE: &str = "event";
    let body: Vec<u8> = get(row, TABLE, "body")?;
    // A disk may change a bit without a word: what the sender did not sign is neither delivered nor shown.
    if get::<Vec<u8>>(row, TABLE, "body_hash")? != body_hash(&body).0 {
        return Err(StoreError::Damaged {
            table: TABLE,
            reason: "column `body` does not hold what its hash says".to_owned(),
        });
    }
    Ok(Event {
        id: EventId::from_uuid(get(row, TABLE, "event_id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        external_id: get(row, TABLE, "external_id")?,
        event_type: get(row, TABLE, "type")?,
        origin: parsed(row, TABLE, "event_origin", Origin::parse)?,
        binding: parsed(row, TABLE, "verified", Binding::parse)?,
        occurred_at: get::<Option<Time>>(row, TABLE, "occurred_at")?.map(|it| it.0),
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        query: get::<Option<String>>(row, TABLE, "query")?.unwrap_or_default(),
        headers: headers(row, TABLE, "headers")?,
        body: body.into(),
    })
}

pub(in crate::store) fn event_summary(row: &impl StoreRow) -> Result<EventSummary, StoreError> {
    const TABLE: &str = "event";
    Ok(EventSummary {
        id: EventId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        external_id: get(row, TABLE, "external_id")?,
        event_type: get(row, TABLE, "type")?,
        origin: parsed(row, TABLE, "origin", Origin::parse)?,
        binding: parsed(row, TABLE, "verified", Binding::parse)?,
        occurred_at: get::<Option<Time>>(row, TABLE, "occurred_at")?.map(|it| it.0),
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        content_type: content_type(&headers(row, TABLE, "headers")?),
        size: u64::from(count(row, TABLE, "size")?),
    })
}

pub(in crate::store) fn request(row: &impl StoreRow) -> Result<RejectedRequest, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RejectedRequest {
        id: RequestId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        explanation: get(row, TABLE, "explanation")?,
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        method: get(row, TABLE, "method")?,
        target: get(row, TABLE, "target")?,
        client: get(row, TABLE, "client")?,
        headers: headers(row, TABLE, "headers")?,
        body: get::<Option<Vec<u8>>>(row, TABLE, "body")?.map(Bytes::from),
        size: unsigned(get(row, TABLE, "size")?),
        accepted_as: get::<Option<Uuid>>(row, TABLE, "accepted_as")?.map(EventId::from_uuid),
    })
}

pub(in crate::store) fn request_summary(row: &impl StoreRow) -> Result<RequestSummary, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RequestSummary {
        id: RequestId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        explanation: get(row, TABLE, "explanation")?,
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        method: get(row, TABLE, "method")?,
        target: get(row, TABLE, "target")?,
        client: get(row, TABLE, "client")?,
        headers: headers(row, TABLE, "headers")?,
        size: unsigned(get(row, TABLE, "size")?),
        has_body: get(row, TABLE, "has_body")?,
        accepted_as: get::<Option<Uuid>>(row, TABLE, "accepted_as")?.map(EventId::from_uuid),
    })
}

pub(in crate::store) fn request_tally(row: &impl StoreRow) -> Result<RequestTally, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RequestTally {
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        n_found: unsigned(get(row, TABLE, "n_found")?),
        n_acceptable: unsigned(get(row, TABLE, "n_acceptable")?),
    })
}
