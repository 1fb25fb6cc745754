//! The order of the measurements. What is compared is measured in turns, several times, because a machine that others use
//! too changes its speed from minute to minute: a ratio is taken within one turn, and the median over all turns counts.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    event,
    gatepost::{self, Gatepost},
    load::{self, Load, Outcome},
    process::{Process, get},
    report::{Report, Wanted},
    rows::{self, Supply},
    store::{Engine, Store, Stores},
};

#[derive(Debug)]
pub struct Options {
    pub gatepost: PathBuf,
    /// Where SQLite files and results go.
    pub directory: PathBuf,
    pub postgres: String,
    pub is_quick: bool,
    pub n_repetitions: Option<u32>,
    pub engines: Vec<Engine>,
}

/// More than this many requests per second are never prepared for.
const MOST_PER_SECOND: f64 = 40_000.0;
/// The longest wait for a backlog to drain.
const DRAIN: Duration = Duration::from_secs(25);

struct Run<'a> {
    options: &'a Options,
    report: Report,
    supply: Supply,
    warm_up: Duration,
    window: Duration,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut run = Run {
        options,
        report: Report::default(),
        supply: Supply::new(10_000),
        warm_up: Duration::from_millis(if options.is_quick { 400 } else { 600 }),
        window: Duration::from_millis(if options.is_quick { 1200 } else { 2000 }),
    };
    let n_repetitions = options
        .n_repetitions
        .unwrap_or(if options.is_quick { 2 } else { 5 });
    let mut stores = Vec::new();
    for &engine in &options.engines {
        stores.push((
            engine,
            Stores::new(engine, &options.directory, &options.postgres, &options.gatepost)?,
        ));
    }
    for turn in 1..=n_repetitions {
        for (engine, stores) in &mut stores {
            eprintln!(
                "turn {turn} of {n_repetitions}: {} ({:.0?})",
                engine.name(),
                started.elapsed()
            );
            run.turn(*engine, stores)?;
        }
    }
    for (engine, stores) in &mut stores {
        eprintln!("open loop: {} ({:.0?})", engine.name(), started.elapsed());
        run.open_loop(*engine, stores)?;
        eprintln!("backlog: {} ({:.0?})", engine.name(), started.elapsed());
        run.backlog(*engine, stores)?;
    }
    stores.into_iter().try_for_each(|(_, it)| it.remove())?;
    for engine in &options.engines {
        run.wants(engine.name());
    }
    run.report.print(&options.directory.join("results.jsonl"))?;
    eprintln!("measured in {:.0?}", started.elapsed());
    Ok(())
}

/// Names of the figures, at 64 and at 256 connections.
struct Names {
    n_connections: usize,
    verify: &'static str,
    limit: &'static str,
    gatepost: &'static str,
    p50: &'static str,
    p99: &'static str,
    single: &'static str,
    verify_cpu: &'static str,
    gatepost_cpu: &'static str,
    of_limit: &'static str,
    of_single: &'static str,
}

const NAMES: [Names; 2] = [
    Names {
        n_connections: 64,
        verify: "V: only verifies, 64 connections",
        limit: "L = 1/(1/V + 1/W), 64 connections",
        gatepost: "gatepost, 64 connections",
        p50: "gatepost p50, 64 connections",
        p99: "gatepost p99, 64 connections",
        single: "a transaction per request, 64 connections",
        verify_cpu: "CPU per request of V, 64",
        gatepost_cpu: "CPU per event of gatepost (not the store), 64",
        of_limit: "gatepost / L, 64 connections",
        of_single: "gatepost / transaction per request, 64",
    },
    Names {
        n_connections: 256,
        verify: "V: only verifies, 256 connections",
        limit: "L = 1/(1/V + 1/W), 256 connections",
        gatepost: "gatepost, 256 connections",
        p50: "gatepost p50, 256 connections",
        p99: "gatepost p99, 256 connections",
        single: "a transaction per request, 256 connections",
        verify_cpu: "CPU per request of V, 256",
        gatepost_cpu: "CPU per event of gatepost (not the store), 256",
        of_limit: "gatepost / L, 256 connections",
        of_single: "gatepost / transaction per request, 256",
    },
];
const WRITE: &str = "W: only writes, 200 rows a batch";
const P99_HALF: &str = "gatepost p99 at half of its most";
const HALF: &str = "half of its most, open loop";
const REST: &str = "resident memory at rest";
const FULL: &str = "resident memory at full load, peak";
const BACKLOG: &str = "resident memory with the backlog, peak";
const READY: &str = "start to ready on an existing store";

