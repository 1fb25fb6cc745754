//! `/v1/jobs`: bulk work, planned first.

use axum::{
    extract::State as Extract,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{clock::Timestamp, ids::JobId, safe_url::SafeUrl},
    bulk::{
        plan::{self, Plan, Skipped, Speed, Way},
        request::{self, Request},
    },
    event::delivery::Status,
    store::job::{Action, Filter, Job, JobQuery, NewJob, State, Target},
    web::{
        api::shape::PageJson,
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params, parse_id},
        state::AdminState,
        trail::Note,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(plan))
        .routes(routes!(get))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(cancel))
}

/// Bulk work: what to do, with which deliveries (of a replay: events), and where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct JobInput {
    /// `retry`: the same deliveries again. `replay`: new deliveries of stored events. `cancel`: gives open deliveries up.
    action: String,
    #[serde(default)]
    filter: FilterJson,
    /// Of a replay, where to. Nothing named: all of today's routes that take an event.
    #[serde(default)]
    to: TargetJson,
    /// At most so many deliveries (of a replay: events) a second. Absent: as fast as the destinations take them.
    rate: Option<u32>,
    /// Why; kept with the job.
    reason: Option<String>,
}

/// The conditions of the lists. All that are given must hold; without any, everything is found.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FilterJson {
    /// Of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Of this type, or with a `*` at its end of all types that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    /// Deliveries of this event.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// Deliveries of this route.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// Deliveries to this destination; of a replay, events that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    /// Deliveries in this status (a retry without it takes `dead`, a cancel all open ones); of a replay, events that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// Deliveries skipped for this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// Deliveries made, or events received, at or after this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Before this time (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// Part of the external id or of the type; of deliveries also of the last error.
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
}

/// Where a replay goes. A route or destination that is named takes an event whatever its types and its filter say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct TargetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    /// In place of that `destination`'s own: with its timeout, rate, retries and signing secret, without its headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What bulk work would do.
#[derive(Debug, Serialize, ToSchema)]
struct PlanJson {
    action: &'static str,
    filter: FilterJson,
    to: TargetJson,
    rate: Option<u32>,
    /// Of a replay: the events that the filter finds.
    n_events: Option<u64>,
    /// Deliveries that would be tried again, made, or given up.
    n_deliveries: u64,
    /// False: there is more than could be counted in a few seconds.
    complete: bool,
    /// Where they go.
    ways: Vec<WayJson>,
    /// What is found and would be left out.
    skipped: Vec<SkippedJson>,
    /// How long it takes: the slowest destination's share, or what the rate makes of it. Null where that is not known.
    seconds: Option<f64>,
}

