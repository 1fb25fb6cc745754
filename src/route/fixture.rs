//! An event for the tests of this room.

use bytes::Bytes;

use crate::{
    base::{clock::Timestamp, ids::EventId},
    event::{Binding, Event, Origin, headers::Headers},
};

/// Of the source `shop` and the type `order.paid`, received 100 seconds after 1970, happened at 50.
pub(super) fn event(body: &[u8], headers: &[(&str, &[u8])]) -> Event {
    Event {
        id: EventId::new(),
        source: "shop".into(),
        external_id: None,
        event_type: Some("order.paid".to_owned()),
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: Some(Timestamp::from_unix_seconds(50)),
        received_at: Timestamp::from_unix_seconds(100),
        query: String::new(),
        headers: Headers::from_pairs(headers.iter().copied()),
        body: Bytes::copy_from_slice(body),
    }
}
