//! `/v1/issues`: what is wrong, and what somebody does about it.

use axum::{
    extract::State as Extract,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    alert::rule::Rule,
    base::ids::IssueId,
    store::issue::{Issue, IssueQuery, Move, Notice, Severity, State},
    web::{
        api::{
            shape::PageJson,
            texts::{IssueIdText, IssueStateText, LimitNumber, RuleText, SeverityText},
        },
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params},
        state::AdminState,
        trail::Note,
    },
};

/// Characters of a reason.
const MAX_REASON: usize = 500;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(acknowledge))
        .routes(routes!(resolve))
        .routes(routes!(ignore))
        .routes(routes!(reopen))
}

/// What is wrong at one place, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssueJson {
    pub(crate) id: String,
    /// The rule that found it: its name in `[issues]` of the config.
    pub(crate) rule: String,
    /// `warning` or `critical`.
    pub(crate) severity: &'static str,
    /// `open`, `acknowledged`, `resolved` or `ignored`.
    pub(crate) state: &'static str,
    pub(crate) source: Option<String>,
    pub(crate) destination: Option<String>,
    pub(crate) route: Option<String>,
    /// What exactly, where a rule tells several apart: of refused requests, why.
    pub(crate) cause: Option<String>,
    /// One sentence, as of the last look.
    pub(crate) summary: String,
    /// How many failures it stood for at the last look; 0 once it is gone.
    pub(crate) count: u64,
    /// How often it was opened.
    pub(crate) n_opened: u32,
    pub(crate) first_seen_at: String,
    /// When it last happened, or became worse.
    pub(crate) last_seen_at: String,
    /// When its state last changed.
    pub(crate) changed_at: String,
    /// The name of the token that changed it; null: gatepost itself.
    pub(crate) changed_by: Option<String>,
    /// Why, in the words of who changed it.
    pub(crate) reason: Option<String>,
}

impl From<&Issue> for IssueJson {
    fn from(it: &Issue) -> Self {
        Self {
            id: it.id.to_string(),
            rule: it.rule.clone(),
            severity: it.severity.as_str(),
            state: it.state.as_str(),
            source: it.place.source.clone(),
            destination: it.place.destination.clone(),
            route: it.place.route.clone(),
            cause: it.place.cause.clone(),
            summary: it.summary.clone(),
            count: it.count,
            n_opened: it.n_opened,
            first_seen_at: it.first_seen_at.to_string(),
            last_seen_at: it.last_seen_at.to_string(),
            changed_at: it.changed_at.to_string(),
            changed_by: it.changed_by.clone(),
            reason: it.reason.clone(),
        }
    }
}

/// An issue, and who was told of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssueDetailJson {
    #[serde(flatten)]
    pub(crate) issue: IssueJson,
    /// Newest first; at most 100.
    pub(crate) notices: Vec<NoticeJson>,
}

/// One change of an issue, told to one notification, or to be told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoticeJson {
    pub(crate) id: String,
    /// The notification's name.
    pub(crate) notification: String,
    /// `opened`, `reopened`, `acknowledged`, `resolved` or `ignored`.
    pub(crate) change: &'static str,
    /// When the issue changed.
    pub(crate) created_at: String,
    /// `sent`, `waiting` or `given_up`.
    pub(crate) status: &'static str,
    pub(crate) tries: u32,
    pub(crate) sent_at: Option<String>,
    pub(crate) next_try_at: Option<String>,
    pub(crate) last_error: Option<String>,
}

impl From<&Notice> for NoticeJson {
    fn from(it: &Notice) -> Self {
        Self {
            id: it.id.to_string(),
            notification: it.notification.clone(),
            change: it.change.as_str(),
            created_at: it.created_at.to_string(),
            status: match (it.sent_at, it.due_at) {
                (Some(_), _) => "sent",
                (None, Some(_)) => "waiting",
                (None, None) => "given_up",
            },
            tries: it.n_tries,
            sent_at: it.sent_at.map(|it| it.to_string()),
            next_try_at: it.due_at.map(|it| it.to_string()),
            last_error: it.last_error.clone(),
        }
    }
}

/// Lists issues, newest first.
#[utoipa::path(get, path = "/v1/issues", tag = "issues", operation_id = "list_issues",
    params(
        ("state" = inline(Option<IssueStateText>), Query, description = "In this state: `open`, `acknowledged`, `resolved` or `ignored`; or `live`: open or acknowledged"),
        ("rule" = inline(Option<RuleText>), Query, description = "Found by this rule: `dead_letters`, `failing`, `held`, `refusals`, `backlog`, `ledger`, `silence`, `store` or `expiry`"),
        ("severity" = inline(Option<SeverityText>), Query, description = "`warning` or `critical`"),
        ("source" = Option<String>, Query, description = "About this source"),
        ("destination" = Option<String>, Query, description = "About this destination"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = inline(Option<IssueIdText>), Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<IssueJson>), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    Extract(state): Extract<AdminState>,
    params: Params,
) -> Result<Json<PageJson<IssueJson>>, Problem> {
    let page = state.0.store.issues(&list_query(params)?).await?;
    Ok(Json(PageJson::from_page(page)))
}

/// What `state` may say besides a state.
pub(crate) const LIVE: &str = "live";

