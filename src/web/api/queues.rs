//! `/v1/queues/{name}`: consumers fetch the deliveries of a queue, and say what became of them.
//!
//! The one part of the admin side that a token of the role `consumer` opens.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    delivery::queue::{Handed, QueueError, Refusal, Wanted},
    web::{
        api::shape::BodyJson,
        error::{Problem, ProblemJson},
        extract::{Input, Json, Name},
        state::AdminState,
    },
};

/// Deliveries of one answer: each may hold a body of `server.max_body`.
const MAX_RECEIVED: usize = 32;
const MAX_WAIT: u32 = 60;
/// The longest lease and the longest delay: half a day and a day.
const MAX_LEASE: u32 = 12 * 60 * 60;
const MAX_DELAY: u32 = 24 * 60 * 60;
/// What an operator reads.
const MAX_REASON: usize = 1000;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(receive))
        .routes(routes!(ack))
        .routes(routes!(nack))
        .routes(routes!(extend))
}

/// What a consumer asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveInput {
    /// 1 to 32; 1 where absent.
    #[schema(minimum = 1, maximum = 32)]
    max: Option<usize>,
    /// How long to wait where nothing is due: 0 to 60; 20 where absent.
    #[schema(maximum = 60)]
    wait_s: Option<u32>,
    /// For how long they are this consumer's: 1 to 43200; the queue's `lease` where absent.
    #[schema(minimum = 1, maximum = 43200)]
    lease_s: Option<u32>,
}

/// A delivery in a consumer's hands.
#[derive(Debug, Serialize, ToSchema)]
struct HandedJson {
    /// To be shown with `ack`, `nack` and `extend`.
    receipt: String,
    /// From then on another consumer may get it.
    lease_until: String,
    delivery_id: String,
    event_id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: Option<String>,
    external_id: Option<String>,
    /// 1 for the first.
    attempt: u32,
    /// What a handler behind a URL would get, `webhook-signature` among it where the destination signs.
    headers: serde_json::Map<String, serde_json::Value>,
    #[serde(flatten)]
    body: BodyJson,
}

impl From<Handed> for HandedJson {
    fn from(handed: Handed) -> Self {
        let event = &handed.event;
        Self {
            receipt: handed.receipt.to_text(),
            lease_until: handed.lease_until.to_string(),
            delivery_id: handed.delivery_id.to_string(),
            event_id: event.id.to_string(),
            source: event.source.to_string(),
            event_type: event.event_type.clone(),
            external_id: event.external_id.clone(),
            attempt: handed.receipt.number,
            body: BodyJson::new(&event.body),
            headers: handed
                .headers
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        }
    }
}

/// What was received; empty where nothing came in time.
#[derive(Debug, Serialize, ToSchema)]
struct ReceivedJson {
    data: Vec<HandedJson>,
}

