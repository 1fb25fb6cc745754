//! `/v1/sources/{name}/sample`: an event of the sender's kind, signed as it would be, by way of everything that real ones pass.

use std::time::Instant;

use axum::extract::State;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{clock::wall_now, secret::Secret},
    event::headers::Headers,
    ingest::Reply,
    provider::{BadSecret, Sample, Wanted},
    source::{Request, Source},
    telemetry::arrival::{About, Arrival, Ended},
    web::{
        error::{Problem, ProblemJson, shortened},
        extract::{Input, Json, Name},
        state::{Admin, AdminState},
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(send))
}

/// What the sample says.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleInput {
    /// The event's type; the provider's sample has one of its own.
    pub(crate) r#type: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SampledJson {
    /// The event.
    pub(crate) id: String,
    /// `accepted`, or `duplicate` where the sample has the id of one that came before.
    pub(crate) status: &'static str,
}

/// Signs a sample event with the first secret of a source, as its provider would, and takes it in as if it had been sent: it is
/// verified, stored, and delivered to where its routes lead.
#[utoipa::path(post, path = "/v1/sources/{name}/sample", tag = "setup", operation_id = "send_sample",
    params(("name" = String, Path, description = "The source")), request_body = SampleInput,
    responses((status = 200, body = SampledJson), (status = 404, body = ProblemJson<'_>),
        (status = 409, body = ProblemJson<'_>), (status = 503, body = ProblemJson<'_>)))]
async fn send(
    State(state): State<AdminState>,
    Name(name): Name,
    Input(told): Input<SampleInput>,
) -> Result<Json<SampledJson>, Problem> {
    send_one(&state.0, &name, &told).await.map(Json)
}

pub(crate) async fn send_one(state: &Admin, name: &str, told: &SampleInput) -> Result<SampledJson, Problem> {
    let source = state.registry.current().sources.get(name).cloned();
    let source =
        source.ok_or_else(|| Problem::not_found(format!("no source has the name `{}`", shortened(name))))?;
    let sample = sample(&source, told.r#type.as_deref())
        .map_err(|bad| conflict("no_sample", format!("{}: {}", bad.problem, bad.hint)))?;
    let busy = || {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "too much is on its way in",
        )
    };
    let room = state.ingest.admit(sample.body.len() as u64).ok_or_else(busy)?;
    let request = request(state, &source, sample);
    let mut arrival = state.ingest.arrival(Instant::now());
    let reply = state.ingest.accept(&source, request, room, &mut arrival).await;
    end(arrival, &source, &reply);
    match reply {
        Reply::Accepted(id) => Ok(SampledJson {
            id: id.to_string(),
            status: "accepted",
        }),
        Reply::Duplicate(id) | Reply::Conflict(id) => Ok(SampledJson {
            id: id.to_string(),
            status: "duplicate",
        }),
        Reply::Answer(_) => Err(conflict(
            "no_sample",
            "the sample is a handshake: there is no event in it",
        )),
        Reply::Rejected { cause } => Err(conflict(
            "sample_refused",
            format!("the source refused its own sample: {cause}; the refused requests say more"),
        )),
        Reply::Unavailable { reason, .. } => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            reason,
        )),
    }
}

/// A sample is traced as what it plays.
fn end(arrival: Arrival, source: &Source, reply: &Reply) {
    let (about, answer, cause) = match reply {
        Reply::Accepted(id) => (About::New(*id), "accepted", None),
        Reply::Duplicate(id) => (About::Known(*id), "duplicate", None),
        Reply::Conflict(id) => (About::Known(*id), "conflict", None),
        Reply::Answer(_) => (About::Nothing, "handshake", None),
        Reply::Rejected { cause } => (About::Nothing, "rejected", Some(*cause)),
        Reply::Unavailable { .. } => (About::Nothing, "unavailable", None),
    };
    arrival.end(&Ended {
        name: format_args!("sample {}", source.name()),
        source: source.name(),
        about,
        answer,
        cause,
        is_failed: matches!(reply, Reply::Unavailable { .. }),
        http: None,
    });
}

fn conflict(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

/// Whether one can be made: not where the sender alone holds what signs.
pub(crate) fn is_possible(source: &Source) -> bool {
    sample(source, None).is_ok()
}

fn target(source: &Source) -> String {
    format!("/webhooks/{}", source.name())
}

fn sample(source: &Source, event_type: Option<&str>) -> Result<Sample, BadSecret> {
    let provider = source.provider();
    let secret = match source.settings().secrets.first() {
        Some(secret) => secret.clone(),
        None if provider.is_unverified() => Secret::new(Vec::new()),
        None => {
            return Err(BadSecret {
                problem: format!("source `{}` has no secret to sign with", source.name()),
                hint: "its sender alone can sign".to_owned(),
            });
        }
    };
    let target = target(source);
    let public_url = source.settings().public_url.as_ref();
    let url = public_url.map(|it| format!("{}{target}", it.as_str().trim_end_matches('/')));
    let wanted = Wanted {
        event_type,
        body: None,
        url: url.as_deref(),
        target: Some(&target),
    };
    provider.sample(&secret, &wanted, wall_now())
}

fn request(state: &Admin, source: &Source, sample: Sample) -> Request {
    let mut target = target(source);
    if let Some((name, value)) = &sample.query {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair(name, value)
            .finish();
        target = format!("{target}?{query}");
    }
    let headers = sample.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    Request {
        method: Method::POST,
        target,
        headers: Headers::from_pairs(pairs),
        body: Bytes::from(sample.body),
        client: None,
        received_at: state.ingest.now(),
    }
}
