//! How long something took in the last hour, so that quantiles can be told of it.
//!
//! Histograms for Prometheus only grow, and their buckets are coarse. Here every minute has counts of its own, in a ring, and
//! buckets an eighth apart; adding one is two atomic operations and never allocates.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const N_MINUTES: usize = 60;
/// Buckets of each doubling.
const N_STEPS: usize = 8;
/// Up to 134 seconds; what took longer counts in the last one.
const N_BUCKETS: usize = 25 * N_STEPS;

/// Of one kind of thing.
pub(super) struct Window {
    began: Instant,
    minutes: Box<[Minute]>,
    /// Held by whoever empties the counts of a minute that is long past.
    turn: Mutex<()>,
}

struct Minute {
    /// Counted from the beginning; 1 is the first, 0 none.
    number: AtomicU64,
    counts: [AtomicU32; N_BUCKETS],
}

/// What quantiles were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    pub n: u64,
    /// Half of them took at most this.
    pub p50: Duration,
    pub p99: Duration,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("began", &self.began)
            .finish_non_exhaustive()
    }
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        let minute = || Minute {
            number: AtomicU64::new(0),
            counts: [const { AtomicU32::new(0) }; N_BUCKETS],
        };
        Self {
            began: now,
            minutes: std::iter::repeat_with(minute).take(N_MINUTES).collect(),
            turn: Mutex::new(()),
        }
    }

    /// Whoever adds at the turn of a minute may be counted in the one before or after.
    pub(super) fn add(&self, took: Duration, now: Instant) {
        let number = self.number(now);
        let minute = &self.minutes[index(number) % N_MINUTES];
        if minute.number.load(Ordering::Acquire) != number {
            self.begin(minute, number);
        }
        minute.counts[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    fn begin(&self, minute: &Minute, number: u64) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number.load(Ordering::Acquire) >= number {
            return;
        }
        for it in &minute.counts {
            it.store(0, Ordering::Relaxed);
        }
        minute.number.store(number, Ordering::Release);
    }

    /// Of the last hour. `None`: nothing happened in it.
    pub(super) fn quantiles(&self, now: Instant) -> Option<Quantiles> {
        let newest = self.number(now);
        let mut counts = [0_u64; N_BUCKETS];
        for minute in &self.minutes {
            let number = minute.number.load(Ordering::Acquire);
            if number > 0 && number + N_MINUTES as u64 > newest {
                for (sum, it) in counts.iter_mut().zip(&minute.counts) {
                    *sum += u64::from(it.load(Ordering::Relaxed));
                }
            }
        }
        let n: u64 = counts.iter().sum();
        (n > 0).then(|| Quantiles {
            n,
            p50: quantile(&counts, n.div_ceil(2)),
            p99: quantile(&counts, (n * 99).div_ceil(100)),
        })
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / 60 + 1
    }
}

/// What the `rank`th of them, from the quickest on, took at most.
fn quantile(counts: &[u64; N_BUCKETS], rank: u64) -> Duration {
    let mut n_seen = 0;
    for (idx, n) in counts.iter().enumerate() {
        n_seen += n;
        if n_seen >= rank {
            return end(idx);
        }
    }
    end(N_BUCKETS - 1)
}

/// Eight buckets of a microsecond, then eight of each doubling.
fn bucket(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let Some(shift) = us.checked_ilog2().and_then(|it| it.checked_sub(3)) else {
        return index(us);
    };
    let step = index(us >> shift) % N_STEPS;
    ((shift as usize + 1) * N_STEPS + step).min(N_BUCKETS - 1)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Where a bucket ends.
fn end(bucket: usize) -> Duration {
    let (doubling, step) = (bucket / N_STEPS, bucket % N_STEPS);
    let us = match doubling {
        0 => step + 1,
        _ => (N_STEPS + step + 1) << (doubling - 1),
    };
    Duration::from_micros(us as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    proptest! {
        #[test]
        fn a_bucket_tells_a_time_to_an_eighth(us in 0_u64..100_000_000) {
            let took = Duration::from_micros(us);
            let end = end(bucket(took));
            prop_assert!(end > took && end <= took + took / 8 + Duration::from_micros(1), "{took:?} {end:?}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_last_hour() {
        let began = Instant::now();
        let at = |minutes| began + Duration::from_mins(minutes);
        let window = Window::new(began);
        assert_eq!(window.quantiles(began), None);
        for _ in 0..98 {
            window.add(ms(1), at(0));
        }
        window.add(ms(50), at(1));
        window.add(ms(5_000), at(1));
        let found = window.quantiles(at(1)).unwrap();
        assert_eq!(found.n, 100);
        assert!(
            found.p50 >= ms(1) && found.p50 < Duration::from_micros(1_130),
            "{found:?}"
        );
        assert!(found.p99 >= ms(50) && found.p99 < ms(57), "{found:?}");
        // The first minute is an hour ago.
        assert_eq!(window.quantiles(at(60)).unwrap().n, 2);
        assert_eq!(window.quantiles(at(61)), None);
        // Its place is another's, who begins at nothing.
        window.add(Duration::from_hours(1), at(60));
        let found = window.quantiles(at(60)).unwrap();
        assert_eq!((found.n, found.p99), (3, end(N_BUCKETS - 1)));
    }
}
