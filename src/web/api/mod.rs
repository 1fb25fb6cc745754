//! The admin API: one file per resource, its JSON in `shape`.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod issues;
pub(crate) mod job_shape;
pub(crate) mod jobs;
pub mod lists;
pub(crate) mod metrics;
mod notifications;
pub(crate) mod numbers;
pub(crate) mod openapi;
mod queues;
pub(crate) mod requests;
pub(crate) mod sample;
pub(crate) mod search;
pub(crate) mod setup;
pub(crate) mod shape;
pub(crate) mod stream;
mod texts;
mod tokens;
mod transfer;

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::{health, login, oidc, state::AdminState};

/// All of the admin side, with its description.
pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::with_openapi(openapi::beginning())
        .merge(openapi::router())
        .merge(events::router())
        .merge(deliveries::router())
        .merge(requests::router())
        .merge(jobs::router())
        .merge(issues::router())
        .merge(notifications::router())
        .merge(transfer::router())
        .merge(setup::router())
        .merge(sample::router())
        .merge(queues::router())
        .merge(numbers::router())
        .merge(stream::router())
        .merge(metrics::router())
        .merge(login::router())
        .merge(oidc::routes::router())
        .merge(tokens::router())
        .merge(audit::router())
        .merge(config::router())
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// Whether the process is alive. Needs no token.
#[utoipa::path(get, path = "/livez", tag = "service", operation_id = "livez",
    responses((status = 200, content_type = "application/json")))]
async fn live() -> Response {
    health::live()
}

/// Whether it takes requests: the store answers and no stop was asked for. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "readyz",
    responses((status = 200, content_type = "application/json"), (status = 503, content_type = "application/json")))]
async fn ready(State(state): State<AdminState>) -> Response {
    health::ready(&state.0.health).await
}
