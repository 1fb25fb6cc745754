//! A transaction that stays open on Postgres: what was deleted or changed since cannot be cleaned up, so that a queue's index
//! keeps every entry that was ever in it.

use std::time::{Duration, Instant};

use crate::{
    gatepost::{Gatepost, Setup},
    plan::{Measured, wait_for},
    rows::{
        self, Supply,
        claim::{self, N_EACH},
    },
    servers::sink::Sink,
    store::Store,
};

/// Events per second that a bare client adds meanwhile.
const RATE: usize = 2000;
const N_CLAIMS: usize = 100;

impl Measured<'_> {
    pub fn open_transaction(&mut self) -> anyhow::Result<()> {
        let by_default = Duration::from_secs(if self.bench.options.is_quick { 10 } else { 60 });
        let length = self.bench.options.open_transaction.unwrap_or(by_default);
        let name = format!("a transaction open for {} s", length.as_secs());
        self.say(&name);
        let store = self.stores.fresh()?;
        let before_ms = claim_p99_ms(&store)?;
        let runtime = crate::runtime()?;
        let holder = runtime.block_on(async {
            let client = rows::connect(&store.url).await?;
            client
                .batch_execute("begin isolation level repeatable read; select count(*) from delivery")
                .await?;
            anyhow::Ok(client)
        })?;

        let sink = Sink::start()?;
        let setup = Setup::one(sink.address);
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "deliver", &store, &setup)?;
        let n_given = give(&store, length)?;
        let n_taken = wait_for(&sink, n_given, Duration::from_millis(500))?;
        gatepost.process.stop()?;
        sink.stop()?;
        let after_ms = claim_p99_ms(&store)?;
        drop(holder);
        drop(runtime);

        let report = &mut self.report;
        report.add(&format!("{name}: events meanwhile"), "events", n_given as f64);
        report.add(
            &format!("{name}: delivered"),
            "/s",
            n_taken as f64 / length.as_secs_f64(),
        );
        report.add(
            &format!("{name}: backlog at its end"),
            "events",
            n_given.saturating_sub(n_taken) as f64,
        );
        report.add(&format!("{name}: claim p99 before"), "ms", before_ms);
        report.add(&format!("{name}: claim p99 at its end"), "ms", after_ms);
        report.ratio(&format!("{name}: claim p99, end / before"), after_ms / before_ms);
        Ok(())
    }
}

fn claim_p99_ms(store: &Store) -> anyhow::Result<f64> {
    rows::write_pending(store, &Supply::small(), N_CLAIMS * N_EACH)?;
    Ok(claim::measure(store, N_CLAIMS)?.latencies.quantile_ms(0.99))
}

/// Adds due deliveries at a steady rate. How many it were.
fn give(store: &Store, length: Duration) -> anyhow::Result<u64> {
    let started = Instant::now();
    let supply = Supply::small();
    let mut n_given = 0;
    while started.elapsed() < length {
        let n_due = (started.elapsed().as_secs_f64() * RATE as f64) as usize;
        if n_due > n_given {
            rows::write_pending(store, &supply, n_due - n_given)?;
            n_given = n_due;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(n_given as u64)
}
