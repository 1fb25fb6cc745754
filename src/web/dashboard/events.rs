//! `/events`: what came in.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use url::form_urlencoded;

use crate::{
    base::ids::EventId,
    destination::Kind,
    event::{Binding, Event, delivery::Delivery},
    registry::Snapshot,
    source,
    store::{
        self,
        error::StoreError,
        job::Target,
        neighbours::Neighbours,
        query::{DeliveryQuery, EventQuery, EventSummary},
        search::Found,
    },
    web::{
        api::{
            events, lists, search,
            shape::{DeliveryJson, EventSummaryJson},
        },
        auth::Caller,
        dashboard::{
            body::BodyView,
            curl::Curl,
            frame::{self, Answer, Frame, Page, Section},
            query::{Filters, Pager, Query},
            room::{self, HeaderView, Room},
            text,
        },
        error::Problem,
        extract::{Form, Id},
        state::{Admin, AdminState},
        view::View,
    },
};

/// Deliveries that the page of an event shows.
const N_DELIVERIES: u32 = 50;
/// Neighbours on either side.
const N_NEIGHBOURS: u32 = 8;

#[derive(Debug, Template)]
#[template(path = "events.html")]
pub(super) struct EventsPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<EventSummaryJson>,
    pager: Pager,
    /// How far a search for a text in bodies came; absent where none was made.
    searched: Option<Searched>,
    /// To the plan of a replay of all that the filter finds. A search is no filter of it.
    replay: Option<String>,
}

#[derive(Debug)]
pub(super) struct Searched {
    /// How many were looked at; absent where the page was full before.
    n_events: Option<String>,
    back_to: Option<String>,
}

impl Searched {
    fn new(found: &Found) -> Self {
        Self {
            n_events: found.n_looked_at.map(|it| text::count(it, "event", "events")),
            back_to: found.back_to.map(|it| it.to_string()),
        }
    }
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
    let mut params = query.params();
    let wanted = params.text("text")?;
    let asked = EventQuery {
        patience: Some(state.0.patience.list),
        ..lists::events(params)?
    };
    let (rows, pager, searched) = if let Some(text) = &wanted {
        let found = search::search(&state.0, &caller, &asked, text).await?;
        let searched = Searched::new(&found);
        (found.rows, query.pager(found.next), Some(searched))
    } else {
        let page = state.0.store.events(&asked).await?;
        let pager = query.pager_of(&page);
        (or_of_sender(&state.0, &query, &asked, page).await?, pager, None)
    };
    let snapshot = state.0.registry.current();
    let is_plain = query.is_plain();
    let page = EventsPage {
        frame: Frame::new(caller, Section::Events, "Events").fresh_every(if is_plain { 5 } else { 0 }),
        filters: Filters::new("/events")
            .text(&query, "q", "Search", "an id, or part of a type")
            .text(&query, "text", "Text in the body", "in_1Sk2, byte for byte")
            .source(&query, &snapshot)
            .text(&query, "type", "Type", "invoice.*")
            .status(&query)
            .destination(&query, &snapshot)
            .times(&query),
        rows: rows.iter().map(EventSummaryJson::from).collect(),
        pager,
        replay: searched
            .is_none()
            .then(|| query.on("/jobs/plan", &[("action", "replay")])),
        searched,
    };
    Ok(Page(page).into_response())
}

/// Where a look at the newest events found nothing and nothing else is asked: by the index, the events that have it as the whole id
/// of their sender. Unverified ones are not in it.
async fn or_of_sender(
    state: &Admin,
    query: &Query,
    asked: &EventQuery,
    page: store::query::Page<EventSummary, EventId>,
) -> Result<Vec<EventSummary>, StoreError> {
    match &asked.q {
        Some(q) if page.looked.is_some() && page.rows.is_empty() && query.conditions().count() == 1 => {
            state.store.events_of_external_id(q, asked.limit).await
        }
        _ => Ok(page.rows),
    }
}

#[derive(Debug, Template)]
#[template(path = "event.html")]
pub(super) struct EventPage {
    frame: Frame,
    id: EventId,
    event: EventSummaryJson,
    verified: &'static str,
    query: Option<String>,
    headers: Vec<HeaderView>,
    body: BodyView,
    deliveries: Vec<DeliveryJson>,
    /// There are more: the list has all.
    has_more: bool,
    /// Where a replay may go.
    destinations: Vec<String>,
    curl: Curl,
    here: String,
    /// What it is about, and where to look for more of that.
    resource: Option<(String, String)>,
    timeline: Option<Neighbours>,
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
        limit: N_DELIVERIES,
        ..DeliveryQuery::default()
    };
    let found = state.0.store.deliveries(&wanted).await?;
    let (deliveries, has_more) = (found.rows, found.next.is_some());
    let timeline = state.0.store.neighbours(id, N_NEIGHBOURS).await?;
    let snapshot = state.0.registry.current();
    let routes = snapshot.routes_of(&event.source).iter();
    let mut destinations: Vec<_> = routes.map(|it| it.destination.to_string()).collect();
    destinations.sort();
    destinations.dedup();
    let said = query.get("said");
    let view = View::new(&state.0, &caller, &event.source);
    let mut room = Room::new(110_000);
    Ok(Page(EventPage {
        frame: Frame::new(caller, Section::Events, "Event")
            .fresh_every(3)
            .saying(Some(&said)),
        id,
        verified: proof(event.binding),
        // The body first: it is what people look for.
        body: BodyView::shown(view.bytes(&event.body), &mut room),
        query: view.query(&event.query),
        headers: room::headers(&view.headers(&event.headers), &mut room),
        deliveries: deliveries.iter().map(DeliveryJson::from).collect(),
        has_more,
        destinations,
        curl: Curl::new(&event, &view, &handler(&snapshot, &deliveries)),
        event: EventSummaryJson::from(&event),
        here: format!("/events/{id}"),
        resource: resource(&snapshot, &view, event).map(|it| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("text", &it)
                .finish();
            (it, format!("/events?{query}"))
        }),
        timeline: timeline.filter(|it| it.rows.len() > 1),
    }))
}

/// What the event is about, as its provider says it, from what of it may be shown.
fn resource(snapshot: &Snapshot, view: &View, event: Event) -> Option<String> {
    let source = snapshot.source(&event.source)?;
    let body = Bytes::from(view.bytes(&event.body).ok()?.into_owned());
    let query = view.query(&event.query).unwrap_or_default();
    let shown = Event { query, body, ..event };
    source::resource(source.provider(), &shown).filter(|it| !it.is_empty())
}

/// What the word means.
pub(super) const fn proof(binding: Binding) -> &'static str {
    match binding {
        Binding::Body => "the signature covers the body: not a byte of it was changed",
        Binding::Partial => "the signature covers a part of the body: the rest could be anybody's",
        Binding::Origin => "only who sent it is proven, not what",
        Binding::None => "nothing was verified: anybody who knows the URL could have sent it",
        Binding::Newer(_) => "a newer gatepost wrote this word, and knows what it means",
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
