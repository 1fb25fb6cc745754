//! The words in which a scheme is written, by the catalog and by an operator for a sender of their own, made into a row.
//!
//! Every function reports all faults at once.

pub mod credentials;
pub(super) mod handshake;
pub mod hmac;
pub(super) mod jwt;
pub(super) mod published;
pub(super) mod standard_webhooks;
mod template;
#[cfg(test)]
mod tests;
pub(super) mod words;

use std::borrow::Cow;

use crate::provider::{Confidence, Provider, find, key, place::Reading, recipe::words::parse_place};

/// Where the id, the type and the time of an event are, and what it is about: `header:x-event-id`, `body:/id`, `query:id`, `form:id`.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub event_id: Option<String>,
    pub event_type: Option<String>,
    pub event_time: Option<String>,
    pub event_resource: Option<String>,
}

/// What is wrong with one key of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Below the source: `hmac.hash`, `event_id`.
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

/// A row with other places for the id, the type, the time and the resource of an event; the rest as it is.
pub fn with_places(provider: &Provider, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = provider.clone();
    apply_places(&mut row, places, &mut faults);
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

fn generic(name: &'static str) -> Provider {
    find(name).cloned().unwrap_or(Provider {
        name: Cow::Borrowed(name),
        title: Cow::Borrowed(name),
        docs: None,
        facts: Cow::Borrowed(&[]),
        confidence: Confidence::Code,
        register: Cow::Borrowed(""),
        note: None,
        schemes: Cow::Borrowed(&[]),
        key_option: Cow::Borrowed("secrets"),
        published: None,
        methods: Cow::Borrowed(&[]),
        min_secret: key::MIN_CHARS,
        event_id: Cow::Borrowed(&[]),
        event_type: Cow::Borrowed(&[]),
        event_time: Cow::Borrowed(&[]),
        resource: Cow::Borrowed(&[]),
        handshakes: Cow::Borrowed(&[]),
        acknowledgement: None,
        sample: None,
    })
}

fn apply_places(row: &mut Provider, places: &Places, faults: &mut Vec<Fault>) {
    let targets = [
        (&places.event_id, "event_id", &mut row.event_id),
        (&places.event_type, "event_type", &mut row.event_type),
        (&places.event_time, "event_time", &mut row.event_time),
        (&places.event_resource, "event_resource", &mut row.resource),
    ];
    for (text, key, readings) in targets {
        if let Some(place) = text.as_ref().and_then(|it| parse_place(it, key, faults)) {
            *readings = Cow::Owned(vec![Reading::At(place)]);
        }
    }
}

fn fault(key: &str, problem: impl Into<String>, hint: Option<&str>) -> Fault {
    Fault {
        key: key.to_owned(),
        problem: problem.into(),
        hint: hint.map(str::to_owned),
    }
}
