//! `/v1/sources`, `/v1/destinations`, `/v1/routes`: what is configured, what is held, and holding it. Never a secret.

use std::{collections::HashMap, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    delivery::gate::Shown,
    destination::Kind,
    registry::Outlet,
    source::Source,
    store::claim::{HeldBy, Hold, HoldTarget},
    web::{
        error::{Problem, ProblemJson},
        extract::{Input, Json, Name, Params},
        state::{Admin, AdminState},
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(sources))
        .routes(routes!(destinations))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(list_routes))
        .routes(routes!(hold_route))
        .routes(routes!(resume_route))
}

/// All of a list that never has many rows.
#[derive(Debug, Serialize, ToSchema)]
struct AllJson<T> {
    data: Vec<T>,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceJson {
    pub(crate) name: String,
    pub(crate) provider: String,
    /// What a verified request of it is bound by: `body`, `partial`, `origin` or `none`.
    pub(crate) verified: &'static str,
    /// Whoever knows the URL can send here.
    pub(crate) unverified: bool,
    /// Where the provider posts to, below the public URL.
    pub(crate) path: String,
    /// The whole URL, where the public one is configured.
    pub(crate) url: Option<String>,
    pub(crate) n_secrets: usize,
    /// What is fetched from the sender in place of secrets, and from where.
    pub(crate) fetched_keys: Option<String>,
    /// Bytes.
    pub(crate) max_body: u64,
    /// Requests per second.
    pub(crate) rate: Option<u32>,
    /// How far a signed time may be off, where the source says so itself.
    pub(crate) tolerance_s: Option<u64>,
    pub(crate) routes: Vec<String>,
}

/// Lists the sources.
#[utoipa::path(get, path = "/v1/sources", tag = "setup", operation_id = "list_sources",
    responses((status = 200, body = AllJson<SourceJson>)))]
async fn sources(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<AllJson<SourceJson>>, Problem> {
    params.finish()?;
    let data = all_sources(&state.0);
    Ok(Json(AllJson { data }))
}

pub(crate) fn all_sources(state: &Admin) -> Vec<SourceJson> {
    let snapshot = state.registry.current();
    let data = snapshot.sources.values().map(|source| {
        let routes = snapshot.routes_of.get(source.name());
        let routes = routes.into_iter().flatten().map(|it| it.name.to_string());
        source_json(state, source, routes.collect())
    });
    data.collect()
}

fn source_json(state: &Admin, source: &Source, routes: Vec<String>) -> SourceJson {
    let settings = source.settings();
    let path = format!("/webhooks/{}", source.name());
    let url = state.public_url.as_ref().map(|it| {
        let base = it.as_str().trim_end_matches('/');
        format!("{base}{path}")
    });
    SourceJson {
        name: source.name().to_string(),
        provider: source.provider().name.to_string(),
        verified: source.provider().binding().as_str(),
        unverified: source.provider().is_unverified(),
        path,
        url,
        n_secrets: settings.secrets.len(),
        fetched_keys: source.provider().published.as_ref().map(ToString::to_string),
        max_body: settings.max_body.unwrap_or(state.max_body),
        rate: settings.rate,
        tolerance_s: settings.tolerance.map(|it| it.as_secs()),
        routes,
    }
}

/// Why something waits.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HeldJson {
    pub(crate) reason: String,
    pub(crate) since: String,
}

impl From<&Hold> for HeldJson {
    fn from(hold: &Hold) -> Self {
        Self {
            reason: hold.reason.clone(),
            since: hold.since.to_string(),
        }
    }
}

/// A destination.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DestinationJson {
    pub(crate) name: String,
    /// `http`, `exec`, ...: what stands at its end.
    pub(crate) kind: &'static str,
    /// Where it leads: a URL without credentials and query, a command, the name of a stream.
    pub(crate) target: String,
    /// Without credentials and query; of kind `http` alone.
    pub(crate) url: Option<String>,
    pub(crate) timeout_ms: u64,
    pub(crate) concurrency: u32,
    /// Attempts per second.
    pub(crate) rate: Option<u32>,
    /// Whether what it gets is signed.
    pub(crate) signed: bool,
    /// Names of the headers that are added.
    pub(crate) headers: Vec<String>,
    pub(crate) retry: RetryJson,
    /// As the asked process sees it; absent where that does not deliver.
    pub(crate) breaker: Option<BreakerJson>,
    /// Set while it is paused.
    pub(crate) held: Option<HeldJson>,
}

/// Whether it is left alone because it fails. Its deliveries wait meanwhile, and no attempt of theirs is counted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BreakerJson {
    /// `closed`, `open` (nothing is sent), `half_open` (one or two deliveries probe it), `ramping` (it answers again, and
    /// gets more and more), or `off`.
    pub(crate) state: &'static str,
    /// Why it is not closed.
    pub(crate) reason: Option<String>,
    /// Until the next probe, while it is open.
    pub(crate) probes_in_ms: Option<u64>,
}