pub(crate) fn list_query(mut params: Params) -> Result<IssueQuery, Problem> {
    let states = State::ALL.map(State::as_str).join(", ");
    let expected = format!("one of {states}, {LIVE}");
    let wanted = params.parsed("state", &expected, |text| match text {
        LIVE => Some(None),
        _ => State::parse(text).map(Some),
    })?;
    let rules = Rule::ALL.map(Rule::as_str).join(", ");
    let severities = Severity::ALL.map(Severity::as_str).join(", ");
    let query = IssueQuery {
        state: wanted.flatten(),
        is_live: wanted == Some(None),
        rule: params
            .parsed("rule", &format!("one of {rules}"), Rule::parse)?
            .map(|it| it.as_str().to_owned()),
        severity: params.parsed("severity", &format!("one of {severities}"), Severity::parse)?,
        source: params.text("source")?,
        destination: params.text("destination")?,
        limit: params.limit()?,
        cursor: params.id("cursor")?,
    };
    params.finish()?;
    Ok(query)
}

/// One issue, and who was told of it.
#[utoipa::path(get, path = "/v1/issues/{id}", tag = "issues", operation_id = "get_issue",
    params(("id" = inline(IssueIdText), Path, description = "The issue's id")),
    responses((status = 200, body = IssueDetailJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(
    Extract(state): Extract<AdminState>,
    Id(id): Id<IssueId>,
) -> Result<Json<IssueDetailJson>, Problem> {
    Ok(Json(detail(&state, id).await?))
}

pub(crate) async fn detail(state: &AdminState, id: IssueId) -> Result<IssueDetailJson, Problem> {
    let issue = state.0.store.issue(id).await?;
    let notices = state.0.store.notices(id).await?;
    Ok(IssueDetailJson {
        issue: IssueJson::from(&issue),
        notices: notices.iter().map(NoticeJson::from).collect(),
    })
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    #[schema(max_length = 500)]
    reason: Option<String>,
}

/// Says that somebody knows: it stays open, and closes by itself when it is gone.
#[utoipa::path(post, path = "/v1/issues/{id}/acknowledge", tag = "issues", operation_id = "acknowledge_issue",
    params(("id" = inline(IssueIdText), Path, description = "The issue's id")), request_body = Why,
    responses((status = 200, body = IssueJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn acknowledge(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<IssueId>,
    Input(why): Input<Why>,
) -> Result<Response, Problem> {
    answer(&state, &caller, id, State::Acknowledged, why).await
}

/// Says that it is over. It opens again when it happens again; what is still there, as a destination that goes on failing, does so
/// at the next look.
#[utoipa::path(post, path = "/v1/issues/{id}/resolve", tag = "issues", operation_id = "resolve_issue",
    params(("id" = inline(IssueIdText), Path, description = "The issue's id")), request_body = Why,
    responses((status = 200, body = IssueJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn resolve(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<IssueId>,
    Input(why): Input<Why>,
) -> Result<Response, Problem> {
    answer(&state, &caller, id, State::Resolved, why).await
}

/// Says that nobody wants to hear of it: it stays so, whatever happens, until it is opened again.
#[utoipa::path(post, path = "/v1/issues/{id}/ignore", tag = "issues", operation_id = "ignore_issue",
    params(("id" = inline(IssueIdText), Path, description = "The issue's id")), request_body = Why,
    responses((status = 200, body = IssueJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn ignore(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<IssueId>,
    Input(why): Input<Why>,
) -> Result<Response, Problem> {
    answer(&state, &caller, id, State::Ignored, why).await
}

/// Opens an issue again, whatever its state is.
#[utoipa::path(post, path = "/v1/issues/{id}/reopen", tag = "issues", operation_id = "reopen_issue",
    params(("id" = inline(IssueIdText), Path, description = "The issue's id")), request_body = Why,
    responses((status = 200, body = IssueJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn reopen(
    Extract(state): Extract<AdminState>,
    caller: Caller,
    Id(id): Id<IssueId>,
    Input(why): Input<Why>,
) -> Result<Response, Problem> {
    answer(&state, &caller, id, State::Open, why).await
}

async fn answer(
    state: &AdminState,
    caller: &Caller,
    id: IssueId,
    to: State,
    why: Why,
) -> Result<Response, Problem> {
    let issue = move_to(state, caller, id, to, why.reason).await?;
    Ok(note(&issue).on(Json(IssueJson::from(&issue)).into_response()))
}

pub(crate) fn note(issue: &Issue) -> Note {
    Note {
        detail: Some(issue.key.clone()),
        ..Note::default()
    }
}

pub(crate) async fn move_to(
    state: &AdminState,
    caller: &Caller,
    id: IssueId,
    to: State,
    reason: Option<String>,
) -> Result<Issue, Problem> {
    let reason = reason.filter(|it| !it.trim().is_empty());
    if let Some(long) = reason.as_ref().filter(|it| it.chars().count() > MAX_REASON) {
        return Err(Problem::invalid("reason", "at most 500 characters", long));
    }
    let store = &state.0.store;
    let known = store.issue(id).await?;
    let to = Move {
        to,
        by: caller.name.to_string(),
        reason,
        tell: state.0.alerts.current().wanting(&known.rule, known.severity),
    };
    let (issue, change) = store.move_issue(id, to, store.now().await?).await?;
    if let Some(change) = change {
        state.0.alerts.wake();
        tracing::info!(
            issue.id = %id,
            by = %caller.name,
            "issue {id} is {} by `{}`", change.as_str(), caller.name
        );
    }
    Ok(issue)
}
