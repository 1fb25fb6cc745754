//! The parts of a run. What is compared is measured in turns, several times, because a machine that others use too changes its
//! speed from minute to minute: a ratio is taken within one turn, and the median over all turns counts.

mod acknowledge;
mod bulk;
mod by_hand;
mod deliver;
mod grow;
mod hanging;
mod micro;
mod open;
mod pages;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;

pub use by_hand::{load as load_by_hand, write as write_by_hand};

use crate::{
    event,
    gatepost::Gatepost,
    load::{self, Load, Outcome},
    machine::{self, Machine},
    options::Options,
    process::{Process, cpu_with_children_s},
    report::{
        Report,
        lines::{self, Run},
        table,
    },
    rows::Supply,
    servers::sink::Sink,
    store::{Engine, Store, Stores},
};

/// More than this many requests per second are never prepared for.
const MOST_PER_SECOND: f64 = 40_000.0;
/// After this long no further part begins: a table with gaps is worth more than none.
const PATIENCE: Duration = Duration::from_mins(150);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Acknowledge,
    Open,
    Deliver,
    Hanging,
    Micro,
    Bulk,
    Pages,
    Grow,
}

impl Part {
    /// In the order in which they run: the one that fills the disk is the last.
    pub const ALL: [Self; 8] = [
        Self::Acknowledge,
        Self::Open,
        Self::Deliver,
        Self::Hanging,
        Self::Micro,
        Self::Bulk,
        Self::Pages,
        Self::Grow,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Open => "open",
            Self::Deliver => "deliver",
            Self::Hanging => "hanging",
            Self::Micro => "micro",
            Self::Bulk => "bulk",
            Self::Pages => "pages",
            Self::Grow => "grow",
        }
    }

    pub fn named(name: &str) -> anyhow::Result<Self> {
        let known = Self::ALL.iter().find(|it| it.name() == name);
        known
            .copied()
            .with_context(|| format!("no such part: `{name}`, expected one of {}", Self::names()))
    }

    fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Acknowledge => "Acknowledgement, closed loop",
            Self::Open => "Acknowledgement, open loop",
            Self::Deliver => "Delivery",
            Self::Hanging => "Destinations that hang",
            Self::Micro => "Verification",
            Self::Bulk => "Bulk work",
            Self::Pages => "The admin side",
            Self::Grow => "How cost grows",
        }
    }

    /// What a reader of the table has to know.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Acknowledge => acknowledge::EXPLANATION,
            Self::Open => open::EXPLANATION,
            Self::Deliver => deliver::EXPLANATION,
            Self::Hanging => hanging::EXPLANATION,
            Self::Micro => micro::EXPLANATION,
            Self::Bulk => bulk::EXPLANATION,
            Self::Pages => pages::EXPLANATION,
            Self::Grow => grow::EXPLANATION,
        }
    }
}

/// What every part works with.
struct Bench<'a> {
    options: &'a Options,
    supply: Supply,
    warm_up: Duration,
    window: Duration,
    n_turns: usize,
    started: Instant,
}

/// One part on one store.
struct Measured<'a> {
    bench: &'a Bench<'a>,
    engine: Engine,
    stores: Stores,
    report: Report,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let machine = Machine::look(options)?;
    let bench = Bench {
        options,
        supply: Supply::new(10_000),
        warm_up: Duration::from_millis(if options.is_quick { 300 } else { 600 }),
        window: Duration::from_millis(if options.is_quick { 1000 } else { 2000 }),
        n_turns: options
            .n_repetitions
            .unwrap_or(if options.is_quick { 1 } else { 3 }),
        started: Instant::now(),
    };
    let mut failed = Vec::new();
    for &part in &options.parts {
        let engines: Vec<_> = if part == Part::Micro {
            vec![None]
        } else {
            options.engines.iter().copied().map(Some).collect()
        };
        for engine in engines {
            let name = format!("{} {}", part.name(), engine.map_or("", Engine::name));
            bench.say(&name);
            if bench.started.elapsed() > PATIENCE {
                failed.push(format!(
                    "{name}: not begun, because the run took too long already"
                ));
                continue;
            }
            if let Err(error) = bench.measure(part, engine, &machine) {
                eprintln!("  {name} failed: {error:#}");
                failed.push(format!("{name}: {error:#}"));
            }
        }
    }
    let all = lines::read(&options.lines, &machine);
    println!("{}", table::render(&all));
    eprintln!(
        "measured in {:.0?}; the table: {}, all samples: {}",
        bench.started.elapsed(),
        options.table.display(),
        options.lines.display()
    );
    anyhow::ensure!(failed.is_empty(), "not all was measured:\n{}", failed.join("\n"));
    Ok(())
}

