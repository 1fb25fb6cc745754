//! The JSON of the admin API.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    event::{Event, attempt::Attempt, delivery::Delivery, headers::Headers},
    store::{
        query::{EventSummary, Page, RequestSummary},
        rejected::RejectedRequest,
    },
    web::view::{View, Withheld},
};

/// A page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageJson<T> {
    pub(crate) data: Vec<T>,
    /// The `cursor` of the next page; null on the last one.
    pub(crate) next: Option<String>,
}

impl<T> PageJson<T> {
    pub(crate) fn new<R, I: ToString>(page: Page<R, I>, shown: impl Fn(&R) -> T) -> Self {
        Self {
            data: page.rows.iter().map(shown).collect(),
            next: page.next.map(|it| it.to_string()),
        }
    }

    pub(crate) fn from_page<R, I: ToString>(page: Page<R, I>) -> Self
    where
        T: for<'a> From<&'a R>,
    {
        Self::new(page, |it| T::from(it))
    }
}

/// An event without its headers and body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventSummaryJson {
    pub(crate) id: String,
    pub(crate) source: String,
    /// The sender's own id.
    pub(crate) external_id: Option<String>,
    pub(crate) r#type: Option<String>,
    /// `received`, `recovered` or `imported`.
    pub(crate) origin: &'static str,
    /// What its signature covers: `body`, `origin` or `none`.
    pub(crate) verified: &'static str,
    /// When the sender says that it happened.
    pub(crate) occurred_at: Option<String>,
    pub(crate) received_at: String,
    pub(crate) content_type: Option<String>,
    /// Bytes of the body.
    pub(crate) size: u64,
}

impl From<&EventSummary> for EventSummaryJson {
    fn from(event: &EventSummary) -> Self {
        Self {
            id: event.id.to_string(),
            source: event.source.to_string(),
            external_id: event.external_id.clone(),
            r#type: event.event_type.clone(),
            origin: event.origin.as_str(),
            verified: event.binding.as_str(),
            occurred_at: event.occurred_at.map(|it| it.to_string()),
            received_at: event.received_at.to_string(),
            content_type: event.content_type.clone(),
            size: event.size,
        }
    }
}

impl From<&Event> for EventSummaryJson {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id.to_string(),
            source: event.source.to_string(),
            external_id: event.external_id.clone(),
            r#type: event.event_type.clone(),
            origin: event.origin.as_str(),
            verified: event.binding.as_str(),
            occurred_at: event.occurred_at.map(|it| it.to_string()),
            received_at: event.received_at.to_string(),
            content_type: event.headers.first_str("content-type").map(str::to_owned),
            size: event.body.len() as u64,
        }
    }
}

/// An event, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventJson {
    #[serde(flatten)]
    pub(crate) summary: EventSummaryJson,
    /// What stood behind the `?` of its URL, as it was written, without credentials.
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<HeaderJson>,
    #[serde(flatten)]
    pub(crate) body: ShownBodyJson,
    pub(crate) deliveries: Vec<DeliveryJson>,
}

impl EventJson {
    pub(crate) fn new(event: &Event, deliveries: &[Delivery], view: &View) -> Self {
        Self {
            summary: EventSummaryJson::from(event),
            query: view.query(&event.query),
            headers: view.headers(&event.headers),
            body: view.body(&event.body),
            deliveries: deliveries.iter().map(DeliveryJson::from).collect(),
        }
    }
}

/// Bytes as text where they are UTF-8, else in base64.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BodyJson {
    pub(crate) body: String,
    /// `base64`, or absent: then the body is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_encoding: Option<&'static str>,
}

impl BodyJson {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                body: text.to_owned(),
                body_encoding: None,
            },
            Err(_) => Self {
                body: STANDARD.encode(bytes),
                body_encoding: Some("base64"),
            },
        }
    }
}

/// A body as it may be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownBodyJson {
    /// Null where it is withheld.
    pub(crate) body: Option<String>,
    /// `base64`, or absent: then the body is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_encoding: Option<&'static str>,
    /// Why it is not shown: `role` (bodies are kept from viewers) or `redaction` (the source's rules cannot be applied to it).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_withheld: Option<&'static str>,
}

impl From<Result<BodyJson, Withheld>> for ShownBodyJson {
    fn from(body: Result<BodyJson, Withheld>) -> Self {
        match body {
            Ok(body) => Self {
                body: Some(body.body),
                body_encoding: body.body_encoding,
                body_withheld: None,
            },
            Err(why) => Self {
                body: None,
                body_encoding: None,
                body_withheld: Some(why.as_str()),
            },
        }
    }
}

/// A header: name in lower case, value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeaderJson(String, String);

impl HeaderJson {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    pub(crate) fn value(&self) -> &str {
        &self.1
    }
}

/// Headers that carry a credential as it is. Signatures stay: they are of no use without the secret, and an operator
/// needs them to see why one did not match.
pub(crate) const CREDENTIALS: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-gitlab-token",
    "x-api-key",
];

/// Bytes that are not UTF-8 become U+FFFD here; the stored ones are as they came.
pub(crate) fn headers(headers: &Headers, is_hidden: impl Fn(&str) -> bool) -> Vec<HeaderJson> {
    let shown = |(name, value): (&str, &[u8])| {
        let value = if CREDENTIALS.contains(&name) || is_hidden(name) {
            "[redacted]".to_owned()
        } else {
            String::from_utf8_lossy(value).into_owned()
        };
        HeaderJson(name.to_owned(), value)
    };
    headers.iter().map(shown).collect()
}

