//! From a source to a destination: which events go there. Pure.
//!
//! Imports: `base`, `event`.

pub mod glob;

use std::sync::Arc;

use crate::route::glob::Glob;

/// What the operator says of a route.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without one, the route is called `{source}-to-{destination}`.
    pub name: Option<String>,
    pub source: String,
    pub destination: String,
    /// Exact types, or patterns in which `*` stands for any run of characters. Empty: every event.
    pub types: Vec<String>,
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
    types: Vec<Glob>,
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
        if !faults.is_empty() {
            return Err(faults);
        }
        let name = match &settings.name {
            Some(name) => name.clone(),
            None => format!("{}-to-{}", settings.source, settings.destination),
        };
        Ok(Self {
            name: name.into(),
            source: settings.source.as_str().into(),
            destination: settings.destination.as_str().into(),
            types: settings.types.iter().map(|it| Glob::new(it)).collect(),
        })
    }

    /// Whether an event of this type goes this way. One without a type does so where the list is empty or has a `*`.
    pub fn takes(&self, event_type: Option<&str>) -> bool {
        self.types.is_empty()
            || self.types.iter().any(|it| match event_type {
                Some(text) => it.matches(text),
                None => *it == Glob::Everything,
            })
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
    fn every_fault_is_reported_at_once() {
        let faults = Route::new(&Settings {
            name: Some(String::new()),
            source: " ".into(),
            destination: "a\nb".into(),
            types: vec!["ok".into(), String::new(), "a\u{7}".into()],
        })
        .unwrap_err();
        let keys: Vec<_> = faults.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["name", "source", "destination", "types[1]", "types[2]"]);
    }
}
