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
mod queues;
pub(crate) mod requests;
pub(crate) mod sample;
pub(crate) mod setup;
pub(crate) mod shape;
pub(crate) mod stream;
mod tokens;
mod transfer;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::{health, login, oidc, state::AdminState};

/// All of the admin side, with its description.
pub(crate) fn router() -> OpenApiRouter<AdminState> {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let info = InfoBuilder::new()
        .title("gatepost")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The admin API of gatepost, a webhook receiver gateway."))
        .license(Some(license))
        .build();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new().security_scheme("token", bearer).build();
    let openapi = OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build();
    OpenApiRouter::with_openapi(openapi)
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
        .routes(routes!(description))
        .routes(routes!(live))
        .routes(routes!(ready))
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, content_type = "application/json")))]
async fn description(State(state): State<AdminState>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, content_type)], state.0.openapi.clone()).into_response()
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
