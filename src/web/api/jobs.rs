//! `/v1/jobs`: bulk work, planned first.

use std::sync::Arc;

use axum::{
    extract::State as Extract,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::ids::JobId,
    bulk::{
        plan::{self, Plan},
        request::Request,
    },
    store::{
        job::{Config, Job, JobQuery, NewJob, State},
        window::Patience,
    },
    web::{
        api::{
            job_shape::{self, JobInput, JobJson, PlanJson},
            shape::PageJson,
            texts::{JobIdText, JobStateText, LimitNumber},
        },
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params},
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

/// Says what a job would do. Does and stores nothing.
#[utoipa::path(post, path = "/v1/jobs/plan", tag = "jobs", operation_id = "plan_job",
    request_body = JobInput,
    responses((status = 200, body = PlanJson), (status = 400, body = ProblemJson<'_>)))]
async fn plan(
    Extract(state): Extract<AdminState>,
    Input(input): Input<JobInput>,
) -> Result<Json<PlanJson>, Problem> {
    let (request, plan) = planned(&state, input, plan::WHOLE).await?;
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
    let job = create_now(&state, &caller, input).await?;
    let made = (StatusCode::CREATED, Json(JobJson::from(&job))).into_response();
    Ok(note(&job).on(made))
}

pub(crate) fn note(job: &Job) -> Note {
    Note {
        target: Some(job.id.to_string()),
        detail: Some(format!("{}, {} planned", what(job), job.n_planned)),
        ..Note::default()
    }
}

fn what(job: &Job) -> &'static str {
    match job.config {
        Config::Current => job.action.as_str(),
        Config::Original => "replay by the config of then",
    }
}

pub(crate) async fn create_now(state: &AdminState, caller: &Caller, input: JobInput) -> Result<Job, Problem> {
    let (request, plan) = planned(state, input, plan::WHOLE).await?;
    let new = NewJob {
        n_planned: plan.n_events.unwrap_or(plan.n_deliveries),
        action: request.action,
        config: request.config,
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
        "job {} ({}) is made by `{}`", job.id, what(&job), job.made_by
    );
    Ok(job)
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", operation_id = "list_jobs",
    params(
        ("state" = inline(Option<JobStateText>), Query, description = "In this state: `running`, `paused`, `cancelled` or `done`"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = inline(Option<JobIdText>), Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<JobJson>), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    Extract(state): Extract<AdminState>,
    params: Params,
) -> Result<Json<PageJson<JobJson>>, Problem> {
    let page = state.0.store.jobs(&list_query(params)?).await?;
    Ok(Json(PageJson::from_page(page)))
}

pub(crate) fn list_query(mut params: Params) -> Result<JobQuery, Problem> {
    let states = State::ALL.map(State::as_str).join(", ");
    let query = JobQuery {
        state: params.parsed("state", &format!("one of {states}"), State::parse)?,
        has_url: false,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
    };
    params.finish()?;
    Ok(query)
}

/// One job, and how far it is.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = inline(JobIdText), Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(Extract(state): Extract<AdminState>, Id(id): Id<JobId>) -> Result<Json<JobJson>, Problem> {
    Ok(Json(JobJson::from(&state.0.store.job(id).await?)))
}

/// Pauses a job: no step of it begins after the answer.
#[utoipa::path(post, path = "/v1/jobs/{id}/pause", tag = "jobs", operation_id = "pause_job",
    params(("id" = inline(JobIdText), Path, description = "The job's id")),
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
    params(("id" = inline(JobIdText), Path, description = "The job's id")),
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
    params(("id" = inline(JobIdText), Path, description = "The job's id")),
    responses((status = 200, body = JobJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn cancel(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Json<JobJson>, Problem> {
    move_to(&state, &caller, id, State::Cancelled).await
}

pub(crate) async fn move_to(
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

pub(crate) async fn planned(
    state: &AdminState,
    input: JobInput,
    patience: Patience,
) -> Result<(Request, Plan), Problem> {
    let snapshot = Arc::clone(&state.0.registry.current());
    let request = job_shape::read(input)?.checked(&snapshot, state.0.reach)?;
    let plan = plan::plan(&state.0.store, &snapshot, &request, patience).await?;
    Ok((request, plan))
}
