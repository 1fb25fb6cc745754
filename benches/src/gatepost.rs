//! The gateway under test, as an operator would run it.

use std::{
    fmt::Write as _,
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    event,
    process::{Process, cpu_with_children_s, free_address, get},
    servers::sink::{FAIL, HANG},
    store::Store,
};

/// How many of everything, and the few keys that a measurement changes.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub sink: SocketAddr,
    /// Sources, each with one route to a destination of its own.
    pub n_routes: usize,
    /// The first of the destinations never answer.
    pub n_hanging: usize,
    /// Those after them always answer 500.
    pub n_failing: usize,
    pub concurrency: usize,
    pub retention: &'static str,
}

impl Setup {
    /// One source, one route, one destination.
    pub const fn one(sink: SocketAddr) -> Self {
        Self {
            sink,
            n_routes: 1,
            n_hanging: 0,
            n_failing: 0,
            concurrency: 64,
            retention: "30d",
        }
    }

    /// The public path of each source, in their order.
    pub fn paths(&self) -> Vec<String> {
        (0..self.n_routes)
            .map(|it| format!("/webhooks/{}", source(it)))
            .collect()
    }

    fn config(&self, store: &Store, public: SocketAddr, admin: SocketAddr) -> String {
        let (url, sink, variable) = (&store.url, self.sink, event::SECRET_VARIABLE);
        let (concurrency, retention) = (self.concurrency, self.retention);
        let mut text = format!(
            "[server]\nlisten = \"{public}\"\ngrace = \"1s\"\n[admin]\nlisten = \"{admin}\"\n[log]\nfilter = \"warn\"\n\
             [store]\nurl = \"{url}\"\nretention = \"{retention}\"\n"
        );
        for number in 0..self.n_routes {
            let (source, destination) = (source(number), destination(number));
            let path = match number {
                _ if number < self.n_hanging => HANG,
                _ if number < self.n_hanging + self.n_failing => FAIL,
                _ => "/",
            };
            let _ = write!(
                text,
                "[sources.{source}]\nprovider = \"stripe\"\nsecrets = [{{ env = \"{variable}\" }}]\n\
                 [destinations.{destination}]\nurl = \"http://{sink}{path}\"\nconcurrency = {concurrency}\n"
            );
        }
        for number in 0..self.n_routes {
            let (source, destination) = (source(number), destination(number));
            let _ = write!(
                text,
                "[[routes]]\nsource = \"{source}\"\ndestination = \"{destination}\"\n"
            );
        }
        text
    }
}

/// The first has the names that bare rows carry.
fn source(number: usize) -> String {
    if number == 0 {
        "stripe".to_owned()
    } else {
        format!("stripe{number}")
    }
}

fn destination(number: usize) -> String {
    if number == 0 {
        "sink".to_owned()
    } else {
        format!("sink{number}")
    }
}

#[derive(Debug)]
pub struct Gatepost {
    pub process: Process,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub ready_ms: f64,
}

impl Gatepost {
    pub fn start(program: &Path, role: &str, store: &Store, setup: &Setup) -> anyhow::Result<Self> {
        let (public, admin) = (free_address()?, free_address()?);
        // Left in place: a running gateway watches it. One for each role, since two may run on one store.
        let config = store.directory.join(format!("gatepost-{role}.toml"));
        std::fs::write(&config, setup.config(store, public, admin))?;
        let log = store.directory.join(format!("gatepost-{role}.log"));
        let started = Instant::now();
        let mut command = Command::new(program);
        command
            .args(["serve", "--role", role, "--config"])
            .arg(&config)
            .env(event::SECRET_VARIABLE, event::SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let mut process = Process::start("gatepost", &mut command)?;
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        loop {
            if matches!(get(admin, "/readyz"), Ok((200, _))) {
                break;
            }
            anyhow::ensure!(!process.has_ended(), "gatepost ended at its start: {}", said());
            anyhow::ensure!(
                started.elapsed() < Duration::from_secs(60),
                "gatepost was not ready in 60 s: {}",
                said()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let ready_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok(Self {
            process,
            public,
            admin,
            ready_ms,
        })
    }

    /// Waits until it and its store rest, because the chores of its start are no part of what follows. How long that took,
    /// in seconds.
    pub fn settle_down(&self, postgres_pid: Option<u32>) -> anyhow::Result<f64> {
        const LOOK: Duration = Duration::from_millis(400);
        const PATIENCE: Duration = Duration::from_secs(90);
        let used_s = || anyhow::Ok(self.process.cpu_s()? + postgres_pid.map_or(0.0, cpu_with_children_s));
        let started = Instant::now();
        let mut rests_from = started;
        let mut before = used_s()?;
        while started.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
            let now = used_s()?;
            // A tenth of a core is a rest: polls, leases, checkpoints of nothing.
            if now - before < LOOK.as_secs_f64() * 0.1 {
                return Ok(rests_from.duration_since(started).as_secs_f64());
            }
            (before, rests_from) = (now, Instant::now());
        }
        Ok(PATIENCE.as_secs_f64())
    }
}
