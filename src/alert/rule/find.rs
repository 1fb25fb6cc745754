//! What each rule finds in what it is given. Pure; the time is an argument.

use std::{fmt::Write as _, time::Duration};

use crate::{
    alert::rule::{After, AtLeast, Rule, Rules, Silence, Within},
    base::clock::Timestamp,
    store::{
        claim::{HeldBy, Hold, HoldTarget},
        issue::{Backlog, DeadLetters, Finding, Place, Refusals},
        query::Ledger,
        rhythm::Rhythm,
    },
};

/// A rhythm of fewer days is none yet.
const MIN_DAYS: u32 = 7;

/// Whom to tell is added by who knows it.
fn finding(rules: &Rules, rule: Rule, place: Place, summary: String) -> Finding {
    let parts = [&place.source, &place.destination, &place.route, &place.cause];
    let mut key = rule.as_str().to_owned();
    for (kind, part) in ["source", "destination", "route", "cause"].iter().zip(parts) {
        // Names hold no colon, and a cause is the last.
        if let Some(part) = part {
            // Writing to a string cannot fail.
            let _ = write!(key, ":{kind}:{part}");
        }
    }
    Finding {
        key,
        rule: rule.as_str(),
        severity: rules.common(rule).severity,
        place,
        summary,
        count: 1,
        seen_at: None,
        tell: Vec::new(),
    }
}

fn to_destination(name: &str) -> Place {
    Place {
        destination: Some(name.to_owned()),
        ..Place::default()
    }
}

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

