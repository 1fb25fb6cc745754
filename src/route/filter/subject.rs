//! What a filter looks at.

use std::cell::OnceCell;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::{
    event::{Event, headers::Headers},
    route::filter::Part,
};

/// An event, read no further than the filters of its routes ask, and once for all of them.
#[derive(Debug)]
pub struct Subject<'e> {
    event: &'e Event,
    resource: Option<String>,
    body: OnceCell<Value>,
    headers: OnceCell<Value>,
    query: OnceCell<Value>,
    source: OnceCell<Value>,
    event_type: OnceCell<Option<Value>>,
    verification: OnceCell<Value>,
}

impl<'e> Subject<'e> {
    pub const fn new(event: &'e Event) -> Self {
        Self {
            event,
            resource: None,
            body: OnceCell::new(),
            headers: OnceCell::new(),
            query: OnceCell::new(),
            source: OnceCell::new(),
            event_type: OnceCell::new(),
            verification: OnceCell::new(),
        }
    }

    /// The id of what the event is about, for routes that order by it.
    #[must_use]
    pub fn about(self, resource: Option<String>) -> Self {
        Self { resource, ..self }
    }

    pub(in crate::route) fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    pub(in crate::route) const fn event(&self) -> &'e Event {
        self.event
    }

    /// JSON, or a text where it is none.
    pub(in crate::route) fn body(&self) -> &Value {
        self.body.get_or_init(|| body(&self.event.body))
    }

    /// An object; names in lower case.
    pub(in crate::route) fn headers(&self) -> &Value {
        self.headers
            .get_or_init(|| Value::Object(header_values(&self.event.headers)))
    }

    /// `None`: the event has no type.
    pub(super) fn part(&self, part: Part) -> Option<&Value> {
        let text = |it: &str| Value::String(it.to_owned());
        match part {
            Part::Body => Some(self.body()),
            Part::Headers => Some(self.headers()),
            Part::Query => Some(
                self.query
                    .get_or_init(|| Value::Object(query_values(&self.event.query))),
            ),
            Part::Source => Some(self.source.get_or_init(|| text(&self.event.source))),
            Part::Type => self
                .event_type
                .get_or_init(|| self.event.event_type.as_deref().map(text))
                .as_ref(),
            Part::Verification => Some(
                self.verification
                    .get_or_init(|| text(self.event.binding.as_str())),
            ),
        }
    }
}

/// JSON where it is JSON (nested no deeper than 127), else a text in which bytes that are not UTF-8 became U+FFFD.
fn body(bytes: &[u8]) -> Value {
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(json)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// By name in lower case: a text, or a list where the name comes several times.
pub(in crate::route) fn header_values(headers: &Headers) -> Map<String, Value> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    by_name(headers.iter().map(|(name, value)| (name, text(value))))
}

/// By name: a text, decoded, or a list where the name comes several times.
fn query_values(query: &str) -> Map<String, Value> {
    by_name(form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name, value.into_owned())))
}

fn by_name(pairs: impl Iterator<Item = (impl AsRef<str>, String)>) -> Map<String, Value> {
    let mut res = Map::new();
    for (name, value) in pairs {
        let (name, value) = (name.as_ref(), Value::String(value));
        match res.get_mut(name) {
            None => {
                res.insert(name.to_owned(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    res
}
