//! What is acknowledged per second at most, against the additive limit, a transaction for each request, and `pgbench`.

use std::process::Command;

use anyhow::Context as _;

use crate::{
    event,
    gatepost::{Gatepost, Setup},
    plan::{Measured, assert_stored, nowhere, per_event},
    process::Process,
    report::Wanted,
    rows::{self, BEST, Batches, postgres::Insert},
    samples::additive,
    store::{Engine, Store},
};

pub const EXPLANATION: &str = "`serve --role ingest`. V: a bare axum server that only verifies. W: a bare client that writes \
    the same rows in batches; with 1 and 8 connections of so many rows on one connection, since no more can wait, else of 200 \
    rows, on Postgres over four connections. L = 1 / (1/V + 1/W). A transaction per request: a bare axum server that verifies \
    and commits both rows. W': in batches as large as so many connections let wait, on Postgres by \
    gatepost's own statement, which leaves out what is known and counts; L' with it in place of W. `pgbench`: as many clients as connections (at most 64), one event and its delivery in one prepared \
    statement, nothing verified.";

const CONNECTIONS: [usize; 4] = [1, 8, 64, 256];
const REST: &str = "resident memory at rest";
const FULL: &str = "resident memory at 256 connections, peak";
const START: &str = "start to ready, empty store";

