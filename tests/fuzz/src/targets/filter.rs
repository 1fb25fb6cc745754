//! Filters of routes against the same words read one by one, and never compiled.

use std::{cmp::Ordering, path::Path};

use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, ids::EventId},
    event::{Binding, Event, Origin, headers::Headers},
    route::filter::{Filter, subject::Subject},
};
use serde_json::{Map, Value};

use super::{
    Target, Verdict,
    input::{Input, joined},
};

pub const TARGET: Target = Target {
    name: "filter",
    run: |bytes| compare(holds, bytes),
    seeds,
};

/// Whether a value, or that there is none, meets a condition as it is written.
pub(crate) type Reference = fn(&Value, Option<&Value>) -> bool;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let (written, event_type) = (input.text(), input.utf8());
    let (name, value) = (input.utf8(), input.text());
    let body = input.rest();
    let Ok(written) = serde_json::from_slice::<Value>(written) else {
        return Ok(());
    };
    let filter = match (Filter::new(&written), is_filter(&written)) {
        (Ok(filter), true) => filter,
        (Err(faults), false) if !faults.is_empty() => return Ok(()),
        (found, expected) => {
            let found = found.map_err(|it| it.len());
            return Err(format!(
                "`{written}` is read as {found:?}, and is right: {expected}"
            ));
        }
    };
    let event = Event {
        id: EventId::new(),
        source: "shop".into(),
        external_id: None,
        event_type: Some(event_type.to_owned()).filter(|it| !it.is_empty()),
        origin: Origin::Received,
        binding: Binding::Body,
        occurred_at: None,
        received_at: Timestamp::from_unix_seconds(0),
        query: "n=%312".to_owned(),
        headers: Headers::from_pairs([(name, value)]),
        body: Bytes::copy_from_slice(body),
    };
    let text = |it: &[u8]| Value::from(String::from_utf8_lossy(it));
    let mut parts = Map::new();
    let json = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let body = serde_json::from_slice(json).unwrap_or_else(|_| text(body));
    let headers = Map::from_iter([(name.to_ascii_lowercase(), text(value))]);
    parts.insert("body".to_owned(), body);
    parts.insert("headers".to_owned(), headers.into());
    let query = Map::from_iter([("n".to_owned(), Value::from("12"))]);
    parts.insert("query".to_owned(), query.into());
    parts.insert("source".to_owned(), "shop".into());
    parts.insert("verification".to_owned(), "body".into());
    if let Some(it) = &event.event_type {
        parts.insert("type".to_owned(), it.as_str().into());
    }

    let refusal = filter.refusal(&Subject::new(&event));
    let expected = lets_pass(reference, &written, &parts);
    ensure!(
        refusal.is_none() == expected,
        "`{written}` says {refusal:?} of {}, expected to pass: {expected}",
        Value::Object(parts)
    );
    Ok(())
}

fn is_filter(written: &Value) -> bool {
    let Value::Object(table) = written else {
        return false;
    };
    table.iter().all(|(key, it)| match key.as_str() {
        "$and" | "$or" => is_list(it, is_filter),
        "$not" => is_filter(it),
        "headers" => is_condition(it) && are_names_single(it),
        "body" | "query" | "source" | "type" | "verification" => is_condition(it),
        _ => false,
    })
}

fn is_condition(written: &Value) -> bool {
    match written {
        Value::Object(table) => table.iter().all(|(key, it)| match key.as_str() {
            "$and" | "$or" => is_list(it, is_condition),
            "$eq" | "$neq" => true,
            "$in" | "$nin" => it.is_array() || it.is_string(),
            "$gt" | "$gte" | "$lt" | "$lte" => it.is_number() || it.is_string(),
            "$startsWith" | "$endsWith" => it.is_string(),
            "$contains" => !it.is_array() && !it.is_object(),
            "$exist" => it.is_boolean(),
            _ => (key == "$not" || !key.starts_with('$')) && is_condition(it),
        }),
        Value::Array(items) => items.iter().all(is_condition),
        _ => true,
    }
}

fn is_list(written: &Value, is_right: fn(&Value) -> bool) -> bool {
    written
        .as_array()
        .is_some_and(|it| !it.is_empty() && it.iter().all(is_right))
}

