//! What each rule finds in what it is given. Pure; the time is an argument.
//!
//! A file for each place where something can be wrong.

pub(in crate::alert) mod destination;
pub(in crate::alert) mod gateway;
pub(in crate::alert) mod source;

use std::{fmt::Write as _, time::Duration};

use crate::{
    alert::rule::{Rule, Rules},
    store::issue::{Finding, Place},
};

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
    use std::time::Duration;

    use crate::{
        alert::rule::{After, AtLeast, Common, OlderThan, Rules, Silence, Strain, Within},
        base::clock::Timestamp,
        store::issue::Severity,
    };

    pub(super) fn rules() -> Rules {
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

    pub(super) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }
}
