//! One span: what happened, from when to when, within which trace.

use std::{borrow::Cow, sync::Arc};

use crate::event::trace::Trace;

/// What a span is in the words of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Internal,
    /// A request that came.
    Server,
    /// A request that was made.
    Client,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(Text),
    Number(i64),
}

/// Names of the config, ids, and words of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    Shared(Arc<str>),
    Own(Cow<'static, str>),
}

impl Text {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Shared(it) => it,
            Self::Own(it) => it,
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::Own(Cow::Borrowed(text)))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Text::Own(Cow::Owned(text)))
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(Text::Shared(Arc::clone(text)))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span that is over.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: Trace,
    pub span_id: u64,
    pub parent_id: Option<u64>,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// Nanoseconds since 1970.
    pub started_at: u64,
    pub ended_at: u64,
    pub attributes: Vec<(&'static str, Value)>,
    pub is_failed: bool,
}

impl Span {
    /// A step within a span of ours.
    pub fn internal(
        name: &'static str,
        trace: Trace,
        parent_id: u64,
        started_at: u64,
        ended_at: u64,
    ) -> Self {
        Self {
            trace,
            span_id: rand::random::<u64>().max(1),
            parent_id: Some(parent_id),
            name: Cow::Borrowed(name),
            kind: Kind::Internal,
            started_at,
            ended_at,
            attributes: Vec::new(),
            is_failed: false,
        }
    }
}
