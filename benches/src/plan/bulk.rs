//! A replay of all that is stored, beside requests.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    gatepost::{Gatepost, Setup},
    load::Load,
    plan::{Measured, events_of, run_load},
    process::post,
    report::Wanted,
    rows::fill::Fill,
    samples::grouped,
    servers::sink::Sink,
};

pub const EXPLANATION: &str = "`serve --role all` on a store that was filled past gatepost with delivered events, bodies of 200 \
    bytes; a job replays all of them to one destination, 64 attempts at once. Requests come at a \
    fixed rate in an open loop, in each turn once while the job is paused and once while it runs, and are delivered as well. \
    `As it is`: a job of which nothing was said. `As fast as it goes`: one with the highest `--rate`, for which nothing is \
    asked. Cancelled: another such job, in the middle; the time \
    until the answer, what it did after that, and until the last of its deliveries arrived. At the end the destination is \
    paused and the job runs through the rest: what it makes is held, so that its own cost shows and not that of delivering.";

/// How far back the stored events go.
const SPAN: Duration = Duration::from_hours(240);
/// Requests a second.
const RATE: f64 = 200.0;
/// The most that a job can be held to, a second.
const FASTEST: u32 = 100_000;
/// So long may the rest of a job take.
const PATIENCE: Duration = Duration::from_mins(25);