impl From<Shown> for BreakerJson {
    fn from(shown: Shown) -> Self {
        Self {
            state: shown.state,
            reason: shown.reason,
            probes_in_ms: shown.probes_in.map(ms),
        }
    }
}

fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When to try again, and when to stop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryJson {
    pub(crate) max_attempts: u32,
    pub(crate) max_age_s: u64,
    pub(crate) first_ms: u64,
    pub(crate) cap_ms: u64,
    /// Pauses in place of exponential ones.
    pub(crate) schedule_ms: Vec<u64>,
    /// Of the statuses that are failures, only these are tried again.
    pub(crate) on: Option<String>,
    /// These are given up at once.
    pub(crate) never: Option<String>,
}

/// Lists the destinations.
#[utoipa::path(get, path = "/v1/destinations", tag = "setup", operation_id = "list_destinations",
    responses((status = 200, body = AllJson<DestinationJson>)))]
async fn destinations(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<AllJson<DestinationJson>>, Problem> {
    params.finish()?;
    let data = all_destinations(&state.0).await?;
    Ok(Json(AllJson { data }))
}

pub(crate) async fn all_destinations(state: &Admin) -> Result<Vec<DestinationJson>, Problem> {
    let held = holds(state).await?;
    let snapshot = state.registry.current();
    let data = snapshot.destinations.values().map(|outlet| {
        let target = HoldTarget::Destination(Arc::clone(&outlet.name));
        let breaker = state.lanes.get(&outlet.name).map(|it| it.gate.shown().into());
        destination_json(outlet, breaker, held.get(&target).cloned())
    });
    Ok(data.collect())
}

fn destination_json(
    outlet: &Outlet,
    breaker: Option<BreakerJson>,
    held: Option<HeldJson>,
) -> DestinationJson {
    let settings = &outlet.settings;
    DestinationJson {
        name: outlet.name.to_string(),
        kind: settings.kind.name(),
        target: settings.kind.target(),
        url: match &settings.kind {
            Kind::Http(url) => Some(url.to_string()),
            _ => None,
        },
        timeout_ms: ms(settings.timeout),
        concurrency: settings.concurrency,
        rate: settings.rate,
        signed: settings.signing_secret.is_some() || !settings.signing_secrets.is_empty(),
        headers: settings.headers.iter().map(|(name, _)| name.clone()).collect(),
        retry: RetryJson {
            max_attempts: settings.retry.max_attempts,
            max_age_s: settings.retry.max_age.as_secs(),
            first_ms: ms(settings.retry.first),
            cap_ms: ms(settings.retry.cap),
            schedule_ms: settings.retry.schedule.iter().map(|it| ms(*it)).collect(),
            on: settings.retry.on.as_ref().map(ToString::to_string),
            never: Some(&settings.retry.never)
                .filter(|it| !it.is_empty())
                .map(ToString::to_string),
        },
        breaker,
        held,
    }
}

async fn holds(state: &Admin) -> Result<HashMap<HoldTarget, HeldJson>, Problem> {
    let holds = state.store.holds().await?;
    Ok(holds
        .iter()
        .map(|it| (it.target.clone(), HeldJson::from(it)))
        .collect())
}

/// A route.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouteJson {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) destination: String,
    /// Set while it is held: by an operator, or because its handler answered 410.
    pub(crate) held: Option<HeldJson>,
}

/// Lists the routes.
#[utoipa::path(get, path = "/v1/routes", tag = "setup", operation_id = "list_routes",
    responses((status = 200, body = AllJson<RouteJson>)))]
async fn list_routes(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<AllJson<RouteJson>>, Problem> {
    params.finish()?;
    let data = all_routes(&state.0).await?;
    Ok(Json(AllJson { data }))
}

pub(crate) async fn all_routes(state: &Admin) -> Result<Vec<RouteJson>, Problem> {
    let held = holds(state).await?;
    let snapshot = state.registry.current();
    let data = snapshot.routes.iter().map(|route| RouteJson {
        name: route.name.to_string(),
        source: route.source.to_string(),
        destination: route.destination.to_string(),
        held: held.get(&HoldTarget::Route(Arc::clone(&route.name))).cloned(),
    });
    Ok(data.collect())
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    #[schema(max_length = 500)]
    pub(crate) reason: Option<String>,
}

/// What a pause or a resumption did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MovedJson {
    pub(crate) name: String,
    /// Set if it waits now.
    pub(crate) held: Option<HeldJson>,
    /// Deliveries whose status changed.
    pub(crate) n_deliveries: u64,
}

