//! Retention at work, beside requests.

use std::time::Instant;

use crate::{
    gatepost::{Gatepost, Setup},
    load::Load,
    plan::{Measured, events_of, nowhere, run_load},
    samples::grouped,
    store::Store,
};

/// Keeps nine of the ten days that the store was filled with.
const SHORT: &str = "216h";
const LONG: &str = "30d";

impl Measured<'_> {
    /// The store was filled evenly over ten days: a tenth of it is older than nine.
    pub fn prune(&mut self, store: &Store, n_stored: u64) -> anyhow::Result<()> {
        let name = format!("retention of {}", grouped(n_stored as f64 / 10.0));
        let rate = {
            let setup = Setup::one(nowhere());
            let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", store, &setup)?;
            gatepost.settle_down(self.postgres_pid())?;
            let outcome = self.load(gatepost.public, setup.paths(), 64)?;
            gatepost.process.stop()?;
            outcome.per_second / 2.0
        };
        self.report.add(&format!("{name}: half of the rate"), "/s", rate);
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("{name}, turn {turn} of {}", self.bench.n_turns));
            let (without_ms, _) = self.at_rate(store, rate, LONG)?;
            let (with_ms, pruned) = self.at_rate(store, rate, SHORT)?;
            // Nothing was left to prune: no figure rather than a flattering one.
            if pruned < 1.0 {
                break;
            }
            let report = &mut self.report;
            report.add(&format!("{name}: acknowledgement p99 without"), "ms", without_ms);
            report.add(&format!("{name}: acknowledgement p99 meanwhile"), "ms", with_ms);
            report.ratio(&format!("{name}: p99 meanwhile / without"), with_ms / without_ms);
            report.add(&format!("{name}: pruned"), "/s", pruned);
        }
        Ok(())
    }

    /// p99 of acknowledgements, and events pruned per second meanwhile.
    fn at_rate(&self, store: &Store, rate: f64, retention: &'static str) -> anyhow::Result<(f64, f64)> {
        let setup = Setup {
            retention,
            ..Setup::one(nowhere())
        };
        let n_before = store.n_pruned()?;
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", store, &setup)?;
        // It prunes from its start on.
        if retention == LONG {
            gatepost.settle_down(self.postgres_pid())?;
        }
        let began = Instant::now();
        let load = Load {
            rate: Some(rate),
            window: self.bench.window * 2,
            ..self.plain(gatepost.public, setup.paths(), 64)
        };
        let outcome = run_load(&load, events_of(&load))?;
        let (n_pruned, took_s) = (store.n_pruned()? - n_before, began.elapsed().as_secs_f64());
        gatepost.process.stop()?;
        Ok((outcome.latencies.quantile_ms(0.99), n_pruned as f64 / took_s))
    }
}
