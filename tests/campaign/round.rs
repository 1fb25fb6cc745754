//! Some cycles on one store: the processes that run now, what was seen of them, and the end, where all must come right.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use rand::rngs::StdRng;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    http,
    journal::Journal,
    options::Run,
    pass, plan,
    process::{Ended, Process, Start},
    sender::Sender,
    site::Site,
    summary::{Failure, Invariant, Summary},
};

/// For a start, until the first 200. A busy machine may be slow; a person would not wait longer.
pub(crate) const RECOVERY: Duration = Duration::from_secs(30);
/// How often one may say that its store is not there.
const N_STARTS: u64 = 5;
/// For a stop in order. It takes its grace and little more; a machine that stands still takes longer.
pub(crate) const STOP: Duration = Duration::from_secs(30);
/// A stop that takes so long may have put back attempts in flight, which come again.
const UNHURRIED: Duration = Duration::from_millis(4500);

#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) site: Site,
    pub(crate) sender: Sender,
    journal: Option<Journal>,
    pub(crate) running: Vec<Option<Running>>,
    /// By the number of the process: whether nothing happened to it, and it stopped in order.
    pub(crate) lives: BTreeMap<u64, Life>,
    /// Processes that lost claims to their leases.
    pub(crate) late: BTreeSet<u64>,
    next_process: u64,
    pub(crate) random: StdRng,
    pub(crate) summary: Summary,
    pub(crate) recoveries: Vec<Duration>,
    pub(crate) takeovers: Vec<Duration>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) n_seeded: i64,
    /// How long nothing may become better at the end.
    pub(crate) patience: Duration,
}

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Something was done to it or to its connections.
    pub(crate) is_faulted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Clean,
    Faulted,
}

impl Round {
    pub(crate) async fn start(run: &Run, seed: u64, number: u64, patience: Duration) -> Self {
        let site = Site::new(run.store, run.replicas, seed, run.flaw.clone()).await;
        let journal = Journal::create(&site.directory().join("acknowledged.jsonl"));
        let random = plan::random(seed, "traffic", number);
        let sender = Sender::start(random, number.to_string(), run.rate, journal.handle());
        Self {
            number,
            site,
            sender,
            journal: Some(journal),
            running: (0..run.replicas).map(|_| None).collect(),
            lives: BTreeMap::new(),
            late: BTreeSet::new(),
            next_process: 1,
            random: plan::random(seed, "round", number),
            summary: Summary::default(),
            recoveries: Vec::new(),
            takeovers: Vec::new(),
            failures: Vec::new(),
            n_seeded: 0,
            patience,
        }
    }

    pub(crate) fn fail(&mut self, invariant: Invariant, what: impl Into<String>) {
        let what = what.into();
        self.failures.push(Failure { invariant, what });
    }

    pub(crate) fn aim(&self) {
        self.aim_without(None);
    }

    pub(crate) fn aim_without(&self, slot: Option<usize>) {
        let targets = self.running.iter().enumerate();
        let targets = targets.filter(|(idx, _)| Some(*idx) != slot);
        self.sender
            .aim(targets.filter_map(|(_, it)| Some(it.as_ref()?.public)).collect());
    }

    pub(crate) fn spawn(&mut self, slot: usize, start: &Start) -> Process {
        let number = self.next_process;
        self.next_process += 1;
        Process::spawn(&self.site, slot, number, start)
    }

    /// Starts one and waits until it listens. `None`: it ended before; how is noted.
    async fn listen_in(&mut self, slot: usize, start: &Start) -> Option<(Process, SocketAddr, SocketAddr)> {
        for _ in 0..N_STARTS {
            let mut process = self.spawn(slot, start);
            let listening = tokio::time::timeout(RECOVERY, process.listening()).await;
            match listening {
                Ok(Some((public, admin))) => return Some((process, public, admin)),
                Ok(None) if process.log().contains("the store is not available") => {
                    // It says so and ends with 1; whatever started it starts it again.
                    process.ended();
                    self.lives.insert(process.number, Life::Faulted);
                    self.summary.n_failed_starts += 1;
                }
                Ok(None) => {
                    self.buried(process, start.point.is_some());
                    return None;
                }
                Err(_elapsed) => {
                    let log = process.log();
                    self.fail(Invariant::Recovers, format!("does not listen: {log}"));
                    process.kill();
                    self.buried(process, false);
                    return None;
                }
            }
        }
        self.fail(Invariant::Recovers, "does not find its store");
        None
    }

