//! How long an acknowledgement takes while requests come at a given rate.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;

use crate::{
    gatepost::{Gatepost, Setup},
    load::Load,
    pace,
    plan::{Measured, assert_stored, events_of, nowhere, run_load},
    process::Process,
    report::Wanted,
};

pub const EXPLANATION: &str = "`serve --role ingest`, requests at a share of what the same turn's closed loop of 256 \
    connections reached. The time counts from when a request was due, not from when a connection was free to send it; the \
    generator's own timer adds up to a millisecond, also to V, the bare server that only verifies. A bare log: a server that \
    verifies, appends the body to a file, and answers all that one `fdatasync` covers; it has no database, no row and no \
    index. The machine at rest: one thread that does the same 70 µs of work again and again before each turn; while the \
    machine itself goes slower, requests gather.";

/// Long enough for several of the slow stretches that a shared machine has.
const PACE: Duration = Duration::from_secs(8);
const SHARES: [(f64, &str); 4] = [(0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (0.9, "90 %")];
/// The rate is split over so many.
const N_CONNECTIONS: usize = 256;

impl Measured<'_> {
    pub fn open(&mut self) -> anyhow::Result<()> {
        // The median of fewer than three tails says nothing.
        let n_turns = if self.bench.options.is_quick {
            self.bench.n_turns
        } else {
            self.bench.n_turns.max(3)
        };
        for turn in 1..=n_turns {
            self.say(&format!("turn {turn} of {n_turns}"));
            self.pace();
            let most = {
                let fresh = self.stores.fresh()?;
                let setup = Setup::one(nowhere());
                let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", &fresh, &setup)?;
                let outcome = self.load(gatepost.public, setup.paths(), N_CONNECTIONS)?;
                gatepost.process.stop()?;
                outcome.per_second
            };
            self.report.add("closed loop, 256 connections", "/s", most);
            for (share, name) in SHARES {
                self.at(most * share, name)?;
            }
            self.verify_at(most * 0.5)?;
            self.log_at(most * 0.5)?;
        }
        let half = "50 %: gatepost, p99";
        self.report.want(half, Wanted::AtMost(10.0));
        Ok(())
    }

    /// Beside the tails, the machine's own, with nothing of ours at work.
    fn pace(&mut self) {
        let pace = pace::look(PACE);
        let name = "machine at rest: share of its time at a third of its pace or less";
        self.report.add(name, "%", pace.slow_share * 100.0);
        let name = "machine at rest: longest stretch of that";
        self.report.add(name, "ms", pace.longest_slow_ms);
        let name = "machine at rest: same work, p99 / p50";
        self.report.add(name, "", pace.p99_by_p50);
    }

    fn at(&mut self, rate: f64, name: &str) -> anyhow::Result<()> {
        let fresh = self.stores.fresh()?;
        let setup = Setup::one(nowhere());
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", &fresh, &setup)?;
        let load = self.paced(rate, self.plain(gatepost.public, setup.paths(), N_CONNECTIONS));
        let outcome = run_load(&load, events_of(&load))?;
        gatepost.process.stop()?;
        assert_stored(&fresh, outcome.n_acknowledged())?;
        self.report
            .add(&format!("{name}: acknowledged"), "/s", outcome.per_second);
        for (quantile, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let name = format!("{name}: gatepost, {quantile}");
            self.report.add(&name, "ms", outcome.latencies.quantile_ms(share));
        }
        Ok(())
    }

    fn verify_at(&mut self, rate: f64) -> anyhow::Result<()> {
        let server = Process::serve("verify", &[])?;
        self.bare_at(rate, server, "50 %: V")
    }

    fn log_at(&mut self, rate: f64) -> anyhow::Result<()> {
        let path = self.stores.directory().join("bare.log");
        let path = path.to_str().context("the directory's name is UTF-8")?;
        let server = Process::serve("log", &[path])?;
        self.bare_at(rate, server, "50 %: a bare log")?;
        Ok(std::fs::remove_file(path)?)
    }

    fn bare_at(
        &mut self,
        rate: f64,
        (server, address): (Process, SocketAddr),
        name: &str,
    ) -> anyhow::Result<()> {
        let load = Load {
            is_endless: true,
            ..self.paced(rate, self.plain(address, vec!["/".to_owned()], N_CONNECTIONS))
        };
        let outcome = run_load(&load, 20_000)?;
        server.stop()?;
        for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
            let took_ms = outcome.latencies.quantile_ms(share);
            self.report.add(&format!("{name}, {quantile}"), "ms", took_ms);
        }
        Ok(())
    }

    /// Twice as long as a closed loop: it is about the tail.
    pub fn paced(&self, rate: f64, load: Load) -> Load {
        Load {
            rate: Some(rate),
            window: self.bench.window * 2,
            ..load
        }
    }
}
