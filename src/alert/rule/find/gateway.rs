//! What is wrong with the gateway itself: its ledger, its store, and which certificates and tokens end soon.

use std::time::Duration;

use crate::{
    alert::rule::{
        Rule, Rules, Within,
        find::{counted, finding, span},
    },
    base::clock::Timestamp,
    store::{
        issue::{Finding, Place},
        query::Ledger,
    },
};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alert::rule::find::tests::{at, rules},
        store::{issue::Severity, query::Stuck},
    };

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