/// No table names one header in two ways.
fn are_names_single(written: &Value) -> bool {
    match written {
        Value::Object(table) => {
            let mut names: Vec<_> = table.keys().map(|it| it.to_lowercase()).collect();
            names.sort();
            names.dedup();
            let is_nested = |key: &str| matches!(key, "$and" | "$or" | "$not") || !key.starts_with('$');
            let mut nested = table.iter().filter(|(key, _)| is_nested(key));
            names.len() == table.len() && nested.all(|(_, it)| are_names_single(it))
        }
        Value::Array(items) => items.iter().all(are_names_single),
        _ => true,
    }
}

fn lets_pass(reference: Reference, written: &Value, parts: &Map<String, Value>) -> bool {
    let Value::Object(table) = written else {
        return false;
    };
    let each = |it: &Value| it.as_array().cloned().unwrap_or_default();
    table.iter().all(|(key, it)| match key.as_str() {
        "$and" => each(it).iter().all(|it| lets_pass(reference, it, parts)),
        "$or" => each(it).iter().any(|it| lets_pass(reference, it, parts)),
        "$not" => !lets_pass(reference, it, parts),
        "headers" => reference(&in_lower_case(it), parts.get("headers")),
        part => reference(it, parts.get(part)),
    })
}

fn in_lower_case(written: &Value) -> Value {
    match written {
        Value::Object(table) => table
            .iter()
            .map(|(key, it)| {
                let name = if key.starts_with('$') {
                    key.clone()
                } else {
                    key.to_lowercase()
                };
                (name, in_lower_case(it))
            })
            .collect(),
        Value::Array(items) => items.iter().map(in_lower_case).collect(),
        plain => plain.clone(),
    }
}

pub(crate) fn holds(written: &Value, value: Option<&Value>) -> bool {
    match written {
        Value::Object(table) => {
            let (operators, fields): (Vec<_>, Vec<_>) =
                table.iter().partition(|(key, _)| key.starts_with('$'));
            let are_met = operators.iter().all(|(name, it)| operator(name, it, value));
            let has_no_say = fields.is_empty() && !operators.is_empty();
            are_met && (has_no_say || has_fields(&fields, value))
        }
        Value::Array(wanted) => value.and_then(Value::as_array).is_some_and(|found| {
            wanted
                .iter()
                .all(|it| found.iter().any(|found| holds(it, Some(found))))
        }),
        plain => value.is_some_and(|found| one_of(found, &|it| is_same(it, plain))),
    }
}

/// The value, or something in it where it is a list, however deep.
fn one_of(value: &Value, is_it: &dyn Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|it| one_of(it, is_it)),
        other => is_it(other),
    }
}

fn has_fields(fields: &[(&String, &Value)], value: Option<&Value>) -> bool {
    value.is_some_and(|value| {
        one_of(value, &|it| {
            let has =
                |it: &Map<String, Value>| fields.iter().all(|(key, wanted)| holds(wanted, it.get(*key)));
            it.as_object().is_some_and(has)
        })
    })
}

fn operator(name: &str, wanted: &Value, value: Option<&Value>) -> bool {
    let list = || wanted.as_array().cloned().unwrap_or_default();
    match name {
        "$and" => return list().iter().all(|it| holds(it, value)),
        "$or" => return list().iter().any(|it| holds(it, value)),
        "$not" => return !holds(wanted, value),
        "$exist" => return value.is_some() == (*wanted == Value::Bool(true)),
        _ => {}
    }
    let Some(value) = value else {
        return false;
    };
    let order = order(value, wanted);
    let texts = value.as_str().zip(wanted.as_str());
    match name {
        "$eq" => is_same(value, wanted),
        "$neq" => !is_same(value, wanted),
        "$in" => is_in(value, wanted),
        "$nin" => !is_in(value, wanted),
        "$gt" => order == Some(Ordering::Greater),
        "$gte" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        "$lt" => order == Some(Ordering::Less),
        "$lte" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        "$startsWith" => texts.is_some_and(|(value, wanted)| value.as_bytes().starts_with(wanted.as_bytes())),
        "$endsWith" => texts.is_some_and(|(value, wanted)| value.as_bytes().ends_with(wanted.as_bytes())),
        _ => has(value, wanted),
    }
}

