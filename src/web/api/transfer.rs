//! Events out of a store and into one, whole, as JSON lines.

use axum::{
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{clock::Timestamp, ids::EventId},
    event::{Binding, Event, Origin, headers::Headers},
    ingest::import::Imported,
    store::{
        error::StoreError,
        job::{Bounds, Filter, Reach},
    },
    web::{
        api::{job_shape::EventFilterJson, texts::EventIdText},
        auth::Caller,
        body,
        error::{Problem, ProblemJson},
        extract::{Input, Json, Params, object, parse_id},
        state::AdminState,
        view::View,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(import))
}

/// Events of one answer.
const PAGE: Bounds = Bounds {
    n_scanned: 5_000,
    n_found: 200,
};
/// An answer that has so many bytes ends with the event that it is at.
const MAX_PAGE: usize = 8 << 20;
/// Where the next page begins.
const NEXT: HeaderName = HeaderName::from_static("gatepost-next");
/// How many events of the page cannot be read.
const LEFT_OUT: HeaderName = HeaderName::from_static("gatepost-left-out");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Which events, and from where on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportInput {
    #[serde(default, deserialize_with = "object")]
    filter: EventFilterJson,
    /// `gatepost-next` of the answer before.
    #[schema(value_type = Option<EventIdText>)]
    cursor: Option<String>,
}

/// An event, whole: what is needed to store it elsewhere and to verify it there.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportedJson {
    id: String,
    source: String,
    external_id: Option<String>,
    r#type: Option<String>,
    /// `received`, `recovered` or `imported`.
    origin: String,
    /// What its signature covered when it came in: for people. An import verifies again.
    verified: String,
    occurred_at: Option<String>,
    received_at: String,
    /// What stood behind the `?` of its URL, as it was written, without credentials; absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// Every header in order, as it came: name and value; where the value is not UTF-8, in base64 and with a third element
    /// `base64`.
    headers: Vec<Vec<String>>,
    /// In base64.
    body: String,
}

