//! What a command finds in its environment. Pure.
//!
//! The values are those of the headers that a handler gets, in the same printable form: what a sender chose (a type, an id)
//! can neither end a variable nor begin another.

use ::http::HeaderMap;

use crate::destination::headers::as_json;

/// Of the names that are ours.
pub const PREFIX: &str = "GATEPOST_";

/// The system takes at most 128 KiB in one variable.
const MAX_HEADERS: usize = 64 << 10;
/// What a script needs to find its interpreter. An operator's own wins.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Headers that are variables of their own.
const NAMED: &[(&str, &str)] = &[
    ("GATEPOST_EVENT_ID", "webhook-id"),
    ("GATEPOST_SOURCE", "gatepost-source"),
    ("GATEPOST_EVENT_TYPE", "gatepost-event-type"),
    ("GATEPOST_EXTERNAL_ID", "gatepost-external-id"),
    ("GATEPOST_ATTEMPT", "gatepost-attempt"),
    ("GATEPOST_VERIFIED", "gatepost-verified"),
    ("GATEPOST_ORIGIN", "gatepost-origin"),
    ("GATEPOST_STALE", "gatepost-stale"),
];

/// Our variables for an event that has these headers. Those that do not apply are absent.
pub fn of(headers: &HeaderMap, delivery_id: &str) -> Vec<(&'static str, String)> {
    let mut res = vec![("GATEPOST_DELIVERY_ID", delivery_id.to_owned())];
    for (variable, header) in NAMED {
        if let Some(value) = headers.get(*header).and_then(|it| it.to_str().ok()) {
            res.push((variable, value.to_owned()));
        }
    }
    let (json, is_cut) = as_json(headers, MAX_HEADERS);
    res.push(("GATEPOST_HEADERS", json));
    if is_cut {
        res.push(("GATEPOST_HEADERS_CUT", "true".to_owned()));
    }
    res
}
