//! In which order the events of one resource go a route's way.

use crate::{
    base::moment,
    event::{
        body_hash,
        order::{Mode, Position},
    },
    route::{Fault, filter::subject::Subject},
};

/// What the operator says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What events are of one kind: `body:/data/object/customer`, `header:x-account`.
    pub by: String,
    /// What orders them: `occurred_at`, `received_at`, or a place like those of `by`.
    pub time: String,
    pub mode: Mode,
}

/// A route's order, ready to be asked.
#[derive(Debug)]
pub struct Order {
    by: Place,
    time: Time,
    mode: Mode,
}

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A JSON pointer.
    Body(String),
    /// A name in lower case.
    Header(String),
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
        let by = Place::parse(&settings.by).ok_or("by");
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

    /// `None`: the event has no key, and goes when it comes. Without a time it stands where it was received.
    pub fn position(&self, subject: &Subject<'_>) -> Option<Position> {
        let event = subject.event();
        let key = self.by.read(subject).filter(|it| !it.is_empty())?;
        let at = match &self.time {
            Time::Occurred => event.occurred_at,
            Time::Received => None,
            Time::At(place) => place.read(subject).and_then(|it| moment::parse(it.as_bytes())),
        };
        Some(Position {
            key: body_hash(key.as_bytes()),
            at: at.unwrap_or(event.received_at),
            mode: self.mode,
        })
    }
}

fn fault(key: &str) -> Fault {
    let or = if key == "time" {
        ", `occurred_at` or `received_at`"
    } else {
        ""
    };
    Fault {
        key: format!("order.{key}"),
        problem: "it names no place of an event".to_owned(),
        hint: Some(format!(
            "write `body:/data/object/customer`, `header:x-account`{or}"
        )),
    }
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        if let Some(pointer) = text.strip_prefix("body:") {
            return pointer.starts_with('/').then(|| Self::Body(pointer.to_owned()));
        }
        let name = text.strip_prefix("header:")?;
        let name = http::HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some(Self::Header(name.as_str().to_owned()))
    }

    /// The text, number or truth value there.
    fn read(&self, subject: &Subject<'_>) -> Option<String> {
        let value = match self {
            Self::Body(pointer) => subject.body().pointer(pointer)?,
            Self::Header(name) => match subject.headers().get(name)? {
                serde_json::Value::Array(values) => values.first()?,
                value => value,
            },
        };
        match value {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
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