/// Deliveries by one route to one destination.
#[derive(Debug, Serialize, ToSchema)]
struct WayJson {
    route: String,
    destination: String,
    n_deliveries: u64,
    /// Deliveries a second that the destination takes from one process, if that is known.
    per_second: Option<f64>,
    /// `configured` (its `rate`), or `measured`: its concurrency and how long the last attempts took.
    per_second_from: Option<&'static str>,
    /// What to know before saying yes.
    remarks: Vec<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SkippedJson {
    /// `no_route`.
    cause: &'static str,
    reason: String,
    n: u64,
}

/// Bulk work that was asked for.
#[derive(Debug, Serialize, ToSchema)]
struct JobJson {
    id: String,
    action: &'static str,
    /// `running`, `paused`, `cancelled` or `done`.
    state: &'static str,
    filter: FilterJson,
    to: TargetJson,
    rate: Option<u32>,
    /// The name of the token that asked for it.
    made_by: String,
    reason: Option<String>,
    /// What the plan counted: deliveries, or the events of a replay.
    n_planned: u64,
    /// Found and worked off so far.
    n_matched: u64,
    /// Deliveries that were tried again, made, or given up.
    n_changed: u64,
    /// Of what was found, those with which nothing was to be done.
    n_skipped: u64,
    created_at: String,
    ended_at: Option<String>,
}

/// Says what a job would do. Does and stores nothing.
#[utoipa::path(post, path = "/v1/jobs/plan", tag = "jobs", operation_id = "plan_job",
    request_body = JobInput,
    responses((status = 200, body = PlanJson), (status = 400, body = ProblemJson<'_>)))]
async fn plan(
    Extract(state): Extract<AdminState>,
    Input(input): Input<JobInput>,
) -> Result<Json<PlanJson>, Problem> {
    let (request, plan) = planned(&state, input).await?;
    Ok(Json(PlanJson::new(&request, &plan)))
}

/// Makes a job, which begins at once. What comes in after this is not its.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", operation_id = "create_job",
    request_body = JobInput,
    responses((status = 201, body = JobJson), (status = 400, body = ProblemJson<'_>)))]
async fn create(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Input(input): Input<JobInput>,
) -> Result<Response, Problem> {
    let (request, plan) = planned(&state, input).await?;
    let new = NewJob {
        n_planned: plan.n_events.unwrap_or(plan.n_deliveries),
        action: request.action,
        filter: request.filter,
        target: request.target,
        per_second: request.per_second,
        made_by: caller.name.to_string(),
        reason: request.reason,
    };
    let store = &state.0.store;
    let job = store.create_job(new, store.now().await?).await?;
    tracing::info!(
        job.id = %job.id,
        made_by = %job.made_by,
        n_planned = job.n_planned,
        "job {} ({}) is made by `{}`", job.id, job.action.as_str(), job.made_by
    );
    let note = Note {
        target: Some(job.id.to_string()),
        detail: Some(format!("{}, {} planned", job.action.as_str(), job.n_planned)),
        ..Note::default()
    };
    Ok(note.on((StatusCode::CREATED, Json(JobJson::from(&job))).into_response()))
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", operation_id = "list_jobs",
    params(
        ("state" = Option<String>, Query, description = "In this state: `running`, `paused`, `cancelled` or `done`"),
        ("limit" = Option<u32>, Query, description = "1 to 200; 50 where absent"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<JobJson>), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    Extract(state): Extract<AdminState>,
    mut params: Params,
) -> Result<Json<PageJson<JobJson>>, Problem> {
    let states = State::ALL.map(State::as_str).join(", ");
    let query = JobQuery {
        state: params.parsed("state", &format!("one of {states}"), State::parse)?,
        has_url: false,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
    };
    params.finish()?;
    let page = state.0.store.jobs(&query).await?;
    Ok(Json(PageJson::from_page(page)))
}

/// One job, and how far it is.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(Extract(state): Extract<AdminState>, Id(id): Id<JobId>) -> Result<Json<JobJson>, Problem> {
    Ok(Json(JobJson::from(&state.0.store.job(id).await?)))
}

/// Pauses a job: no step of it begins after the answer.
#[utoipa::path(post, path = "/v1/jobs/{id}/pause", tag = "jobs", operation_id = "pause_job",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn pause(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Json<JobJson>, Problem> {
    move_to(&state, &caller, id, State::Paused).await
}

/// Lets a paused job go on where it stood.
#[utoipa::path(post, path = "/v1/jobs/{id}/resume", tag = "jobs", operation_id = "resume_job",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn resume(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Json<JobJson>, Problem> {
    move_to(&state, &caller, id, State::Running).await
}

/// Ends a job where it stands: no step of it begins after the answer. What it did stays done.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn cancel(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Json<JobJson>, Problem> {
    move_to(&state, &caller, id, State::Cancelled).await
}

async fn move_to(
    state: &AdminState,
    caller: &Caller,
    id: JobId,
    to: State,
) -> Result<Json<JobJson>, Problem> {
    let store = &state.0.store;
    let job = store.move_job(id, to, store.now().await?).await?;
    tracing::info!(job.id = %id, by = %caller.name, "job {id} is {} by `{}`", to.as_str(), caller.name);
    Ok(Json(JobJson::from(&job)))
}

async fn planned(state: &AdminState, input: JobInput) -> Result<(Request, Plan), Problem> {
    let snapshot = std::sync::Arc::clone(&state.0.registry.current());
    let request = read(input)?.checked(&snapshot, state.0.reach)?;
    let plan = plan::plan(&state.0.store, &snapshot, &request).await?;
    Ok((request, plan))
}

/// The filter of a list of events.
pub(crate) fn event_filter(filter: FilterJson) -> Result<Filter, Problem> {
    let filter = read_filter(filter)?;
    let others = [&filter.event_id, &filter.route, &filter.cause];
    if let Some(found) = others.into_iter().flatten().next() {
        let expected = "one of events: `event_id`, `route` and `cause` are conditions of deliveries";
        return Err(Problem::invalid("filter", expected, found));
    }
    Ok(filter)
}

fn read(input: JobInput) -> Result<Request, Problem> {
    let actions = Action::ALL.map(Action::as_str).join(", ");
    let action = Action::parse(&input.action)
        .ok_or_else(|| Problem::invalid("action", &format!("one of {actions}"), &input.action))?;
    Ok(Request {
        action,
        filter: read_filter(input.filter)?,
        target: Target {
            route: input.to.route,
            destination: input.to.destination,
            url: input.to.url,
        },
        per_second: input.rate,
        reason: input.reason.filter(|it| !it.trim().is_empty()),
    })
}

fn read_filter(filter: FilterJson) -> Result<Filter, Problem> {
    if let Some(status) = &filter.status
        && Status::parse(status).is_none()
    {
        let all = Status::ALL.map(Status::as_str).join(", ");
        return Err(Problem::invalid("status", &format!("one of {all}"), status));
    }
    if let Some(id) = &filter.event_id {
        parse_id::<crate::base::ids::EventId>("event_id", id)?;
    }
    Ok(Filter {
        after: time("after", filter.after.as_deref())?,
        before: time("before", filter.before.as_deref())?,
        source: filter.source,
        event_type: filter.r#type,
        event_id: filter.event_id,
        route: filter.route,
        destination: filter.destination,
        status: filter.status,
        cause: filter.cause,
        q: filter.q,
    })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<i64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    Timestamp::parse_rfc3339(text)
        .map(|it| Some(it.as_micros()))
        .ok_or_else(|| Problem::invalid(name, "a time in RFC 3339 (`2026-01-31T12:00:00Z`)", text))
}

impl From<request::Fault> for Problem {
    fn from(fault: request::Fault) -> Self {
        Self::invalid(fault.field, &fault.expected, &fault.found)
    }
}

impl From<&Filter> for FilterJson {
    fn from(filter: &Filter) -> Self {
        let time = |it: Option<i64>| it.map(|it| Timestamp::from_micros(it).to_string());
        Self {
            source: filter.source.clone(),
            r#type: filter.event_type.clone(),
            event_id: filter.event_id.clone(),
            route: filter.route.clone(),
            destination: filter.destination.clone(),
            status: filter.status.clone(),
            cause: filter.cause.clone(),
            after: time(filter.after),
            before: time(filter.before),
            q: filter.q.clone(),
        }
    }
}

impl From<&Target> for TargetJson {
    fn from(target: &Target) -> Self {
        Self {
            route: target.route.clone(),
            destination: target.destination.clone(),
            url: target.url.as_deref().map(|it| {
                let url = Url::parse(it).map(SafeUrl::new);
                url.map_or_else(|_| "?".to_owned(), |it| it.to_string())
            }),
        }
    }
}

impl From<&Job> for JobJson {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.to_string(),
            action: job.action.as_str(),
            state: job.state.as_str(),
            filter: FilterJson::from(&job.filter),
            to: TargetJson::from(&job.target),
            rate: job.per_second,
            made_by: job.made_by.clone(),
            reason: job.reason.clone(),
            n_planned: job.n_planned,
            n_matched: job.n_matched,
            n_changed: job.n_changed,
            n_skipped: job.n_skipped,
            created_at: job.created_at.to_string(),
            ended_at: job.ended_at.map(|it| it.to_string()),
        }
    }
}

