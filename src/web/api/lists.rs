//! What the lists of the admin side take: the parameters of a query, read to the store's own questions.

use crate::{
    event::delivery::Status,
    store::query::{DeliveryQuery, EventQuery, RequestQuery},
    web::{error::Problem, extract::Params},
};

pub fn events(mut params: Params) -> Result<EventQuery, Problem> {
    let query = EventQuery {
        source: params.text("source")?,
        event_type: params.text("type")?,
        after: params.time("after")?,
        before: params.time("before")?,
        status: status(&mut params)?,
        destination: params.text("destination")?,
        q: params.text("q")?,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
        patience: None,
    };
    params.finish()?;
    Ok(query)
}

pub fn deliveries(mut params: Params) -> Result<DeliveryQuery, Problem> {
    let query = DeliveryQuery {
        source: params.text("source")?,
        event_type: params.text("type")?,
        event_id: params.id("event_id")?,
        route: params.text("route")?,
        destination: params.text("destination")?,
        status: status(&mut params)?,
        cause: params.text("cause")?,
        after: params.time("after")?,
        before: params.time("before")?,
        q: params.text("q")?,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
        patience: None,
    };
    params.finish()?;
    Ok(query)
}

pub fn requests(mut params: Params) -> Result<RequestQuery, Problem> {
    let query = RequestQuery {
        source: params.text("source")?,
        cause: params.text("cause")?,
        after: params.time("after")?,
        before: params.time("before")?,
        q: params.text("q")?,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
        patience: None,
    };
    params.finish()?;
    Ok(query)
}

fn status(params: &mut Params) -> Result<Option<Status>, Problem> {
    let all = Status::ALL.map(Status::as_str).join(", ");
    params.parsed("status", &format!("one of {all}"), Status::parse)
}
