//! `/requests`: what was refused and why, and accepting it after all.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    base::ids::RequestId,
    store::query::RequestSummary,
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
#[template(path = "requests.html")]
pub(super) struct RequestsPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<RequestJson>,
    /// Of these, those that can be verified again.
    n_acceptable: usize,
    pager: Pager,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<RequestsPage> {
    let page = state.0.store.requests(&lists::requests(query.params())?).await?;
    let snapshot = state.0.registry.current();
    let row = |it: &RequestSummary| RequestJson::new(it, &View::new(&state.0, &caller, &it.source));
    let rows = page.rows.iter().map(row).collect();
    let acceptable = page
        .rows
        .iter()
        .filter(|it| it.has_body && it.accepted_as.is_none());
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
        n_acceptable: acceptable.count(),
        rows,
        pager: query.pager(page.next),
    }))
}

#[derive(Debug, Template)]
#[template(path = "request.html")]
pub(super) struct RequestPage {
    frame: Frame,
    it: RequestJson,
    body: Option<BodyView>,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<RequestId>,
) -> Answer<RequestPage> {
    let request = state.0.store.request(id).await?;
    let view = View::new(&state.0, &caller, &request.source);
    Ok(Page(RequestPage {
        frame: Frame::new(caller, Section::Requests, "Refused request"),
        body: request.body.as_deref().map(|it| BodyView::shown(view.bytes(it))),
        it: RequestDetailJson::new(&request, &view).summary,
    }))
}

#[derive(Debug, Template)]
#[template(path = "accepted.html")]
pub(super) struct AcceptedPage {
    frame: Frame,
    headline: String,
    rows: Vec<ReacceptedJson>,
}

/// Answers at once with what became of each: a request that was accepted before says so the second time.
pub(super) async fn accept(
    State(state): State<AdminState>,
    caller: Caller,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    let ids = form.ids::<RequestId>("id")?;
    form.finish()?;
    let rows = requests::accept_ids(&state.0, ids).await?;
    let n_accepted = rows.iter().filter(|it| it.result == "accepted").count();
    let note = requests::note(&rows);
    let page = Page(AcceptedPage {
        frame: Frame::new(caller, Section::Requests, "Accepted again"),
        headline: format!(
            "{n_accepted} of {} accepted",
            text::count(rows.len() as u64, "request", "requests")
        ),
        rows,
    });
    Ok(note.on(page.into_response()))
}