    /// Starts one and waits for its first 200. `None`: it ended before; how is noted.
    pub(crate) async fn start_in(&mut self, slot: usize, start: &Start) -> Option<()> {
        let (process, public, admin) = self.listen_in(slot, start).await?;
        let spawned_at = process.spawned_at;
        self.running[slot] = Some(Running {
            process,
            public,
            admin,
            is_faulted: false,
        });
        self.aim();
        let process = &self.running[slot].as_ref().unwrap().process;
        let is_up = tokio::select! {
            () = self.sender.until_taken_by(public) => Some(true),
            () = process.gone() => Some(false),
            () = pass(RECOVERY) => None,
        };
        match is_up {
            Some(true) => {
                self.recoveries.push(spawned_at.elapsed());
                Some(())
            }
            Some(false) => {
                let running = self.running[slot].take().unwrap();
                self.aim();
                self.buried(running.process, start.point.is_some());
                None
            }
            None => {
                let log = process.log();
                self.fail(Invariant::Recovers, format!("acknowledges nothing: {log}"));
                Some(())
            }
        }
    }

    /// Notes how a process ended that was not killed, or is expected to have been.
    pub(crate) fn buried(&mut self, mut process: Process, may_abort: bool) -> Ended {
        let ended = process.ended();
        let log_faults = process.log_faults();
        for fault in log_faults {
            self.fail(Invariant::CleanLog, fault);
        }
        match ended {
            Ended::Aborted if may_abort => self.summary.n_kills += 1,
            Ended::Killed => self.summary.n_kills += 1,
            Ended::Code(0) => (),
            _ => {
                let log = process.log();
                self.fail(Invariant::Recovers, format!("ended by itself ({ended:?}): {log}"));
            }
        }
        self.lives.insert(process.number, Life::Faulted);
        let n_lost_claims = process.n_lost_claims();
        self.summary.n_lost_claims += n_lost_claims;
        if n_lost_claims > 0 {
            self.late.insert(process.number);
        }
        ended
    }

    /// SIGTERM; it must end with 0, in time.
    pub(crate) async fn terminate(&mut self, slot: usize) {
        let Some(mut running) = self.running[slot].take() else {
            return;
        };
        let asked_at = Instant::now();
        running.process.signal("TERM");
        let is_gone = running.process.is_gone_within(STOP).await;
        self.aim();
        if !is_gone {
            let log = running.process.log();
            self.fail(Invariant::Recovers, format!("does not stop: {log}"));
            running.process.kill();
        }
        let is_faulted = running.is_faulted || asked_at.elapsed() > UNHURRIED;
        let number = running.process.number;
        if self.buried(running.process, false) == Ended::Code(0) && !is_faulted {
            self.lives.insert(number, Life::Clean);
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, slot: usize) -> Instant {
        let killed_at = Instant::now();
        if let Some(mut running) = self.running[slot].take() {
            running.process.kill();
            self.aim();
            self.buried(running.process, false);
        }
        killed_at
    }

    pub(crate) async fn ledger(&self) -> Option<Value> {
        let admin = self.running.iter().flatten().next()?.admin;
        let answer = http::get(admin, "/v1/ledger").await.ok()?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// No more faults: all that is open is answered for and delivered. Then everything stops.
    pub(crate) async fn settle_down(&mut self) -> Value {
        self.sender.pause();
        for slot in 0..self.running.len() {
            if self.running[slot].is_none() {
                self.start_in_quiet(slot).await;
            }
        }
        let sender = self.sender.clone();
        let n_unanswered = dwindles(self.patience, async || u64::try_from(sender.n_open()).ok()).await;
        if n_unanswered != 0 {
            self.fail(
                Invariant::RightAnswer,
                format!("{n_unanswered} requests never got an answer"),
            );
        }
        self.sender.stop();
        let open = async || self.ledger().await?["open"].as_u64();
        let n_open = dwindles(self.patience, open).await;
        let ledger = self.ledger().await.unwrap_or_default();
        if n_open != 0 {
            self.fail(Invariant::Delivered, format!("deliveries stay open: {ledger}"));
        }
        for slot in 0..self.running.len() {
            self.terminate(slot).await;
        }
        self.sender.aim(Vec::new());
        ledger
    }

    /// Where nothing new is sent, nobody may be there for a first 200.
    async fn start_in_quiet(&mut self, slot: usize) {
        let Some((process, public, admin)) = self.listen_in(slot, &Start::default()).await else {
            return;
        };
        self.running[slot] = Some(Running {
            process,
            public,
            admin,
            is_faulted: false,
        });
        self.aim();
    }

    /// Closes the journal: how many acknowledgements are on disk.
    pub(crate) fn close_journal(&mut self) -> u64 {
        let journal = self.journal.take().unwrap();
        self.sender.close_journal();
        journal.finish()
    }
}

/// Waits until there is none left, as long as there are ever fewer; how many there are then. A busy machine takes its time.
async fn dwindles(patience: Duration, mut count: impl AsyncFnMut() -> Option<u64>) -> u64 {
    let (mut fewest, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < patience {
        if let Some(n) = count().await
            && n < fewest
        {
            (fewest, since) = (n, Instant::now());
        }
        if fewest == 0 {
            break;
        }
        pass(Duration::from_millis(30)).await;
    }
    fewest
}
