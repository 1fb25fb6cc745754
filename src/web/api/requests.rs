//! `/v1/requests`: what was rejected, and accepting it after all.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{clock::Timestamp, ids::RequestId},
    ingest::reaccept::Reaccepted,
    store::{
        error::StoreError,
        query::{MAX_LIMIT, RequestQuery, RequestSummary},
        window::Patience,
    },
    web::{
        api::{
            lists,
            shape::{PageJson, RequestDetailJson, RequestJson},
            texts::{LimitNumber, RequestIdText, TimeText},
        },
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params, parse_id},
        state::{Admin, AdminState},
        trail::Note,
        view::View,
    },
};

/// The result of one that is an event now.
const ACCEPTED: &str = "accepted";
/// How long one call goes on with all that a filter finds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it looks for the next page of them.
const LOOK: Patience = Patience {
    n_rows: 20_000,
    time: Duration::from_millis(500),
};
/// Of those that stay refused, so many are told of one by one.
const SHOWN: usize = 50;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(accept))
}

/// Lists rejected requests, newest first.
#[utoipa::path(get, path = "/v1/requests", tag = "requests", operation_id = "list_requests",
    params(
        ("source" = Option<String>, Query, description = "To this source"),
        ("cause" = Option<String>, Query, description = "Rejected for this cause"),
        ("after" = inline(Option<TimeText>), Query, description = "Received at or after this time (RFC 3339)"),
        ("before" = inline(Option<TimeText>), Query, description = "Received before this time (RFC 3339)"),
        ("q" = Option<String>, Query, description = "Part of the explanation"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = inline(Option<RequestIdText>), Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<RequestJson>), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    params: Params,
) -> Result<Json<PageJson<RequestJson>>, Problem> {
    let query = lists::requests(params)?;
    let page = state.0.store.requests(&query).await?;
    let shown = |it: &RequestSummary| RequestJson::new(it, &View::new(&state.0, &caller, &it.source));
    Ok(Json(PageJson::new(page, shown)))
}

/// One rejected request with its body, where that was kept.
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "requests", operation_id = "get_request",
    params(("id" = inline(RequestIdText), Path, description = "The request's id")),
    responses((status = 200, body = RequestDetailJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<RequestId>,
) -> Result<Json<RequestDetailJson>, Problem> {
    let request = state.0.store.request(id).await?;
    let view = View::new(&state.0, &caller, &request.source);
    Ok(Json(RequestDetailJson::new(&request, &view)))
}

/// Which rejected requests to verify again: either `ids`, or all that the filter finds, a page at a time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    #[schema(value_type = Option<Vec<RequestIdText>>, max_items = 200)]
    ids: Option<Vec<String>>,
    source: Option<String>,
    cause: Option<String>,
    #[schema(value_type = Option<TimeText>)]
    after: Option<String>,
    #[schema(value_type = Option<TimeText>)]
    before: Option<String>,
    /// Part of the explanation.
    q: Option<String>,
    #[schema(value_type = Option<LimitNumber>)]
    limit: Option<u32>,
    #[schema(value_type = Option<RequestIdText>)]
    cursor: Option<String>,
}

/// What became of each request.
#[derive(Debug, Serialize, ToSchema)]
struct AcceptedJson {
    data: Vec<ReacceptedJson>,
    /// The `cursor` that continues the filter; null if nothing is left.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReacceptedJson {
    pub(crate) id: String,
    /// `accepted`, `duplicate`, `conflict` (the event is there with another body), `already_accepted`,
    /// `still_rejected`, `handshake` (no event is in it), `no_body`, `no_such_source` or `not_found`.
    pub(crate) result: &'static str,
    /// The event that it is, where it is one.
    pub(crate) event_id: Option<String>,
    /// Why it is still rejected.
    cause: Option<&'static str>,
    pub(crate) explanation: Option<String>,
}