fn is_in(value: &Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_array() else {
        return has(value, wanted);
    };
    let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    values
        .iter()
        .any(|it| wanted.iter().any(|wanted| is_same(it, wanted)))
}

fn has(value: &Value, wanted: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|it| is_same(it, wanted)),
        Value::String(text) => wanted.as_str().is_some_and(|it| text.contains(it)),
        _ => false,
    }
}

fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && (0..left.len()).all(|at| is_same(&left[at], &right[at]))
        }
        (Value::Object(left), Value::Object(right)) => {
            let keys = |it: &Map<String, Value>| {
                let mut keys: Vec<_> = it.keys().cloned().collect();
                keys.sort();
                keys
            };
            keys(left) == keys(right) && left.keys().all(|it| is_same(&left[it], &right[it]))
        }
        (Value::Bool(truth), Value::String(text)) | (Value::String(text), Value::Bool(truth)) => {
            *text == truth.to_string()
        }
        (
            Value::Null | Value::Bool(_) | Value::String(_),
            Value::Null | Value::Bool(_) | Value::String(_),
        ) => left == right,
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

/// Two texts by their bytes; two numbers, or a number and a text that is one, by size.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Value::String(left), Value::String(right)) = (left, right) {
        return Some(left.as_bytes().cmp(right.as_bytes()));
    }
    let ((left_whole, left), (right_whole, right)) = (number(left)?, number(right)?);
    match (left_whole, right_whole) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.partial_cmp(&right),
    }
}

/// Exactly where it is whole, and as it is rounded.
fn number(value: &Value) -> Option<(Option<i128>, f64)> {
    match value {
        Value::Number(it) => Some((it.as_i128(), it.as_f64()?)),
        Value::String(text) => {
            let whole = text.parse::<i64>().ok();
            let rounded = text.parse::<f64>().ok().filter(|it| it.is_finite())?;
            Some((whole.map(i128::from), rounded))
        }
        _ => None,
    }
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (
            r#"{"body":{"data":{"object":{"amount":{"$gte":1000}}}},"headers":{"X-Region":{"$in":["eu","uk"]}}}"#,
            "eu",
            r#"{"data":{"object":{"amount":1000}}}"#,
        ),
        (
            r#"{"$or":[{"type":{"$startsWith":"order."}},{"source":"shop"}],"$not":{"verification":"none"}}"#,
            "",
            "text",
        ),
        (
            r#"{"query":{"n":{"$gt":5},"shop":{"$exist":false}}}"#,
            "",
            "text",
        ),
        (
            r#"{"body":{"items":[{"sku":"a"},{"sku":{"$endsWith":"b"}}],"n":{"$gt":1,"$lt":"3"}}}"#,
            "",
            r#"{"items":[{"sku":"a"},{"sku":"ab"}],"n":2.5}"#,
        ),
        (
            r#"{"body":{"a":{"$exist":false},"b":{"$not":{"c":true}},"$and":[{"d":null},{"e":{"$neq":[1,"1"]}}]}}"#,
            "",
            r#"{"b":[{"c":"true"}],"d":null,"e":["1",1]}"#,
        ),
        (
            r#"{"headers":{"x-region":"1","X-Other":{"$exist":false}}}"#,
            "1.0",
            "",
        ),
        (
            r#"{"body":{"$contains":"refund"}}"#,
            "",
            "no JSON, and a refund",
        ),
        (
            r#"{"body":{"$nin":[1,"two",false]}}"#,
            "",
            "[[3],\"2\",\"false\"]",
        ),
        (
            r#"{"body":{"id":{"$lte":9007199254740993}}}"#,
            "",
            r#"{"id":9007199254740992}"#,
        ),
        (r#"{"headers":{"X-A":"1","x-a":"2"}}"#, "1", ""),
        (r#"{"body":{"$like":"x"}}"#, "", "x"),
    ]
    .into_iter()
    .map(|(written, region, body)| {
        let texts = [written, "order.paid", "X-Region", region, body].map(str::as_bytes);
        joined(&[], &texts)
    })
    // An event without a type.
    .chain([joined(&[], &[&br#"{"type":{"$neq":"x"}}"#[..], b""])])
    .collect()
}