impl Run<'_> {
    /// V, W, gatepost and the service to compare with, one after the other.
    fn turn(&mut self, engine: Engine, stores: &mut Stores) -> anyhow::Result<()> {
        let store = engine.name();
        for names in &NAMES {
            let (server, address) = Process::serve("verify", &[])?;
            let outcome = self.load(address, "/", names.n_connections, true)?;
            let verify_us = per_event_us(&server, &outcome)?;
            let verified = outcome.per_second;
            server.stop()?;

            // Beside what it is compared with, because the disk is the least steady part.
            let written = {
                let fresh = stores.fresh()?;
                match engine {
                    Engine::Sqlite => {
                        rows::write_sqlite(fresh.path(), &self.supply, self.warm_up, self.window)?
                    }
                    Engine::Postgres => {
                        rows::write_postgres(&fresh.url, &self.supply, self.warm_up, self.window)?
                    }
                }
            };
            self.report.add(store, WRITE, "/s", written);
            let (accepted, gatepost_us) = self.ingest(engine, stores, names.n_connections)?;

            let single = {
                let fresh = stores.fresh()?;
                let (server, address) = Process::serve("single", &[&fresh.url])?;
                let outcome = self.load(address, "/", names.n_connections, false)?;
                server.stop()?;
                assert_stored(&fresh, &outcome)?;
                outcome.per_second
            };
            let limit = 1.0 / (1.0 / verified + 1.0 / written);
            let report = &mut self.report;
            report.add(store, names.verify, "/s", verified);
            report.add(store, names.limit, "/s", limit);
            report.add(store, names.gatepost, "/s", accepted.per_second);
            report.add(store, names.p50, "ms", accepted.p50_ms);
            report.add(store, names.p99, "ms", accepted.p99_ms);
            report.add(store, names.single, "/s", single);
            report.add(store, names.verify_cpu, "us", verify_us);
            report.add(store, names.gatepost_cpu, "us", gatepost_us);
            report.add(store, names.of_limit, "", accepted.per_second / limit);
            report.add(store, names.of_single, "", accepted.per_second / single);
        }
        Ok(())
    }

    fn ingest(
        &mut self,
        engine: Engine,
        stores: &mut Stores,
        n_connections: usize,
    ) -> anyhow::Result<(Outcome, f64)> {
        let fresh = stores.fresh()?;
        let gatepost = Gatepost::start(&self.options.gatepost, "ingest", &fresh, nowhere())?;
        if n_connections == 64 {
            self.report
                .add(engine.name(), REST, "MB", gatepost.process.resident_mb()?);
        }
        let outcome = self.load(gatepost.public, gatepost::PATH, n_connections, false)?;
        let cpu_us = per_event_us(&gatepost.process, &outcome)?;
        if n_connections == 256 {
            self.report
                .add(engine.name(), FULL, "MB", gatepost.process.peak_mb()?);
        }
        gatepost.process.stop()?;
        assert_stored(&fresh, &outcome)?;
        Ok((outcome, cpu_us))
    }

    fn open_loop(&mut self, engine: Engine, stores: &mut Stores) -> anyhow::Result<()> {
        let most = NAMES
            .iter()
            .filter_map(|it| self.report.median(engine.name(), it.gatepost));
        let rate = most.fold(0.0, f64::max) / 2.0;
        self.report.add(engine.name(), HALF, "/s", rate);
        for _ in 0..if self.options.is_quick { 1 } else { 3 } {
            let fresh = stores.fresh()?;
            let gatepost = Gatepost::start(&self.options.gatepost, "ingest", &fresh, nowhere())?;
            let load = Load {
                rate: Some(rate),
                window: self.window * 2,
                ..self.plain(gatepost.public, gatepost::PATH, 256)
            };
            let n_events = rate * (load.warm_up + load.window).as_secs_f64() + 1000.0;
            let outcome = load::run(&load, &event::sign_many(n_events as usize).into())?;
            gatepost.process.stop()?;
            assert_stored(&fresh, &outcome)?;
            self.report.add(engine.name(), P99_HALF, "ms", outcome.p99_ms);
        }
        Ok(())
    }

    /// A backlog is made by a process that only receives; then one that does both takes more of it in while it delivers.
    fn backlog(&mut self, engine: Engine, stores: &mut Stores) -> anyhow::Result<()> {
        let store = engine.name();
        let n_backlog = if self.options.is_quick { 30_000 } else { 100_000 };
        let fresh = stores.fresh()?;
        let gatepost = Gatepost::start(&self.options.gatepost, "ingest", &fresh, nowhere())?;
        let fill = Load {
            warm_up: Duration::ZERO,
            window: Duration::from_secs(40),
            ..self.plain(gatepost.public, gatepost::PATH, 256)
        };
        let filled = load::run(&fill, &event::sign_many(n_backlog).into())?;
        gatepost.process.stop()?;
        assert_stored(&fresh, &filled)?;

        let (sink, sink_address) = Process::serve("sink", &[])?;
        let gatepost = Gatepost::start(&self.options.gatepost, "all", &fresh, sink_address)?;
        self.report.add(store, READY, "ms", gatepost.ready_ms);
        let n_before = delivered(sink_address)?;
        let started = Instant::now();
        let outcome = self.load(gatepost.public, gatepost::PATH, 256, false)?;
        let n_loaded = delivered(sink_address)?;
        let elapsed = started.elapsed();
        self.report.add(
            store,
            "role all: acknowledged with the backlog",
            "/s",
            outcome.per_second,
        );
        let meanwhile = (n_loaded - n_before) as f64 / elapsed.as_secs_f64();
        self.report
            .add(store, "role all: delivered meanwhile", "/s", meanwhile);

        let n_wanted = filled.n_acknowledged + outcome.n_acknowledged;
        let drained_from = Instant::now();
        let mut n_drained = n_loaded;
        while n_drained < n_wanted && drained_from.elapsed() < DRAIN {
            std::thread::sleep(Duration::from_millis(100));
            n_drained = delivered(sink_address)?;
        }
        let drained = (n_drained - n_loaded) as f64 / drained_from.elapsed().as_secs_f64();
        self.report
            .add(store, "role all: delivered, draining only", "/s", drained);
        self.report.add(store, BACKLOG, "MB", gatepost.process.peak_mb()?);
        gatepost.process.stop()?;
        sink.stop()
    }

    fn load(
        &self,
        address: SocketAddr,
        path: &'static str,
        n_connections: usize,
        is_endless: bool,
    ) -> anyhow::Result<Outcome> {
        let load = Load {
            is_endless,
            ..self.plain(address, path, n_connections)
        };
        let n_events = if is_endless {
            40_000
        } else {
            (MOST_PER_SECOND * (load.warm_up + load.window).as_secs_f64()) as usize
        };
        let outcome = load::run(&load, &Arc::from(event::sign_many(n_events)))?;
        if outcome.n_failed > 0 {
            eprintln!(
                "  {} of the requests to {address}{path} were not answered 200",
                outcome.n_failed
            );
        }
        Ok(outcome)
    }

    const fn plain(&self, address: SocketAddr, path: &'static str, n_connections: usize) -> Load {
        Load {
            address,
            path,
            n_connections,
            rate: None,
            warm_up: self.warm_up,
            window: self.window,
            is_endless: false,
        }
    }

    fn wants(&mut self, store: &'static str) {
        let (of_limit_64, of_limit_256) = if store == "sqlite" {
            (0.45, 0.55)
        } else {
            (0.40, 0.50)
        };
        let wants = [
            (NAMES[0].of_limit, Wanted::AtLeast(of_limit_64)),
            (NAMES[1].of_limit, Wanted::AtLeast(of_limit_256)),
            (NAMES[0].of_single, Wanted::AtLeast(3.0)),
            (NAMES[1].of_single, Wanted::AtLeast(6.0)),
            (P99_HALF, Wanted::AtMost(20.0)),
            (REST, Wanted::AtMost(40.0)),
            (FULL, Wanted::AtMost(150.0)),
            (BACKLOG, Wanted::AtMost(150.0)),
            (READY, Wanted::AtMost(300.0)),
        ];
        for (name, wanted) in wants {
            self.report.want(store, name, wanted);
        }
    }
}

