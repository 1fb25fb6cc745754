//! From a source to a destination: which events go there, and in which shape. No I/O.
//!
//! Imports: `base`, `event`.

pub mod filter;
#[cfg(test)]
mod fixture;
pub mod glob;
pub mod order;
pub mod transform;

use std::{sync::Arc, time::Duration};

use crate::event::order::Position;
use crate::route::{
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
        self.filter.is_some() || self.order.is_some()
    }

    /// Whether it refuses some of the events of its types.
    pub const fn filters(&self) -> bool {
        self.filter.is_some()
    }

    /// Where the event stands among those of its key, if the route orders any and the event has one.
    pub fn position(&self, subject: &Subject<'_>) -> Option<Position> {
        self.order.as_ref()?.position(subject)
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
                "order.by"
            ]
        );
    }
}