impl<'a> Bench<'a> {
    /// Measures and keeps what was measured, also where the part failed half-way.
    fn measure(&'a self, part: Part, engine: Option<Engine>, machine: &Machine) -> anyhow::Result<()> {
        let (began_at, began) = (machine::now(), Instant::now());
        let (report, result) = match engine {
            None => {
                let mut report = Report::new(part, "");
                let result = micro::measure(self.options, &mut report);
                (report, result)
            }
            Some(engine) => {
                let options = self.options;
                let mut measured = Measured {
                    bench: self,
                    engine,
                    stores: Stores::new(engine, &options.directory, &options.postgres, &options.gatepost)?,
                    report: Report::new(part, engine.name()),
                };
                let result = match part {
                    Part::Acknowledge => measured.acknowledge(),
                    Part::Open => measured.open(),
                    Part::Deliver => measured.deliver(),
                    Part::Hanging => measured.hanging(),
                    Part::Bulk => measured.bulk(),
                    Part::Pages => measured.pages(),
                    Part::Micro | Part::Grow => measured.grow(),
                };
                measured.stores.remove()?;
                (measured.report, result)
            }
        };
        let run = Run {
            command: self.options.command.clone(),
            began_at,
            took_s: began.elapsed().as_secs(),
            machine: machine.clone(),
        };
        let all = lines::merge(&self.options.lines, &report, &run)?;
        std::fs::write(&self.options.table, table::render(&all))?;
        result
    }

    fn say(&self, what: &str) {
        eprintln!("[{:>5.0} s] {what}", self.started.elapsed().as_secs_f64());
    }
}

impl Measured<'_> {
    fn say(&self, what: &str) {
        let name = format!("{} {}", self.report.part.name(), self.engine.name());
        self.bench.say(&format!("{name}: {what}"));
    }

    /// A closed loop on one path with events of its own.
    fn load(&self, address: SocketAddr, paths: Vec<String>, n_connections: usize) -> anyhow::Result<Outcome> {
        self.load_for(self.bench.window, address, paths, n_connections)
    }

    fn load_for(
        &self,
        window: Duration,
        address: SocketAddr,
        paths: Vec<String>,
        n_connections: usize,
    ) -> anyhow::Result<Outcome> {
        let load = Load {
            window,
            ..self.plain(address, paths, n_connections)
        };
        run_load(&load, events_of(&load))
    }

    /// A closed loop with few events again and again, for servers that store nothing.
    fn load_again(&self, address: SocketAddr, n_connections: usize) -> anyhow::Result<Outcome> {
        let load = Load {
            is_endless: true,
            ..self.plain(address, vec!["/".to_owned()], n_connections)
        };
        run_load(&load, 40_000)
    }

    fn plain(&self, address: SocketAddr, paths: Vec<String>, n_connections: usize) -> Load {
        Load {
            address,
            paths,
            n_connections,
            rate: None,
            warm_up: self.bench.warm_up,
            window: self.bench.window,
            is_endless: false,
        }
    }

    /// V, beside its processor time for a thousand requests in milliseconds.
    fn verified(&self, n_connections: usize) -> anyhow::Result<(f64, f64)> {
        let (server, address) = Process::serve("verify", &[])?;
        let outcome = self.load_again(address, n_connections)?;
        let cpu_ms = per_event(server.cpu_s()? * 1e6, &outcome);
        server.stop()?;
        Ok((outcome.per_second, cpu_ms))
    }

    /// Processor time of gatepost and of its store so far; the latter only where the server is ours.
    fn cpu_s(&self, gatepost: &Gatepost) -> anyhow::Result<(f64, f64)> {
        let own_s = gatepost.process.cpu_s()?;
        let store_s = match self.engine {
            Engine::Sqlite => 0.0,
            Engine::Postgres => self.postgres_pid().map_or(f64::NAN, cpu_with_children_s),
        };
        Ok((own_s, own_s + store_s))
    }

    fn postgres_pid(&self) -> Option<u32> {
        let pid = self.bench.options.postgres_pid;
        pid.filter(|_| self.engine == Engine::Postgres)
    }
}

/// The most events that a load can need: in a closed loop as many as so many connections can possibly get answered.
fn events_of(load: &Load) -> usize {
    let closed = MOST_PER_SECOND.min(15_000.0 * load.n_connections as f64);
    let most = load.rate.unwrap_or(closed);
    (most * (load.warm_up + load.window).as_secs_f64()) as usize + 1000
}

fn run_load(load: &Load, n_events: usize) -> anyhow::Result<Outcome> {
    let outcome = load::run(load, &event::sign_many(n_events).into())?;
    note_failures(&outcome);
    Ok(outcome)
}

fn note_failures(outcome: &Outcome) {
    if outcome.n_failed > 0 {
        eprintln!("  {} requests were not answered 200", outcome.n_failed);
    }
}

fn per_event(sum: f64, outcome: &Outcome) -> f64 {
    sum / outcome.n_acknowledged().max(1) as f64
}

/// What was acknowledged must be in the store: a figure for anything less would be worth nothing.
fn assert_stored(store: &Store, n_acknowledged: u64) -> anyhow::Result<()> {
    let n_stored = store.n_events()?;
    anyhow::ensure!(
        n_stored >= n_acknowledged,
        "{n_acknowledged} events were acknowledged, but only {n_stored} are stored with their delivery"
    );
    Ok(())
}

/// Waits until the handler has got so many, or for so long. How many it got.
fn wait_for(sink: &Sink, n_wanted: u64, patience: Duration) -> anyhow::Result<u64> {
    let started = Instant::now();
    loop {
        let n_taken = sink.n_taken()?;
        if n_taken >= n_wanted || started.elapsed() > patience {
            return Ok(n_taken);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where nobody listens: a process that only receives delivers nothing.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}
