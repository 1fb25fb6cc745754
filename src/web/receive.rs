//! The public side: `POST /webhooks/{source}`, from the head to the answer.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};

use crate::{
    base::{
        ids::EventId,
        metrics::handles::RequestAnswer,
        trial::{self, Flaw, Point},
    },
    event::headers::Headers,
    ingest::Reply,
    provider::{Answer, Provider},
    source::{self, Source},
    telemetry::arrival::{About, Ended, Http},
    web::{
        body::{self, BodyFault, Bounds},
        client,
        error::{Problem, whole_seconds},
        health,
        state::{Peer, Public, PublicState},
    },
};

/// Bytes of path and query: longer ones are nobody's.
const MAX_TARGET: usize = 8 * 1024;

/// Every request of the public side.
pub(crate) async fn public(State(state): State<PublicState>, request: Request) -> Response {
    let path = request.uri().path();
    if let Some(name) = path.strip_prefix("/webhooks/") {
        let source = state.0.registry.current().sources.get(name).cloned();
        let Some(source) = source else {
            state.0.counters.unknown_source();
            return Refusal::NoSuchSource.into_response();
        };
        return receive(&state.0, &source, request)
            .await
            .unwrap_or_else(|refusal| {
                if let Some(answer) = refusal.counted_as() {
                    state.0.counters.answered(&source, answer);
                }
                refusal.into_response()
            });
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match path {
        "/livez" | "/readyz" if !is_read => Refusal::Method("GET, HEAD".to_owned()).into_response(),
        "/livez" => health::live(),
        "/readyz" => health::ready(&state.0.health).await,
        _ => Refusal::NotFound.into_response(),
    }
}

async fn receive(state: &Public, source: &Arc<Source>, request: Request) -> Result<Response, Refusal> {
    trial::point(Point::HeadRead);
    let (head, body) = request.into_parts();
    let (received_at, started_at) = (state.ingest.now(), Instant::now());
    if !source.provider().methods().any(|it| it == head.method.as_str()) {
        return Err(Refusal::Method(allowed(source.provider())));
    }
    let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
    if target.len() > MAX_TARGET {
        return Err(Refusal::TargetTooLong);
    }
    if let Some(wait) = state.ingest.is_over_rate(source) {
        return Err(Refusal::TooMany(wait));
    }
    let bounds = Bounds {
        limit: source.settings().max_body.unwrap_or(state.max_body),
        timeout: state.body_timeout,
    };
    let content_length = http_body::Body::size_hint(&body).exact();
    let mut arrival = state.ingest.arrival(started_at);
    let whole = body::read(body, content_length, bounds, |n| state.ingest.admit(n)).await?;
    let request = source::Request {
        target: target.to_owned(),
        headers: pairs_of(&head),
        client: client_of(state, &head),
        method: head.method.clone(),
        body: whole.bytes,
        received_at,
    };
    let n_body_bytes = request.body.len();
    let accepted = state.ingest.accept(source, request, whole.room, &mut arrival);
    let reply = accepted.await;
    let counted_as = counted_as(&reply);
    state.counters.acknowledged(n_body_bytes, started_at);
    state.counters.answered(source, counted_as);
    let cause = match reply {
        Reply::Rejected { cause } => Some(cause),
        _ => None,
    };
    if let Some(cause) = cause {
        state.counters.rejected(source, cause);
    }
    let about = match reply {
        Reply::Accepted(id) => About::New(id),
        Reply::Duplicate(id) | Reply::Conflict(id) => About::Known(id),
        Reply::Answer(_) | Reply::Rejected { .. } | Reply::Unavailable { .. } => About::Nothing,
    };
    trial::shortly_after(Point::AnswerSent);
    let response = answer(source, reply);
    arrival.end(&Ended {
        name: format_args!("{} /webhooks/{}", head.method, source.name()),
        source: source.name(),
        about,
        answer: counted_as.as_str(),
        cause,
        is_failed: counted_as == RequestAnswer::Unavailable,
        http: Some(Http {
            method: head.method.as_str(),
            status: response.status().as_u16(),
            n_body_bytes: n_body_bytes as u64,
        }),
    });
    Ok(response)
}

fn pairs_of(head: &Parts) -> Headers {
    let pairs = head.headers.iter();
    Headers::from_pairs(pairs.map(|(name, value)| (name.as_str(), value.as_bytes())))
}

fn client_of(state: &Public, head: &Parts) -> Option<String> {
    let Peer(peer) = head.extensions.get()?;
    Some(client::address(*peer, &head.headers, &state.trusted_proxies).to_string())
}

fn allowed(provider: &Provider) -> String {
    let mut allowed = Vec::new();
    for method in provider.methods() {
        if !allowed.contains(&method) {
            allowed.push(method);
        }
    }
    allowed.join(", ")
}

/// What a reply counts as; refusals of our own are counted where they are answered.
const fn counted_as(reply: &Reply) -> RequestAnswer {
    match reply {
        Reply::Accepted(_) => RequestAnswer::Accepted,
        Reply::Duplicate(_) => RequestAnswer::Duplicate,
        Reply::Conflict(_) => RequestAnswer::Conflict,
        Reply::Answer(_) => RequestAnswer::Handshake,
        Reply::Rejected { .. } => RequestAnswer::Rejected,
        Reply::Unavailable { .. } => RequestAnswer::Unavailable,
    }
}

fn answer(source: &Source, reply: Reply) -> Response {
    let acknowledged = |ours| {
        let theirs = source.provider().acknowledgement.clone();
        theirs.map_or(ours, provider_answer)
    };
    match reply {
        Reply::Accepted(id) => acknowledged(taken(id, "accepted")),
        Reply::Duplicate(id) | Reply::Conflict(id) => acknowledged(taken(id, "duplicate")),
        Reply::Answer(answer) => provider_answer(answer),
        Reply::Rejected { .. } => Refusal::Rejected.into_response(),
        Reply::Unavailable { retry_after, .. } => Refusal::Unavailable(retry_after).into_response(),
    }
}

fn taken(id: EventId, status: &str) -> Response {
    let body = format!(r#"{{"id":"{id}","status":"{status}"}}"#);
    let mut response = Response::new(Body::from(body));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn provider_answer(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let content_type = answer
        .content_type
        .map(|it| (Cow::Borrowed("content-type"), it.into_owned()));
    for (name, value) in answer.headers.into_iter().chain(content_type) {
        // What a sender's text cannot be in a header was never allowed in its handshake.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What a sender gets in place of 200. It never says why a signature was refused.
#[derive(Debug)]
enum Refusal {
    NotFound,
    NoSuchSource,
    Method(String),
    TargetTooLong,
    TooLarge,
    TooSlow,
    /// The client broke off: nobody reads this.
    Broken,
    Rejected,
    TooMany(Duration),
    /// No bytes are left for its body, which is left unread.
    NoRoom(Duration),
    Unavailable(Duration),
}

impl Refusal {
    /// Requests that are wrong in form are nobody's traffic; what ingest replied is counted as a reply.
    const fn counted_as(&self) -> Option<RequestAnswer> {
        match self {
            Self::TooMany(_) => Some(RequestAnswer::TooMany),
            Self::NoRoom(_) | Self::Unavailable(_) => Some(RequestAnswer::Unavailable),
            Self::NotFound
            | Self::NoSuchSource
            | Self::Rejected
            | Self::Method(_)
            | Self::TargetTooLong
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken => None,
        }
    }
}

impl From<BodyFault> for Refusal {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::TooLarge,
            BodyFault::TooSlow => Self::TooSlow,
            BodyFault::NoRoom => Self::NoRoom(Duration::from_secs(1)),
            BodyFault::Broken => Self::Broken,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "nothing is here"),
            Self::NoSuchSource => (StatusCode::NOT_FOUND, "no_such_source", "no such source"),
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "another method is needed",
            ),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "target_too_long", "the URL is too long"),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the body is too large",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "body_too_slow",
                "the body came too slowly",
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "body_broken", "the body did not end"),
            Self::Rejected => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the request was not accepted",
            ),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many requests; try again later",
            ),
            Self::NoRoom(_) | Self::Unavailable(_) if trial::has(Flaw::OwnFaultIs400) => {
                (StatusCode::BAD_REQUEST, "bad_request", "the request is wrong")
            }
            Self::NoRoom(_) | Self::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "gatepost cannot take this now; try again later",
            ),
        };
        let mut response = Problem::new(status, code, detail).into_response();
        let headers = response.headers_mut();
        // The rest of the body is never read, so this connection carries no other request: the client must know.
        if matches!(
            self,
            Self::TooSlow | Self::TooLarge | Self::Broken | Self::NoRoom(_)
        ) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::Method(allowed) => {
                if let Ok(allowed) = HeaderValue::from_maybe_shared(Bytes::from(allowed)) {
                    headers.insert(header::ALLOW, allowed);
                }
            }
            Self::TooMany(wait) | Self::NoRoom(wait) | Self::Unavailable(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            }
            Self::NotFound
            | Self::NoSuchSource
            | Self::TargetTooLong
            | Self::TooLarge
            | Self::TooSlow
            | Self::Broken
            | Self::Rejected => {}
        }
        response
    }
}
