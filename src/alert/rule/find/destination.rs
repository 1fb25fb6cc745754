//! What is wrong with the way out: a destination, or a route to it.

use crate::{
    alert::rule::{
        After, AtLeast, Rule, Rules,
        find::{counted, finding, span},
    },
    base::clock::Timestamp,
    store::{
        claim::{HeldBy, Hold, HoldTarget},
        issue::{Backlog, DeadLetters, Finding, Place},
    },
};

pub(in crate::alert) fn dead_letters(rules: &Rules, all: &[DeadLetters]) -> Vec<Finding> {
    let (_, AtLeast(least)) = rules.dead_letters;
    let many = all.iter().filter(|it| least <= it.count);
    many.map(|it| {
        let summary = format!("{} to `{}`", counted(it.count, "dead letter"), it.destination);
        Finding {
            count: it.count,
            ..finding(rules, Rule::DeadLetters, to_destination(&it.destination), summary)
        }
    })
    .collect()
}

pub(in crate::alert) fn failing(
    rules: &Rules,
    destination: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Finding {
    let why = reason.map(|it| format!(": {it}")).unwrap_or_default();
    let summary = format!("`{destination}` fails, and is left alone between probes{why}");
    Finding {
        seen_at: Some(now),
        ..finding(rules, Rule::Failing, to_destination(destination), summary)
    }
}

pub(in crate::alert) fn held(rules: &Rules, holds: &[Hold], now: Timestamp) -> Vec<Finding> {
    let (_, After(after)) = rules.held;
    // What an operator pauses, somebody knows of.
    let long = holds
        .iter()
        .filter(|it| it.held_by == HeldBy::Gatepost && after <= now.since(it.since));
    long.map(|it| {
        let (kind, place) = match &it.target {
            HoldTarget::Destination(name) => ("destination", to_destination(name)),
            HoldTarget::Route(name) => (
                "route",
                Place {
                    route: Some(name.to_string()),
                    ..Place::default()
                },
            ),
        };
        let name = place.destination.as_ref().or(place.route.as_ref());
        let name = name.map_or("", String::as_str);
        let summary = format!("{kind} `{name}` is held, and its deliveries wait: {}", it.reason);
        Finding {
            seen_at: Some(it.since),
            ..finding(rules, Rule::Held, place, summary)
        }
    })
    .collect()
}

pub(in crate::alert) fn backlog(
    rules: &Rules,
    destination: &str,
    backlog: Backlog,
    now: Timestamp,
) -> Finding {
    let summary = format!(
        "{} to `{destination}` past due, the oldest for {}",
        counted(backlog.count, "delivery"),
        span(now.since(backlog.oldest_due))
    );
    Finding {
        count: backlog.count,
        seen_at: Some(now),
        ..finding(rules, Rule::Backlog, to_destination(destination), summary)
    }
}

fn to_destination(name: &str) -> Place {
    Place {
        destination: Some(name.to_owned()),
        ..Place::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::rule::find::tests::{at, rules};

    #[test]
    fn few_dead_letters_are_no_issue() {
        let of = |destination: &str, count| DeadLetters {
            destination: destination.to_owned(),
            count,
        };
        let found = dead_letters(&rules(), &[of("a", 1), of("b", 2)]);
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.key.as_str(), one.count), ("dead_letters:destination:b", 2));
        assert_eq!(one.summary, "2 dead letters to `b`");
    }

    #[test]
    fn a_short_hold_and_an_operators_are_no_issue() {
        let hold = |target, since| Hold {
            target,
            held_by: HeldBy::Gatepost,
            reason: "the handler answered 410 (gone)".to_owned(),
            since: at(since),
        };
        let holds = [
            hold(HoldTarget::Destination("a".into()), 50),
            hold(HoldTarget::Route("b".into()), 40),
            Hold {
                held_by: HeldBy::Operator,
                ..hold(HoldTarget::Route("c".into()), 0)
            },
        ];
        let found = held(&rules(), &holds, at(100));
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((one.key.as_str(), one.seen_at), ("held:route:b", Some(at(40))));
    }

    #[test]
    fn a_backlog_says_how_much_and_for_how_long() {
        let waiting = Backlog {
            count: 3,
            oldest_due: at(0),
        };
        let found = backlog(&rules(), "billing", waiting, at(9_000));
        assert_eq!(
            found.summary,
            "3 deliveries to `billing` past due, the oldest for 2 h"
        );
    }
}
