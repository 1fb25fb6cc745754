//! `/issues`: what is wrong, and what somebody does about it.

use askama::Template;
use axum::{
    extract::State as Extract,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use url::form_urlencoded;

use crate::{
    alert::rule::Rule,
    base::ids::IssueId,
    store::issue::{Severity, State},
    web::{
        api::issues::{self, IssueJson, NoticeJson},
        auth::Caller,
        dashboard::{
            frame::{self, Answer, Frame, Page, Section},
            query::{Filters, Pager, Query},
            text,
        },
        error::Problem,
        extract::{Form, Id},
        state::AdminState,
    },
};

#[derive(Debug, Template)]
#[template(path = "issues.html")]
pub(super) struct IssuesPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<IssueJson>,
    pager: Pager,
}

pub(super) async fn list(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<IssuesPage> {
    let page = state.0.store.issues(&issues::list_query(query.params())?).await?;
    let snapshot = state.0.registry.current();
    let states = [issues::LIVE].into_iter().chain(State::ALL.map(State::as_str));
    Ok(Page(IssuesPage {
        frame: Frame::new(caller, Section::Issues, "Issues").fresh_every(5),
        filters: Filters::new("/issues")
            .choice(&query, "state", "State", states)
            .choice(&query, "rule", "Rule", Rule::ALL.map(Rule::as_str))
            .choice(
                &query,
                "severity",
                "Severity",
                Severity::ALL.map(Severity::as_str),
            )
            .source(&query, &snapshot)
            .destination(&query, &snapshot),
        rows: page.rows.iter().map(IssueJson::from).collect(),
        pager: query.pager(page.next),
    }))
}

#[derive(Debug, Template)]
#[template(path = "issue.html")]
pub(super) struct IssuePage {
    frame: Frame,
    it: IssueJson,
    notices: Vec<NoticeJson>,
    /// Where it can be looked at and mended: the link and its words.
    mend: (String, &'static str),
    is_open: bool,
    is_live: bool,
    is_ignored: bool,
}

pub(super) async fn show(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    query: Query,
    Id(id): Id<IssueId>,
) -> Answer<IssuePage> {
    let detail = issues::detail(&state, id).await?;
    let it = detail.issue;
    let stands = State::parse(it.state);
    Ok(Page(IssuePage {
        frame: Frame::new(caller, Section::Issues, "Issue")
            .fresh_every(5)
            .saying(Some(&query.get("said"))),
        notices: detail.notices,
        mend: mend(&it),
        is_open: stands == Some(State::Open),
        is_live: stands.is_some_and(State::is_live),
        is_ignored: stands == Some(State::Ignored),
        it,
    }))
}

fn mend(it: &IssueJson) -> (String, &'static str) {
    let list = |path: &str, conditions: &[(&str, &Option<String>)]| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let given = conditions
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        query.extend_pairs(given);
        format!("{path}?{}", query.finish())
    };
    let (destination, dead) = (&it.destination, &Some("dead".to_owned()));
    match Rule::parse(&it.rule) {
        Some(Rule::DeadLetters) => (
            list("/deliveries", &[("status", dead), ("destination", destination)]),
            "the dead letters",
        ),
        Some(Rule::Refusals) => (
            list("/requests", &[("source", &it.source), ("cause", &it.cause)]),
            "the refused requests",
        ),
        Some(Rule::Backlog) => (
            list("/deliveries", &[("destination", destination)]),
            "the deliveries",
        ),
        Some(Rule::Failing | Rule::Held) => ("/destinations".to_owned(), "destinations and routes"),
        Some(Rule::Silence) => ("/sources".to_owned(), "the sources"),
        Some(Rule::Expiry) if it.destination.is_some() => ("/destinations".to_owned(), "the destinations"),
        Some(Rule::Expiry) if it.source.is_some() => ("/sources".to_owned(), "the sources"),
        Some(Rule::Store | Rule::Expiry) => ("/".to_owned(), "the overview"),
        Some(Rule::Ledger) | None => ("/#ledger".to_owned(), "the ledger"),
    }
}

/// The form that moves an issue to that state.
pub(super) fn set_to(
    to: State,
) -> impl Fn(Extract<AdminState>, Caller, Id<IssueId>, Form) -> BoxFuture<'static, Result<Response, Problem>>
+ Clone
+ Send
+ Sync
+ 'static {
    move |state, caller, id, form| Box::pin(set(state, caller, id, form, to))
}

async fn set(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<IssueId>,
    Form(mut form): Form,
    to: State,
) -> Result<Response, Problem> {
    let reason = form.text("reason")?;
    form.finish()?;
    let issue = issues::move_to(&state, &caller, id, to, reason).await?;
    let back = frame::done(None, format!("/issues/{id}"), issue.state.as_str());
    Ok(issues::note(&issue).on(back.into_response()))
}
