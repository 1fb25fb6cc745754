//! Single pieces, for a look by hand beside a profiler.

use std::{net::SocketAddr, time::Duration};

use crate::{
    load::Load,
    plan::{MOST_PER_SECOND, run_load},
    rows::{self, Batches, Supply, postgres::Insert},
};

const WARM_UP: Duration = Duration::from_millis(500);

/// A pause in the answers that is worth a line.
const PAUSE_US: u64 = 10_000;

/// A load on a gateway that runs already: an open loop of `rate` requests a second, a closed one without. Tells when no answer came.
pub fn load(
    address: SocketAddr,
    n_connections: usize,
    seconds: u64,
    rate: Option<f64>,
) -> anyhow::Result<()> {
    let load = Load {
        address,
        paths: vec!["/webhooks/stripe".to_owned()],
        n_connections,
        rate,
        warm_up: WARM_UP,
        window: Duration::from_secs(seconds),
        is_endless: false,
    };
    let most = rate.unwrap_or(MOST_PER_SECOND);
    let outcome = run_load(&load, most as usize * (seconds as usize + 1))?;
    let quantile = |share| outcome.latencies.quantile_ms(share);
    println!(
        "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, {} failed",
        outcome.per_second,
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        outcome.n_failed
    );
    for pair in outcome.acknowledged.windows(2) {
        let pause_us = pair[1].at_us.saturating_sub(pair[0].at_us);
        if pause_us >= PAUSE_US {
            let after_s = pair[0].at_us.saturating_sub(outcome.began_us) as f64 / 1e6;
            println!("after {after_s:.3} s: no answer for {} ms", pause_us / 1000);
        }
    }
    Ok(())
}

/// W by itself, against a store that has gatepost's tables.
pub fn write(url: &str, seconds: u64, batches: Batches, insert: Insert) -> anyhow::Result<()> {
    let (supply, window) = (Supply::new(10_000), Duration::from_secs(seconds));
    let per_second = match url.strip_prefix("sqlite:") {
        Some(path) => rows::sqlite::write(path, &supply, batches.n_rows, WARM_UP, window)?,
        None => rows::postgres::write(url, &supply, batches, insert, WARM_UP, window)?,
    };
    println!("{per_second:.0}/s");
    Ok(())
}
