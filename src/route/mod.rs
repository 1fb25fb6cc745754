//! From a source to a destination: which events go there, and in which shape. No I/O.
//!
//! Imports: `base`, `event`.

pub mod deduplicate;
pub mod filter;
#[cfg(test)]
mod fixture;
pub mod glob;
pub mod order;
mod place;
pub mod transform;

use std::{sync::Arc, time::Duration};

use crate::event::{once::Once, order::Position};
use crate::route::{
    deduplicate::Deduplicate,
    filter::{Filter, subject::Subject},
    glob::Glob,
    order::Order,
    transform::Transform,
};

/// What the operator says of a route.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without one, the route is called `{source}-to-{destination}`.
    pub name: Option<String>,
    pub source: String,
    pub destination: String,
    /// Exact types, or patterns in which `*` stands for any run of characters. Empty: every event.
    pub types: Vec<String>,
    /// What an event of these types must say besides, as JSON: see `filter`.
    pub filter: Option<serde_json::Value>,
    /// What is made of an event before it is sent.
    pub transform: Option<transform::Settings>,
    pub order: Option<order::Settings>,
    /// Which events it takes for the same, where the sender repeats itself under new ids.
    pub deduplicate: Option<deduplicate::Settings>,
    /// How long an event that was received waits before its first attempt.
    pub delay: Duration,
}

impl Settings {
    /// The route's own name, or the one that is made for it.
    pub fn name(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("{}-to-{}", self.source, self.destination),
        }
    }
}

/// A fault in a route's settings: which key of it, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

/// A way from a source to a destination.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub source: Arc<str>,
    pub destination: Arc<str>,
    pub delay: Duration,
    types: Vec<Glob>,
    filter: Option<Filter>,
    order: Option<Order>,
    deduplicate: Option<Deduplicate>,
    pub transform: Option<Transform>,
}

impl Route {
    /// Every fault at once. Whether the source and the destination exist is for `registry` to say.
    pub fn new(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if let Some(name) = &settings.name {
            check_text(
                &mut faults,
                "name",
                name,
                "leave it out to call the route `source-to-destination`",
            );
        }
        check_text(&mut faults, "source", &settings.source, "name one of `[sources]`");
        check_text(
            &mut faults,
            "destination",
            &settings.destination,
            "name one of `[destinations]`",
        );
        for (idx, pattern) in settings.types.iter().enumerate() {
            let hint = "give an event type, a pattern such as `invoice.*`, or no list at all for every event";
            check_text(&mut faults, &format!("types[{idx}]"), pattern, hint);
        }
        let filter = settings.filter.as_ref().map(Filter::new).transpose();
        let filter = filter.unwrap_or_else(|more| {
            faults.extend(more);
            None
        });
        let transform = settings.transform.as_ref().map(Transform::new).transpose();
        let transform = transform.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let order = settings.order.as_ref().map(Order::new).transpose();
        let order = order.unwrap_or_else(|more| {
            faults.extend(more);
            None
        });
        let deduplicate = settings.deduplicate.as_ref().map(Deduplicate::new).transpose();
        let deduplicate = deduplicate.unwrap_or_else(|more| {
            faults.extend(more);
            None
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            name: settings.name().into(),
            source: settings.source.as_str().into(),
            destination: settings.destination.as_str().into(),
            types: settings.types.iter().map(|it| Glob::new(it)).collect(),
            delay: settings.delay,
            filter,
            order,
            deduplicate,
            transform,
        })
    }

    /// Whether an event is this route's: any of its types will do, and a batch has several. One without a type is where the
    /// list is empty or has a `*`.
    pub fn takes<'t>(&self, types: impl IntoIterator<Item = &'t str>) -> bool {
        if self.types.is_empty() || self.types.contains(&Glob::Everything) {
            return true;
        }
        let mut types = types.into_iter();
        types.any(|text| self.types.iter().any(|it| it.matches(text)))
    }

    /// Whether it looks at more of an event than its type.
    pub const fn reads_body(&self) -> bool {
        self.filter.is_some() || self.order.is_some() || self.deduplicate.is_some()
    }

    /// Whether it refuses some of the events of its types.
    pub const fn filters(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether it wants to know what an event is about: `Subject::about`.
    pub fn reads_resource(&self) -> bool {
        self.order.as_ref().is_some_and(Order::is_by_resource)
            || self.deduplicate.as_ref().is_some_and(Deduplicate::is_by_resource)
    }

    /// Where the event stands among those of its key, if the route orders any and the event has one.
    pub fn position(&self, subject: &Subject<'_>) -> Option<Position> {
        self.order.as_ref()?.position(subject)
    }

    /// What the event is compared by, if the route leaves repeats out and the event has it.
    pub fn once(&self, subject: &Subject<'_>) -> Option<Once> {
        self.deduplicate.as_ref()?.once(subject)
    }

    /// Why the filter does not let an event of this route pass; `None` where it does.
    pub fn refusal(&self, subject: &Subject<'_>) -> Option<String> {
        self.filter.as_ref()?.refusal(subject)
    }
}

