//! How cost grows with what is stored: a store that fills up, a backlog, retention at work, and a transaction that stays open.

mod retention;
mod transaction;

use std::time::Duration;

use crate::{
    gatepost::{Gatepost, Setup},
    plan::{Measured, nowhere, per_event},
    report::Wanted,
    rows::{
        self,
        claim::{self, N_EACH},
        fill::Fill,
    },
    samples::grouped,
    store::{Engine, Store},
};

pub const EXPLANATION: &str = "Acknowledged per second in a closed loop of 64 connections (`serve --role ingest`, bodies of \
    2.3 KB) and claims of 64 deliveries (gatepost's own statements, one after the other, by a bare client), on an empty store \
    and on one that holds so many events, in the same turn. The stored events were written past gatepost, with bodies of 200 \
    bytes, over the last ten days, delivered, with an attempt each, their indexes made afterwards. Each time gatepost and its \
    store have come to rest after the start; how long that took is its own figure. Retention: `prune` removes a tenth of the \
    fullest store while requests come at half of the rate, each turn of it once with and once without.";

/// Claims of one sample.
const N_CLAIMS: usize = 200;
/// How far back the stored events go.
const SPAN: Duration = Duration::from_hours(240);

/// Acknowledged per second, p99 of that, claimed per second, p99 of that.
#[derive(Debug, Clone, Copy)]
struct Cost {
    accepted: f64,
    accepted_p99_ms: f64,
    claimed: f64,
    claim_p99_ms: f64,
}

impl Measured<'_> {
    pub fn grow(&mut self) -> anyhow::Result<()> {
        let is_quick = self.bench.options.is_quick;
        let most = if is_quick { 500_000 } else { 10_000_000 };
        let most = self.bench.options.n_stored.unwrap_or(most);
        let store = self.stores.fresh()?;
        let fill = Fill::over(SPAN, most, true);
        let mut n_stored = 0;
        for n_wanted in [most / 10, most] {
            self.say(&format!("fill to {}", grouped(n_wanted as f64)));
            n_stored = fill.run(&store, n_stored, n_wanted)?;
            let name = format!("{} stored", grouped(n_stored as f64));
            self.against_empty(&store, &name)?;
            if n_wanted == most {
                self.report.want(
                    &format!("{name}: acknowledged, of the empty store's"),
                    Wanted::AtLeast(0.9),
                );
                self.report.want(
                    &format!("{name}: claim p99, of the empty store's"),
                    Wanted::AtMost(2.0),
                );
            }
        }
        self.prune(&store, n_stored)?;
        drop(store);
        self.backlog(most / 10)?;
        if self.engine == Engine::Postgres {
            self.open_transaction()?;
        }
        Ok(())
    }

    /// All of it due, for one destination.
    fn backlog(&mut self, n_open: u64) -> anyhow::Result<()> {
        let store = self.stores.fresh()?;
        self.say(&format!("a backlog of {}", grouped(n_open as f64)));
        let fill = Fill::over(Duration::from_hours(24), n_open, false);
        let n_open = fill.run(&store, 0, n_open)?;
        self.against_empty(&store, &format!("{} open deliveries", grouped(n_open as f64)))
    }

    fn against_empty(&mut self, store: &Store, name: &str) -> anyhow::Result<()> {
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("{name}, turn {turn} of {}", self.bench.n_turns));
            let empty = {
                let fresh = self.stores.fresh()?;
                self.cost(&fresh, "empty store")?
            };
            let full = self.cost(store, name)?;
            let report = &mut self.report;
            let share = |what: &str| format!("{name}: {what}, of the empty store's");
            report.ratio(&share("acknowledged"), full.accepted / empty.accepted);
            report.ratio(
                &share("acknowledgement p99"),
                full.accepted_p99_ms / empty.accepted_p99_ms,
            );
            report.ratio(&share("claimed"), full.claimed / empty.claimed);
            report.ratio(&share("claim p99"), full.claim_p99_ms / empty.claim_p99_ms);
        }
        Ok(())
    }

    fn cost(&mut self, store: &Store, name: &str) -> anyhow::Result<Cost> {
        let setup = Setup::one(nowhere());
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", store, &setup)?;
        self.report
            .add(&format!("{name}: start to ready"), "ms", gatepost.ready_ms);
        let busy_s = gatepost.settle_down(self.postgres_pid())?;
        self.report
            .add(&format!("{name}: busy after the start"), "s", busy_s);
        let log_before = store.log_position()?;
        // Twice as long: the first writes after a checkpoint cost more than the later ones.
        let window = self.bench.window * 2;
        let outcome = self.load_for(window, gatepost.public, setup.paths(), 64)?;
        let log_after = store.log_position()?;
        gatepost.process.stop()?;
        if let (Some(before), Some(after)) = (log_before, log_after) {
            let log_kb = per_event((after - before) as f64 / 1e3, &outcome);
            self.report
                .add(&format!("{name}: written to the log for an event"), "KB", log_kb);
        }
        let n_claims = if self.bench.options.is_quick {
            100
        } else {
            N_CLAIMS
        };
        rows::write_pending(store, &self.bench.supply, n_claims * N_EACH)?;
        let claims = claim::measure(store, n_claims)?;
        let cost = Cost {
            accepted: outcome.per_second,
            accepted_p99_ms: outcome.latencies.quantile_ms(0.99),
            claimed: claims.per_second,
            claim_p99_ms: claims.latencies.quantile_ms(0.99),
        };
        let report = &mut self.report;
        report.add(&format!("{name}: acknowledged"), "/s", cost.accepted);
        report.add(
            &format!("{name}: acknowledgement p99"),
            "ms",
            cost.accepted_p99_ms,
        );
        report.add(&format!("{name}: claimed"), "/s", cost.claimed);
        report.add(&format!("{name}: claim p99"), "ms", cost.claim_p99_ms);
        Ok(cost)
    }
}
