//! What destinations that never answer, or always fail, cost the others.

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
    rate. In the same turn with all destinations healthy, with the first tenth of them never answering, and with the second tenth \
    always answering 500 besides; each time the same four fifths are counted.";

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
        for what in ["hanging", "hanging and failing"] {
            let rate = format!("100 destinations: rate, {what} / healthy");
            self.report.want(&rate, Wanted::AtLeast(0.95));
            let p99 = format!("100 destinations: p99, {what} / healthy");
            self.report.want(&p99, Wanted::AtMost(1.2));
        }
        Ok(())
    }

    fn with_routes(&mut self, n_routes: usize) -> anyhow::Result<()> {
        let n_each = n_routes / 10;
        let all_healthy = self.delivered(n_routes, (0, 0), None)?;
        let rate = all_healthy.outcome.per_second.min(all_healthy.per_second) / 2.0;
        let calm = self.delivered(n_routes, (0, 0), Some(rate))?;
        let name = |what: &str| match n_routes {
            1 => format!("1 destination: {what}"),
            _ => format!("{n_routes} destinations: {what}"),
        };
        let (rate_before, p99_before) = (all_healthy.per_second, calm.latencies.quantile_ms(0.99));
        self.report.add(&name("rate, all healthy"), "/s", rate_before);
        self.report.add(&name("p99, all healthy"), "ms", p99_before);
        if n_each == 0 {
            return Ok(());
        }
        for (n_failing, words, what) in [
            (0, format!("{n_each} hang"), "hanging"),
            (
                n_each,
                format!("{n_each} hang, {n_each} fail"),
                "hanging and failing",
            ),
        ] {
            let busy = self.delivered(n_routes, (n_each, n_failing), None)?;
            let calm = self.delivered(n_routes, (n_each, n_failing), Some(rate))?;
            let (rate_after, p99_after) = (busy.per_second, calm.latencies.quantile_ms(0.99));
            let report = &mut self.report;
            report.add(&name(&format!("rate, {words}")), "/s", rate_after);
            report.add(&name(&format!("p99, {words}")), "ms", p99_after);
            report.ratio(
                &name(&format!("rate, {what} / healthy")),
                rate_after / rate_before,
            );
            report.ratio(&name(&format!("p99, {what} / healthy")), p99_after / p99_before);
            let n_missing = (busy.n_wanted - busy.n_arrived) + (calm.n_wanted - calm.n_arrived);
            if n_missing > 0 {
                report.add(
                    &name(&format!("healthy beside {what}, not delivered after 25 s")),
                    "events",
                    n_missing as f64,
                );
            }
        }
        Ok(())
    }

    /// Of all events those count that go to the last four fifths of the destinations.
    fn delivered(
        &mut self,
        n_routes: usize,
        (n_hanging, n_failing): (usize, usize),
        rate: Option<f64>,
    ) -> anyhow::Result<Followed> {
        let fresh = self.stores.fresh()?;
        let sink = Sink::start()?;
        let setup = Setup {
            n_routes,
            n_hanging,
            n_failing,
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
        let is_taken = |idx| idx % n_routes >= n_hanging + n_failing;
        let is_counted = |idx| idx % n_routes >= n_routes / 5;
        let followed = follow(&load, events_of(&load), &sink, is_taken, is_counted)?;
        gatepost.process.stop()?;
        sink.stop()?;
        Ok(followed)
    }
}
