//! `/v1/deliveries`.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::ids::DeliveryId,
    event::delivery::Delivery,
    web::{
        api::{
            lists,
            shape::{DeliveryDetailJson, DeliveryJson, PageJson},
            texts::{DeliveryIdText, EventIdText, LimitNumber, StatusText, TimeText},
        },
        auth::Caller,
        error::{Problem, ProblemJson},
        extract::{Id, Json, Params},
        state::{Admin, AdminState},
        view::View,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(retry))
        .routes(routes!(cancel))
}

/// Lists deliveries, newest first. Dead letters: `status=dead`.
#[utoipa::path(get, path = "/v1/deliveries", tag = "deliveries", operation_id = "list_deliveries",
    params(
        ("source" = Option<String>, Query, description = "Of events of this source"),
        ("type" = Option<String>, Query, description = "Of events of this type, or with a `*` at its end of all types that begin so"),
        ("event_id" = inline(Option<EventIdText>), Query, description = "Of this event"),
        ("route" = Option<String>, Query, description = "Of this route"),
        ("destination" = Option<String>, Query, description = "To this destination"),
        ("status" = inline(Option<StatusText>), Query, description = "In this status"),
        ("cause" = Option<String>, Query, description = "Skipped for this cause: `filtered` or `stale`"),
        ("after" = inline(Option<TimeText>), Query, description = "Made at or after this time (RFC 3339)"),
        ("before" = inline(Option<TimeText>), Query, description = "Made before this time (RFC 3339)"),
        ("q" = Option<String>, Query, description = "Part of the last error, of the external id or of the type"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = inline(Option<DeliveryIdText>), Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<DeliveryJson>), (status = 400, body = ProblemJson<'_>)))]
async fn list(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<PageJson<DeliveryJson>>, Problem> {
    let query = lists::deliveries(params)?;
    let page = state.0.store.deliveries(&query).await?;
    Ok(Json(PageJson::from_page(page)))
}

/// One delivery with its attempts.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "deliveries", operation_id = "get_delivery",
    params(("id" = inline(DeliveryIdText), Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryDetailJson), (status = 404, body = ProblemJson<'_>)))]
async fn get(
    State(state): State<AdminState>,
    caller: Caller,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryDetailJson>, Problem> {
    let delivery = state.0.store.delivery(id).await?;
    let attempts = state.0.store.attempts(id).await?;
    let view = View::of_role(&state.0, &caller);
    Ok(Json(DeliveryDetailJson::new(&delivery, &attempts, &view)))
}

/// Tries a delivery again now, whatever its schedule says. A dead letter comes back to life.
#[utoipa::path(post, path = "/v1/deliveries/{id}/retry", tag = "deliveries", operation_id = "retry_delivery",
    params(("id" = inline(DeliveryIdText), Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn retry(
    State(state): State<AdminState>,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryJson>, Problem> {
    let delivery = retry_now(&state.0, id).await?;
    Ok(Json(DeliveryJson::from(&delivery)))
}

pub(crate) async fn retry_now(state: &Admin, id: DeliveryId) -> Result<Delivery, Problem> {
    let delivery = state.store.requeue(id, state.store.now().await?).await?;
    state.wake.now();
    tracing::info!(delivery.id = %id, "delivery {id} is tried again by an operator");
    Ok(delivery)
}

/// Gives up an open delivery. One that is under way may still arrive.
#[utoipa::path(post, path = "/v1/deliveries/{id}/cancel", tag = "deliveries", operation_id = "cancel_delivery",
    params(("id" = inline(DeliveryIdText), Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn cancel(
    State(state): State<AdminState>,
    Id(id): Id<DeliveryId>,
) -> Result<Json<DeliveryJson>, Problem> {
    let delivery = cancel_now(&state.0, id).await?;
    Ok(Json(DeliveryJson::from(&delivery)))
}

pub(crate) async fn cancel_now(state: &Admin, id: DeliveryId) -> Result<Delivery, Problem> {
    let delivery = state.store.cancel(id, state.store.now().await?).await?;
    tracing::info!(delivery.id = %id, "delivery {id} is cancelled by an operator");
    Ok(delivery)
}