/// A closed loop against a gateway that runs already.
pub fn load_by_hand(address: SocketAddr, n_connections: usize, seconds: u64) -> anyhow::Result<()> {
    let load = Load {
        address,
        path: gatepost::PATH,
        n_connections,
        rate: None,
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(seconds),
        is_endless: false,
    };
    let n_events = MOST_PER_SECOND as usize * (seconds as usize + 1);
    println!("{:?}", load::run(&load, &event::sign_many(n_events).into())?);
    Ok(())
}

/// W by itself, against a store that has gatepost's tables.
pub fn write_by_hand(url: &str, seconds: u64) -> anyhow::Result<()> {
    let (supply, warm_up, window) = (
        Supply::new(10_000),
        Duration::from_millis(500),
        Duration::from_secs(seconds),
    );
    let per_second = match url.strip_prefix("sqlite:") {
        Some(path) => rows::write_sqlite(path, &supply, warm_up, window)?,
        None => rows::write_postgres(url, &supply, warm_up, window)?,
    };
    println!("{per_second:.0}/s");
    Ok(())
}

/// What was acknowledged must be in the store: a figure for anything less would be worth nothing.
fn assert_stored(store: &Store, outcome: &Outcome) -> anyhow::Result<()> {
    let n_stored = store.n_events()?;
    let n_acknowledged = outcome.n_acknowledged;
    anyhow::ensure!(
        n_stored >= n_acknowledged,
        "{n_acknowledged} events were acknowledged, but only {n_stored} are stored with their delivery"
    );
    Ok(())
}

/// Processor time for one request, which a busy machine changes less than it changes the rate.
fn per_event_us(process: &Process, outcome: &Outcome) -> anyhow::Result<f64> {
    Ok(process.cpu_s()? * 1e6 / outcome.n_acknowledged.max(1) as f64)
}

fn delivered(sink: SocketAddr) -> anyhow::Result<u64> {
    Ok(get(sink, "/")?.1.parse()?)
}

/// Where nobody listens: a process that only receives delivers nothing.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}