impl Measured<'_> {
    pub fn acknowledge(&mut self) -> anyhow::Result<()> {
        let size = std::fs::metadata(&self.bench.options.gatepost)?.len();
        self.report.add("size of the binary", "MB", size as f64 / 1e6);
        for turn in 1..=self.bench.n_turns {
            for n_connections in CONNECTIONS {
                self.say(&format!(
                    "turn {turn} of {}, {n_connections} connections",
                    self.bench.n_turns
                ));
                self.compare(n_connections)?;
            }
        }
        let (at_64, at_256) = match self.engine {
            Engine::Postgres => (0.60, 0.70),
            Engine::Sqlite => (0.65, 0.75),
        };
        let report = &mut self.report;
        report.want("64 connections: gatepost / L", Wanted::AtLeast(at_64));
        report.want("256 connections: gatepost / L", Wanted::AtLeast(at_256));
        report.want(REST, Wanted::AtMost(40.0));
        report.want(FULL, Wanted::AtMost(150.0));
        report.want(START, Wanted::AtMost(300.0));
        Ok(())
    }

    /// V, W, gatepost and what it is compared with, one after the other.
    fn compare(&mut self, n: usize) -> anyhow::Result<()> {
        let (verified, verify_ms) = self.verified(n)?;
        // Beside what it is compared with, because the disk is the least steady part.
        let batches = if n < 64 {
            Batches {
                n_rows: n,
                n_connections: 1,
            }
        } else {
            BEST
        };
        let written = {
            let fresh = self.stores.fresh()?;
            rows::write(
                &fresh,
                &self.bench.supply,
                batches,
                self.bench.warm_up,
                self.bench.window,
            )?
        };
        let limit = additive(&[verified, written]);
        self.report.add(&format!("{n} connections: V"), "/s", verified);
        self.report.add(&format!("{n} connections: W"), "/s", written);
        self.report.add(&format!("{n} connections: L"), "/s", limit);
        let accepted = self.ingest(n)?;
        self.report
            .ratio(&format!("{n} connections: gatepost / L"), accepted / limit);
        if n >= 64 {
            self.compare_with_what_can_wait(n, verified, written, accepted)?;
        }

        let fresh = self.stores.fresh()?;
        let (server, address) = Process::serve("single", &[&fresh.url])?;
        let outcome = self.load(address, vec!["/".to_owned()], n)?;
        server.stop()?;
        assert_stored(&fresh, outcome.n_acknowledged())?;
        let (single, name) = (outcome.per_second, "a transaction per request");
        self.report.add(&format!("{n} connections: {name}"), "/s", single);
        self.report
            .ratio(&format!("{n} connections: gatepost / {name}"), accepted / single);
        drop(fresh);
        self.compare_with_pgbench(n, accepted)?;
        if n >= 64 {
            let name = format!("{n} connections: CPU per 1,000 requests, V");
            self.report.add(&name, "ms", verify_ms);
        }
        Ok(())
    }

    /// How much of the distance to L is that fewer can wait, and on Postgres the statement that deduplicates and counts.
    fn compare_with_what_can_wait(
        &mut self,
        n: usize,
        verified: f64,
        written: f64,
        accepted: f64,
    ) -> anyhow::Result<()> {
        let (bench, fresh) = (self.bench, self.stores.fresh()?);
        let own = match self.engine {
            Engine::Sqlite => {
                let batches = Batches {
                    n_rows: n.min(BEST.n_rows),
                    n_connections: 1,
                };
                rows::write(&fresh, &bench.supply, batches, bench.warm_up, bench.window)?
            }
            Engine::Postgres => {
                let n_connections = (n / 32).min(BEST.n_connections);
                let batches = Batches {
                    n_rows: n / n_connections,
                    n_connections,
                };
                let (warm_up, window) = (bench.warm_up, bench.window);
                rows::postgres::write(&fresh.url, &bench.supply, batches, Insert::Own, warm_up, window)?
            }
        };
        let report = &mut self.report;
        report.add(&format!("{n} connections: W'"), "/s", own);
        report.ratio(&format!("{n} connections: W' / W"), own / written);
        report.ratio(
            &format!("{n} connections: gatepost / L'"),
            accepted / additive(&[verified, own]),
        );
        Ok(())
    }

    fn ingest(&mut self, n: usize) -> anyhow::Result<f64> {
        let fresh = self.stores.fresh()?;
        let setup = Setup::one(nowhere());
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", &fresh, &setup)?;
        self.report.add(START, "ms", gatepost.ready_ms);
        if n == 64 {
            self.report.add(REST, "MB", gatepost.process.resident_mb()?);
        }
        let before = self.cpu_s(&gatepost)?;
        let outcome = self.load(gatepost.public, setup.paths(), n)?;
        let after = self.cpu_s(&gatepost)?;
        if n == 256 {
            self.report.add(FULL, "MB", gatepost.process.peak_mb()?);
        }
        gatepost.process.stop()?;
        assert_stored(&fresh, outcome.n_acknowledged())?;
        let report = &mut self.report;
        report.add(&format!("{n} connections: gatepost"), "/s", outcome.per_second);
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let name = format!("{n} connections: gatepost, {name}");
            report.add(&name, "ms", outcome.latencies.quantile_ms(share));
        }
        if n >= 64 {
            let cpu_ms = |from: f64, to: f64| per_event((to - from) * 1e6, &outcome);
            let name = format!("{n} connections: CPU per 1,000 events, gatepost");
            report.add(&name, "ms", cpu_ms(before.0, after.0));
            if self.engine == Engine::Postgres {
                report.add(&(name + " and Postgres"), "ms", cpu_ms(before.1, after.1));
            }
        }
        Ok(outcome.per_second)
    }

    fn compare_with_pgbench(&mut self, n: usize, accepted: f64) -> anyhow::Result<()> {
        if self.engine == Engine::Sqlite {
            return Ok(());
        }
        let (name, ratio) = (
            format!("{n} connections: pgbench"),
            format!("{n} connections: gatepost / pgbench"),
        );
        if self.bench.options.pgbench.is_none() {
            self.report.absent(&name, "not run: no `pgbench` found");
            return Ok(());
        }
        let fresh = self.stores.fresh()?;
        let per_second = self.pgbench(&fresh, n.min(64))?;
        self.report.add(&name, "/s", per_second);
        self.report.ratio(&ratio, accepted / per_second);
        Ok(())
    }

    fn pgbench(&self, store: &Store, n_clients: usize) -> anyhow::Result<f64> {
        let script = store.directory.join("pgbench.sql");
        std::fs::write(&script, PGBENCH)?;
        let program = self.bench.options.pgbench.as_ref().context("it was found")?;
        let body = event::body(&event::external(uuid::Uuid::now_v7()));
        let output = Command::new(program)
            .args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1"])
            .args(["--client", &n_clients.to_string()])
            .args(["--time", &self.bench.window.as_secs().max(1).to_string()])
            .arg("--define")
            .arg(format!("body={}", String::from_utf8_lossy(&body)))
            .arg("--file")
            .arg(&script)
            .arg(&store.url)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|it| it.strip_prefix("tps = "));
        rate.and_then(|it| it.split(' ').next()?.parse().ok())
            .with_context(|| format!("`pgbench` failed: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The ids are UUIDv7 as gatepost's are; the body goes over the wire each time.
const PGBENCH: &str = "\
with given as (
    select
        (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid as id,
        sha256(random()::text::bytea) as key
),
new_event as (
    insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at,
                       headers, body)
    select id, 'stripe', key, key, 'evt_' || id, 'invoice.payment_succeeded', 'received', 'body', now(), now(),
        convert_to(rpad('', 300, md5(id::text)), 'UTF8'), convert_to(:body, 'UTF8')
    from given
)
insert into delivery (id, event_id, route, destination, origin, status, due_at, created_at)
select id, id, 'stripe-sink', 'sink', 'received', 'pending', now(), now()
from given;
";
