//! What an operator asks for, and what is wrong with it.

use crate::{
    base::nearest::nearest,
    bulk::guests,
    egress::guard::Reach,
    event::delivery::Status,
    registry::Snapshot,
    store::job::{Action, Config, Filter, Target},
};

/// What a retry or a replay is held to where nothing is said, a second: it leaves room for what comes in meanwhile.
pub const USUAL_PER_SECOND: u32 = 500;
/// The most a second that a job can be held to.
pub const MAX_PER_SECOND: u32 = 100_000;
/// Characters of a reason.
pub const MAX_REASON: usize = 500;

/// Bulk work that is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    pub config: Config,
    pub filter: Filter,
    pub target: Target,
    /// At most so many deliveries (of a replay: events) a second.
    pub per_second: Option<u32>,
    pub reason: Option<String>,
}

/// What makes no sense: where, what was expected, what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub field: &'static str,
    pub expected: String,
    pub found: String,
}

fn fault(field: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Fault {
    Fault {
        field,
        expected: expected.into(),
        found: found.into(),
    }
}

impl Request {
    /// The request with what goes without saying, or its first fault.
    pub fn checked(mut self, snapshot: &Snapshot, reach: Reach) -> Result<Self, Fault> {
        if let (Some(after), Some(before)) = (self.filter.after, self.filter.before)
            && after >= before
        {
            return Err(fault("before", "a time after that of `after`", "an earlier one"));
        }
        if let Some(n) = self.per_second
            && !(1..=MAX_PER_SECOND).contains(&n)
        {
            let expected = format!("a whole number from 1 to {MAX_PER_SECOND}");
            return Err(fault("rate", expected, n.to_string()));
        }
        if let Some(reason) = &self.reason
            && reason.chars().count() > MAX_REASON
        {
            let expected = format!("a text of at most {MAX_REASON} characters");
            return Err(fault("reason", expected, "a longer one"));
        }
        match self.action {
            Action::Replay => self.check_replay(snapshot, reach)?,
            Action::Retry | Action::Cancel => self.check_deliveries()?,
        }
        // A cancel sends nothing.
        if self.action != Action::Cancel {
            self.per_second.get_or_insert(USUAL_PER_SECOND);
        }
        Ok(self)
    }

    fn check_deliveries(&mut self) -> Result<(), Fault> {
        let action = self.action.as_str();
        if self.target != Target::default() {
            let expected = format!("left out: a {action} leaves each delivery where it goes");
            return Err(fault("to", expected, "a target"));
        }
        if self.config == Config::Original {
            let expected = format!("left out: a {action} leaves each delivery as it was made");
            return Err(fault("config", expected, self.config.as_str()));
        }
        let takes = self.action.takes();
        match self.filter.status() {
            Some(status) if !takes.contains(&status) => {
                let words: Vec<_> = takes.iter().map(|it| it.as_str()).collect();
                let expected = format!("one of {} for a {action}", words.join(", "));
                Err(fault("status", expected, status.as_str()))
            }
            // What was delivered is sent again only where somebody says so.
            None if self.action == Action::Retry => {
                self.filter.status = Some(Status::Dead.as_str().to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_replay(&self, snapshot: &Snapshot, reach: Reach) -> Result<(), Fault> {
        let filter = &self.filter;
        for (field, value) in [
            ("route", &filter.route),
            ("cause", &filter.cause),
            ("event_id", &filter.event_id),
        ] {
            if let Some(value) = value {
                let expected = "left out: a replay is of events, and that is no condition of theirs";
                return Err(fault(field, expected, value));
            }
        }
        match self.config {
            Config::Current => self.check_target(snapshot)?,
            // It names what there was then.
            Config::Original => (),
        }
        self.check_url(snapshot, reach)
    }

    fn check_target(&self, snapshot: &Snapshot) -> Result<(), Fault> {
        let target = &self.target;
        if let Some(name) = &target.destination
            && snapshot.destination(name).is_none()
        {
            let names = snapshot.destinations.keys().map(|it| &**it);
            return Err(fault("to.destination", known("destinations", name, names), name));
        }
        if let Some(name) = &target.route
            && snapshot.route(name).is_none()
        {
            let names = snapshot.routes.iter().map(|it| &*it.name);
            return Err(fault("to.route", known("routes", name, names), name));
        }
        Ok(())
    }

    fn check_url(&self, snapshot: &Snapshot, reach: Reach) -> Result<(), Fault> {
        let target = &self.target;
        let Some(url) = &target.url else { return Ok(()) };
        let Some(destination) = &target.destination else {
            let expected = "given with the `url`, which takes its place and has its settings";
            return Err(fault("to.destination", expected, "nothing"));
        };
        guests::outlet(snapshot, "replay".into(), destination, url, reach).map_err(|problem| {
            // A URL may hold a password: what is wrong with it says enough.
            fault(
                "to.url",
                format!("a URL that may be sent to ({problem})"),
                "another",
            )
        })?;
        Ok(())
    }
}

fn known<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, names) {
        Some(near) => format!("one of the config's {what} (did you mean `{near}`?)"),
        None => format!("one of the config's {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Settings;

    fn request(action: Action, filter: Filter) -> Request {
        Request {
            action,
            config: Config::Current,
            filter,
            target: Target::default(),
            per_second: None,
            reason: None,
        }
    }

    fn checked(request: Request) -> Result<Request, &'static str> {
        let snapshot = Snapshot::build(&Settings::default()).unwrap();
        request.checked(&snapshot, Reach::Public).map_err(|it| it.field)
    }

    fn with_status(status: &str) -> Filter {
        Filter {
            status: Some(status.to_owned()),
            ..Filter::default()
        }
    }

    #[test]
    fn a_retry_takes_dead_letters_unless_told_otherwise() {
        let plain = checked(request(Action::Retry, Filter::default())).unwrap();
        assert_eq!(plain.filter.status(), Some(Status::Dead));
        let told = checked(request(Action::Retry, with_status("delivered"))).unwrap();
        assert_eq!(told.filter.status(), Some(Status::Delivered));
        let cancel = checked(request(Action::Cancel, Filter::default())).unwrap();
        assert_eq!(cancel.filter.status(), None);
    }

    #[test]
    fn a_replay_by_the_config_of_then_may_name_what_there_was_then() {
        let request = Request {
            config: Config::Original,
            target: Target {
                route: Some("gone".to_owned()),
                destination: Some("gone".to_owned()),
                url: None,
            },
            ..request(Action::Replay, Filter::default())
        };
        checked(request).unwrap();
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |request: Request, field| assert_eq!(checked(request).unwrap_err(), field);
        for status in ["held", "delivering", "skipped"] {
            check(request(Action::Retry, with_status(status)), "status");
        }
        for status in ["dead", "delivered", "cancelled", "skipped"] {
            check(request(Action::Cancel, with_status(status)), "status");
        }
        let filter = Filter {
            after: Some(2),
            before: Some(2),
            ..Filter::default()
        };
        check(request(Action::Cancel, filter), "before");
        let filter = Filter {
            route: Some("r".to_owned()),
            ..Filter::default()
        };
        check(request(Action::Replay, filter), "route");
        let target = Target {
            destination: Some("d".to_owned()),
            ..Target::default()
        };
        for (action, field) in [(Action::Replay, "to.destination"), (Action::Retry, "to")] {
            let request = Request {
                target: target.clone(),
                ..request(action, Filter::default())
            };
            check(request, field);
        }
        for action in [Action::Retry, Action::Cancel] {
            let request = Request {
                config: Config::Original,
                ..request(action, Filter::default())
            };
            check(request, "config");
        }
        for (action, given, expected) in [
            (Action::Retry, None, Some(USUAL_PER_SECOND)),
            (Action::Replay, None, Some(USUAL_PER_SECOND)),
            (Action::Replay, Some(MAX_PER_SECOND), Some(MAX_PER_SECOND)),
            (Action::Cancel, None, None),
            (Action::Cancel, Some(1), Some(1)),
        ] {
            let request = Request {
                per_second: given,
                ..request(action, Filter::default())
            };
            assert_eq!(checked(request).unwrap().per_second, expected);
        }
        for per_second in [0, MAX_PER_SECOND + 1] {
            let request = Request {
                per_second: Some(per_second),
                ..request(Action::Retry, Filter::default())
            };
            check(request, "rate");
        }
    }
}
