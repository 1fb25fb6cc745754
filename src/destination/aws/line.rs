//! An event as a line of an archive: the shape in which `gatepost events export` writes one, so that `events import` takes it. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::event::Event;

/// With its line's end.
pub fn of(event: &Event) -> Vec<u8> {
    let line = json!({
        "id": event.id.to_string(),
        "source": &*event.source,
        "external_id": event.external_id,
        "type": event.event_type,
        "origin": event.origin.as_str(),
        "verified": event.binding.as_str(),
        "occurred_at": event.occurred_at.map(|it| it.to_string()),
        "received_at": event.received_at.to_string(),
        "headers": event.headers.iter().map(header).collect::<Vec<_>>(),
        "body": STANDARD.encode(&event.body),
    });
    let mut line = line.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn header((name, value): (&str, &[u8])) -> Value {
    match std::str::from_utf8(value) {
        Ok(text) => json!([name, text]),
        Err(_) => json!([name, STANDARD.encode(value), "base64"]),
    }
}
