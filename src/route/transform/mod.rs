//! What a route makes of an event before it is sent: a program of the operator's, in JavaScript.
//!
//! The shape is Hookdeck's: `addHandler("transform", (request, context) => request)`. `engine` runs it; `worker` keeps it off
//! everybody else's threads. The stored event stays as the sender signed it.

mod engine;
mod host;
mod worker;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    event::{Event, headers::Headers},
    route::{Fault, filter::subject::header_values},
};

use self::worker::Worker;

/// Where a program came from, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Of the file, or `transform` where it stands in the config: what errors name.
    pub name: String,
    pub program: String,
}

/// A program that has been read without a fault.
#[derive(Debug)]
pub struct Transform {
    program: Arc<Settings>,
    worker: Worker,
}

/// What went wrong in a run, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the transform failed: {0}")]
pub struct TransformError(String);

impl TransformError {
    /// At most 500 characters of it.
    fn new(problem: &str) -> Self {
        Self(problem.chars().take(500).collect())
    }
}

/// `context` of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// 1 for the first.
    pub attempt: u32,
}

/// What a program is given.
#[derive(Debug, Clone)]
pub struct Input {
    headers: Map<String, Value>,
    body: Bytes,
    path: String,
    query: String,
    facts: Facts,
}

/// What it gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub headers: Vec<(String, String)>,
    /// The very bytes of the input where the program left the body alone.
    pub body: Bytes,
    /// The body was returned as a value, and is written as JSON.
    pub is_json: bool,
    /// What it wrote with `console.log`: 100 lines at most.
    pub lines: Vec<String>,
}

impl Input {
    pub fn new(event: &Event, attempt: u32) -> Self {
        Self {
            headers: header_values(&event.headers),
            body: event.body.clone(),
            path: event.path(),
            query: event.query.clone(),
            facts: Facts {
                id: event.id.to_string(),
                source: event.source.to_string(),
                event_type: event.event_type.clone(),
                attempt,
            },
        }
    }
}

impl Output {
    /// The event as the destination gets it.
    pub fn apply(self, event: &Event) -> Event {
        let mut headers = self.headers;
        let is_content_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if self.is_json && self.body != event.body {
            let says_json = |(_, value): &(String, String)| value.contains("json");
            if !headers.iter().filter(|it| is_content_type(it)).any(says_json) {
                headers.retain(|it| !is_content_type(it));
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
        }
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        Event {
            headers: Headers::from_pairs(pairs),
            body: self.body,
            ..event.clone()
        }
    }
}

impl Transform {
    /// Reads the program: a fault of its grammar, or one that its first lines run into, is a fault of the config.
    pub fn new(settings: &Settings) -> Result<Self, Fault> {
        engine::check(&settings.name, &settings.program).map_err(|error| Fault {
            key: "transform".to_owned(),
            problem: error.0,
            hint: Some(
                "as in addHandler(\"transform\", (request, context) => { request.body.seen = true; return request })"
                    .to_owned(),
            ),
        })?;
        Ok(Self {
            program: Arc::new(settings.clone()),
            worker: Worker::default(),
        })
    }

    /// Runs it on this route's own thread; waits where that is busy.
    pub async fn run(&self, input: Input) -> Result<Output, TransformError> {
        self.worker.run(&self.program, input).await
    }

    /// Runs it here and now: for a command that does nothing else.
    pub fn run_here(&self, input: &Input) -> Result<Output, TransformError> {
        engine::run(&self.program.name, &self.program.program, input)
    }
}

#[cfg(test)]
mod tests;
