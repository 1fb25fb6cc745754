//! `/requests`: what was refused and why, and accepting it after all.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    base::ids::RequestId,
    store::query::{RequestQuery, RequestSummary, RequestTally},
    web::{
        api::{
            lists,
            requests::{self, ReacceptedJson},
            shape::{RequestDetailJson, RequestJson},
        },
        auth::Caller,
        dashboard::{
            body::BodyView,
            frame::{Answer, Frame, Page, Section},
            query::{Filters, Pager, Query, Reach},
            room::{self, HeaderView, Room},
            text,
        },
        error::Problem,
        extract::{Form, Id, Params},
        state::AdminState,
        trail::Note,
        view::View,
    },
};

#[derive(Debug, Template)]
#[template(path = "requests.html")]
pub(super) struct RequestsPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<RequestJson>,
    pager: Pager,
    /// To the plan of accepting all that the filter finds.
    plan: String,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<RequestsPage> {
    let wanted = RequestQuery {
        patience: Some(state.0.patience.list),
        ..lists::requests(query.params())?
    };
    let page = state.0.store.requests(&wanted).await?;
    let snapshot = state.0.registry.current();
    let row = |it: &RequestSummary| RequestJson::new(it, &View::new(&state.0, &caller, &it.source));
    let rows = page.rows.iter().map(row).collect();
    Ok(Page(RequestsPage {
        frame: Frame::new(caller, Section::Requests, "Refused requests").fresh_every(if query.is_plain() {
            5
        } else {
            0
        }),
        filters: Filters::new("/requests")
            .text(&query, "q", "Search", "part of the explanation")
            .source(&query, &snapshot)
            .text(&query, "cause", "Cause", "signature_mismatch")
            .times(&query),
        rows,
        pager: query.pager_of(&page),
        plan: query.on("/requests/plan", &[]),
    }))
}

#[derive(Debug, Template)]
#[template(path = "request.html")]
pub(super) struct RequestPage {
    frame: Frame,
    it: RequestJson,
    body: Option<BodyView>,
    headers: Vec<HeaderView>,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<RequestId>,
) -> Answer<RequestPage> {
    let request = state.0.store.request(id).await?;
    let view = View::new(&state.0, &caller, &request.source);
    let mut room = Room::new(110_000);
    let it = RequestDetailJson::new(&request, &view).summary;
    let body = request.body.as_deref();
    Ok(Page(RequestPage {
        frame: Frame::new(caller, Section::Requests, "Refused request"),
        body: body.map(|it| BodyView::shown(view.bytes(it), &mut room)),
        headers: room::headers(&it.headers, &mut room),
        it,
    }))
}

#[derive(Debug, Template)]
#[template(path = "request_plan.html")]
pub(super) struct RequestPlanPage {
    frame: Frame,
    conditions: Vec<(String, String)>,
    tallies: Vec<RequestTally>,
    n_acceptable: u64,
    /// How far it counted, where there is more.
    looked: Option<Reach>,
}

/// Counts, so it is not for who may only look.
pub(super) async fn plan(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<RequestPlanPage> {
    let frame = Frame::new(caller, Section::Requests, "Accept again");
    if !frame.may_change {
        return Err(Problem::forbidden("this needs a token with the role `operator`"));
    }
    let wanted = lists::requests(query.params())?;
    let patience = state.0.patience.list;
    let counted = state.0.store.count_requests(&wanted, patience).await?;
    Ok(Page(RequestPlanPage {
        frame,
        conditions: query.conditions().collect(),
        n_acceptable: counted.tallies.iter().map(|it| it.n_acceptable).sum(),
        looked: counted.looked.map(Reach::from),
        tallies: counted.tallies,
    }))
}

#[derive(Debug, Template)]
#[template(path = "accepted.html")]
pub(super) struct AcceptedPage {
    frame: Frame,
    headline: String,
    /// Of a filter: what became of how many. Each of them is not listed.
    results: Vec<(&'static str, u64)>,
    rows: Vec<ReacceptedJson>,
    /// The form that goes on with the rest of what the filter finds.
    rest: Vec<(String, String)>,
}

/// Answers at once with what became of each, or, with `all`, of all that the filter finds; what takes too long for one answer goes
/// on by a second form. A request that was accepted before says so the second time.
pub(super) async fn accept(
    State(state): State<AdminState>,
    caller: Caller,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    if form.text("all")?.is_some() {
        return accept_all(&state, caller, form).await;
    }
    let ids = form.ids::<RequestId>("id")?;
    form.finish()?;
    let rows = requests::accept_ids(&state.0, ids).await?;
    let note = requests::note(&rows);
    let n_accepted = rows.iter().filter(|it| it.result == "accepted").count();
    let page = Page(AcceptedPage {
        frame: Frame::new(caller, Section::Requests, "Accepted again"),
        headline: headline(n_accepted as u64, rows.len() as u64),
        results: Vec::new(),
        rows,
        rest: Vec::new(),
    });
    Ok(note.on(page.into_response()))
}

async fn accept_all(state: &AdminState, caller: Caller, form: Params) -> Result<Response, Problem> {
    let mut rest = form.left().to_vec();
    let done = requests::accept_all(&state.0, lists::requests(form)?).await?;
    match done.next {
        Some(next) => {
            rest.retain(|(name, _)| name != "cursor");
            rest.push(("cursor".to_owned(), next.to_string()));
        }
        None => rest.clear(),
    }
    let (n_accepted, n_tried) = (done.n_accepted(), done.n_tried());
    let note = Note {
        detail: Some(format!("{n_accepted} of {n_tried} accepted, by a filter")),
        ..Note::default()
    };
    let page = Page(AcceptedPage {
        frame: Frame::new(caller, Section::Requests, "Accepted again"),
        headline: headline(n_accepted, n_tried),
        results: done.results.into_iter().collect(),
        rows: done.refused,
        rest,
    });
    Ok(note.on(page.into_response()))
}

fn headline(n_accepted: u64, n_tried: u64) -> String {
    format!(
        "{n_accepted} of {} accepted",
        text::count(n_tried, "request", "requests")
    )
}
