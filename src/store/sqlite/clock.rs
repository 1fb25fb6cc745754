//! The clock of a store that has none of its own: this machine's wall clock, without its jumps.
//!
//! Leases and schedules are on it. A wall clock that is set an hour ahead would end every lease and make every retry due at
//! once; one that is set back would keep both waiting. So it is followed slowly: what it is wrong by is made up for at a fifth
//! of the time that passes, which no lease notices.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::base::clock::{Timestamp, wall_now};

/// Up to this difference the wall clock is believed at once: the two clocks never run quite alike.
const DRIFT: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct SteadyClock(Mutex<(Instant, Timestamp)>);

impl SteadyClock {
    pub(super) fn new() -> Self {
        Self(Mutex::new((Instant::now(), wall_now())))
    }

    pub(super) fn now(&self) -> Timestamp {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        let now = follow(last.1, at.duration_since(last.0), wall_now());
        *last = (at, now);
        now
    }
}

/// The time, `elapsed` after it was `last`.
fn follow(last: Timestamp, elapsed: Duration, wall: Timestamp) -> Timestamp {
    let counted = last.plus(elapsed);
    if wall.since(counted).max(counted.since(wall)) <= DRIFT {
        return wall.max(last);
    }
    let step = elapsed / 5;
    wall.clamp(counted.minus(step), counted.plus(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_767_225_600 + seconds)
    }

    #[test]
    fn f77_a_jump_of_the_wall_clock_is_followed_slowly() {
        for (wall, expected) in [
            (at(10), at(10)),
            (at(11), at(11)),
            (at(3610), at(12)),
            (at(-3590), at(8)),
            (at(315_360_000), at(12)),
            (Timestamp::EPOCH, at(8)),
        ] {
            assert_eq!(follow(at(0), TEN, wall), expected, "{wall}");
        }
    }

    #[test]
    fn f78_a_leap_second_is_over_within_five() {
        let mut now = at(0);
        for n in 1..=5 {
            now = follow(now, Duration::from_secs(1), at(n + 1));
        }
        assert_eq!(now, at(6));
    }

    #[test]
    fn it_never_runs_backwards() {
        let back = at(0).minus(Duration::from_millis(300));
        assert_eq!(follow(at(0), Duration::ZERO, back), at(0));
        assert_eq!(follow(at(0), Duration::ZERO, Timestamp::EPOCH), at(0));
    }
}
