//! In which order the events of one resource go a route's way.

use crate::{
    base::moment,
    event::{
        body_hash,
        order::{Mode, Position},
    },
    route::{Fault, filter::subject::Subject, place::Place},
};

/// What the operator says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which events belong together: `resource` (what the provider says that they are about), `body:/data/object/customer`,
    /// `header:x-account`.
    pub by: String,
    /// What orders them: `occurred_at`, `received_at`, or a place like those of `by`.
    pub time: String,
    pub mode: Mode,
}

/// A route's order, ready to be asked.
#[derive(Debug)]
pub struct Order {
    by: Key,
    time: Time,
    mode: Mode,
}

#[derive(Debug, PartialEq, Eq)]
enum Key {
    Resource,
    At(Place),
}

#[derive(Debug)]
enum Time {
    Occurred,
    Received,
    At(Place),
}

impl Order {
    /// Every fault at once; their keys begin with `order`.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let by = match settings.by.as_str() {
            "resource" => Ok(Key::Resource),
            place => Place::parse(place).map(Key::At).ok_or("by"),
        };
        let time = match settings.time.as_str() {
            "occurred_at" => Ok(Time::Occurred),
            "received_at" => Ok(Time::Received),
            place => Place::parse(place).map(Time::At).ok_or("time"),
        };
        match (by, time) {
            (Ok(by), Ok(time)) => Ok(Self {
                by,
                time,
                mode: settings.mode,
            }),
            (by, time) => {
                let keys = [by.err(), time.err()].into_iter().flatten();
                Err(keys.map(fault).collect())
            }
        }
    }

    pub fn is_by_resource(&self) -> bool {
        self.by == Key::Resource
    }

    /// `None`: the event has no key, and goes when it comes. Without a time it stands where it was received.
    pub fn position(&self, subject: &Subject<'_>) -> Option<Position> {
        let event = subject.event();
        let key = match &self.by {
            Key::Resource => subject.resource().map(str::to_owned),
            Key::At(place) => place.text(subject),
        };
        let key = key.filter(|it| !it.is_empty())?;
        let at = match &self.time {
            Time::Occurred => event.occurred_at,
            Time::Received => None,
            Time::At(place) => place.text(subject).and_then(|it| moment::parse(it.as_bytes())),
        };
        Some(Position {
            key: body_hash(key.as_bytes()),
            at: at.unwrap_or(event.received_at),
            mode: self.mode,
        })
    }
}

fn fault(key: &str) -> Fault {
    let or = match key {
        "time" => "`occurred_at` or `received_at`",
        _ => "`resource`",
    };
    Fault {
        key: format!("order.{key}"),
        problem: "it names no place of an event".to_owned(),
        hint: Some(format!(
            "write `body:/data/object/customer`, `header:x-account` or {or}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{base::clock::Timestamp, event::Event, route::fixture};

    fn event(body: &serde_json::Value) -> Event {
        fixture::event(body.to_string().as_bytes(), &[("x-account", b"a7")])
    }

    fn position(by: &str, time: &str, body: &serde_json::Value) -> Option<Position> {
        let order = Order::new(&Settings {
            by: by.to_owned(),
            time: time.to_owned(),
            mode: Mode::Latest,
        })
        .unwrap();
        let event = event(body);
        order.position(&Subject::new(&event))
    }

    #[test]
    fn the_key_is_read_where_it_says() {
        let body = json!({ "customer": { "id": 7 }, "none": null, "empty": "", "list": [] });
        let key = |by: &str| position(by, "occurred_at", &body).map(|it| it.key);
        assert_eq!(key("body:/customer/id"), Some(body_hash(b"7")));
        assert_eq!(key("header:X-Account"), Some(body_hash(b"a7")));
        for absent in ["body:/a", "body:/none", "body:/empty", "body:/list", "header:x-b"] {
            assert_eq!(key(absent), None, "{absent}");
        }
    }

    #[test]
    fn the_key_is_what_the_event_is_about() {
        let order = Order::new(&Settings {
            by: "resource".to_owned(),
            time: "occurred_at".to_owned(),
            mode: Mode::Latest,
        })
        .unwrap();
        let event = event(&json!({ "resource": "elsewhere" }));
        let key = |resource: Option<&str>| {
            let subject = Subject::new(&event).about(resource.map(str::to_owned));
            order.position(&subject).map(|it| it.key)
        };
        assert_eq!(key(Some("cus_7")), Some(body_hash(b"cus_7")));
        assert_eq!((key(Some("")), key(None)), (None, None));
    }

    #[test]
    fn the_time_is_read_where_it_says_or_is_that_of_the_receipt() {
        let body = json!({ "id": "a", "seconds": 1000, "ms": 1_700_000_000_123_i64, "text": "1970-01-01T00:16:41Z", "bad": "soon" });
        let at = |time: &str| position("body:/id", time, &body).unwrap().at;
        let seconds = Timestamp::from_unix_seconds;
        assert_eq!(at("occurred_at"), seconds(50));
        assert_eq!(at("received_at"), seconds(100));
        assert_eq!(at("body:/seconds"), seconds(1000));
        assert_eq!(at("body:/text"), seconds(1001));
        assert_eq!(at("body:/ms").as_unix_seconds(), 1_700_000_000);
        assert_eq!(at("body:/bad"), seconds(100));
        assert_eq!(at("body:/absent"), seconds(100));
    }

    #[test]
    fn faults_are_reported_at_once() {
        let faults = Order::new(&Settings {
            by: "customer".to_owned(),
            time: "header:".to_owned(),
            mode: Mode::Strict,
        })
        .unwrap_err();
        let keys: Vec<_> = faults.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["order.by", "order.time"]);
    }
}
