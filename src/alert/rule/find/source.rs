//! What is wrong with the way in: a source that is refused often, or that says nothing.

use crate::{
    alert::rule::{
        AtLeast, Rule, Rules, Silence, Within,
        find::{counted, finding, span},
    },
    base::clock::Timestamp,
    store::{
        issue::{Finding, Place, Refusals},
        rhythm::Rhythm,
    },
};

/// A rhythm of fewer days is none yet.
const MIN_DAYS: u32 = 7;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::rule::find::tests::{at, rules};

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
}
