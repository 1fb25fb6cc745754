//! `/events`: what came in.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};

use crate::{
    base::ids::EventId,
    destination::Kind,
    event::{Binding, delivery::Delivery},
    registry::Snapshot,
    store::{
        job::Target,
        query::{DeliveryQuery, MAX_LIMIT},
    },
    web::{
        api::{
            events, lists,
            shape::{DeliveryJson, EventSummaryJson, HeaderJson},
        },
        auth::Caller,
        dashboard::{
            body::BodyView,
            curl::Curl,
            frame::{self, Answer, Frame, Page, Section},
            query::{Filters, Pager, Query},
            text,
        },
        error::Problem,
        extract::{Form, Id},
        state::AdminState,
        view::View,
    },
};

#[derive(Debug, Template)]
#[template(path = "events.html")]
pub(super) struct EventsPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<EventSummaryJson>,
    pager: Pager,
    /// To the plan of a replay of all that the filter finds.
    replay: String,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Result<Response, Problem> {
    // Whoever searches for an id of ours wants that one thing.
    if let Some(path) = text::page_of(query.get("q").trim()) {
        return Ok(Redirect::to(&path).into_response());
    }
    let page = state.0.store.events(&lists::events(query.params())?).await?;
    let snapshot = state.0.registry.current();
    let page = EventsPage {
        frame: Frame::new(caller, Section::Events, "Events").fresh_every(if query.is_plain() {
            5
        } else {
            0
        }),
        filters: Filters::new("/events")
            .text(&query, "q", "Search", "an id, or part of a type")
            .source(&query, &snapshot)
            .text(&query, "type", "Type", "invoice.*")
            .status(&query)
            .destination(&query, &snapshot)
            .times(&query),
        rows: page.rows.iter().map(EventSummaryJson::from).collect(),
        pager: query.pager(page.next),
        replay: query.on("/jobs/plan", &[("action", "replay")]),
    };
    Ok(Page(page).into_response())
}

#[derive(Debug, Template)]
#[template(path = "event.html")]
pub(super) struct EventPage {
    frame: Frame,
    event: EventSummaryJson,
    verified: &'static str,
    headers: Vec<HeaderJson>,
    body: BodyView,
    deliveries: Vec<DeliveryJson>,
    /// Where a replay may go.
    destinations: Vec<String>,
    curl: Curl,
    here: String,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
    Id(id): Id<EventId>,
) -> Answer<EventPage> {
    let event = state.0.store.event(id).await?;
    let wanted = DeliveryQuery {
        event_id: Some(id),
        limit: MAX_LIMIT,
        ..DeliveryQuery::default()
    };
    let deliveries = state.0.store.deliveries(&wanted).await?.rows;
    let snapshot = state.0.registry.current();
    let routes = snapshot.routes_of(&event.source).iter();
    let mut destinations: Vec<_> = routes.map(|it| it.destination.to_string()).collect();
    destinations.sort();
    destinations.dedup();
    let said = query.get("said");
    let view = View::new(&state.0, &caller, &event.source);
    Ok(Page(EventPage {
        frame: Frame::new(caller, Section::Events, "Event")
            .fresh_every(3)
            .saying(Some(&said)),
        verified: proof(event.binding),
        headers: view.headers(&event.headers),
        body: BodyView::shown(view.bytes(&event.body)),
        deliveries: deliveries.iter().map(DeliveryJson::from).collect(),
        destinations,
        curl: Curl::new(&event, &view, &handler(&snapshot, &deliveries)),
        event: EventSummaryJson::from(&event),
        here: format!("/events/{id}"),
    }))
}

/// What the word means.
pub(super) const fn proof(binding: Binding) -> &'static str {
    match binding {
        Binding::Body => "the signature covers the body: not a byte of it was changed",
        Binding::Partial => "the signature covers a part of the body: the rest could be anybody's",
        Binding::Origin => "only who sent it is proven, not what",
        Binding::None => "nothing was verified: anybody who knows the URL could have sent it",
    }
}

/// Where the event goes, without credentials and query.
fn handler(snapshot: &Snapshot, deliveries: &[Delivery]) -> String {
    let url = |it: &Delivery| match &snapshot.destination(&it.destination)?.settings.kind {
        Kind::Http(url) => Some(url.to_string()),
        _ => None,
    };
    let found = deliveries.iter().find_map(url);
    found.unwrap_or_else(|| "http://localhost:3000/".to_owned())
}

pub(super) async fn replay(
    State(state): State<AdminState>,
    Id(id): Id<EventId>,
    Form(mut form): Form,
) -> Result<Redirect, Problem> {
    let target = Target {
        destination: form.text("destination")?,
        ..Target::default()
    };
    form.finish()?;
    events::replay_now(&state.0, id, &target).await?;
    Ok(frame::done(None, format!("/events/{id}"), "replayed"))
}
