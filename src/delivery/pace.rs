//! How fast a destination is sent to: attempts at even distances. Pure; the time is an argument.

use std::time::{Duration, Instant};

/// The distance between two attempts never gets longer than this, however small the share of a rate.
const LONGEST: Duration = Duration::from_mins(10);

/// Hands out turns. Nobody gets ahead of the rate, not even after a while without work: what waited for an outage to end
/// comes evenly, too.
#[derive(Debug)]
pub struct Pace {
    per_second: u32,
    next_at: Instant,
}

impl Pace {
    pub const fn new(per_second: u32, now: Instant) -> Self {
        Self {
            per_second,
            next_at: now,
        }
    }

    /// How long to wait before the next attempt, whose turn is taken by this. `n_sharers` processes share the rate, and
    /// `part` of it (0 to 1) is allowed for now.
    pub fn take(&mut self, n_sharers: u32, part: f64, now: Instant) -> Duration {
        let at = self.next_at.max(now);
        self.next_at = at + self.distance(n_sharers, part);
        at.saturating_duration_since(now)
    }

    fn distance(&self, n_sharers: u32, part: f64) -> Duration {
        let per_second = f64::from(self.per_second) * part / f64::from(n_sharers.max(1));
        Duration::try_from_secs_f64(per_second.recip()).map_or(LONGEST, |it| it.min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Turns within a second, taken one after the other as soon as each has come.
    fn within_a_second(per_second: u32, n_sharers: u32, part: f64) -> usize {
        let begun_at = Instant::now();
        let mut pace = Pace::new(per_second, begun_at);
        let mut now = begun_at;
        let mut n_turns = 0;
        loop {
            now += pace.take(n_sharers, part, now);
            if now >= begun_at + Duration::from_secs(1) {
                return n_turns;
            }
            n_turns += 1;
        }
    }

    #[test]
    fn a_second_has_as_many_turns_as_the_rate_says() {
        assert_eq!(within_a_second(200, 1, 1.0), 200);
        assert_eq!(within_a_second(200, 4, 1.0), 50);
        assert_eq!(within_a_second(200, 1, 0.1), 20);
        assert_eq!(within_a_second(1, 3, 1.0), 1);
    }

    #[test]
    fn f04_time_without_work_is_not_made_up_for() {
        let now = Instant::now();
        let mut pace = Pace::new(10, now);
        let later = now + Duration::from_hours(1);
        let waits: Vec<_> = (0..4).map(|_| pace.take(1, 1.0, later).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 300]);
    }

    proptest! {
        /// Whoever asks when: any two turns of three processes that share a rate, and any of one, are far enough apart.
        #[test]
        fn never_above_the_rate(
            per_second in 1_u32..5_000,
            pauses_us in prop::collection::vec(0_u64..3_000_000, 2..200),
            part in 0.01_f64..=1.0,
        ) {
            let begun_at = Instant::now();
            let mut pace = Pace::new(per_second, begun_at);
            let mut now = begun_at;
            let mut turns = Vec::new();
            for pause in pauses_us {
                now += Duration::from_micros(pause);
                turns.push(now + pace.take(3, part, now));
            }
            let least = Duration::from_secs_f64(3.0 / (f64::from(per_second) * part)).min(LONGEST);
            for two in turns.windows(2) {
                prop_assert!(two[1] - two[0] + Duration::from_nanos(10) >= least);
            }
        }
    }
}
