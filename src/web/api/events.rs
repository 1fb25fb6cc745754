//! `/v1/events`.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::ids::EventId,
    bulk::{self, replay::NotOriginal},
    store::{
        job::{Config, Target},
        query::{DeliveryQuery, MAX_LIMIT},
        record::{NewDelivery, Start},
        search::Found,
    },
    web::{
        api::{
            job_shape::read_config,
            lists, search,
            shape::{EventJson, EventSummaryJson},
            texts::{Bytes, EventIdText, LimitNumber, ReplayConfigText, StatusText, TimeText},
        },
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params},
        state::{Admin, AdminState},
        view::View,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(get_body))
        .routes(routes!(replay))
}

/// A page of events, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct EventsJson {
    data: Vec<EventSummaryJson>,
    /// The `cursor` of the next page; null on the last one.
    next: Option<String>,
    /// Where `text` was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched: Option<SearchedJson>,
}

/// How far a search in bodies came. It looks at so many events and so many bytes at a time, and goes on from `next`: then a page may
/// also be empty.
#[derive(Debug, Serialize, ToSchema)]
struct SearchedJson {
    /// Events that were looked at. Null: the page was full before that was known.
    n_events: Option<u64>,
    /// When the oldest of them was received. Null: the filter finds none.
    back_to: Option<String>,
}

impl From<Found> for EventsJson {
    fn from(found: Found) -> Self {
        Self {
            data: found.rows.iter().map(EventSummaryJson::from).collect(),
            next: found.next.map(|it| it.to_string()),
            searched: Some(SearchedJson {
                n_events: found.n_looked_at,
                back_to: found.back_to.map(|it| it.to_string()),
            }),
        }
    }
}

