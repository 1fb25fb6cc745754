//! A place in an event that a route reads: `body:/data/object/customer`, `header:x-account`.

use serde_json::Value;

use crate::route::filter::subject::Subject;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A JSON pointer.
    Body(String),
    /// A name in lower case.
    Header(String),
}

impl Place {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(pointer) = text.strip_prefix("body:") {
            return pointer.starts_with('/').then(|| Self::Body(pointer.to_owned()));
        }
        let name = text.strip_prefix("header:")?;
        let name = http::HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(Self::Header(name.as_str().to_owned()))
    }

    /// What is there. Of a header that comes several times, the first.
    pub(super) fn value<'s>(&self, subject: &'s Subject<'_>) -> Option<&'s Value> {
        match self {
            Self::Body(pointer) => subject.body().pointer(pointer),
            Self::Header(name) => match subject.headers().get(name)? {
                Value::Array(values) => values.first(),
                value => Some(value),
            },
        }
    }

    /// The text, number or truth value there.
    pub(super) fn text(&self, subject: &Subject<'_>) -> Option<String> {
        match self.value(subject)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}