pub(in crate::alert) fn refusals(rules: &Rules, all: &[Refusals]) -> Vec<Finding> {
    let (_, AtLeast(least), Within(within)) = rules.refusals;
    let many = all.iter().filter(|it| least <= it.count);
    many.map(|it| {
        let summary = format!(
            "{} to `{}` refused within {}: {}",
            counted(it.count, "request"),
            it.source,
            span(within),
            it.cause
        );
        let place = Place {
            source: Some(it.source.clone()),
            cause: Some(it.cause.clone()),
            ..Place::default()
        };
        Finding {
            count: it.count,
            seen_at: Some(it.last_at),
            ..finding(rules, Rule::Refusals, place, summary)
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

pub(in crate::alert) fn ledger(rules: &Rules, ledger: &Ledger) -> Vec<Finding> {
    let mut found = Vec::new();
    let n_missing = ledger
        .received
        .abs_diff(ledger.rejected + ledger.duplicates + ledger.stored)
        + ledger
            .deliveries
            .abs_diff(ledger.delivered + ledger.open + ledger.dead + ledger.cancelled + ledger.skipped);
    if n_missing > 0 {
        let summary = "the ledger does not add up: rows are missing or were counted twice".to_owned();
        found.push(Finding {
            count: n_missing,
            ..finding(rules, Rule::Ledger, Place::default(), summary)
        });
    }
    let n_stuck = ledger.stuck.total();
    if n_stuck > 0 {
        let summary = format!(
            "{} past their time, and nobody moves them",
            counted(n_stuck, "delivery")
        );
        found.push(Finding {
            count: n_stuck,
            ..finding(rules, Rule::Ledger, because("stuck"), summary)
        });
    }
    found
}

/// `watched_since`: since when somebody would have heard of it.
pub(in crate::alert) fn silence(
    rules: &Rules,
    all: &[Rhythm],
    watched_since: Timestamp,
    now: Timestamp,
) -> Vec<Finding> {
    let (_, Silence { times, at_least }) = rules.silence;
    let silent = all.iter().filter(|it| {
        // A week has every kind of day.
        let is_known = MIN_DAYS <= it.n_days;
        let silent_for = now.since(it.last_at.max(watched_since));
        is_known && at_least.max(it.longest_gap * times) < silent_for
    });
    silent
        .map(|it| {
            let summary = format!(
                "nothing from `{}` for {}; its longest silence of the last two weeks was {}",
                it.source,
                span(now.since(it.last_at)),
                span(it.longest_gap)
            );
            let place = Place {
                source: Some(it.source.clone()),
                ..Place::default()
            };
            Finding {
                seen_at: Some(it.last_at),
                ..finding(rules, Rule::Silence, place, summary)
            }
        })
        .collect()
}

/// `took`: the shortest of the last few writes, where there were enough of them. `n_free`: bytes, where that is known.
pub(in crate::alert) fn store(
    rules: &Rules,
    took: Option<Duration>,
    n_free: Option<u64>,
    now: Timestamp,
) -> Vec<Finding> {
    let (_, strain) = rules.store;
    let mut found = Vec::new();
    let mut add = |cause, summary| {
        found.push(Finding {
            seen_at: Some(now),
            ..finding(rules, Rule::Store, because(cause), summary)
        });
    };
    if let Some(took) = took.filter(|it| strain.slower_than < *it) {
        add(
            "slow",
            format!("the store is slow: a write takes {} ms", took.as_millis()),
        );
    }
    if let Some(n_free) = n_free.filter(|it| *it < strain.free_below) {
        add(
            "full",
            format!(
                "the disk of the store is nearly full: {} MiB are free",
                n_free >> 20
            ),
        );
    }
    found
}

/// What ends, and where it is. `what` stands in a sentence: "the client certificate of `billing`".
#[derive(Debug, Clone)]
pub(in crate::alert) struct Ending {
    pub(in crate::alert) what: String,
    pub(in crate::alert) place: Place,
    pub(in crate::alert) ends_at: Timestamp,
}

pub(in crate::alert) fn expiry(rules: &Rules, all: Vec<Ending>, now: Timestamp) -> Vec<Finding> {
    let (_, Within(within)) = rules.expiry;
    let soon = all.into_iter().filter(|it| it.ends_at < now.plus(within));
    soon.map(|it| {
        let summary = if it.ends_at <= now {
            format!("{} ended at {}", it.what, it.ends_at)
        } else {
            format!(
                "{} ends in {}, at {}",
                it.what,
                span(it.ends_at.since(now)),
                it.ends_at
            )
        };
        finding(rules, Rule::Expiry, it.place, summary)
    })
    .collect()
}

fn because(cause: &str) -> Place {
    Place {
        cause: Some(cause.to_owned()),
        ..Place::default()
    }
}

fn counted(n: u64, what: &str) -> String {
    match (n, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        (_, None) => format!("{n} {what}s"),
    }
}

/// In the largest unit of which there are two at least.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alert::rule::{Common, OlderThan, Strain},
        store::{issue::Severity, query::Stuck},
    };

    fn rules() -> Rules {
        let common = Common {
            is_enabled: true,
            severity: Severity::Warning,
        };
        Rules {
            dead_letters: (common, AtLeast(2)),
            failing: (common, After(Duration::from_mins(1))),
            held: (common, After(Duration::from_mins(1))),
            refusals: (common, AtLeast(20), Within(Duration::from_mins(15))),
            backlog: (common, OlderThan(Duration::from_mins(15))),
            ledger: Common {
                severity: Severity::Critical,
                ..common
            },
            silence: (
                common,
                Silence {
                    times: 2,
                    at_least: Duration::from_hours(1),
                },
            ),
            store: (
                common,
                Strain {
                    slower_than: Duration::from_secs(1),
                    free_below: 512 << 20,
                },
            ),
            expiry: (common, Within(Duration::from_hours(14 * 24))),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn names_are_read_back() {
        for rule in Rule::ALL {
            assert_eq!(Rule::parse(rule.as_str()), Some(rule));
        }
    }

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
    fn a_spike_is_of_one_source_and_one_cause() {
        let of = |cause: &str, count| Refusals {
            source: "stripe".to_owned(),
            cause: cause.to_owned(),
            count,
            last_at: at(7),
        };
        let found = refusals(&rules(), &[of("unsigned", 19), of("stale", 20)]);
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!(one.key, "refusals:source:stripe:cause:stale");
        assert_eq!(one.seen_at, Some(at(7)));
        assert_eq!(
            one.summary,
            "20 requests to `stripe` refused within 15 min: stale"
        );
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
    fn a_ledger_that_is_off_and_work_that_is_stuck_are_two_issues() {
        assert!(ledger(&rules(), &Ledger::default()).is_empty());
        let off = Ledger {
            received: 5,
            stored: 3,
            deliveries: 1,
            open: 1,
            stuck: Stuck {
                waiting: 1,
                ..Stuck::default()
            },
            ..Ledger::default()
        };
        let found = ledger(&rules(), &off);
        let shown: Vec<_> = found.iter().map(|it| (it.key.as_str(), it.count)).collect();
        assert_eq!(shown, [("ledger", 2), ("ledger:cause:stuck", 1)]);
        assert!(found.iter().all(|it| it.severity == Severity::Critical));
        assert!(found[1].summary.starts_with("1 delivery past"), "{found:?}");
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

    #[test]
    fn a_source_is_silent_by_its_own_usual_rhythm() {
        const HOUR: i64 = 3_600;
        let rhythm = |n_days, gap_h: u64| Rhythm {
            source: "stripe".to_owned(),
            last_at: at(0),
            longest_gap: Duration::from_hours(gap_h),
            n_days,
        };
        let check = |it: &Rhythm, watched_h: i64, now_h: i64, expected: bool| {
            let found = silence(
                &rules(),
                std::slice::from_ref(it),
                at(watched_h * HOUR),
                at(now_h * HOUR + 1),
            );
            assert_eq!(
                found.len(),
                usize::from(expected),
                "{it:?} {watched_h} {now_h}: {found:?}"
            );
        };
        // Twice the longest silence, of what is known for a week.
        check(&rhythm(8, 4), -100, 8, true);
        check(&rhythm(8, 4), -100, 7, false);
        check(&rhythm(6, 4), -100, 99, false);
        // A busy one for an hour.
        check(&rhythm(8, 0), -100, 1, true);
        check(&rhythm(8, 0), -100, 0, false);
        // While nobody listened nobody can tell.
        check(&rhythm(8, 4), 5, 9, false);
        check(&rhythm(8, 4), 5, 13, true);
        let found = silence(&rules(), &[rhythm(8, 4)], at(-HOUR), at(9 * HOUR));
        assert_eq!(
            found[0].summary,
            "nothing from `stripe` for 9 h; its longest silence of the last two weeks was 4 h"
        );
        assert_eq!(
            (found[0].key.as_str(), found[0].seen_at),
            ("silence:source:stripe", Some(at(0)))
        );
    }

    #[test]
    fn a_store_under_strain_is_slow_or_nearly_full() {
        let keys = |took_ms: Option<u64>, n_free| {
            let found = store(&rules(), took_ms.map(Duration::from_millis), n_free, at(1));
            found.into_iter().map(|it| it.key).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(Some(1_000), Some(512 << 20)), "");
        assert_eq!(keys(None, None), "");
        assert_eq!(keys(Some(1_001), Some(1)), "store:cause:slow store:cause:full");
    }

    #[test]
    fn what_ends_soon_is_named_with_its_end() {
        let ending = |days: i64| Ending {
            what: "the token `deploy`".to_owned(),
            place: because("token deploy"),
            ends_at: at(days * 86_400),
        };
        let found = expiry(&rules(), vec![ending(3), ending(15), ending(-1)], at(0));
        let said: Vec<_> = found.iter().map(|it| it.summary.as_str()).collect();
        assert_eq!(
            said,
            [
                "the token `deploy` ends in 3 days, at 1970-01-04T00:00:00Z",
                "the token `deploy` ended at 1969-12-31T00:00:00Z",
            ]
        );
    }
}