/// Lists events, newest first.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "list_events",
    params(
        ("source" = Option<String>, Query, description = "Of this source"),
        ("type" = Option<String>, Query, description = "Of this type, or with a `*` at its end of all types that begin so"),
        ("status" = inline(Option<StatusText>), Query, description = "That have a delivery in this status"),
        ("destination" = Option<String>, Query, description = "That have a delivery to this destination"),
        ("after" = inline(Option<TimeText>), Query, description = "Received at or after this time (RFC 3339)"),
        ("before" = inline(Option<TimeText>), Query, description = "Received before this time (RFC 3339)"),
        ("q" = Option<String>, Query, description = "Part of the external id or of the type"),
        ("text" = Option<String>, Query, description = "That have this text in the body, byte for byte, as far as the caller is shown it; not for who is kept from bodies"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = inline(Option<EventIdText>), Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = EventsJson), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<EventsJson>, Problem> {
    let text = params.text("text")?;
    let query = lists::events(params)?;
    if let Some(text) = text {
        let found = search::search(&state.0, &caller, &query, &text).await?;
        return Ok(Json(found.into()));
    }
    let page = state.0.store.events(&query).await?;
    Ok(Json(EventsJson {
        data: page.rows.iter().map(EventSummaryJson::from).collect(),
        next: page.next.map(|it| it.to_string()),
        searched: None,
    }))
}

/// One event with its headers, body and deliveries (the newest 200).
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events", operation_id = "get_event",
    params(("id" = inline(EventIdText), Path, description = "The event's id")),
    responses((status = 200, body = EventJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Result<Json<EventJson>, Problem> {
    let event = state.0.store.event(id).await?;
    let query = DeliveryQuery {
        event_id: Some(id),
        limit: MAX_LIMIT,
        ..DeliveryQuery::default()
    };
    let deliveries = state.0.store.deliveries(&query).await?;
    let view = View::new(&state.0, &caller, &event.source);
    Ok(Json(EventJson::new(&event, &deliveries.rows, &view)))
}

/// The body of an event, byte for byte as it came, but for what the source's `redact` hides. Never as something that a browser
/// would run.
#[utoipa::path(get, path = "/v1/events/{id}/body", tag = "events", operation_id = "get_event_body",
    params(("id" = inline(EventIdText), Path, description = "The event's id")),
    responses((status = 200, description = "As text where it is UTF-8",
        content((String = "text/plain"), (Bytes = "application/octet-stream"))), (status = 403, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn get_body(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Result<Response, Problem> {
    let event = state.0.store.event(id).await?;
    let body = match View::new(&state.0, &caller, &event.source).bytes(&event.body)? {
        Cow::Borrowed(_) => event.body.clone(),
        Cow::Owned(redacted) => redacted.into(),
    };
    let content_type = if std::str::from_utf8(&body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{id}\""))
        .expect("an id is letters, digits and an underscore");
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok((headers, Body::from(body)).into_response())
}

/// Which of today's routes to replay an event to. Nothing named: all of its source that take its type.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replay {
    destination: Option<String>,
    route: Option<String>,
    /// `current` (without it): by today's routes. `original`: to where the event went when it came in, as its routes were then; a
    /// `route` or `destination` is one of those.
    #[schema(value_type = Option<ReplayConfigText>)]
    config: Option<String>,
}

/// The deliveries that a replay made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedJson {
    event_id: String,
    deliveries: Vec<NewDeliveryJson>,
}

#[derive(Debug, Serialize, ToSchema)]
struct NewDeliveryJson {
    id: String,
    route: String,
    destination: String,
    /// `pending`, or `skipped` where the route's filter refuses the event.
    status: &'static str,
}

/// Makes new deliveries from a stored event, for today's routes or as it was routed first. A route or destination of today that is
/// named takes the event whatever its types and its filter say.
#[utoipa::path(post, path = "/v1/events/{id}/replay", tag = "events", operation_id = "replay_event",
    params(("id" = inline(EventIdText), Path, description = "The event's id")),
    request_body = Replay,
    responses((status = 202, body = ReplayedJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn replay(
    State(state): State<AdminState>,
    Id(id): Id<EventId>,
    Input(wanted): Input<Replay>,
) -> Result<Response, Problem> {
    let target = Target {
        route: wanted.route,
        destination: wanted.destination,
        url: None,
    };
    let made = match read_config(wanted.config.as_deref())? {
        Config::Current => replay_now(&state.0, id, &target).await?,
        Config::Original => replay_original(&state.0, id, &target).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(made)).into_response())
}

async fn replay_original(state: &Admin, id: EventId, target: &Target) -> Result<ReplayedJson, Problem> {
    let event = state.store.event(id).await?;
    let snapshot = Arc::clone(&state.registry.current());
    match bulk::replay::originals(&state.store, &snapshot, &event, target).await {
        Ok(deliveries) => make(state, id, deliveries).await,
        Err(NotOriginal::Store(error)) => Err(error.into()),
        Err(why) => Err(Problem::conflict(why.to_string())),
    }
}

pub(crate) async fn replay_now(state: &Admin, id: EventId, target: &Target) -> Result<ReplayedJson, Problem> {
    let event = state.store.event(id).await?;
    let deliveries = bulk::replay::deliveries(&state.registry.current(), &event, target);
    if deliveries.is_empty() {
        return Err(Problem::conflict(
            "no route of today takes this event; name a `route` or a `destination` of its source",
        ));
    }
    make(state, id, deliveries).await
}

async fn make(state: &Admin, id: EventId, deliveries: Vec<NewDelivery>) -> Result<ReplayedJson, Problem> {
    let store = &state.store;
    let made = ReplayedJson {
        event_id: id.to_string(),
        deliveries: deliveries.iter().map(shown).collect(),
    };
    store.replay(id, deliveries, store.now().await?).await?;
    state.wake.now();
    tracing::info!(event.id = %id, n_deliveries = made.deliveries.len(), "event {id} is replayed by an operator");
    Ok(made)
}

fn shown(delivery: &NewDelivery) -> NewDeliveryJson {
    NewDeliveryJson {
        id: delivery.id.to_string(),
        route: delivery.route.to_string(),
        destination: delivery.destination.to_string(),
        status: match delivery.start {
            Start::Skipped(_) => "skipped",
            Start::Due { .. } | Start::Claimed(_) => "pending",
        },
    }
}