/// Takes what is due, the oldest first, and waits for it where nothing is. What is not acknowledged before its lease ends goes to
/// the next consumer.
#[utoipa::path(post, path = "/v1/queues/{name}/receive", tag = "queues", operation_id = "receive",
    params(("name" = String, Path, description = "The destination's name")), request_body = ReceiveInput,
    responses((status = 200, body = ReceivedJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn receive(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(input): Input<ReceiveInput>,
) -> Result<Json<ReceivedJson>, Problem> {
    let max = input.max.unwrap_or(1);
    if !(1..=MAX_RECEIVED).contains(&max) {
        return Err(Problem::invalid(
            "max",
            "a whole number from 1 to 32",
            &max.to_string(),
        ));
    }
    let wanted = Wanted {
        max,
        wait: seconds("wait_s", input.wait_s, 0, MAX_WAIT)?.unwrap_or(Duration::from_secs(20)),
        lease: seconds("lease_s", input.lease_s, 1, MAX_LEASE)?,
    };
    let handed = state.0.queues.receive(&name, &wanted).await.map_err(problem)?;
    let data = handed.into_iter().map(HandedJson::from).collect();
    Ok(Json(ReceivedJson { data }))
}

/// A receipt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AckInput {
    receipt: String,
}

/// That it worked.
#[derive(Debug, Serialize, ToSchema)]
struct DoneJson {
    /// `delivered`, `retrying` or `dead`.
    status: &'static str,
    /// When it comes again.
    next_attempt_at: Option<String>,
}

/// It is done: the delivery is delivered. Saying so twice is fine.
#[utoipa::path(post, path = "/v1/queues/{name}/ack", tag = "queues", operation_id = "ack",
    params(("name" = String, Path, description = "The destination's name")), request_body = AckInput,
    responses((status = 200, body = DoneJson), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn ack(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(input): Input<AckInput>,
) -> Result<Json<DoneJson>, Problem> {
    state.0.queues.ack(&name, &input.receipt).await.map_err(problem)?;
    Ok(Json(DoneJson {
        status: "delivered",
        next_attempt_at: None,
    }))
}

/// Why it is not done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NackInput {
    receipt: String,
    /// Not before so long from now: 0 to 86400. Where absent: as the destination's `retry` says.
    #[schema(maximum = 86400)]
    delay_s: Option<u32>,
    /// For the operator: at most 1000 characters are kept.
    reason: Option<String>,
    /// It will never be done: a dead letter, at once.
    #[serde(default)]
    never: bool,
}

/// It is not done: an attempt that failed, so that it comes again or becomes a dead letter.
#[utoipa::path(post, path = "/v1/queues/{name}/nack", tag = "queues", operation_id = "nack",
    params(("name" = String, Path, description = "The destination's name")), request_body = NackInput,
    responses((status = 200, body = DoneJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn nack(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(input): Input<NackInput>,
) -> Result<Json<DoneJson>, Problem> {
    let refusal = Refusal {
        delay: seconds("delay_s", input.delay_s, 0, MAX_DELAY)?,
        reason: input
            .reason
            .map(|it| it.chars().take(MAX_REASON).collect())
            .filter(|it: &String| !it.is_empty()),
        is_final: input.never,
    };
    let at = state
        .0
        .queues
        .nack(&name, &input.receipt, refusal)
        .await
        .map_err(problem)?;
    Ok(Json(DoneJson {
        status: if at.is_some() { "retrying" } else { "dead" },
        next_attempt_at: at.map(|it| it.to_string()),
    }))
}

/// How much longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtendInput {
    receipt: String,
    /// From now: 1 to 43200; the queue's `lease` where absent.
    #[schema(minimum = 1, maximum = 43200)]
    lease_s: Option<u32>,
}

/// The new end of a lease.
#[derive(Debug, Serialize, ToSchema)]
struct ExtendedJson {
    lease_until: String,
}

/// It takes longer: keeps the lease for so long from now.
#[utoipa::path(post, path = "/v1/queues/{name}/extend", tag = "queues", operation_id = "extend",
    params(("name" = String, Path, description = "The destination's name")), request_body = ExtendInput,
    responses((status = 200, body = ExtendedJson), (status = 400, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn extend(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(input): Input<ExtendInput>,
) -> Result<Json<ExtendedJson>, Problem> {
    let lease = seconds("lease_s", input.lease_s, 1, MAX_LEASE)?;
    let until = state
        .0
        .queues
        .extend(&name, &input.receipt, lease)
        .await
        .map_err(problem)?;
    Ok(Json(ExtendedJson {
        lease_until: until.to_string(),
    }))
}

fn seconds(name: &str, given: Option<u32>, min: u32, max: u32) -> Result<Option<Duration>, Problem> {
    match given {
        Some(given) if !(min..=max).contains(&given) => {
            let expected = format!("a whole number of seconds from {min} to {max}");
            Err(Problem::invalid(name, &expected, &given.to_string()))
        }
        given => Ok(given.map(|it| Duration::from_secs(it.into()))),
    }
}

fn problem(error: QueueError) -> Problem {
    match error {
        QueueError::NoQueue => Problem::not_found("no destination of that name is a queue"),
        QueueError::NoReceipt => Problem::not_found("that is no receipt of this queue"),
        QueueError::Lost => Problem::new(
            StatusCode::CONFLICT,
            "lease_lost",
            "the delivery is no longer in these hands: its lease ended, or it was settled or cancelled",
        ),
        QueueError::Store(error) => error.into(),
    }
}