/// Verifies rejected requests again with today's secrets, and stores and delivers those that pass.
#[utoipa::path(post, path = "/v1/requests/accept", tag = "requests", operation_id = "accept_requests",
    request_body = Accept,
    responses((status = 200, body = AcceptedJson), (status = 400, body = ProblemJson<'_>)))]
async fn accept(State(state): State<AdminState>, Input(wanted): Input<Accept>) -> Result<Response, Problem> {
    let (ids, next) = match chosen(&wanted)? {
        Chosen::Ids(ids) => (ids, None),
        Chosen::Filter(query) => {
            let page = state.0.store.requests(&query).await?;
            let fit = page.rows.iter().filter(|it| it.accepted_as.is_none());
            (fit.map(|it| it.id).collect(), page.next.map(|it| it.to_string()))
        }
    };
    let data = accept_ids(&state.0, ids).await?;
    Ok(note(&data).on(Json(AcceptedJson { data, next }).into_response()))
}

pub(crate) fn note(data: &[ReacceptedJson]) -> Note {
    let n_accepted = data.iter().filter(|it| it.result == ACCEPTED).count();
    Note {
        detail: Some(format!("{n_accepted} of {} accepted", data.len())),
        ..Note::default()
    }
}

/// Each in turn; what became of them, in their order.
pub(crate) async fn accept_ids(state: &Admin, ids: Vec<RequestId>) -> Result<Vec<ReacceptedJson>, Problem> {
    let mut data = Vec::with_capacity(ids.len());
    for id in ids {
        data.push(match state.ingest.accept_rejected(id).await {
            Ok(it) => became(id, it),
            Err(StoreError::NotFound { .. }) => ReacceptedJson::new(id, "not_found"),
            // What was accepted stays accepted, and a second call continues from there.
            Err(err) => return Err(err.into()),
        });
    }
    let n_accepted = data.iter().filter(|it| it.result == ACCEPTED).count();
    if n_accepted > 0 {
        state.wake.now();
        tracing::info!(
            n_accepted,
            "{n_accepted} rejected requests are accepted by an operator"
        );
    }
    Ok(data)
}

/// What became of all that a filter found.
#[derive(Debug, Default)]
pub(crate) struct AcceptedAll {
    /// By what became of them: the `result` of each, and how many.
    pub(crate) results: BTreeMap<&'static str, u64>,
    /// The first of those that were not accepted.
    pub(crate) refused: Vec<ReacceptedJson>,
    /// Where to go on: it took too long for one answer.
    pub(crate) next: Option<RequestId>,
}

impl AcceptedAll {
    pub(crate) fn n_accepted(&self) -> u64 {
        self.results.get(ACCEPTED).copied().unwrap_or(0)
    }

    pub(crate) fn n_tried(&self) -> u64 {
        self.results.values().sum()
    }
}

/// A page of them after the other, the newest first, from the query's cursor on, for as long as whoever asked may wait.
pub(crate) async fn accept_all(state: &Admin, mut query: RequestQuery) -> Result<AcceptedAll, Problem> {
    let began = Instant::now();
    let mut res = AcceptedAll::default();
    query.limit = MAX_LIMIT;
    query.patience = Some(LOOK);
    loop {
        let page = state.store.requests(&query).await?;
        let fit = page
            .rows
            .iter()
            .filter(|it| it.has_body && it.accepted_as.is_none());
        for it in accept_ids(state, fit.map(|it| it.id).collect()).await? {
            *res.results.entry(it.result).or_default() += 1;
            if it.result != ACCEPTED && res.refused.len() < SHOWN {
                res.refused.push(it);
            }
        }
        res.next = page.next;
        if res.next.is_none() || began.elapsed() > PATIENCE {
            return Ok(res);
        }
        query.cursor = page.next;
    }
}

enum Chosen {
    Ids(Vec<RequestId>),
    Filter(RequestQuery),
}

fn chosen(wanted: &Accept) -> Result<Chosen, Problem> {
    let has_filter = [
        &wanted.source,
        &wanted.cause,
        &wanted.after,
        &wanted.before,
        &wanted.q,
    ]
    .iter()
    .any(|it| it.is_some());
    let most = MAX_LIMIT as usize;
    // What is given must make sense, also where it is not needed.
    let limit = limit(wanted.limit)?;
    let cursor = wanted.cursor.as_deref();
    let cursor = cursor.map(|it| parse_id("cursor", it)).transpose()?;
    match &wanted.ids {
        Some(_) if has_filter => Err(Problem::invalid("ids", "given without a filter", "both")),
        None if !has_filter => Err(Problem::invalid(
            "ids",
            "needed where no filter (`source`, `cause`, `after`, `before`, `q`) is given",
            "neither",
        )),
        Some(ids) if ids.len() > most => Err(Problem::invalid(
            "ids",
            "a list of at most 200",
            &format!("{} ids", ids.len()),
        )),
        Some(ids) => {
            let ids = ids.iter().map(|it| parse_id("ids", it));
            Ok(Chosen::Ids(ids.collect::<Result<_, _>>()?))
        }
        None => Ok(Chosen::Filter(RequestQuery {
            source: wanted.source.clone(),
            cause: wanted.cause.clone(),
            after: time("after", wanted.after.as_deref())?,
            before: time("before", wanted.before.as_deref())?,
            q: wanted.q.clone(),
            limit,
            cursor,
            patience: None,
        })),
    }
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse_rfc3339(text)
        .map(Some)
        .ok_or_else(|| Problem::invalid(name, "a time in RFC 3339 (`2026-01-31T12:00:00Z`)", text))
}

fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(MAX_LIMIT),
        Some(it) if (1..=MAX_LIMIT).contains(&it) => Ok(it),
        Some(it) => Err(Problem::invalid(
            "limit",
            "a whole number from 1 to 200",
            &it.to_string(),
        )),
    }
}

impl ReacceptedJson {
    fn new(id: RequestId, result: &'static str) -> Self {
        Self {
            id: id.to_string(),
            result,
            event_id: None,
            cause: None,
            explanation: None,
        }
    }
}

fn became(id: RequestId, what: Reaccepted) -> ReacceptedJson {
    let with_event = |result, event: crate::base::ids::EventId| ReacceptedJson {
        event_id: Some(event.to_string()),
        ..ReacceptedJson::new(id, result)
    };
    match what {
        Reaccepted::Accepted(event) => with_event(ACCEPTED, event),
        Reaccepted::Duplicate(event) => with_event("duplicate", event),
        Reaccepted::Conflict(event) => with_event("conflict", event),
        Reaccepted::AlreadyAccepted(event) => with_event("already_accepted", event),
        Reaccepted::StillRejected { cause, explanation } => ReacceptedJson {
            cause: Some(cause),
            explanation: Some(explanation),
            ..ReacceptedJson::new(id, "still_rejected")
        },
        Reaccepted::Handshake => ReacceptedJson::new(id, "handshake"),
        Reaccepted::NoBody => ReacceptedJson::new(id, "no_body"),
        Reaccepted::NoSuchSource => ReacceptedJson::new(id, "no_such_source"),
    }
}
