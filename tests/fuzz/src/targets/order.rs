//! Where a route's order says that the key of an event is: the words, and what is read there.

use std::path::Path;

use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, ids::EventId, moment},
    event::{
        Binding, Event, Origin, body_hash,
        headers::Headers,
        order::{Mode, Position},
    },
    route::{
        filter::subject::Subject,
        order::{Order, Settings},
    },
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    text::is_token,
    tree::{self, Tree},
};

pub const TARGET: Target = Target {
    name: "order",
    run: |bytes| compare(read, bytes),
    seeds,
};

/// What an event shows.
pub(crate) struct Shown<'a> {
    pub(crate) header: (&'a str, &'a [u8]),
    pub(crate) body: &'a [u8],
}

/// Whether the words are right, and what stands there; nothing for a place that is right and empty.
pub(crate) type Reference = fn(&str, &Shown<'_>) -> Option<Option<String>>;

const OCCURRED_AT: Timestamp = Timestamp::from_unix_seconds(50);
const RECEIVED_AT: Timestamp = Timestamp::from_unix_seconds(100);

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let (by, time) = (input.utf8(), input.utf8());
    let (name, value, resource) = (input.utf8(), input.text(), input.utf8());
    let shown = Shown {
        header: (name, value),
        body: input.rest(),
    };
    let key = match by {
        "resource" => Some(Some(resource.to_owned())),
        place => reference(place, &shown),
    };
    let at = match time {
        "occurred_at" => Some(Some(OCCURRED_AT)),
        "received_at" => Some(None),
        place => {
            let at = |it: String| moment::parse(it.as_bytes());
            reference(place, &shown).map(|it| it.and_then(at))
        }
    };
    let settings = Settings {
        by: by.to_owned(),
        time: time.to_owned(),
        mode: Mode::Latest,
    };
    let (order, key, at) = match (Order::new(&settings), key, at) {
        (Ok(order), Some(key), Some(at)) => (order, key, at),
        (Err(faults), key, at) if key.is_none() || at.is_none() => {
            let n_wrong = usize::from(key.is_none()) + usize::from(at.is_none());
            ensure!(faults.len() == n_wrong, "{faults:?} for {n_wrong} faults");
            return Ok(());
        }
        (order, ..) => return Err(format!("`{by}` and `{time}` are read as {order:?}")),
    };
    // A key that comes twice, and numbers beyond all bounds, are read in ways of their own.
    let json = shown
        .body
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(shown.body);
    let is_plain = serde_json::from_slice::<serde_json::Value>(json).is_ok()
        && tree::parse_whole(shown.body).is_some_and(|it| !has_twice(&it));
    if [by, time].iter().any(|it| it.starts_with("body:")) && !is_plain {
        return Ok(());
    }
    let event = Event {
        id: EventId::new(),
        source: "shop".into(),
        external_id: None,
        event_type: None,
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: Some(OCCURRED_AT),
        received_at: RECEIVED_AT,
        query: String::new(),
        headers: Headers::from_pairs([shown.header]),
        body: Bytes::copy_from_slice(shown.body),
    };
    let subject = Subject::new(&event).about(Some(resource.to_owned()));
    let found = order.position(&subject);
    let expected = key.filter(|it| !it.is_empty()).map(|key| Position {
        key: body_hash(key.as_bytes()),
        at: at.unwrap_or(RECEIVED_AT),
        mode: Mode::Latest,
    });
    ensure!(
        found == expected,
        "`{by}` and `{time}` lead to {found:?}, expected {expected:?}"
    );
    Ok(())
}

pub(crate) fn read(words: &str, shown: &Shown<'_>) -> Option<Option<String>> {
    match words.split_once(':')? {
        ("body", pointer) if pointer.starts_with('/') => {
            let tree = tree::parse_whole(shown.body);
            Some(tree.and_then(|it| at(&it, &pointer[1..])))
        }
        ("header", name) if is_token(name) => {
            let (found, value) = shown.header;
            let is_there = found.eq_ignore_ascii_case(name);
            Some(is_there.then(|| String::from_utf8_lossy(value).into_owned()))
        }
        _ => None,
    }
}

/// The text, number or truth value at a pointer without its first slash.
fn at(tree: &Tree, pointer: &str) -> Option<String> {
    let (step, rest) = match pointer.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (pointer, None),
    };
    let step = step.replace("~1", "/").replace("~0", "~");
    let child = match tree {
        Tree::Object(pairs) => pairs.iter().find(|(key, _)| *key == step).map(|(_, it)| it)?,
        Tree::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(idx, it)| (idx.to_string() == step).then_some(it))?,
        _ => return None,
    };
    match (rest, child) {
        (Some(rest), child) => at(child, rest),
        (None, Tree::Text(text)) => Some(text.clone()),
        // Written anew: `1.0` and `1.00` are one key.
        (None, Tree::Word(word)) => Some(serde_json::from_str::<serde_json::Value>(word).ok()?.to_string()),
        (None, _) => None,
    }
}

fn has_twice(tree: &Tree) -> bool {
    match tree {
        Tree::Object(pairs) => pairs
            .iter()
            .any(|(key, child)| tree.count(key) > 1 || has_twice(child)),
        Tree::Array(items) => items.iter().any(has_twice),
        _ => false,
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (
            "body:/data/object/customer",
            "body:/data/at",
            r#"{"data":{"object":{"customer":"cus_1"},"at":1700000000}}"#,
        ),
        ("body:/a~1b/1/c~0d", "occurred_at", r#"{"a/b":[0,{"c~d":7.50}]}"#),
        ("body:/0", "received_at", r#"[true,"x"]"#),
        ("header:X-Account", "body:/at", r#"{"at":"1970-01-01T00:16:41Z"}"#),
        ("resource", "header:x-account", ""),
        ("body:/01", "body:/", r#"{"01":"a","":"2026-01-01T00:00:00Z"}"#),
        ("body:id", "header:", "{}"),
        ("cookie:a", "occurred_at", "{}"),
    ]
    .into_iter()
    .map(|(by, time, body)| {
        let texts = [by, time, "x-account", "1700000000", "cus_1", body].map(str::as_bytes);
        joined(&[], &texts)
    })
    .collect()
}
