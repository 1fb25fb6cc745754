//! What one request costs without I/O: verifying and naming it in `senders`, what a route makes of it in `routes`.
//!
//! `benches/run --part micro` starts it; it needs the library itself, which the harness knows nothing of. Prints a JSON line for each
//! sample.

#![expect(clippy::print_stdout, reason = "what it measured is its output")]

mod routes;
mod senders;

use std::{
    error::Error,
    time::{Duration, Instant},
};

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one sample takes.
const SAMPLE: Duration = Duration::from_millis(40);
const N_SAMPLES: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let cases = senders::read_all()?;
    let route = routes::Case::new()?;
    // In turns, so that a moment's noise does not fall on one of them alone.
    for _ in 0..N_SAMPLES {
        for case in &cases {
            case.measure();
        }
        route.measure();
    }
    Ok(())
}

fn ns_each(mut once: impl FnMut()) -> f64 {
    // Warms the caches, and says how many calls fit between two looks at the clock.
    let started = Instant::now();
    for _ in 0..100 {
        once();
    }
    let n_each = (1e-3 / (started.elapsed().as_secs_f64() / 100.0).max(1e-9)).ceil();
    let started = Instant::now();
    let mut n_calls = 0.0;
    while started.elapsed() < SAMPLE {
        let mut n_left = n_each;
        while n_left > 0.0 {
            once();
            n_left -= 1.0;
        }
        n_calls += n_each;
    }
    started.elapsed().as_secs_f64() * 1e9 / n_calls
}
