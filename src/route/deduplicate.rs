//! Senders that repeat themselves under new ids: which events a route takes for the same.

use std::time::Duration;

use serde_json::Value;

use crate::{
    event::{body_hash, once::Once},
    route::{Fault, filter::subject::Subject, place::Place},
};

/// What the operator says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What repeats have in common: `type`, `resource`, `body:/order/id`, `header:x-order`.
    pub by: Vec<String>,
    pub within: Duration,
}

/// A route's deduplication, ready to be asked.
#[derive(Debug)]
pub struct Deduplicate {
    by: Vec<Field>,
    within: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Field {
    Type,
    Resource,
    At(Place),
}

impl Deduplicate {
    /// Every fault at once; their keys begin with `deduplicate`.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut by = Vec::new();
        for (idx, text) in settings.by.iter().enumerate() {
            match Field::parse(text) {
                Some(field) => by.push(field),
                None => faults.push(fault(&format!("by[{idx}]"), "it names no place of an event")),
            }
        }
        if settings.by.is_empty() {
            faults.push(fault("by", "it is empty"));
        }
        if faults.is_empty() {
            let within = settings.within;
            Ok(Self { by, within })
        } else {
            Err(faults)
        }
    }

    pub fn is_by_resource(&self) -> bool {
        self.by.contains(&Field::Resource)
    }

    /// `None`: the event has none of the fields, so it repeats nothing.
    pub fn once(&self, subject: &Subject<'_>) -> Option<Once> {
        let found: Vec<_> = self.by.iter().map(|it| it.read(subject)).collect();
        if found.iter().all(Option::is_none) {
            return None;
        }
        // As JSON no two lists look alike, and what is absent is not what is null.
        let list = found
            .into_iter()
            .map(|it| it.map_or(Value::Bool(false), |it| Value::Array(vec![it])));
        Some(Once {
            key: body_hash(Value::Array(list.collect()).to_string().as_bytes()),
            within: self.within,
        })
    }
}

impl Field {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "type" => Some(Self::Type),
            "resource" => Some(Self::Resource),
            place => Place::parse(place).map(Self::At),
        }
    }

    fn read(&self, subject: &Subject<'_>) -> Option<Value> {
        match self {
            Self::Type => subject.event().event_type.as_deref().map(Value::from),
            Self::Resource => subject.resource().map(Value::from),
            Self::At(place) => place.value(subject).cloned(),
        }
    }
}

fn fault(key: &str, problem: &str) -> Fault {
    Fault {
        key: format!("deduplicate.{key}"),
        problem: problem.to_owned(),
        hint: Some(
            "as in `by = [\"type\", \"body:/order/id\"]`; each is `type`, `resource`, `body:/json/pointer` or `header:name`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;
    use crate::route::fixture;

    fn once(by: &[&str], body: &Value) -> Option<Once> {
        let settings = Settings {
            by: by.iter().map(|&it| it.to_owned()).collect(),
            within: Duration::from_mins(10),
        };
        let event = fixture::event(body.to_string().as_bytes(), &[("x-account", b"a7")]);
        let subject = Subject::new(&event).about(Some("order_1".to_owned()));
        Deduplicate::new(&settings).unwrap().once(&subject)
    }

    #[test]
    fn what_differs_in_a_field_differs_in_its_key() {
        let bodies = [
            json!({ "a": "x", "b": "y" }),
            json!({ "a": "xy", "b": "" }),
            json!({ "a": "x" }),
            json!({ "b": "x" }),
            json!({ "a": "x", "b": null }),
            json!({ "a": "x", "b": false }),
            json!({ "a": ["x", "y"] }),
            json!({ "a": 1, "b": 2 }),
            json!({ "a": "1", "b": "2" }),
        ];
        let keys: HashSet<_> = bodies
            .iter()
            .map(|it| once(&["body:/a", "body:/b"], it).unwrap().key.0)
            .collect();
        assert_eq!(keys.len(), bodies.len());
    }

    #[test]
    fn what_differs_elsewhere_repeats() {
        let by = ["type", "resource", "header:X-Account", "body:/order"];
        let first = once(&by, &json!({ "order": { "id": 1, "total": 2 }, "sent": 1 }));
        let again = once(&by, &json!({ "sent": 2, "order": { "total": 2, "id": 1 } }));
        assert_eq!(first, again);
        assert_eq!(first.unwrap().within, Duration::from_mins(10));
    }

    #[test]
    fn an_event_without_any_of_the_fields_repeats_nothing() {
        assert_eq!(once(&["body:/a", "header:x-b"], &json!({ "b": 1 })), None);
    }

    #[test]
    fn faults_are_reported_at_once() {
        let keys = |by: &[&str]| {
            let settings = Settings {
                by: by.iter().map(|&it| it.to_owned()).collect(),
                within: Duration::from_secs(1),
            };
            let faults = Deduplicate::new(&settings).unwrap_err();
            faults.into_iter().map(|it| it.key).collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&["order", "type", "body:id"]),
            ["deduplicate.by[0]", "deduplicate.by[2]"]
        );
        assert_eq!(keys(&[]), ["deduplicate.by"]);
    }
}
