//! Whether an event goes a route's way, by what it says: declarative, total, and without a clock.
//!
//! The shape is Hookdeck's and Outpost's: a tree that looks like the event, with operators where a plain value will not do.
//! At the top stand `body`, `headers`, `query`, `source`, `type` and `verification`, or `$and`, `$or` and `$not` over such tables.
//! A header is in lower case; one that came several times is a list, as is a field of the query. A body that is not JSON is a text.

mod condition;
mod operator;
pub mod subject;

use serde_json::{Map, Value};

use crate::route::{
    Fault,
    filter::{
        condition::{Condition, logical},
        operator::unknown,
        subject::Subject,
    },
};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Clause);

#[derive(Debug, Clone, PartialEq)]
enum Clause {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Part(Part, Condition),
}

/// What of an event a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Body,
    Headers,
    Query,
    Source,
    Type,
    Verification,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::Body,
        Self::Headers,
        Self::Query,
        Self::Source,
        Self::Type,
        Self::Verification,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Headers => "headers",
            Self::Query => "query",
            Self::Source => "source",
            Self::Type => "type",
            Self::Verification => "verification",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl Filter {
    /// Every fault at once; their keys begin with `filter`.
    pub fn new(written: &Value) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let clause = clause(written, "filter", &mut faults);
        if faults.is_empty() {
            Ok(Self(clause))
        } else {
            Err(faults)
        }
    }

    /// Why the event does not go this way: the place of the first condition that does not hold, without any of the
    /// event's own words. `None`: it does.
    pub fn refusal(&self, subject: &Subject<'_>) -> Option<String> {
        self.0.refusal(subject)
    }
}

impl Clause {
    fn refusal(&self, subject: &Subject<'_>) -> Option<String> {
        match self {
            Self::All(clauses) => clauses.iter().find_map(|it| it.refusal(subject)),
            Self::Any(clauses) => clauses
                .iter()
                .all(|it| it.refusal(subject).is_some())
                .then(|| "nothing of `$or` holds".to_owned()),
            Self::Not(clause) => clause
                .refusal(subject)
                .is_none()
                .then(|| "what `$not` excludes holds".to_owned()),
            Self::Part(part, condition) => {
                let value = subject.part(*part);
                if condition.holds(value) {
                    return None;
                }
                let mut path = part.as_str().to_owned();
                let wanted = condition.failing(value, &mut path);
                Some(format!("`{path}` {wanted}"))
            }
        }
    }
}

fn clause(written: &Value, path: &str, faults: &mut Vec<Fault>) -> Clause {
    let Value::Object(table) = written else {
        faults.push(fault(
            path,
            "it is not a table",
            "write { body = { ... } }, { headers = { ... } } or an operator over such tables",
        ));
        return Clause::All(Vec::new());
    };
    let clauses = table
        .iter()
        .filter_map(|(key, value)| clause_of(key, value, &format!("{path}.{key}"), faults))
        .collect();
    Clause::All(clauses)
}

fn clause_of(key: &str, value: &Value, path: &str, faults: &mut Vec<Fault>) -> Option<Clause> {
    match key {
        "$and" => Some(Clause::All(logical(value, path, faults, clause))),
        "$or" => Some(Clause::Any(logical(value, path, faults, clause))),
        "$not" => Some(Clause::Not(Box::new(clause(value, path, faults)))),
        _ => {
            let Some(part) = Part::parse(key) else {
                let known = Part::ALL.map(Part::as_str);
                faults.push(unknown(
                    path,
                    key,
                    known.into_iter().chain(["$and", "$or", "$not"]),
                ));
                return None;
            };
            let condition = if part == Part::Headers {
                Condition::new(&in_lower_case(value, path, faults), path, faults)
            } else {
                Condition::new(value, path, faults)
            };
            Some(Clause::Part(part, condition))
        }
    }
}

/// The names of headers in lower case, at whatever depth of conditions they stand.
fn in_lower_case(written: &Value, path: &str, faults: &mut Vec<Fault>) -> Value {
    match written {
        Value::Object(table) => {
            let mut lower = Map::new();
            for (key, value) in table {
                let path = format!("{path}.{key}");
                let (name, value) = match key.as_str() {
                    "$and" | "$or" | "$not" => (key.clone(), in_lower_case(value, &path, faults)),
                    _ if key.starts_with('$') => (key.clone(), value.clone()),
                    _ => (key.to_lowercase(), in_lower_case(value, &path, faults)),
                };
                if lower.insert(name, value).is_some() {
                    faults.push(fault(
                        &path,
                        "the same header stands beside it in another case",
                        "write both conditions as a list of `$and` under one name",
                    ));
                }
            }
            Value::Object(lower)
        }
        Value::Array(items) => {
            let item = |(idx, item)| in_lower_case(item, &format!("{path}[{idx}]"), faults);
            Value::Array(items.iter().enumerate().map(item).collect())
        }
        _ => written.clone(),
    }
}

fn fault(path: &str, problem: &str, hint: &str) -> Fault {
    Fault {
        key: path.to_owned(),
        problem: problem.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

#[cfg(test)]
mod tests;
