//! `/jobs`: bulk work, planned first.

use askama::Template;
use axum::{
    extract::State as Extract,
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    base::ids::JobId,
    bulk::plan,
    store::job::State,
    web::{
        api::{
            job_shape::{FilterJson, JobInput, JobJson, PlanJson},
            jobs,
        },
        auth::Caller,
        dashboard::{
            frame::{self, Answer, Frame, Page, Section},
            query::{Pager, Query},
            text,
        },
        error::Problem,
        extract::{Form, Id, Params},
        state::AdminState,
    },
};

#[derive(Debug, Template)]
#[template(path = "jobs.html")]
pub(super) struct JobsPage {
    frame: Frame,
    rows: Vec<JobJson>,
    pager: Pager,
}

pub(super) async fn list(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<JobsPage> {
    let page = state.0.store.jobs(&jobs::list_query(query.params())?).await?;
    Ok(Page(JobsPage {
        frame: Frame::new(caller, Section::Jobs, "Jobs").fresh_every(3),
        rows: page.rows.iter().map(JobJson::from).collect(),
        pager: query.pager(page.next),
    }))
}

#[derive(Debug, Template)]
#[template(path = "job.html")]
pub(super) struct JobPage {
    frame: Frame,
    conditions: Vec<(&'static str, String)>,
    is_paused: bool,
    /// What the bar is full at: a job may find more than was planned.
    most: u64,
    it: JobJson,
}

pub(super) async fn show(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    query: Query,
    Id(id): Id<JobId>,
) -> Answer<JobPage> {
    let job = state.0.store.job(id).await?;
    let it = JobJson::from(&job);
    let said = query.get("said");
    let is_over = job.ended_at.is_some();
    Ok(Page(JobPage {
        frame: Frame::new(caller, Section::Jobs, "Job")
            // Every second until then.
            .fresh_every(u32::from(!is_over))
            .saying(Some(&said)),
        conditions: it.filter.conditions(),
        is_paused: job.state == State::Paused,
        most: job.n_planned.max(job.n_matched).max(1),
        it,
    }))
}

/// How far a plan counts.
const COUNT: &str = "count";
const WHOLE: &str = "whole";

#[derive(Debug, Template)]
#[template(path = "plan.html")]
pub(super) struct PlanPage {
    frame: Frame,
    headline: String,
    button: String,
    conditions: Vec<(&'static str, String)>,
    takes: String,
    plan: PlanJson,
    /// Not all was counted, and it may be counted for longer.
    may_count_on: bool,
    /// What the form that begins it says again.
    fields: Vec<(String, String)>,
}

/// Counts, so it is not for who may only look. At first only as long as a page may take.
pub(super) async fn plan(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<PlanPage> {
    let frame = Frame::new(caller, Section::Jobs, "Plan");
    if !frame.may_change {
        return Err(Problem::forbidden("this needs a token with the role `operator`"));
    }
    let mut params = query.params();
    let is_whole = params.text(COUNT)?.as_deref() == Some(WHOLE);
    let patience = if is_whole {
        plan::WHOLE
    } else {
        state.0.patience.plan
    };
    let (request, plan) = jobs::planned(&state, input(params)?, patience).await?;
    let plan = PlanJson::new(&request, &plan);
    // The form asks for a rate and a reason itself.
    let asked = ["rate", "reason", COUNT];
    let fields = query
        .pairs()
        .filter(|(name, value)| !value.is_empty() && !asked.contains(&name.as_str()));
    Ok(Page(PlanPage {
        frame,
        headline: format!("Plan: {} by a filter", plan.action),
        button: format!("{} them", capitalised(plan.action)),
        conditions: plan.filter.conditions(),
        takes: plan.seconds.map_or_else(|| "not known".to_owned(), about),
        may_count_on: !plan.complete && !is_whole,
        fields: fields.collect(),
        plan,
    }))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; `as` saturates"
)]
fn about(seconds: f64) -> String {
    match (seconds * 1000.0) as u64 {
        0..1_000 => "less than a second".to_owned(),
        ms => format!("about {}", text::span_ms(&ms)),
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|it| it.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

pub(super) async fn create(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Form(form): Form,
) -> Result<Response, Problem> {
    let job = jobs::create_now(&state, &caller, input(form)?).await?;
    Ok(jobs::note(&job).on(done(job.id, "begun").into_response()))
}

pub(super) async fn pause(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Redirect, Problem> {
    jobs::move_to(&state, &caller, id, State::Paused).await?;
    Ok(done(id, "paused"))
}

pub(super) async fn resume(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Redirect, Problem> {
    jobs::move_to(&state, &caller, id, State::Running).await?;
    Ok(done(id, "resumed"))
}

pub(super) async fn cancel(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<JobId>,
) -> Result<Redirect, Problem> {
    jobs::move_to(&state, &caller, id, State::Cancelled).await?;
    Ok(done(id, "stopped"))
}

fn done(id: JobId, word: &str) -> Redirect {
    frame::done(None, format!("/jobs/{id}"), word)
}

/// The same names as in the API, flat.
fn input(mut params: Params) -> Result<JobInput, Problem> {
    let action = params.text("action")?.unwrap_or_default();
    let filter = FilterJson {
        source: params.text("source")?,
        r#type: params.text("type")?,
        event_id: params.text("event_id")?,
        route: params.text("route")?,
        destination: params.text("destination")?,
        status: params.text("status")?,
        cause: params.text("cause")?,
        after: params.text("after")?,
        before: params.text("before")?,
        q: params.text("q")?,
    };
    let config = params.text("config")?;
    let rate = params.parsed("rate", "a whole number", |it| it.parse().ok())?;
    let reason = params.text("reason")?;
    params.finish()?;
    Ok(JobInput::new(action, filter, config, rate, reason))
}
