//! When a failed delivery is tried again, and when it is given up. Pure.

use std::time::Duration;

use crate::{
    base::{backoff::full_jitter, clock::Timestamp},
    destination::retry::Retry,
};

/// The longest that a handler's `Retry-After` can put a delivery off.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The time of the next attempt; `None` gives the delivery up.
///
/// `n_attempts` counts those made, the one that just failed included; `since` is when the delivery was made; `random`
/// lies in 0..1. Given up is a delivery that had `max_attempts`, or whose `max_age` has passed.
///
/// Without `not_before` the wait is exponential with full jitter, or that of the list and up to a tenth more. With it
/// (a handler's `Retry-After`) the attempt comes then, or up to `first` later: handlers tend to tell everyone the same
/// second. It may exceed `cap`, not `MAX_RETRY_AFTER`. Neither leads past `max_age`: what would is pulled in to that very moment, so that a delivery's
/// last attempt comes when its time is up and not long before.
pub fn next(
    retry: &Retry,
    n_attempts: u32,
    since: Timestamp,
    now: Timestamp,
    random: f64,
    not_before: Option<Timestamp>,
) -> Option<Timestamp> {
    let limit = since.plus(retry.max_age);
    if n_attempts >= retry.max_attempts || now >= limit {
        return None;
    }
    // A NaN would make the multiplication panic.
    let random = if random.is_finite() { random } else { 1.0 };
    let at = match not_before {
        Some(asked) => {
            asked
                .clamp(now, now.plus(MAX_RETRY_AFTER))
                .plus(full_jitter(0, retry.first, retry.cap, random))
        }
        None => now.plus(pause(retry, n_attempts.saturating_sub(1), random)),
    };
    Some(at.min(limit))
}

fn pause(retry: &Retry, n_before: u32, random: f64) -> Duration {
    let listed = retry.schedule.get(n_before as usize).or(retry.schedule.last());
    match listed {
        Some(pause) => pause.mul_f64(1.0 + random.clamp(0.0, 1.0) / 10.0),
        None => full_jitter(n_before, retry.first, retry.cap, random),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::destination::retry::Statuses;

    const RETRY: Retry = Retry {
        max_attempts: 12,
        max_age: Duration::from_hours(72),
        first: Duration::from_secs(10),
        cap: Duration::from_hours(6),
        schedule: Vec::new(),
        on: None,
        never: Statuses::NONE,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_700_000_000 + seconds)
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let wait = |n_attempts| {
            next(&RETRY, n_attempts, at(0), at(100), 1.0, None).map(|it| it.since(at(100)).as_secs())
        };
        assert_eq!(wait(1), Some(10));
        assert_eq!(wait(2), Some(20));
        assert_eq!(wait(5), Some(160));
        assert_eq!(wait(11), Some(10_240));
        assert_eq!(wait(12), None);
    }

    #[test]
    fn a_list_of_pauses_is_kept_and_its_last_one_repeats() {
        let retry = Retry {
            schedule: [1, 60, 3600].map(Duration::from_secs).to_vec(),
            ..RETRY
        };
        let wait = |n_attempts, random| {
            let next = next(&retry, n_attempts, at(0), at(100), random, None);
            next.map(|it| it.since(at(100)).as_millis())
        };
        assert_eq!((wait(1, 0.0), wait(1, 1.0)), (Some(1_000), Some(1_100)));
        assert_eq!((wait(2, 0.0), wait(3, 0.0)), (Some(60_000), Some(3_600_000)));
        assert_eq!((wait(9, 0.0), wait(12, 0.0)), (Some(3_600_000), None));
    }

    #[test]
    fn gives_up_when_the_attempts_or_the_time_are_used_up() {
        let age = 72 * 3600;
        assert_eq!(next(&RETRY, 12, at(0), at(1), 0.0, None), None);
        assert_eq!(next(&RETRY, 1, at(0), at(age), 0.0, None), None);
        assert_eq!(next(&RETRY, 1, at(0), at(age - 1), 1.0, None), Some(at(age)));
    }

    #[test]
    fn f08_retry_after_is_kept_and_clamped() {
        let asked = |seconds| next(&RETRY, 1, at(0), at(0), 0.0, Some(at(seconds)));
        assert_eq!(asked(120), Some(at(120)));
        // Beyond the cap of six hours, within a day.
        assert_eq!(asked(20 * 3600), Some(at(20 * 3600)));
        assert_eq!(asked(1_000_000_000_000), Some(at(24 * 3600)));
        assert_eq!(asked(-50), Some(at(0)));
    }

    #[test]
    fn f08_retry_after_never_leads_past_max_age() {
        let age = 72 * 3600;
        let asked = at(age + 3600);
        assert_eq!(
            next(&RETRY, 3, at(0), at(age - 60), 0.5, Some(asked)),
            Some(at(age))
        );
    }

    #[test]
    fn f03_a_storm_of_failures_is_spread() {
        // A hundred thousand failures in one instant: no tenth of the wait takes more than twice its share.
        let mut bins = [0_u32; 10];
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..100_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let random = f64::from(u32::try_from(seed >> 32).unwrap()) / f64::from(u32::MAX);
            let wait = next(&RETRY, 4, at(0), at(0), random, None).unwrap().since(at(0));
            let bin = usize::try_from(wait.as_millis() / 8_000).unwrap();
            bins[bin.min(9)] += 1;
        }
        assert!(bins.iter().all(|&it| it < 20_000), "{bins:?}");
    }

    proptest! {
        #[test]
        fn never_in_the_past_and_never_past_the_limit(
            max_attempts in 0_u32..50,
            n_attempts: u32,
            max_age_s in 0_u64..10_000_000,
            first_ms in 0_u64..10_000_000,
            cap_ms in 0_u64..100_000_000,
            age_s in 0_u32..20_000_000,
            random in prop_oneof![0.0..1.0, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)],
            asked: Option<i64>,
        ) {
            let retry = Retry {
                max_attempts,
                max_age: Duration::from_secs(max_age_s),
                first: Duration::from_millis(first_ms),
                cap: Duration::from_millis(cap_ms),
                schedule: Vec::new(),
                on: None,
                never: Statuses::NONE,
            };
            let now = at(i64::from(age_s));
            let asked = asked.map(Timestamp::from_micros);
            let res = next(&retry, n_attempts, at(0), now, random, asked);
            let is_over = n_attempts >= max_attempts || u64::from(age_s) >= max_age_s;
            prop_assert_eq!(res.is_none(), is_over);
            if let Some(res) = res {
                prop_assert!(res >= now);
                prop_assert!(res <= at(0).plus(retry.max_age));
                let longest = MAX_RETRY_AFTER.max(retry.cap) + retry.cap;
                prop_assert!(res.since(now) <= longest);
            }
        }
    }
}
