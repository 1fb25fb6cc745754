//! `/sources` and `/destinations`: what is configured, how it does, and pausing it.

use askama::Template;
use axum::{extract::State, response::Redirect};

use crate::{
    store::claim::HoldTarget,
    web::{
        api::{
            sample::{self, SampleInput},
            setup::{self, Because, DestinationJson, RouteJson, SourceJson},
        },
        auth::Caller,
        dashboard::{
            chart::Chart,
            events::proof,
            frame::{self, Answer, Frame, Page, Section},
            health::{self, Health},
            query::Query,
            text,
        },
        error::Problem,
        extract::{Form, Name},
        state::AdminState,
    },
};

#[derive(Debug, Template)]
#[template(path = "sources.html")]
pub(super) struct SourcesPage {
    frame: Frame,
    sources: Vec<SourceView>,
}

#[derive(Debug)]
pub(super) struct SourceView {
    source: SourceJson,
    health: Health,
    /// What to register there; below the public address where that is not known.
    url: String,
    has_public_url: bool,
    provider: String,
    docs: Option<String>,
    register: String,
    note: Option<String>,
    verified: &'static str,
    last_seen: Option<String>,
    chart: Chart,
    /// Whether we hold what signs.
    has_sample: bool,
}

pub(super) async fn sources(State(state): State<AdminState>, caller: Caller) -> Answer<SourcesPage> {
    let counted = state.0.numbers.recent().await?;
    let snapshot = state.0.registry.current();
    let healths = health::sources(&snapshot, &counted);
    let shown = setup::all_sources(&state.0);
    let views = shown.into_iter().filter_map(|source| {
        let configured = snapshot.source(&source.name)?;
        let row = configured.provider();
        let health = healths.iter().find(|it| *it.name == *source.name)?;
        Some(SourceView {
            health: health.health.clone(),
            last_seen: health.last_seen.clone(),
            chart: health.chart.clone(),
            has_sample: sample::is_possible(configured),
            url: source.url.clone().unwrap_or_else(|| source.path.clone()),
            has_public_url: source.url.is_some(),
            provider: row.title.to_string(),
            docs: row.docs.as_ref().map(ToString::to_string),
            register: row.register.to_string(),
            note: row.note.as_ref().map(ToString::to_string),
            verified: proof(row.binding()),
            source,
        })
    });
    Ok(Page(SourcesPage {
        frame: Frame::new(caller, Section::Sources, "Sources"),
        sources: views.collect(),
    }))
}

/// To the event that it became.
pub(super) async fn send_sample(
    State(state): State<AdminState>,
    Name(name): Name,
    Form(mut form): Form,
) -> Result<Redirect, Problem> {
    let told = SampleInput {
        r#type: form.text("type")?,
    };
    form.finish()?;
    let sent = sample::send_one(&state.0, &name, &told).await?;
    Ok(frame::done(None, format!("/events/{}", sent.id), "sampled"))
}

#[derive(Debug, Template)]
#[template(path = "destinations.html")]
pub(super) struct DestinationsPage {
    frame: Frame,
    destinations: Vec<DestinationView>,
    routes: Vec<RouteJson>,
}

#[derive(Debug)]
pub(super) struct DestinationView {
    destination: DestinationJson,
    health: Health,
    n_open: u64,
    n_dead: u64,
    chart: Chart,
}

pub(super) async fn destinations(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<DestinationsPage> {
    let mut counted = (*state.0.numbers.recent().await?).clone();
    // Not as it was a moment ago: whoever has just paused one wants to see that.
    counted.holds = state.0.store.holds().await?;
    let shown = setup::all_destinations(&state.0).await?;
    let routes = setup::all_routes(&state.0).await?;
    let snapshot = state.0.registry.current();
    let healths = health::destinations(&state.0, &snapshot, &counted);
    let views = shown.into_iter().filter_map(|destination| {
        let it = healths.iter().find(|it| *it.name == *destination.name)?;
        Some(DestinationView {
            health: it.health.clone(),
            n_open: it.n_open,
            n_dead: it.n_dead,
            chart: it.chart.clone(),
            destination,
        })
    });
    let said = query.get("said");
    Ok(Page(DestinationsPage {
        frame: Frame::new(caller, Section::Destinations, "Destinations")
            .fresh_every(5)
            .saying(Some(&said)),
        destinations: views.collect(),
        routes,
    }))
}

pub(super) async fn pause(
    State(state): State<AdminState>,
    Name(name): Name,
    Form(mut form): Form,
) -> Result<Redirect, Problem> {
    let reason = form.text("reason")?;
    form.finish()?;
    setup::hold(&state.0, HoldTarget::Destination(name.into()), Because { reason }).await?;
    Ok(done("paused"))
}

pub(super) async fn resume(State(state): State<AdminState>, Name(name): Name) -> Result<Redirect, Problem> {
    setup::resume_destination(&state.0, name).await?;
    Ok(done("resumed"))
}

pub(super) async fn hold_route(
    State(state): State<AdminState>,
    Name(name): Name,
) -> Result<Redirect, Problem> {
    setup::hold(&state.0, HoldTarget::Route(name.into()), Because { reason: None }).await?;
    Ok(done("paused"))
}

pub(super) async fn resume_route(
    State(state): State<AdminState>,
    Name(name): Name,
) -> Result<Redirect, Problem> {
    setup::let_go(&state.0, HoldTarget::Route(name.into())).await?;
    Ok(done("resumed"))
}

fn done(word: &str) -> Redirect {
    frame::done(None, "/destinations".to_owned(), word)
}