/// Events that the filter finds, whole, the oldest first, as JSON lines: at most 200, or 8 MiB. Where there are more, the header
/// `gatepost-next` says where to go on; `gatepost-left-out` says how many cannot be read, which the log names. Headers that carry credentials are in it as they came; what a
/// source's `redact` hides is not, and such an event does not verify elsewhere.
#[utoipa::path(post, path = "/v1/events/export", tag = "events", operation_id = "export_events",
    request_body = ExportInput,
    responses((status = 200, body = ExportedJson, content_type = "application/x-ndjson"), (status = 400, body = ProblemJson<'_>)))]
async fn export(
    State(state): State<AdminState>,
    caller: Caller,
    Input(input): Input<ExportInput>,
) -> Result<Response, Problem> {
    let filter: Filter = input.filter.read()?;
    let cursor: Option<EventId> = input
        .cursor
        .as_deref()
        .map(|it| parse_id("cursor", it))
        .transpose()?;
    let store = &state.0.store;
    let reach = Reach {
        after: cursor.map(EventId::uuid),
        ..Reach::ALL
    };
    let look = store.look_for_events(&filter, reach, PAGE).await?;
    let mut text = Vec::new();
    let mut next = look.next.map(EventId::from_uuid);
    let n_found = look.found.len();
    let mut n_left_out = look.n_damaged;
    for (idx, found) in look.found.iter().enumerate() {
        let event = match store.event(found.id).await {
            Ok(event) => event,
            // Retention took it just now.
            Err(StoreError::NotFound { .. }) => continue,
            // One of them must not keep the others in.
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::warn!(event.id = %found.id, "an export leaves out event {}: {error}", found.id);
                n_left_out += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let view = View::new(&state.0, &caller, &event.source);
        serde_json::to_writer(&mut text, &ExportedJson::new(&event, &view))
            .expect("texts are JSON, and memory takes them");
        text.push(b'\n');
        if text.len() >= MAX_PAGE && idx + 1 < n_found {
            next = Some(found.id);
            break;
        }
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, NDJSON);
    if let Some(next) = next {
        let next =
            HeaderValue::try_from(next.to_string()).expect("an id is letters, digits and an underscore");
        headers.insert(NEXT, next);
    }
    headers.insert(LEFT_OUT, HeaderValue::from(n_left_out));
    Ok((headers, Body::from(text)).into_response())
}

/// What an import may take: a line with the largest body that a source is ever allowed, in base64.
const IMPORT: body::Bounds = body::Bounds {
    limit: 64 << 20,
    timeout: Duration::from_mins(1),
};
/// The most lines of one import.
const MAX_LINES: usize = 200;

/// What became of each line.
#[derive(Debug, Serialize, ToSchema)]
struct ImportedJson {
    data: Vec<LineJson>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LineJson {
    /// 1 for the first.
    line: usize,
    /// `accepted`, `duplicate`, `conflict` (the event is there with another body) or `refused`.
    result: &'static str,
    /// The event's id in this store.
    event_id: Option<String>,
    /// Why it is refused: `invalid_line`, `no_such_source`, or the cause for which the request would be rejected.
    cause: Option<&'static str>,
    explanation: Option<String>,
}

/// Stores exported events, at most 200 lines. Each is verified again with today's secrets as of when it was received; what does
/// not verify is refused, or with `unverified=true` stored as an event of which nothing was verified. What is stored already is a
/// duplicate. No delivery is made: a replay makes them.
#[utoipa::path(post, path = "/v1/events/import", tag = "events", operation_id = "import_events",
    params(("unverified" = Option<bool>, Query, description = "Store also what does not verify, as such")),
    request_body(content = ExportedJson, content_type = "application/x-ndjson"),
    responses((status = 200, body = ImportedJson), (status = 400, body = ProblemJson<'_>)))]
async fn import(
    State(state): State<AdminState>,
    mut params: Params,
    request: Request,
) -> Result<Json<ImportedJson>, Problem> {
    let takes_unverified = params.parsed("unverified", "`true` or `false`", |it| it.parse().ok())?;
    params.finish()?;
    let body = request.into_body();
    let length = http_body::Body::size_hint(&body).exact();
    let whole = body::read(body, length, IMPORT, |_| Some(()))
        .await
        .map_err(|_fault| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "an import has at most 64 MiB, and comes within a minute",
            )
        })?;
    let lines = whole
        .bytes
        .split(|c| *c == b'\n')
        .filter(|it| !it.trim_ascii().is_empty());
    let lines: Vec<&[u8]> = lines.collect();
    if lines.len() > MAX_LINES {
        let found = format!("{} lines", lines.len());
        return Err(Problem::invalid("body", "at most 200 lines", &found));
    }
    let mut data = Vec::with_capacity(lines.len());
    for (idx, line) in lines.into_iter().enumerate() {
        data.push(match read(line) {
            Ok(event) => {
                let id = event.id;
                let imported = state
                    .0
                    .ingest
                    .import(event, takes_unverified.unwrap_or(false))
                    .await?;
                LineJson::new(idx + 1, id, imported)
            }
            Err(explanation) => LineJson {
                line: idx + 1,
                result: "refused",
                event_id: None,
                cause: Some("invalid_line"),
                explanation: Some(explanation),
            },
        });
    }
    let n_accepted = data.iter().filter(|it| it.result == "accepted").count();
    if n_accepted > 0 {
        tracing::info!(n_accepted, "{n_accepted} events are imported by an operator");
    }
    Ok(Json(ImportedJson { data }))
}

/// One line, or what is wrong with it.
fn read(line: &[u8]) -> Result<Event, String> {
    let line: ExportedJson = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let time = |name: &str, text: &str| {
        Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{name}` is not a time in RFC 3339"))
    };
    let body = STANDARD
        .decode(&line.body)
        .map_err(|error| format!("`body` is not base64: {error}"))?;
    let mut headers = Vec::with_capacity(line.headers.len());
    for it in &line.headers {
        let (name, value) = match it.as_slice() {
            [name, value] => (name, value.as_bytes().to_vec()),
            [name, value, encoding] if encoding == "base64" => {
                let value = STANDARD.decode(value);
                (
                    name,
                    value.map_err(|error| format!("`headers` hold no base64: {error}"))?,
                )
            }
            _ => return Err("`headers` holds lists of a name and a value".to_owned()),
        };
        headers.push((name.to_lowercase(), value));
    }
    let occurred_at = line.occurred_at.as_deref();
    Ok(Event {
        id: line
            .id
            .parse()
            .map_err(|error: crate::base::ids::BadId| error.to_string())?,
        source: line.source.into(),
        external_id: line.external_id,
        event_type: line.r#type,
        // What it says of these counts for nothing.
        origin: Origin::Imported,
        binding: Binding::None,
        occurred_at: occurred_at.map(|it| time("occurred_at", it)).transpose()?,
        received_at: time("received_at", &line.received_at)?,
        query: line.query.unwrap_or_default(),
        headers: Headers::from_pairs(headers.iter().map(|(name, value)| (name.as_str(), &value[..]))),
        body: Bytes::from(body),
    })
}

impl ExportedJson {
    fn new(event: &Event, view: &View) -> Self {
        let header = |(name, value): (&str, &[u8])| match std::str::from_utf8(value) {
            _ if view.hides_header(name) => vec![name.to_owned(), View::mark().to_owned()],
            Ok(text) => vec![name.to_owned(), text.to_owned()],
            Err(_) => vec![name.to_owned(), STANDARD.encode(value), "base64".to_owned()],
        };
        Self {
            id: event.id.to_string(),
            source: event.source.to_string(),
            external_id: event.external_id.clone(),
            r#type: event.event_type.clone(),
            origin: event.origin.as_str().to_owned(),
            verified: event.binding.as_str().to_owned(),
            occurred_at: event.occurred_at.map(|it| it.to_string()),
            received_at: event.received_at.to_string(),
            query: view.query(&event.query),
            headers: event.headers.iter().map(header).collect(),
            body: match view.bytes(&event.body) {
                Ok(body) => STANDARD.encode(body),
                Err(_withheld) => STANDARD.encode(View::mark()),
            },
        }
    }
}

impl LineJson {
    fn new(line: usize, id: EventId, imported: Imported) -> Self {
        let of = |result, id: EventId| Self {
            line,
            result,
            event_id: Some(id.to_string()),
            cause: None,
            explanation: None,
        };
        match imported {
            Imported::Accepted => of("accepted", id),
            Imported::Duplicate(id) => of("duplicate", id),
            Imported::Conflict(id) => of("conflict", id),
            Imported::Refused { cause, explanation } => Self {
                event_id: None,
                cause: Some(cause),
                explanation: Some(explanation),
                ..of("refused", id)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::body_hash,
        source::redact::{Pointer, Redact},
    };

    fn event() -> Event {
        Event {
            id: EventId::new(),
            source: "stripe".into(),
            external_id: Some("evt_1".to_owned()),
            event_type: None,
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: Timestamp::from_micros(1_600_000_000_123_456),
            query: "shop=%C3%A9&email=a".to_owned(),
            headers: Headers::from_pairs([("x-a", &b"1"[..]), ("x-a", b"\xff\x00"), ("x-b", b"")]),
            body: Bytes::from_static(b"\x00\xff\n"),
        }
    }

    fn whole() -> View {
        View::with_rules(Redact::default())
    }

    #[test]
    fn what_is_redacted_is_not_exported() {
        let pointer = Pointer::parse("/card").unwrap();
        let rules = Redact::new(vec![pointer], &["X-A".to_owned()]);
        let view = View::with_rules(rules.hiding_query(vec!["email".to_owned()]));
        let mut event = event();
        let line = serde_json::to_string(&ExportedJson::new(&event, &view)).unwrap();
        let read = read(line.as_bytes()).unwrap();
        assert_eq!(read.body, "[redacted]", "it is no JSON");
        assert_eq!(read.headers.first("x-a"), Some(&b"[redacted]"[..]));
        assert_eq!(read.query, "shop=%C3%A9&email=[redacted]");
        event.body = Bytes::from_static(br#"{"card":"4242","n":1}"#);
        let line = serde_json::to_vec(&ExportedJson::new(&event, &view)).unwrap();
        assert_eq!(super::read(&line).unwrap().body, r#"{"card":"[redacted]","n":1}"#);
    }

    #[test]
    fn what_is_exported_is_read_back_but_for_what_it_says_of_its_verification() {
        let event = event();
        let line = serde_json::to_vec(&ExportedJson::new(&event, &whole())).unwrap();
        assert!(!line.contains(&b'\n'));
        let read = read(&line).unwrap();
        assert_eq!((read.id, read.received_at), (event.id, event.received_at));
        assert_eq!(read.query, event.query);
        // A version that knows no query reads one without.
        let plain = Event {
            query: String::new(),
            ..event.clone()
        };
        let line = serde_json::to_string(&ExportedJson::new(&plain, &whole())).unwrap();
        assert!(!line.contains("query"), "{line}");
        assert_eq!(read.headers.as_encoded(), event.headers.as_encoded());
        assert_eq!(body_hash(&read.body), body_hash(&event.body));
        assert_eq!((read.origin, read.binding), (Origin::Imported, Binding::None));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let good = serde_json::to_value(ExportedJson::new(&event(), &whole())).unwrap();
        let check = |field: &str, value: serde_json::Value, part: &str| {
            let mut line = good.clone();
            line[field] = value;
            let error = read(line.to_string().as_bytes()).unwrap_err();
            assert!(error.contains(part), "{field}: {error}");
        };
        check("id", "dlv_1".into(), "evt_");
        check("body", "%".into(), "`body` is not base64");
        check("received_at", "today".into(), "`received_at` is not a time");
        check("headers", serde_json::json!([["x"]]), "a name and a value");
        check("more", 1.into(), "unknown field `more`");
        assert!(read(b"{").is_err());
    }
}
