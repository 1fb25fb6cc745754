//! `/v1/notifications`: who is told of issues, and trying it. Never a secret.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    alert::{channel::Channel, rule::Rule},
    web::{
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Json, Name, Params},
        state::AdminState,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(test))
}

/// Who is told of issues.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationJson {
    name: String,
    /// `webhook`, `slack`, `discord`, `pagerduty` or `email`.
    kind: &'static str,
    /// The host that it leads to.
    target: String,
    max_per_hour: u32,
    /// What matters less is not told.
    severity: &'static str,
    /// Of these rules alone; empty: of all.
    rules: Vec<&'static str>,
}

impl From<&Channel> for NotificationJson {
    fn from(it: &Channel) -> Self {
        let it = it.settings();
        Self {
            name: it.name.clone(),
            kind: it.kind.name(),
            target: it.kind.target(),
            max_per_hour: it.max_per_hour,
            severity: it.severity.as_str(),
            rules: it.rules.iter().copied().map(Rule::as_str).collect(),
        }
    }
}

/// All notifications of the config.
#[derive(Debug, Serialize, ToSchema)]
struct NotificationsJson {
    data: Vec<NotificationJson>,
}

/// Lists the notifications.
#[utoipa::path(get, path = "/v1/notifications", tag = "issues", operation_id = "list_notifications",
    responses((status = 200, body = NotificationsJson)))]
async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<NotificationsJson>, Problem> {
    params.finish()?;
    let setup = state.0.alerts.current();
    let data = setup.channels.values().map(NotificationJson::from).collect();
    Ok(Json(NotificationsJson { data }))
}

/// What became of a test message.
#[derive(Debug, Serialize, ToSchema)]
struct TestedJson {
    name: String,
    /// Whether the other end took it.
    taken: bool,
    /// Why not.
    error: Option<String>,
}

/// Sends a message that says that it is a test, from the asked process and at once: outside the limit, and remembered nowhere.
#[utoipa::path(post, path = "/v1/notifications/{name}/test", tag = "issues", operation_id = "test_notification",
    params(("name" = String, Path, description = "The notification's name")),
    responses((status = 200, body = TestedJson), (status = 404, body = ProblemJson<'_>)))]
async fn test(
    State(state): State<AdminState>,
    caller: Caller,
    Name(name): Name,
) -> Result<Json<TestedJson>, Problem> {
    let setup = state.0.alerts.current();
    let Some(channel) = setup.channels.get(&*name) else {
        return Err(Problem::not_found(format!(
            "the config has no notification `{}`",
            crate::web::error::shortened(&name)
        )));
    };
    let tested = channel
        .test(&caller.name, setup.settings.dashboard_url.as_ref())
        .await;
    Ok(Json(TestedJson {
        name,
        taken: tested.is_ok(),
        error: tested.err().map(|it| it.explanation),
    }))
}
