//! Bodies with something at each place that a row reads, and how a value is put into one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::provider::{
    Provider,
    place::{Place, Reading},
    sample::marks::Marks,
};

/// A body with something at each place that the row reads.
pub(super) fn generic_body(named: &[(&Place, String)], marks: &Marks<'_>) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("id".to_owned(), format!("example_{}", marks.id).into());
    body.insert("type".to_owned(), marks.event_type.into());
    body.insert("created_at".to_owned(), marks.now.to_string().into());
    body.insert(
        "data".to_owned(),
        serde_json::json!({ "note": "a sample event made by gatepost" }),
    );
    let mut body = Value::Object(body);
    for (place, text) in named {
        if let Place::Body(pointer) = place {
            put(&mut body, pointer, text.clone().into());
        }
    }
    body.to_string().into_bytes()
}

/// The same as a form.
pub(super) fn form_body(named: &[(&Place, String)], marks: &Marks<'_>) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("note", "a sample event made by gatepost")
        .append_pair("sample_id", &marks.id);
    let mut inner: BTreeMap<&str, Value> = BTreeMap::new();
    for (place, text) in named {
        match place {
            Place::Form(name) => {
                form.append_pair(name, text);
            }
            Place::FormJson { field, pointer } => {
                let value = inner.entry(field.as_ref()).or_insert(Value::Null);
                put(value, pointer, text.clone().into());
            }
            _ => {}
        }
    }
    for (name, value) in inner {
        form.append_pair(name, &value.to_string());
    }
    form.finish().into_bytes()
}

/// What stands at each place that the row reads first. A name of several places is shared out at its dots.
pub(super) fn named<'p>(provider: &'p Provider, marks: &Marks<'_>) -> Vec<(&'p Place, String)> {
    let texts = [
        (&provider.event_id, format!("example_{}", marks.id)),
        (&provider.event_type, marks.event_type.to_owned()),
        (&provider.event_time, marks.now.to_string()),
    ];
    let mut named = Vec::new();
    for (readings, text) in texts {
        let places = readings.first().map_or(&[][..], Reading::places);
        let shares = text.splitn(places.len().max(1), '.');
        named.extend(
            places
                .iter()
                .zip(shares.chain(std::iter::repeat("example")).map(str::to_owned)),
        );
    }
    named
}

/// Leaves a body alone that is no JSON: then the request lacks something, and says so when it is signed.
pub(super) fn put_into(body: &mut Vec<u8>, pointer: &str, value: Value) {
    if let Ok(mut whole) = serde_json::from_slice::<Value>(body) {
        put(&mut whole, pointer, value);
        *body = whole.to_string().into_bytes();
    }
}

/// In place of another value of that name.
pub(super) fn put_into_form(body: &mut Vec<u8>, name: &str, value: &str) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(form_urlencoded::parse(body).filter(|(it, _)| it != name));
    *body = form.append_pair(name, value).finish().into_bytes();
}

/// Puts a value at a pointer, making objects on the way, and arrays of one element where it says `*` or `0`.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        if name == "*" || name == "0" {
            if !at.is_array() {
                *at = Value::Array(vec![at.take()]);
            }
            let Some(first) = at.as_array_mut().and_then(|it| it.first_mut()) else {
                return;
            };
            at = first;
            continue;
        }
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(name).or_insert(Value::Null);
    }
    *at = value;
}