impl Measured<'_> {
    pub fn bulk(&mut self) -> anyhow::Result<()> {
        let default = if self.bench.options.is_quick {
            20_000
        } else {
            1_000_000
        };
        let n_wanted = self.bench.options.n_stored.unwrap_or(default);
        let store = self.stores.fresh()?;
        self.say(&format!("fill to {}", grouped(n_wanted as f64)));
        let n_stored = Fill::over(SPAN, n_wanted, true).run(&store, 0, n_wanted)?;
        let sink = Sink::start()?;
        let setup = Setup::one(sink.address);
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "all", &store, &setup)?;
        gatepost.settle_down(self.postgres_pid())?;
        self.report
            .add("memory before", "MB", gatepost.process.resident_mb()?);
        let began = Instant::now();
        let plan = post(gatepost.admin, "/v1/jobs/plan", &request(None))?;
        self.report.add("plan", "ms", began.elapsed().as_secs_f64() * 1e3);
        let n_planned = plan["n_events"].as_u64().context("a plan counts events")?;
        anyhow::ensure!(
            n_planned == n_stored || plan["complete"] == false,
            "{n_planned} of {n_stored} planned: {plan}"
        );

        self.beside_requests(&gatepost, "as it is", None)?
            .tell("cancel")?;
        let job = self.beside_requests(&gatepost, "as fast as it goes", Some(FASTEST))?;
        job.tell("pause")?;
        self.cancelled(&gatepost, &sink)?;
        self.work_off(&gatepost, &job)?;
        gatepost.process.stop()?;
        sink.stop()?;
        self.report
            .want("as it is: p99 meanwhile / paused", Wanted::AtMost(1.2));
        self.report
            .want("cancelled: until the answer", Wanted::AtMost(1000.0));
        self.report
            .want("cancelled: worked off after the answer", Wanted::AtMost(0.0));
        Ok(())
    }

    /// Turns of a job that is paused and runs.
    fn beside_requests(&mut self, gatepost: &Gatepost, name: &str, rate: Option<u32>) -> anyhow::Result<Job> {
        let job = Job::make(gatepost.admin, rate)?;
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("{name}, turn {turn} of {}", self.bench.n_turns));
            job.tell("pause")?;
            gatepost.settle_down(self.postgres_pid())?;
            let paused_ms = self.acknowledged_ms(gatepost)?;
            job.tell("resume")?;
            let (n_before, began) = (job.n_matched()?, Instant::now());
            let running_ms = self.acknowledged_ms(gatepost)?;
            let n_matched = job.n_matched()? - n_before;
            let per_second = n_matched as f64 / began.elapsed().as_secs_f64();
            let report = &mut self.report;
            report.add(&format!("{name}: replayed beside requests"), "/s", per_second);
            report.add(&format!("{name}: p99 while paused"), "ms", paused_ms);
            report.add(&format!("{name}: p99 meanwhile"), "ms", running_ms);
            report.ratio(&format!("{name}: p99 meanwhile / paused"), running_ms / paused_ms);
        }
        Ok(job)
    }

    fn acknowledged_ms(&self, gatepost: &Gatepost) -> anyhow::Result<f64> {
        let load = Load {
            rate: Some(RATE),
            window: self.bench.window * 3,
            ..self.plain(gatepost.public, vec!["/webhooks/stripe".to_owned()], 64)
        };
        let outcome = run_load(&load, events_of(&load))?;
        Ok(outcome.latencies.quantile_ms(0.99))
    }

    fn work_off(&mut self, gatepost: &Gatepost, job: &Job) -> anyhow::Result<()> {
        self.say("to its end");
        post(
            gatepost.admin,
            "/v1/destinations/sink/pause",
            &serde_json::json!({}),
        )?;
        job.tell("resume")?;
        let (n_before, began) = (job.n_matched()?, Instant::now());
        let shown = loop {
            let shown = job.look()?;
            if shown["state"] == "done" || began.elapsed() > PATIENCE {
                break shown;
            }
            std::thread::sleep(Duration::from_millis(250));
        };
        let n_matched = count(&shown, "n_matched");
        let took_s = began.elapsed().as_secs_f64();
        let report = &mut self.report;
        report.add(
            "to a paused destination: replayed",
            "/s",
            (n_matched - n_before) as f64 / took_s,
        );
        report.add("replayed in all", "events", n_matched as f64);
        report.add("peak memory", "MB", gatepost.process.peak_mb()?);
        anyhow::ensure!(
            shown["state"] != "done" || count(&shown, "n_changed") == n_matched,
            "some event was replayed twice or not at all: {shown}"
        );
        Ok(())
    }

    fn cancelled(&mut self, gatepost: &Gatepost, sink: &Sink) -> anyhow::Result<()> {
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("cancelled, turn {turn} of {}", self.bench.n_turns));
            gatepost.settle_down(self.postgres_pid())?;
            let job = Job::make(gatepost.admin, Some(FASTEST))?;
            std::thread::sleep(self.bench.window);
            let began = Instant::now();
            let answer = job.tell("cancel")?;
            let answered_ms = began.elapsed().as_secs_f64() * 1e3;
            let (mut n_taken, mut last_at) = (sink.n_taken()?, Instant::now());
            while last_at.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(20));
                let n_now = sink.n_taken()?;
                if n_now != n_taken {
                    (n_taken, last_at) = (n_now, Instant::now());
                }
            }
            let n_after = job.n_matched()? - count(&answer, "n_matched");
            let arrived_s = last_at.duration_since(began).as_secs_f64();
            let report = &mut self.report;
            report.add("cancelled: until the answer", "ms", answered_ms);
            report.add("cancelled: worked off after the answer", "events", n_after as f64);
            report.add("cancelled: until its last delivery arrived", "s", arrived_s);
        }
        Ok(())
    }
}

fn request(rate: Option<u32>) -> Value {
    serde_json::json!({ "action": "replay", "filter": { "source": "stripe" }, "rate": rate, "reason": "a benchmark" })
}

struct Job {
    admin: SocketAddr,
    id: String,
}

impl Job {
    fn make(admin: SocketAddr, rate: Option<u32>) -> anyhow::Result<Self> {
        let made = post(admin, "/v1/jobs", &request(rate))?;
        let id = made["id"].as_str().with_context(|| format!("no job: {made}"))?;
        Ok(Self {
            admin,
            id: id.to_owned(),
        })
    }

    fn tell(&self, verb: &str) -> anyhow::Result<Value> {
        post(
            self.admin,
            &format!("/v1/jobs/{}/{verb}", self.id),
            &serde_json::json!({}),
        )
    }

    fn look(&self) -> anyhow::Result<Value> {
        let (_, body) = crate::process::get(self.admin, &format!("/v1/jobs/{}", self.id))?;
        Ok(serde_json::from_str(&body)?)
    }

    fn n_matched(&self) -> anyhow::Result<u64> {
        Ok(count(&self.look()?, "n_matched"))
    }
}

fn count(job: &Value, field: &str) -> u64 {
    job[field].as_u64().unwrap_or(0)
}
