//! From request to handler: how many events per second one process takes and delivers, and how soon.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    event::{self, Signed},
    gatepost::{Gatepost, Setup},
    load::{self, Acknowledged, Load, Outcome},
    plan::{Measured, assert_stored, events_of, note_failures, nowhere, per_event, wait_for},
    report::Wanted,
    rows::{self, BEST, settle},
    samples::{Latencies, additive},
    servers::sink::Sink,
    store::Engine,
};

pub const EXPLANATION: &str = "`serve --role all`, one source, one route, one handler that answers at once, 64 attempts at \
    once. End to end: events from 64 connections, divided by the time from the first request until the handler has had the \
    last of them. The limit: 1 / (1/V + 1/W + 1/S + 1/D). V and W as for acknowledgement; S: the statements of gatepost's own \
    `settle` in batches of 200, on Postgres over four connections; D: a bare hyper client with 64 connections that posts the \
    same bodies to the same handler. From acknowledgement to delivery: at half of the end-to-end rate, the handler's clock \
    minus the sender's for each event.";

const LIMIT: &str = "limit = 1/(1/V + 1/W + 1/S + 1/D)";
const END_TO_END: &str = "gatepost, end to end";
const RATIO: &str = "gatepost / limit";
const BACKLOG: &str = "resident memory with a backlog, peak";
const START: &str = "start to ready with a backlog";
/// The longest wait for the rest to be delivered.
pub const DRAIN: Duration = Duration::from_secs(25);

impl Measured<'_> {
    pub fn deliver(&mut self) -> anyhow::Result<()> {
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("turn {turn} of {}", self.bench.n_turns));
            let limit = self.delivery_limit()?;
            let end_to_end = self.end_to_end()?;
            self.report.ratio(RATIO, end_to_end / limit);
            self.soon(end_to_end / 2.0)?;
        }
        self.say("with a backlog");
        self.with_backlog()?;
        self.report.want(RATIO, Wanted::AtLeast(0.5));
        self.report.want(BACKLOG, Wanted::AtMost(150.0));
        self.report.want(START, Wanted::AtMost(300.0));
        Ok(())
    }

    fn delivery_limit(&mut self) -> anyhow::Result<f64> {
        let bench = self.bench;
        let (verified, verify_ms) = self.verified(64)?;
        let written = {
            let fresh = self.stores.fresh()?;
            rows::write(&fresh, &bench.supply, BEST, bench.warm_up, bench.window)?
        };
        let settled = {
            let fresh = self.stores.fresh()?;
            let n_rows = if bench.options.is_quick { 20_000 } else { 60_000 };
            settle::measure(&fresh, &rows::Supply::small(), n_rows)?
        };
        let sent = {
            let sink = Sink::start()?;
            let outcome = self.load_again(sink.address, 64)?;
            sink.stop()?;
            outcome.per_second
        };
        let limit = additive(&[verified, written, settled, sent]);
        let report = &mut self.report;
        report.add("V: verify", "/s", verified);
        report.add("W: write", "/s", written);
        report.add("S: settle", "/s", settled);
        report.add("D: send", "/s", sent);
        report.add(LIMIT, "/s", limit);
        report.add("CPU per 1,000 requests, V", "ms", verify_ms);
        Ok(limit)
    }

    fn end_to_end(&mut self) -> anyhow::Result<f64> {
        let fresh = self.stores.fresh()?;
        let sink = Sink::start()?;
        let setup = Setup::one(sink.address);
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "all", &fresh, &setup)?;
        let before = self.cpu_s(&gatepost)?;
        let outcome = self.load(gatepost.public, setup.paths(), 64)?;
        let n_meanwhile = sink.n_taken()?;
        let loaded = Instant::now();
        let loaded_s = (event::unix_us() - outcome.began_us) as f64 / 1e6;
        let n_wanted = outcome.n_acknowledged();
        let n_taken = wait_for(&sink, n_wanted, DRAIN)?;
        let drain_s = loaded.elapsed().as_secs_f64();
        let after = self.cpu_s(&gatepost)?;
        let last_us = sink.arrivals()?.into_values().max().unwrap_or(0);
        gatepost.process.stop()?;
        sink.stop()?;
        assert_stored(&fresh, n_wanted)?;
        let took_s = last_us.saturating_sub(outcome.began_us) as f64 / 1e6;
        let end_to_end = n_taken as f64 / took_s;
        let report = &mut self.report;
        report.add(END_TO_END, "/s", end_to_end);
        report.add("acknowledged meanwhile", "/s", outcome.per_second);
        report.add("delivered meanwhile", "/s", n_meanwhile as f64 / loaded_s);
        if n_taken < n_wanted {
            report.add("not delivered after 25 s", "", (n_wanted - n_taken) as f64);
        }
        let n_drained = n_taken - n_meanwhile;
        // The rest of a tenth of a second says nothing about a rate.
        if n_drained > 1000 {
            report.add(
                "delivered when nothing more comes",
                "/s",
                n_drained as f64 / drain_s,
            );
        }
        let cpu_ms = |from: f64, to: f64| per_event((to - from) * 1e6, &outcome);
        let name = "CPU per 1,000 events, gatepost";
        report.add(name, "ms", cpu_ms(before.0, after.0));
        if self.engine == Engine::Postgres {
            report.add(&format!("{name} and Postgres"), "ms", cpu_ms(before.1, after.1));
        }
        Ok(end_to_end)
    }

    /// The time from acknowledgement to delivery at a rate that leaves room.
    fn soon(&mut self, rate: f64) -> anyhow::Result<()> {
        let fresh = self.stores.fresh()?;
        let sink = Sink::start()?;
        let setup = Setup::one(sink.address);
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "all", &fresh, &setup)?;
        let load = self.paced(rate, self.plain(gatepost.public, setup.paths(), 64));
        let followed = follow(&load, events_of(&load), &sink, |_| true, |_| true)?;
        gatepost.process.stop()?;
        sink.stop()?;
        let report = &mut self.report;
        report.add("half load: acknowledged", "/s", followed.outcome.per_second);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let name = format!("half load: acknowledgement to delivery, {name}");
            report.add(&name, "ms", followed.latencies.quantile_ms(share));
        }
        let p99 = followed.outcome.latencies.quantile_ms(0.99);
        report.add("half load: acknowledgement, p99", "ms", p99);
        Ok(())
    }

    /// A backlog is made by a process that only receives; then one that does both takes more of it in while it delivers.
    fn with_backlog(&mut self) -> anyhow::Result<()> {
        let n_backlog = if self.bench.options.is_quick {
            30_000
        } else {
            100_000
        };
        let program = &self.bench.options.gatepost;
        let fresh = self.stores.fresh()?;
        let setup = Setup::one(nowhere());
        let gatepost = Gatepost::start(program, "ingest", &fresh, &setup)?;
        let fill = Load {
            warm_up: Duration::ZERO,
            window: Duration::from_secs(40),
            ..self.plain(gatepost.public, setup.paths(), 256)
        };
        let filled = load::run(&fill, &event::sign_many(n_backlog).into())?;
        gatepost.process.stop()?;
        assert_stored(&fresh, filled.n_acknowledged())?;

        let sink = Sink::start()?;
        let setup = Setup::one(sink.address);
        let gatepost = Gatepost::start(program, "all", &fresh, &setup)?;
        self.report.add(START, "ms", gatepost.ready_ms);
        let began = Instant::now();
        let outcome = self.load(gatepost.public, setup.paths(), 256)?;
        let (n_loaded, loaded_s) = (sink.n_taken()?, began.elapsed().as_secs_f64());
        let draining = Instant::now();
        let n_wanted = filled.n_acknowledged() + outcome.n_acknowledged();
        let n_drained = wait_for(&sink, n_wanted, DRAIN)?;
        let drained = (n_drained - n_loaded) as f64 / draining.elapsed().as_secs_f64();
        let report = &mut self.report;
        report.add("with a backlog: acknowledged", "/s", outcome.per_second);
        report.add(
            "with a backlog: delivered meanwhile",
            "/s",
            n_loaded as f64 / loaded_s,
        );
        report.add("with a backlog: delivered, draining only", "/s", drained);
        report.add(BACKLOG, "MB", gatepost.process.peak_mb()?);
        gatepost.process.stop()?;
        sink.stop()
    }
}

