//! `/deliveries`: what goes out, and dead letters.

use askama::Template;
use axum::{extract::State, response::Redirect};

use crate::{
    base::ids::DeliveryId,
    event::{attempt::Attempt, delivery::Status},
    store::query::DeliveryQuery,
    web::{
        api::{deliveries, lists, shape::DeliveryJson},
        auth::Caller,
        dashboard::{
            body::BodyView,
            frame::{self, Answer, Frame, Page, Section},
            query::{Filters, Pager, Query},
            room::{self, HeaderView, Room},
            text,
        },
        error::Problem,
        extract::{Form, Id},
        state::AdminState,
        view::View,
    },
};

#[derive(Debug, Template)]
#[template(path = "deliveries.html")]
pub(super) struct DeliveriesPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<DeliveryJson>,
    pager: Pager,
    here: String,
    /// To the plans of a retry and of a cancel of all that the filter finds.
    retry: String,
    cancel: String,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<DeliveriesPage> {
    let wanted = DeliveryQuery {
        patience: Some(state.0.patience.list),
        ..lists::deliveries(query.params())?
    };
    let (section, title) = match wanted.status {
        Some(Status::Dead) => (Section::DeadLetters, "Dead letters"),
        _ => (Section::Deliveries, "Deliveries"),
    };
    let page = state.0.store.deliveries(&wanted).await?;
    let snapshot = state.0.registry.current();
    let routes = snapshot.routes.iter().map(|it| it.name.to_string());
    Ok(Page(DeliveriesPage {
        frame: Frame::new(caller, section, title).fresh_every(if query.is_plain() { 5 } else { 0 }),
        filters: Filters::new("/deliveries")
            .text(&query, "q", "Search", "part of the error, id or type")
            .status(&query)
            .destination(&query, &snapshot)
            .choice(&query, "route", "Route", routes)
            .source(&query, &snapshot)
            .text(&query, "type", "Type", "invoice.*")
            .times(&query),
        rows: page.rows.iter().map(DeliveryJson::from).collect(),
        pager: query.pager_of(&page),
        here: query.here(),
        retry: query.on("/jobs/plan", &[("action", "retry")]),
        cancel: query.on("/jobs/plan", &[("action", "cancel")]),
    }))
}

#[derive(Debug, Template)]
#[template(path = "delivery.html")]
pub(super) struct DeliveryPage {
    frame: Frame,
    it: DeliveryJson,
    /// Where it goes, without credentials.
    target: String,
    /// The newest first.
    attempts: Vec<AttemptView>,
}

#[derive(Debug)]
pub(super) struct AttemptView {
    number: u32,
    started_at: String,
    duration_ms: u128,
    trigger: &'static str,
    status_code: Option<u16>,
    error: Option<String>,
    headers: Vec<HeaderView>,
    body: BodyView,
}

impl AttemptView {
    fn class(&self) -> &'static str {
        if self.error.is_none() { "good" } else { "bad" }
    }
}

impl AttemptView {
    fn new(attempt: &Attempt, view: &View, room: &mut Room) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            duration_ms: attempt.duration.as_millis(),
            trigger: attempt.trigger.as_str(),
            status_code: attempt.status_code,
            error: attempt.error.clone(),
            body: BodyView::shown(view.bytes(&attempt.response_body), room),
            headers: room::headers(&view.headers(&attempt.response_headers), room),
        }
    }
}

pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
    Id(id): Id<DeliveryId>,
) -> Answer<DeliveryPage> {
    let delivery = state.0.store.delivery(id).await?;
    let attempts = state.0.store.attempts(id).await?;
    let snapshot = state.0.registry.current();
    let outlet = snapshot.destination(&delivery.destination);
    let view = View::of_role(&state.0, &caller);
    let said = query.get("said");
    // The newest attempt is what people look for; what is left is for those before it.
    let mut room = Room::new(110_000);
    Ok(Page(DeliveryPage {
        frame: Frame::new(caller, Section::Deliveries, "Delivery")
            .fresh_every(3)
            .saying(Some(&said)),
        target: outlet.map_or_else(
            || "its destination is not in the config any more".to_owned(),
            |it| text::target(it.settings.kind.name(), &it.settings.kind.target()),
        ),
        attempts: attempts
            .iter()
            .rev()
            .map(|it| AttemptView::new(it, &view, &mut room))
            .collect(),
        it: DeliveryJson::from(&delivery),
    }))
}

pub(super) async fn retry(
    State(state): State<AdminState>,
    Id(id): Id<DeliveryId>,
    Form(mut form): Form,
) -> Result<Redirect, Problem> {
    let back = form.text("back")?;
    form.finish()?;
    deliveries::retry_now(&state.0, id).await?;
    Ok(frame::done(back, format!("/deliveries/{id}"), "retried"))
}

pub(super) async fn cancel(
    State(state): State<AdminState>,
    Id(id): Id<DeliveryId>,
    Form(mut form): Form,
) -> Result<Redirect, Problem> {
    let back = form.text("back")?;
    form.finish()?;
    deliveries::cancel_now(&state.0, id).await?;
    Ok(frame::done(back, format!("/deliveries/{id}"), "cancelled"))
}
