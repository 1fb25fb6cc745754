//! What stands around every page, and how a page, a problem or the end of a form becomes an answer.

use askama::Template;
use axum::{
    extract::Request,
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{StatusCode, header};

use crate::web::{
    Role,
    auth::{Caller, Pass, origin::local_path},
    dashboard::{
        assets::{ICON, SCRIPT, STYLE},
        text,
    },
    error::Problem,
};

/// The pages that the head of each page leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Events,
    Deliveries,
    DeadLetters,
    Requests,
    Issues,
    Sources,
    Destinations,
    Map,
    Jobs,
    Audit,
    Settings,
}

impl Section {
    /// The least role that is shown the way there.
    const fn role(self) -> Role {
        match self {
            Self::Audit | Self::Settings => Role::Operator,
            _ => Role::Viewer,
        }
    }
}

const TABS: [(Section, &str, &str); 12] = [
    (Section::Overview, "/", "Overview"),
    (Section::Events, "/events", "Events"),
    (Section::Deliveries, "/deliveries", "Deliveries"),
    (Section::DeadLetters, "/deliveries?status=dead", "Dead letters"),
    (Section::Requests, "/requests", "Refused"),
    (Section::Issues, "/issues?state=live", "Issues"),
    (Section::Sources, "/sources", "Sources"),
    (Section::Destinations, "/destinations", "Destinations"),
    (Section::Map, "/map", "Map"),
    (Section::Jobs, "/jobs", "Jobs"),
    (Section::Audit, "/audit", "Audit"),
    (Section::Settings, "/settings", "Settings"),
];

#[derive(Debug)]
pub(super) struct Tab {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) is_here: bool,
}

/// What stands around a page.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    /// Whether to offer what changes something: a viewer sees no button that he may not use.
    pub(super) may_change: bool,
    /// How often the parts that are marked so are fetched anew; 0: never.
    pub(super) every_s: u32,
    /// What the form that led here did.
    pub(super) said: Option<&'static str>,
    section: Option<Section>,
    caller: Option<Caller>,
}

impl Frame {
    pub(super) fn new(caller: Caller, section: Section, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            may_change: caller.role >= Role::Operator,
            every_s: 0,
            said: None,
            section: Some(section),
            caller: Some(caller),
        }
    }

    /// For who is not known yet.
    pub(super) fn outside(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            may_change: false,
            every_s: 0,
            said: None,
            section: None,
            caller: None,
        }
    }

    #[must_use]
    pub(super) fn fresh_every(mut self, seconds: u32) -> Self {
        self.every_s = seconds;
        self
    }

    /// `word`: what a form's redirect says in the query; of these words alone, so that no link puts words into our mouth.
    #[must_use]
    pub(super) fn saying(mut self, word: Option<&str>) -> Self {
        let known = SAYINGS.iter().find(|(it, _)| Some(*it) == word);
        self.said = known.map(|(_, said)| *said);
        self
    }

    pub(super) fn tabs(&self) -> Vec<Tab> {
        let tab = |(section, href, label)| Tab {
            href,
            label,
            is_here: self.section == Some(section),
        };
        let role = self.caller.as_ref().map(|it| it.role);
        let is_shown = |(section, ..): &(Section, _, _)| role.is_none_or(|it| it >= section.role());
        TABS.into_iter().filter(is_shown).map(tab).collect()
    }

    /// Whether there is something to log out of.
    pub(super) fn has_session(&self) -> bool {
        self.caller.as_ref().is_some_and(|it| it.pass == Pass::Cookie)
    }

    pub(super) fn who(&self) -> &str {
        self.caller.as_ref().map(|it| &*it.name).unwrap_or_default()
    }
}

#[expect(clippy::unused_self, reason = "a template asks what it has")]
impl Frame {
    pub(super) fn style(&self) -> &'static str {
        &STYLE.path
    }

    pub(super) fn script(&self) -> &'static str {
        &SCRIPT.path
    }

    pub(super) fn icon(&self) -> &'static str {
        &ICON.path
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

const SAYINGS: [(&str, &str); 12] = [
    ("retried", "It is tried again now."),
    ("cancelled", "It is cancelled."),
    ("sampled", "This is the sample: it came in like a real one."),
    ("replayed", "It is delivered again: see the newest deliveries."),
    ("paused", "It is paused: its deliveries wait."),
    ("resumed", "It is resumed."),
    ("begun", "The job has begun."),
    ("stopped", "The job is stopped where it stood."),
    (
        "acknowledged",
        "It is acknowledged: it stays open until it is gone.",
    ),
    (
        "resolved",
        "It is resolved, and opens again when it happens again.",
    ),
    ("ignored", "It is ignored until somebody opens it again."),
    ("open", "It is open."),
];

/// A page, as HTML.
#[derive(Debug)]
pub(super) struct Page<T>(pub(super) T);

/// What the handler of a page answers.
pub(super) type Answer<T> = Result<Page<T>, Problem>;

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => Html(html).into_response(),
            Err(err) => {
                tracing::error!(error = %err, "a page of the dashboard cannot be written");
                Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "gatepost failed; the log says more",
                )
                .into_response()
            }
        }
    }
}

/// After a form: to the page that shows what it did. `back` comes with the form, and leads nowhere else.
pub(super) fn done(back: Option<String>, or: String, word: &str) -> Redirect {
    let back = back.filter(|it| local_path(it).is_some()).unwrap_or(or);
    // A list takes its filters and nothing else.
    if back.contains('?') || back == "/deliveries" {
        return Redirect::to(&back);
    }
    Redirect::to(&format!("{back}?said={word}"))
}

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    status: u16,
    code: String,
    detail: String,
}

/// Around all pages: a problem is told in HTML.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let title = problem.status.canonical_reason().unwrap_or("Error");
    let frame = Frame {
        may_change: false,
        caller,
        ..Frame::outside(title)
    };
    let page = ProblemPage {
        frame,
        status: problem.status.as_u16(),
        code: problem.code.into_owned(),
        detail: problem.detail.into_owned(),
    };
    let mut told = (problem.status, Page(page)).into_response();
    if let Some(wait) = response.headers_mut().remove(header::RETRY_AFTER) {
        told.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    told
}
