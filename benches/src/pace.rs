//! How steady this machine is by itself: no tail is shorter than the stretches in which the processor under it slows down.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// What one thread saw on a machine at rest.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The share of the pieces of work that took more than `SLOW` times the median.
    pub slow_share: f64,
    /// How long the longest run of such pieces was.
    pub longest_slow_ms: f64,
    /// The slowest percent of the pieces, by the median.
    pub p99_by_p50: f64,
}

const SLOW: f64 = 3.0;
/// More than the nearest cache holds: what slows down on a shared machine is memory.
const N_BYTES: usize = 256 * 1024;
const N_READS: usize = 40_000;
const REST: Duration = Duration::from_micros(1500);

/// Does the same work of some 70 µs again and again, with rests.
pub fn look(within: Duration) -> Pace {
    let bytes = vec![1_u8; N_BYTES];
    let begun_at = Instant::now();
    let mut pieces = Vec::new();
    while begun_at.elapsed() < within {
        let from = Instant::now();
        black_box(work(&bytes));
        pieces.push((from, from.elapsed().as_secs_f64() * 1e3));
        std::thread::sleep(REST);
    }
    let mut sorted: Vec<f64> = pieces.iter().map(|it| it.1).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let (mut n_slow, mut longest_slow_ms, mut slow_from) = (0_usize, 0.0_f64, None);
    for (from, took_ms) in &pieces {
        if *took_ms <= at(0.5) * SLOW {
            slow_from = None;
            continue;
        }
        n_slow += 1;
        let first = *slow_from.get_or_insert(*from);
        longest_slow_ms = longest_slow_ms.max((*from - first).as_secs_f64() * 1e3 + took_ms);
    }
    Pace {
        slow_share: n_slow as f64 / pieces.len() as f64,
        longest_slow_ms,
        p99_by_p50: at(0.99) / at(0.5),
    }
}

/// Reads at places that each depend on the read before.
fn work(bytes: &[u8]) -> u64 {
    let mut state = 1_u64;
    for _ in 0..N_READS {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^= u64::from(bytes[(state >> 46) as usize % N_BYTES]);
    }
    state
}
