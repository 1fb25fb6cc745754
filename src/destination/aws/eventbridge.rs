//! An event on an event bus of EventBridge for each event.
//!
//! EventBridge answers with the event's id once it has stored the event; whether a rule fits it, it does not say.

use std::borrow::Cow;

use ::http::{HeaderMap, HeaderValue, Method, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending, Settings,
        aws::{Aws, refusal::Refusal, taken, too_large},
        broker::EventBridge as Own,
        check::Parts,
        headers::{Outbound, one_value_each},
        http,
    },
    egress::{guard::Reach, target::Target},
};

const TITLE: &str = "EventBridge";
/// Its detail, type and source.
const MAX_ENTRY: usize = 1 << 20;
/// Of an event that has no type.
const NO_TYPE: &str = "webhook";
const MAX_TYPE: usize = 128;

/// Ready to put.
#[derive(Debug)]
pub struct EventBridge {
    aws: Aws,
    target: Target,
    bus: String,
    outbound: Outbound,
}

/// What rules look into.
#[derive(Serialize)]
struct Detail<'a> {
    id: String,
    headers: Map<String, Value>,
    /// JSON as it came, else a text.
    body: Cow<'a, RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_encoding: Option<&'static str>,
}

impl EventBridge {
    pub fn new(own: &Own, settings: &Settings, parts: Parts) -> Result<Self, Fault> {
        let table = "eventbridge";
        Ok(Self {
            aws: Aws::new(table, "events", TITLE, &own.account, settings, parts.trust)?,
            target: http::target(&own.endpoint, "eventbridge.endpoint", Reach::Private)?,
            bus: own.bus.clone(),
            outbound: parts.outbound,
        })
    }

    async fn put(&self, message: &Message) -> Result<Response, SendError> {
        let event = &message.event;
        let source = format!("gatepost.{}", event.source);
        let detail_type: String = match event.event_type.as_deref() {
            None | Some("") => NO_TYPE.to_owned(),
            Some(it) => it.chars().take(MAX_TYPE).collect(),
        };
        let detail = self.detail(message)?;
        let len = source.len() + detail_type.len() + detail.len();
        if len > MAX_ENTRY {
            return Err(too_large(TITLE, len, MAX_ENTRY));
        }
        let input = json!({ "Entries": [{
            "EventBusName": self.bus,
            "Source": source,
            "DetailType": detail_type,
            "Time": event.received_at.as_unix_seconds(),
            "Detail": detail,
        }] });
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_static("AWSEvents.PutEvents"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.1"),
        );
        let call = self
            .aws
            .call(Method::POST, &self.target, headers, input.to_string().into());
        self.judge(&call.await?.body)
    }

    fn detail(&self, message: &Message) -> Result<String, SendError> {
        let event = &message.event;
        let headers = one_value_each(&self.outbound.headers(message));
        let (body, body_encoding) = match body(&event.body) {
            Ok(found) => found,
            Err(error) => {
                let explanation = format!("it cannot be written as JSON: {error}");
                return Err(SendError::new("json", explanation, Fate::Permanent));
            }
        };
        let detail = Detail {
            id: event.id.to_string(),
            headers: headers.into_iter().map(|(name, it)| (name, it.into())).collect(),
            body,
            body_encoding,
        };
        serde_json::to_string(&detail).map_err(|error| {
            let explanation = format!("it cannot be written as JSON: {error}");
            SendError::new("json", explanation, Fate::Permanent)
        })
    }

    /// It answers 200 for an entry that it did not take.
    fn judge(&self, body: &[u8]) -> Result<Response, SendError> {
        let output: Value = serde_json::from_slice(body).unwrap_or_default();
        let entry = &output["Entries"][0];
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        match (output["FailedEntryCount"].as_u64(), text("EventId").as_str()) {
            (Some(0), id) if !id.is_empty() => Ok(taken(id)),
            (Some(1..), _) => Err(Refusal {
                status: 200,
                code: text("ErrorCode"),
                message: text("ErrorMessage"),
            }
            .into_error(TITLE)),
            _ => Err(self.aws.unclear()),
        }
    }
}

/// JSON byte for byte, a text as a text, and anything else in base64, which is said.
fn body(bytes: &[u8]) -> Result<(Cow<'_, RawValue>, Option<&'static str>), serde_json::Error> {
    if let Ok(json) = serde_json::from_slice::<&RawValue>(bytes) {
        return Ok((Cow::Borrowed(json), None));
    }
    let (text, encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(_) => (Cow::Owned(STANDARD.encode(bytes)), Some("base64")),
    };
    let text = serde_json::value::to_raw_value(&text)?;
    Ok((Cow::Owned(text), encoding))
}

impl Destination for EventBridge {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.put(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_stays_what_it_is() {
        for (bytes, json, encoding) in [
            (&b"{\"b\":1.10, \"a\":1}"[..], "{\"b\":1.10, \"a\":1}", None),
            (b"a=1&b=2", "\"a=1&b=2\"", None),
            (b"", "\"\"", None),
            (b"\xff\x00", "\"/wA=\"", Some("base64")),
        ] {
            let (body, found) = body(bytes).unwrap();
            assert_eq!((body.get(), found), (json, encoding));
        }
    }
}