/// One event for one route.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryJson {
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) route: String,
    pub(crate) destination: String,
    /// `pending`, `delivering`, `retrying`, `held`, `delivered`, `dead`, `cancelled` or `skipped`.
    pub(crate) status: &'static str,
    /// Why it is delivered: `received`, `recovered` or `replayed`.
    pub(crate) origin: &'static str,
    /// Attempts made so far.
    pub(crate) attempts: u32,
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) last_error: Option<String>,
    /// Why it is skipped: `filtered`, `repeated` or `stale`.
    pub(crate) cause: Option<String>,
    pub(crate) created_at: String,
}

impl From<&Delivery> for DeliveryJson {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            event_id: delivery.event_id.to_string(),
            route: delivery.route.to_string(),
            destination: delivery.destination.to_string(),
            status: delivery.status.as_str(),
            origin: delivery.origin.as_str(),
            attempts: delivery.n_attempts,
            next_attempt_at: delivery.next_attempt_at.map(|it| it.to_string()),
            last_error: delivery.last_error.clone(),
            cause: delivery.cause.clone(),
            created_at: delivery.created_at.to_string(),
        }
    }
}

/// A delivery with its attempts, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetailJson {
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) route: String,
    pub(crate) destination: String,
    pub(crate) status: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) attempts: Vec<AttemptJson>,
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) last_error: Option<String>,
    /// Why it is skipped: `filtered`, `repeated` or `stale`.
    pub(crate) cause: Option<String>,
    pub(crate) created_at: String,
}

impl DeliveryDetailJson {
    pub(crate) fn new(delivery: &Delivery, attempts: &[Attempt], view: &View) -> Self {
        let plain = DeliveryJson::from(delivery);
        Self {
            id: plain.id,
            event_id: plain.event_id,
            route: plain.route,
            destination: plain.destination,
            status: plain.status,
            origin: plain.origin,
            attempts: attempts.iter().map(|it| AttemptJson::new(it, view)).collect(),
            next_attempt_at: plain.next_attempt_at,
            last_error: plain.last_error,
            cause: plain.cause,
            created_at: plain.created_at,
        }
    }
}

/// One try of one delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptJson {
    pub(crate) id: String,
    /// 1 for the first.
    pub(crate) number: u32,
    pub(crate) started_at: String,
    pub(crate) duration_ms: u64,
    /// `initial`, `schedule` or `manual`.
    pub(crate) trigger: &'static str,
    /// Absent where no answer came.
    pub(crate) status_code: Option<u16>,
    /// Absent where the handler took it.
    pub(crate) error: Option<String>,
    pub(crate) response_headers: Vec<HeaderJson>,
    /// Cut; in base64 where it is not UTF-8; null where it is withheld.
    pub(crate) response_body: Option<String>,
    /// `base64`, or absent: then the body is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_body_encoding: Option<&'static str>,
    /// `role`: bodies are kept from viewers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_body_withheld: Option<&'static str>,
}

impl AttemptJson {
    fn new(attempt: &Attempt, view: &View) -> Self {
        let body = ShownBodyJson::from(view.response(&attempt.response_body));
        Self {
            id: attempt.id.to_string(),
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            trigger: attempt.trigger.as_str(),
            status_code: attempt.status_code,
            error: attempt.error.clone(),
            response_headers: headers(&attempt.response_headers, |_| false),
            response_body: body.body,
            response_body_encoding: body.body_encoding,
            response_body_withheld: body.body_withheld,
        }
    }
}

/// A rejected request without its body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestJson {
    pub(crate) id: String,
    pub(crate) source: String,
    /// Stable name of why it was rejected.
    pub(crate) cause: String,
    /// One sentence for an operator.
    pub(crate) explanation: String,
    pub(crate) received_at: String,
    pub(crate) method: String,
    /// Path and query, without credentials.
    pub(crate) target: String,
    /// The client's address.
    pub(crate) client: Option<String>,
    pub(crate) headers: Vec<HeaderJson>,
    pub(crate) size: u64,
    /// Whether the body was kept, so that the request can still be accepted.
    pub(crate) has_body: bool,
    /// The event that it became, once it was accepted after all.
    pub(crate) accepted_as: Option<String>,
}

impl RequestJson {
    pub(crate) fn new(request: &RequestSummary, view: &View) -> Self {
        Self {
            id: request.id.to_string(),
            source: request.source.to_string(),
            cause: request.cause.clone(),
            explanation: request.explanation.clone(),
            received_at: request.received_at.to_string(),
            method: request.method.clone(),
            target: view.target(&request.target),
            client: request.client.clone(),
            headers: view.headers(&request.headers),
            size: request.size,
            has_body: request.has_body,
            accepted_as: request.accepted_as.map(|it| it.to_string()),
        }
    }
}

/// A rejected request, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RequestDetailJson {
    #[serde(flatten)]
    pub(crate) summary: RequestJson,
    /// Null also where it was too large to keep.
    #[serde(flatten)]
    pub(crate) body: ShownBodyJson,
}

impl RequestDetailJson {
    pub(crate) fn new(request: &RejectedRequest, view: &View) -> Self {
        let none = || ShownBodyJson {
            body: None,
            body_encoding: None,
            body_withheld: None,
        };
        let body = request.body.as_deref().map(|it| view.body(it));
        Self {
            summary: RequestJson {
                id: request.id.to_string(),
                source: request.source.to_string(),
                cause: request.cause.clone(),
                explanation: request.explanation.clone(),
                received_at: request.received_at.to_string(),
                method: request.method.clone(),
                target: view.target(&request.target),
                client: request.client.clone(),
                headers: view.headers(&request.headers),
                size: request.size,
                has_body: request.body.is_some(),
                accepted_as: request.accepted_as.map(|it| it.to_string()),
            },
            body: body.unwrap_or_else(none),
        }
    }
}
