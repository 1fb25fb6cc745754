//! What a value must be: a tree of the value's own shape.

use serde_json::Value;

use crate::route::{
    Fault,
    filter::{
        fault,
        operator::{Operator, same},
    },
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// An object with all of these, or a list with such an object.
    Fields(Vec<(Box<str>, Self)>),
    /// A list in which each of these is met by some element.
    Elements(Vec<Self>),
    /// This text, number, truth value or null, or a list that has it.
    Is(Value),
    Operator(Operator),
}

impl Condition {
    pub(super) fn new(written: &Value, path: &str, faults: &mut Vec<Fault>) -> Self {
        match written {
            Value::Object(table) => {
                let mut conditions = Vec::new();
                let mut fields = Vec::new();
                for (key, value) in table {
                    let path = format!("{path}.{key}");
                    match key.as_str() {
                        "$and" => conditions.push(Self::All(logical(value, &path, faults, Self::new))),
                        "$or" => conditions.push(Self::Any(logical(value, &path, faults, Self::new))),
                        "$not" => conditions.push(Self::Not(Box::new(Self::new(value, &path, faults)))),
                        _ if key.starts_with('$') => {
                            conditions.extend(Operator::new(key, value, &path, faults).map(Self::Operator));
                        }
                        _ => fields.push((key.as_str().into(), Self::new(value, &path, faults))),
                    }
                }
                if conditions.is_empty() {
                    return Self::Fields(fields);
                }
                if !fields.is_empty() {
                    conditions.push(Self::Fields(fields));
                }
                match conditions.pop() {
                    Some(only) if conditions.is_empty() => only,
                    last => {
                        conditions.extend(last);
                        Self::All(conditions)
                    }
                }
            }
            Value::Array(items) => {
                let element = |(idx, item)| Self::new(item, &format!("{path}[{idx}]"), faults);
                Self::Elements(items.iter().enumerate().map(element).collect())
            }
            plain => Self::Is(plain.clone()),
        }
    }

    /// `None` is a value that is not there: nothing but `$exist = false` and what `$not` turns round holds for it.
    pub(super) fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|it| it.holds(value)),
            Self::Any(conditions) => conditions.iter().any(|it| it.holds(value)),
            Self::Not(condition) => !condition.holds(value),
            Self::Operator(operator) => operator.holds(value),
            Self::Fields(fields) => match value {
                Some(Value::Object(object)) => fields.iter().all(|(key, it)| it.holds(object.get(&**key))),
                Some(Value::Array(items)) => items.iter().any(|it| self.holds(Some(it))),
                _ => false,
            },
            Self::Elements(elements) => match value {
                Some(Value::Array(items)) => elements
                    .iter()
                    .all(|element| items.iter().any(|it| element.holds(Some(it)))),
                _ => false,
            },
            Self::Is(wanted) => match value {
                Some(Value::Array(items)) => items.iter().any(|it| self.holds(Some(it))),
                Some(found) => same(found, wanted),
                None => false,
            },
        }
    }

    /// Of a condition that does not hold: extends the path to where it fails, and says what was wanted there.
    pub(super) fn failing(&self, value: Option<&Value>, path: &mut String) -> String {
        match self {
            Self::All(conditions) => conditions
                .iter()
                .find(|it| !it.holds(value))
                .map_or_else(String::new, |it| it.failing(value, path)),
            Self::Fields(fields) => match value {
                Some(Value::Object(object)) => {
                    let failing = fields.iter().find(|(key, it)| !it.holds(object.get(&**key)));
                    failing.map_or_else(String::new, |(key, it)| {
                        path.push('.');
                        path.push_str(key);
                        it.failing(object.get(&**key), path)
                    })
                }
                Some(Value::Array(_)) => "has no element that the filter wants".to_owned(),
                Some(_) => "is no object".to_owned(),
                None => "is not there".to_owned(),
            },
            _ if value.is_none() && !matches!(self, Self::Not(_)) => "is not there".to_owned(),
            Self::Any(_) => "meets nothing of `$or`".to_owned(),
            Self::Not(_) => "is what `$not` excludes".to_owned(),
            Self::Elements(_) => "lacks an element that the filter wants".to_owned(),
            Self::Is(_) => "is not the value that the filter wants".to_owned(),
            Self::Operator(operator) => format!("does not meet `{}`", operator.name()),
        }
    }
}

/// The list of `$and` and `$or`, each item read by `read`.
pub(super) fn logical<T>(
    written: &Value,
    path: &str,
    faults: &mut Vec<Fault>,
    read: impl Fn(&Value, &str, &mut Vec<Fault>) -> T,
) -> Vec<T> {
    match written {
        Value::Array(items) if !items.is_empty() => items
            .iter()
            .enumerate()
            .map(|(idx, item)| read(item, &format!("{path}[{idx}]"), faults))
            .collect(),
        _ => {
            faults.push(fault(
                path,
                "it is not a list of conditions",
                "write a list with at least one table, as in [{ ... }, { ... }]",
            ));
            Vec::new()
        }
    }
}
