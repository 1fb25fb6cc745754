//! The operators of filters, and when two values are the same.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::{
    base::nearest::nearest,
    route::{Fault, filter::fault},
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operator {
    /// The value as a whole: a list is equal to a list only.
    Eq(Value),
    Neq(Value),
    /// A text within the value, or the value itself within a list.
    In(Value),
    Nin(Value),
    /// Numbers with numbers, texts with texts by their code points.
    Gt(Value),
    Gte(Value),
    Lt(Value),
    Lte(Value),
    StartsWith(String),
    EndsWith(String),
    /// A text within a text, or an element of a list.
    Contains(Value),
    Exist(bool),
}

const NAMES: [&str; 15] = [
    "$eq",
    "$neq",
    "$in",
    "$nin",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$startsWith",
    "$endsWith",
    "$contains",
    "$exist",
    "$and",
    "$or",
    "$not",
];

impl Operator {
    pub(super) fn new(name: &str, written: &Value, path: &str, faults: &mut Vec<Fault>) -> Option<Self> {
        let wanted = written.clone();
        let is_plain = !written.is_object() && !written.is_array();
        let (operator, problem, hint) = match (name, written) {
            ("$eq", _) => return Some(Self::Eq(wanted)),
            ("$neq", _) => return Some(Self::Neq(wanted)),
            ("$in", Value::Array(_) | Value::String(_)) => return Some(Self::In(wanted)),
            ("$nin", Value::Array(_) | Value::String(_)) => return Some(Self::Nin(wanted)),
            ("$gt", Value::Number(_) | Value::String(_)) => return Some(Self::Gt(wanted)),
            ("$gte", Value::Number(_) | Value::String(_)) => return Some(Self::Gte(wanted)),
            ("$lt", Value::Number(_) | Value::String(_)) => return Some(Self::Lt(wanted)),
            ("$lte", Value::Number(_) | Value::String(_)) => return Some(Self::Lte(wanted)),
            ("$startsWith", Value::String(text)) => return Some(Self::StartsWith(text.clone())),
            ("$endsWith", Value::String(text)) => return Some(Self::EndsWith(text.clone())),
            ("$contains", _) if is_plain => return Some(Self::Contains(wanted)),
            ("$exist", Value::Bool(is_there)) => return Some(Self::Exist(*is_there)),
            ("$in" | "$nin", _) => (
                name,
                "it is neither a list nor a text",
                "as in { \"$in\" = [\"eu\", \"uk\"] }",
            ),
            ("$gt" | "$gte" | "$lt" | "$lte", _) => (
                name,
                "it is neither a number nor a text",
                "as in { \"$gte\" = 1000 }",
            ),
            ("$startsWith" | "$endsWith", _) => {
                (name, "it is not a text", "as in { \"$startsWith\" = \"cus_\" }")
            }
            ("$contains", _) => (
                name,
                "it is not a single value",
                "as in { \"$contains\" = \"refund\" }",
            ),
            ("$exist", _) => (
                name,
                "it is neither true nor false",
                "as in { \"$exist\" = false }",
            ),
            _ => {
                faults.push(unknown(path, name, NAMES.into_iter()));
                return None;
            }
        };
        faults.push(fault(path, problem, &format!("`{operator}` takes it {hint}")));
        None
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Eq(_) => "$eq",
            Self::Neq(_) => "$neq",
            Self::In(_) => "$in",
            Self::Nin(_) => "$nin",
            Self::Gt(_) => "$gt",
            Self::Gte(_) => "$gte",
            Self::Lt(_) => "$lt",
            Self::Lte(_) => "$lte",
            Self::StartsWith(_) => "$startsWith",
            Self::EndsWith(_) => "$endsWith",
            Self::Contains(_) => "$contains",
            Self::Exist(_) => "$exist",
        }
    }

    pub(super) fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else {
            return *self == Self::Exist(false);
        };
        let text = value.as_str();
        match self {
            Self::Eq(wanted) => same(value, wanted),
            Self::Neq(wanted) => !same(value, wanted),
            Self::In(wanted) => is_in(value, wanted),
            Self::Nin(wanted) => !is_in(value, wanted),
            Self::Gt(wanted) => compare(value, wanted) == Some(Ordering::Greater),
            Self::Gte(wanted) => compare(value, wanted).is_some_and(Ordering::is_ge),
            Self::Lt(wanted) => compare(value, wanted) == Some(Ordering::Less),
            Self::Lte(wanted) => compare(value, wanted).is_some_and(Ordering::is_le),
            Self::StartsWith(wanted) => text.is_some_and(|it| it.starts_with(wanted)),
            Self::EndsWith(wanted) => text.is_some_and(|it| it.ends_with(wanted)),
            Self::Contains(wanted) => contains(value, wanted),
            Self::Exist(is_there) => *is_there,
        }
    }
}

fn is_in(value: &Value, wanted: &Value) -> bool {
    match (wanted, value) {
        (Value::Array(wanted), Value::Array(found)) => found
            .iter()
            .any(|it| wanted.iter().any(|wanted| same(it, wanted))),
        (Value::Array(wanted), found) => wanted.iter().any(|it| same(found, it)),
        (wanted, found) => contains(found, wanted),
    }
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(items), wanted) => items.iter().any(|it| same(it, wanted)),
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        _ => false,
    }
}

/// Equal as values. Headers and forms hold texts only, so a text is the same as the number or truth value that it reads as.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Bool(truth), Value::String(text)) | (Value::String(text), Value::Bool(truth)) => {
            text == if *truth { "true" } else { "false" }
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, it)| right.get(key).is_some_and(|other| same(it, other)))
        }
        (Value::Number(_), _) | (_, Value::Number(_)) => compare(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

/// `None`: the two are not of a kind.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
        (Value::Number(left), Value::String(right)) => compare_numbers(left, &number(right)?),
        (Value::String(left), Value::Number(right)) => compare_numbers(&number(left)?, right),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    match text.parse::<i64>() {
        Ok(integer) => Some(integer.into()),
        // `inf` and `nan` are no numbers here.
        Err(_) => text.parse().ok().and_then(Number::from_f64),
    }
}

/// Whole numbers exactly, everything else as floats.
fn compare_numbers(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// A key that nobody knows, with the nearest that somebody does.
pub(super) fn unknown(path: &str, key: &str, known: impl Iterator<Item = &'static str> + Clone) -> Fault {
    let problem = if key.starts_with('$') {
        "there is no such operator"
    } else {
        "there is no such part of an event"
    };
    fault(
        path,
        problem,
        &match nearest(key, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
        },
    )
}