/// Pauses a destination: its deliveries wait until it is resumed.
#[utoipa::path(post, path = "/v1/destinations/{name}/pause", tag = "setup", operation_id = "pause_destination",
    params(("name" = String, Path, description = "The destination")), request_body = Because,
    responses((status = 200, body = MovedJson), (status = 404, body = ProblemJson<'_>)))]
async fn pause(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(why): Input<Because>,
) -> Result<Json<MovedJson>, Problem> {
    hold(&state.0, HoldTarget::Destination(name.into()), why).await
}

/// Resumes a paused destination. One whose breaker is open is probed at once.
#[utoipa::path(post, path = "/v1/destinations/{name}/resume", tag = "setup", operation_id = "resume_destination",
    params(("name" = String, Path, description = "The destination")),
    responses((status = 200, body = MovedJson), (status = 404, body = ProblemJson<'_>)))]
async fn resume(State(state): State<AdminState>, Name(name): Name) -> Result<Json<MovedJson>, Problem> {
    resume_destination(&state.0, name).await
}

pub(crate) async fn resume_destination(state: &Admin, name: String) -> Result<Json<MovedJson>, Problem> {
    if let Some(lane) = state.lanes.get(&name) {
        lane.gate.probe_now();
    }
    let_go(state, HoldTarget::Destination(name.into())).await
}

/// Holds a route: its deliveries wait until it is resumed.
#[utoipa::path(post, path = "/v1/routes/{name}/hold", tag = "setup", operation_id = "hold_route",
    params(("name" = String, Path, description = "The route")), request_body = Because,
    responses((status = 200, body = MovedJson), (status = 404, body = ProblemJson<'_>)))]
async fn hold_route(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(why): Input<Because>,
) -> Result<Json<MovedJson>, Problem> {
    hold(&state.0, HoldTarget::Route(name.into()), why).await
}

/// Resumes a held route.
#[utoipa::path(post, path = "/v1/routes/{name}/resume", tag = "setup", operation_id = "resume_route",
    params(("name" = String, Path, description = "The route")),
    responses((status = 200, body = MovedJson), (status = 404, body = ProblemJson<'_>)))]
async fn resume_route(State(state): State<AdminState>, Name(name): Name) -> Result<Json<MovedJson>, Problem> {
    let_go(&state.0, HoldTarget::Route(name.into())).await
}

const fn kind_and_name(target: &HoldTarget) -> (&'static str, &Arc<str>) {
    match target {
        HoldTarget::Route(name) => ("route", name),
        HoldTarget::Destination(name) => ("destination", name),
    }
}

fn is_configured(state: &Admin, target: &HoldTarget) -> bool {
    let snapshot = state.registry.current();
    match target {
        HoldTarget::Route(name) => snapshot.routes.iter().any(|it| it.name == *name),
        HoldTarget::Destination(name) => snapshot.destinations.contains_key(name),
    }
}

fn unknown(target: &HoldTarget) -> Problem {
    let (kind, name) = kind_and_name(target);
    Problem::not_found(format!(
        "no {kind} has the name `{}`",
        crate::web::error::shortened(name)
    ))
}

pub(crate) async fn hold(
    state: &Admin,
    target: HoldTarget,
    why: Because,
) -> Result<Json<MovedJson>, Problem> {
    if !is_configured(state, &target) {
        return Err(unknown(&target));
    }
    let reason = why
        .reason
        .filter(|it| !it.trim().is_empty())
        .unwrap_or_else(|| "paused by an operator".to_owned());
    if reason.chars().count() > 500 {
        return Err(Problem::invalid("reason", "at most 500 characters", &reason));
    }
    let now = state.store.now().await?;
    let n_deliveries = state
        .store
        .hold(target.clone(), HeldBy::Operator, &reason, now)
        .await?;
    let (kind, name) = kind_and_name(&target);
    tracing::info!(n_deliveries, "{kind} `{name}` is held by an operator");
    // As the store has it: an earlier hold keeps its own reason and time.
    let held = holds(state).await?.remove(&target);
    // So that the pool of this process stops taking hand-overs for it at once.
    state.wake.now();
    Ok(Json(MovedJson {
        name: name.to_string(),
        held,
        n_deliveries,
    }))
}

pub(crate) async fn let_go(state: &Admin, target: HoldTarget) -> Result<Json<MovedJson>, Problem> {
    // A hold may outlive what it held: a renamed route must not keep its deliveries waiting for ever.
    if !is_configured(state, &target) && !holds(state).await?.contains_key(&target) {
        return Err(unknown(&target));
    }
    let now = state.store.now().await?;
    let n_deliveries = state.store.resume(&target, now).await?;
    state.wake.now();
    let (kind, name) = kind_and_name(&target);
    tracing::info!(n_deliveries, "{kind} `{name}` is resumed by an operator");
    Ok(Json(MovedJson {
        name: name.to_string(),
        held: None,
        n_deliveries,
    }))
}