fn check_text(faults: &mut Vec<Fault>, key: &str, text: &str, hint: &str) {
    let problem = if text.trim().is_empty() {
        "it is empty"
    } else if text.chars().any(char::is_control) {
        "it holds a control character"
    } else {
        return;
    };
    faults.push(Fault {
        key: key.to_owned(),
        problem: problem.to_owned(),
        hint: Some(hint.to_owned()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(types: &[&str]) -> Settings {
        Settings {
            name: None,
            source: "stripe".into(),
            destination: "billing".into(),
            types: types.iter().map(|&it| it.into()).collect(),
            filter: None,
            transform: None,
            order: None,
            deduplicate: None,
            delay: Duration::ZERO,
        }
    }

    #[test]
    fn an_empty_list_takes_every_event() {
        let route = Route::new(&settings(&[])).unwrap();
        assert!(route.takes(Some("charge.refunded")));
        assert!(route.takes(None));
        assert_eq!(&*route.name, "stripe-to-billing");
    }

    #[test]
    fn an_event_without_a_type_passes_only_a_lone_star() {
        assert!(Route::new(&settings(&["charge.*", "*"])).unwrap().takes(None));
        assert!(!Route::new(&settings(&["charge.*", "*.x"])).unwrap().takes(None));
    }

    #[test]
    fn any_pattern_of_the_list_will_do() {
        let route = Route::new(&settings(&["payment_intent.*", "charge.refunded"])).unwrap();
        assert!(route.takes(Some("payment_intent.succeeded")));
        assert!(route.takes(Some("charge.refunded")));
        assert!(!route.takes(Some("charge.captured")));
    }

    #[test]
    fn any_type_of_a_batch_will_do() {
        let route = Route::new(&settings(&["charge.*"])).unwrap();
        assert!(route.takes(["customer.created", "charge.captured"]));
        assert!(!route.takes(["customer.created", "customer.deleted"]));
    }

    #[test]
    fn what_a_route_asks_of_an_event_is_what_its_settings_say() {
        let order = order::Settings {
            by: "resource".into(),
            time: "occurred_at".into(),
            mode: crate::event::order::Mode::Strict,
        };
        let by = |field: &str| deduplicate::Settings {
            by: vec![field.into()],
            within: Duration::from_secs(1),
        };
        let asked = |change: &dyn Fn(&mut Settings)| {
            let mut settings = settings(&[]);
            change(&mut settings);
            let route = Route::new(&settings).unwrap();
            (route.reads_body(), route.reads_resource(), route.filters())
        };
        assert_eq!(asked(&|_| ()), (false, false, false));
        let filter = serde_json::json!({ "body": { "id": 7 } });
        assert_eq!(asked(&|it| it.filter = Some(filter.clone())), (true, false, true));
        assert_eq!(asked(&|it| it.order = Some(order.clone())), (true, true, false));
        assert_eq!(
            asked(&|it| it.deduplicate = Some(by("type"))),
            (true, false, false)
        );
        assert_eq!(
            asked(&|it| it.deduplicate = Some(by("resource"))),
            (true, true, false)
        );
    }

    #[test]
    fn an_event_is_filtered_ordered_and_compared_as_the_settings_say() {
        let plain = Route::new(&settings(&[])).unwrap();
        let route = Route::new(&Settings {
            filter: Some(serde_json::json!({ "body": { "id": 7 } })),
            order: Some(order::Settings {
                by: "body:/id".into(),
                time: "received_at".into(),
                mode: crate::event::order::Mode::Flag,
            }),
            deduplicate: Some(deduplicate::Settings {
                by: vec!["body:/id".into()],
                within: Duration::from_mins(1),
            }),
            ..settings(&[])
        })
        .unwrap();
        let (seven, eight) = (
            fixture::event(b"{\"id\":7}", &[]),
            fixture::event(b"{\"id\":8}", &[]),
        );
        let (seven, eight) = (Subject::new(&seven), Subject::new(&eight));
        assert_eq!(route.refusal(&seven), None);
        assert!(route.refusal(&eight).is_some_and(|it| it.contains("body.id")));
        let at = |it: &Subject<'_>| route.position(it).map(|it| (it.key, it.at.as_unix_seconds()));
        assert_eq!(at(&seven), Some((crate::event::body_hash(b"7"), 100)));
        assert_eq!(at(&eight), Some((crate::event::body_hash(b"8"), 100)));
        assert_ne!(route.once(&seven), route.once(&eight));
        assert_eq!(
            route.once(&seven).map(|it| it.within),
            Some(Duration::from_mins(1))
        );
        assert_eq!(
            (plain.refusal(&eight), plain.position(&eight), plain.once(&eight)),
            (None, None, None)
        );
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let faults = Route::new(&Settings {
            name: Some(String::new()),
            source: " ".into(),
            destination: "a\nb".into(),
            types: vec!["ok".into(), String::new(), "a\u{7}".into()],
            filter: Some(serde_json::json!({ "bodi": {} })),
            transform: Some(transform::Settings {
                name: "a.js".into(),
                program: "let".into(),
            }),
            order: Some(order::Settings {
                by: "customer".into(),
                time: "occurred_at".into(),
                mode: crate::event::order::Mode::Flag,
            }),
            deduplicate: Some(deduplicate::Settings {
                by: Vec::new(),
                within: Duration::ZERO,
            }),
            delay: Duration::ZERO,
        })
        .unwrap_err();
        let keys: Vec<_> = faults.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "name",
                "source",
                "destination",
                "types[1]",
                "types[2]",
                "filter.bodi",
                "transform",
                "order.by",
                "deduplicate.by"
            ]
        );
    }
}