impl PlanJson {
    fn new(request: &Request, plan: &Plan) -> Self {
        Self {
            action: request.action.as_str(),
            filter: FilterJson::from(&request.filter),
            to: TargetJson::from(&request.target),
            rate: request.per_second,
            n_events: plan.n_events,
            n_deliveries: plan.n_deliveries,
            complete: plan.is_whole,
            ways: plan.ways.iter().map(WayJson::from).collect(),
            skipped: plan.skipped.iter().map(SkippedJson::from).collect(),
            seconds: plan.takes.map(|it| rounded(it.as_secs_f64())),
        }
    }
}

impl From<&Way> for WayJson {
    fn from(way: &Way) -> Self {
        Self {
            route: way.route.to_string(),
            destination: way.destination.to_string(),
            n_deliveries: way.n_deliveries,
            per_second: way.per_second.map(|it| rounded(it.per_second())),
            per_second_from: way.per_second.map(|it| match it {
                Speed::Configured(_) => "configured",
                Speed::Measured(_) => "measured",
            }),
            remarks: way.remarks.clone(),
        }
    }
}

impl From<&Skipped> for SkippedJson {
    fn from(skipped: &Skipped) -> Self {
        Self {
            cause: skipped.cause,
            reason: skipped.reason.clone(),
            n: skipped.n,
        }
    }
}

/// An estimate says no more than a tenth.
fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