/// What became of the events that were looked at.
#[derive(Debug)]
pub struct Followed {
    pub outcome: Outcome,
    /// From acknowledgement to delivery, of what was acknowledged after the warm-up.
    pub latencies: Latencies,
    pub n_arrived: u64,
    pub n_wanted: u64,
    /// Arrived per second, from the first request to the last arrival.
    pub per_second: f64,
}

/// Runs a load and waits for the deliveries of all events (by their number) that the sink takes; those that are wanted count.
pub fn follow(
    load: &Load,
    n_events: usize,
    sink: &Sink,
    is_taken: impl Fn(usize) -> bool,
    is_wanted: impl Fn(usize) -> bool,
) -> anyhow::Result<Followed> {
    let events: Arc<[Signed]> = event::sign_many(n_events).into();
    let outcome = load::run(load, &events)?;
    note_failures(&outcome);
    let is_wanted = |it: &&Acknowledged| is_wanted(it.idx);
    let n_wanted = outcome.acknowledged.iter().filter(is_wanted).count() as u64;
    let n_taken = outcome.acknowledged.iter().filter(|it| is_taken(it.idx)).count();
    wait_for(sink, n_taken as u64, DRAIN)?;
    let arrivals = sink.arrivals()?;
    let measured_from = outcome.began_us + u64::try_from(load.warm_up.as_micros())?;
    let now_us = event::unix_us();
    let (mut n_arrived, mut last_us) = (0, outcome.began_us + 1);
    let mut latencies = Vec::new();
    for it in outcome.acknowledged.iter().filter(is_wanted) {
        let arrived_at = arrivals.get(&events[it.idx].id).copied();
        if let Some(at_us) = arrived_at {
            n_arrived += 1;
            last_us = last_us.max(at_us);
        }
        if it.at_us >= measured_from {
            // What has not arrived took at least until now. What arrived before its answer took no time.
            let latency_us = arrived_at.unwrap_or(now_us).saturating_sub(it.at_us);
            latencies.push(u32::try_from(latency_us).unwrap_or(u32::MAX));
        }
    }
    let took_s = (last_us - outcome.began_us) as f64 / 1e6;
    Ok(Followed {
        latencies: Latencies::new(latencies),
        n_arrived,
        n_wanted,
        per_second: n_arrived as f64 / took_s,
        outcome,
    })
}
