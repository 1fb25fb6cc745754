//! One gatepost as a child.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use crate::{
    letter::{GITHUB_SECRET, SIGNING_SECRET, STRIPE_SECRET},
    site::{self, Site},
};

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// Lines of its log that are kept for a failure.
const N_KEPT: usize = 40;

#[derive(Debug)]
pub(crate) struct Process {
    /// Which of all that were started.
    pub(crate) number: u64,
    pub(crate) spawned_at: Instant,
    child: Child,
    log: Arc<Log>,
    n_lines: watch::Receiver<Option<u64>>,
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<VecDeque<String>>,
    addresses: Mutex<Option<(SocketAddr, SocketAddr)>>,
    n_lost_claims: AtomicU64,
    /// What must never be in a log.
    faults: Mutex<Vec<String>>,
}

/// What is special about a start.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) point: Option<String>,
    /// Waits for a commit for a moment only.
    pub(crate) is_impatient: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Killed,
    Aborted,
    Code(i32),
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub(crate) fn spawn(site: &Site, slot: usize, number: u64, start: &Start) -> Self {
        let mut command = Command::new(site::gatepost());
        command
            .args(["serve", "--config"])
            .arg(site.config_file())
            .env_clear()
            .envs(site.environment(slot))
            .env("CAMPAIGN_PROCESS", number.to_string())
            .current_dir(site.directory())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(point) = &start.point {
            command.env("GATEPOST_TRIAL_POINT", point);
        }
        if start.is_impatient {
            command.env("GATEPOST__INGEST__ACK_TIMEOUT", "600ms");
        }
        let spawned_at = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", site::gatepost().display()));
        let stderr = child.stderr.take().unwrap();
        let (sender, n_lines) = watch::channel(Some(0));
        let log = Arc::<Log>::default();
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                kept.note(line);
                sender.send_modify(|it| *it = it.map(|n| n + 1));
            }
            sender.send_replace(None);
        });
        Self {
            number,
            spawned_at,
            child,
            log,
            n_lines,
        }
    }

    /// Its public and its admin address, once it listens; `None` where it ended before.
    pub(crate) async fn listening(&self) -> Option<(SocketAddr, SocketAddr)> {
        let mut n_lines = self.n_lines.clone();
        loop {
            let is_over = n_lines.borrow_and_update().is_none();
            let found = *self.log.addresses.lock().unwrap();
            if found.is_some() || is_over {
                return found;
            }
            if n_lines.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Waits until it is gone by itself.
    pub(crate) async fn gone(&self) {
        let mut n_lines = self.n_lines.clone();
        let _ = n_lines.wait_for(Option::is_none).await;
    }

    /// Whether it is gone after so long.
    pub(crate) async fn is_gone_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.gone()).await.is_ok()
    }

    pub(crate) fn kill(&mut self) -> Ended {
        // It may be gone already.
        let _ = self.child.kill();
        self.ended()
    }

    /// How it ended. Waits for that.
    pub(crate) fn ended(&mut self) -> Ended {
        of(self.child.wait().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        // A process that ended just now takes no signal.
        let _ = Command::new("kill")
            .args(["-s", name, &process])
            .stderr(Stdio::null())
            .status();
    }

    pub(crate) fn log(&self) -> String {
        let lines = self.log.lines.lock().unwrap();
        lines.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    /// Deliveries that it had in hand for longer than its lease lasted: on a machine that stood still, or a store that did.
    pub(crate) fn n_lost_claims(&self) -> u64 {
        self.log.n_lost_claims.load(Ordering::Relaxed)
    }

    pub(crate) fn log_faults(&self) -> Vec<String> {
        self.log.faults.lock().unwrap().clone()
    }
}

fn of(status: ExitStatus) -> Ended {
    match status.signal() {
        Some(SIGABRT) => Ended::Aborted,
        Some(SIGKILL) => Ended::Killed,
        Some(other) => panic!("gatepost ended by signal {other}"),
        None => Ended::Code(status.code().unwrap_or(-1)),
    }
}

impl Log {
    fn note(&self, line: String) {
        if line.contains("panicked")
            || [STRIPE_SECRET, GITHUB_SECRET, SIGNING_SECRET]
                .iter()
                .any(|it| line.contains(it))
        {
            self.faults.lock().unwrap().push(format!("in a log: {line}"));
        }
        if line.contains("lost the claim on") {
            self.n_lost_claims.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if line.contains("listening on") {
            *self.addresses.lock().unwrap() = addresses(&line);
        }
        let mut lines = self.lines.lock().unwrap();
        if lines.len() == N_KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some((address("public")?, address("admin")?))
}
