//! What destinations that never answer cost the others.

use crate::{
    gatepost::{Gatepost, Setup},
    load::Load,
    plan::{
        Measured,
        deliver::{Followed, follow},
        events_of,
    },
    report::Wanted,
    servers::sink::Sink,
};

pub const EXPLANATION: &str = "`serve --role all` with so many sources, each with a route to a destination of its own, 16 \
    attempts at once each; events go to the sources in turn. Rate: a closed loop of 64 connections; delivered to the healthy \
    destinations, divided by the time until the last of them arrived. p99: from acknowledgement to delivery at half of that \
    rate. In the same turn once with all destinations healthy and once with the first tenth of them never answering; both \
    times the same nine tenths are counted.";

const NUMBERS: [usize; 3] = [1, 10, 100];
const CONCURRENCY: usize = 16;

impl Measured<'_> {
    pub fn hanging(&mut self) -> anyhow::Result<()> {
        for turn in 1..=self.bench.n_turns {
            for n_routes in NUMBERS {
                self.say(&format!(
                    "turn {turn} of {}, {n_routes} at once",
                    self.bench.n_turns
                ));
                self.with_routes(n_routes)?;
            }
        }
        self.report
            .want("100 destinations: rate, hanging / healthy", Wanted::AtLeast(0.95));
        self.report
            .want("100 destinations: p99, hanging / healthy", Wanted::AtMost(1.2));
        Ok(())
    }

    fn with_routes(&mut self, n_routes: usize) -> anyhow::Result<()> {
        let n_counted_from = n_routes / 10;
        let all_healthy = self.delivered(n_routes, 0, n_counted_from, None)?;
        let rate = all_healthy.outcome.per_second.min(all_healthy.per_second) / 2.0;
        let calm = self.delivered(n_routes, 0, n_counted_from, Some(rate))?;
        let name = |what: &str| match n_routes {
            1 => format!("1 destination: {what}"),
            _ => format!("{n_routes} destinations: {what}"),
        };
        let (rate_before, p99_before) = (all_healthy.per_second, calm.latencies.quantile_ms(0.99));
        self.report.add(&name("rate, all healthy"), "/s", rate_before);
        self.report.add(&name("p99, all healthy"), "ms", p99_before);
        if n_counted_from == 0 {
            return Ok(());
        }
        let hanging = self.delivered(n_routes, n_counted_from, n_counted_from, None)?;
        let calm = self.delivered(n_routes, n_counted_from, n_counted_from, Some(rate))?;
        let (rate_after, p99_after) = (hanging.per_second, calm.latencies.quantile_ms(0.99));
        let report = &mut self.report;
        report.add(&name(&format!("rate, {n_counted_from} hang")), "/s", rate_after);
        report.add(&name(&format!("p99, {n_counted_from} hang")), "ms", p99_after);
        report.ratio(&name("rate, hanging / healthy"), rate_after / rate_before);
        report.ratio(&name("p99, hanging / healthy"), p99_after / p99_before);
        let n_missing = (hanging.n_wanted - hanging.n_arrived) + (calm.n_wanted - calm.n_arrived);
        if n_missing > 0 {
            report.add(
                &name("healthy, not delivered after 25 s"),
                "events",
                n_missing as f64,
            );
        }
        Ok(())
    }

    /// Of all events those count that go to destinations from that number on.
    fn delivered(
        &mut self,
        n_routes: usize,
        n_hanging: usize,
        n_counted_from: usize,
        rate: Option<f64>,
    ) -> anyhow::Result<Followed> {
        let fresh = self.stores.fresh()?;
        let sink = Sink::start()?;
        let setup = Setup {
            n_routes,
            n_hanging,
            concurrency: CONCURRENCY,
            ..Setup::one(sink.address)
        };
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "all", &fresh, &setup)?;
        let plain = self.plain(gatepost.public, setup.paths(), 64);
        let load = match rate {
            None => plain,
            Some(rate) => Load {
                rate: Some(rate),
                ..plain
            },
        };
        let followed = follow(&load, events_of(&load), &sink, |idx| {
            idx % n_routes >= n_counted_from
        })?;
        gatepost.process.stop()?;
        sink.stop()?;
        Ok(followed)
    }
}
