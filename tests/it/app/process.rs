//! The real binary as a child, to be killed, stopped and restarted.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    ops::Deref,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

use crate::app::{
    api::{Api, client},
    eventually,
    site::Site,
    soon,
};

/// A running gatepost of its own process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) api: Api,
    child: Leashed,
    log: Log,
}

/// What it wrote to stderr so far.
#[derive(Debug, Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    n_lines: watch::Receiver<Option<usize>>,
}

impl Deref for Process {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// A child that does not outlive its test, however that ends.
#[derive(Debug)]
struct Leashed(Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        // Gone already where the test ended it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

fn command(site: &Site, role: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_gatepost").to_owned();
    let mut words = site.wrapper.iter().chain([&program]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["serve", "--role", role, "--config"])
        .arg(site.config_file())
        .env_clear()
        .envs(&site.environment)
        .current_dir(site.directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(site: &Site, role: &str) -> Self {
        let process = Self::spawn(site, role).await;
        eventually("the process is ready", || async {
            let ready = process
                .client
                .get(format!("http://{}/readyz", process.admin))
                .send()
                .await;
            ready.is_ok_and(|it| it.status() == 200).then_some(())
        })
        .await;
        process
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn spawn(site: &Site, role: &str) -> Self {
        let mut child = Leashed(command(site, role).spawn().unwrap());
        let log = follow(&mut child);
        let Some((public, admin)) = soon("the process listens", log.listening()).await else {
            panic!("the process ended: {}", log.text());
        };
        Self {
            api: Api {
                client: client(),
                public,
                admin,
            },
            child,
            log,
        }
    }

    /// Starts one and kills it that soon, ready or not.
    pub(crate) async fn kill_early(site: &Site, after: Duration) {
        let mut child = Leashed(command(site, "all").spawn().unwrap());
        let log = follow(&mut child);
        let ended = tokio::time::timeout(after, log.ended()).await;
        assert!(ended.is_err(), "it ended by itself: {}", log.text());
        child.0.kill().unwrap();
        child.0.wait().unwrap();
    }

    /// Of one that is expected not to start.
    pub(crate) async fn end_of(site: &Site, role: &str) -> Ended {
        let mut child = Leashed(command(site, role).spawn().unwrap());
        let log = follow(&mut child);
        ended(&mut child, &log).await
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits until so many lines of its log hold this text.
    pub(crate) async fn logged(&self, text: &str, n: usize) {
        let mut n_lines = self.log.n_lines.clone();
        soon(text, async {
            while self
                .log
                .lines
                .lock()
                .unwrap()
                .iter()
                .filter(|it| it.contains(text))
                .count()
                < n
            {
                n_lines.changed().await.unwrap();
            }
        })
        .await;
    }

    /// Lets it run for a while. It must not end by itself meanwhile.
    pub(crate) async fn live_for(&self, time: Duration) {
        let ended = tokio::time::timeout(time, self.log.ended()).await;
        assert!(ended.is_err(), "it ended by itself: {}", self.log.text());
    }

    /// Lets it run for a while, or until it ends.
    pub(crate) async fn run_on(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.log.ended()).await;
    }

    /// SIGKILL, and it is gone.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn terminate(self) -> Ended {
        signal(self.id(), "TERM");
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let log = self.log.clone();
        ended(&mut self.child, &log).await
    }
}

async fn ended(child: &mut Leashed, log: &Log) -> Ended {
    soon("the process ends", log.ended()).await;
    Ended {
        code: child.0.wait().unwrap().code(),
        stderr: log.text(),
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let line = format!("kill -{name} {process}");
    assert!(
        Command::new("sh").args(["-c", &line]).status().unwrap().success(),
        "{line}"
    );
}

/// Reads its stderr until it ends.
fn follow(child: &mut Leashed) -> Log {
    let stderr = child.0.stderr.take().unwrap();
    let (sender, n_lines) = watch::channel(Some(0));
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let log = Log {
        lines: lines.clone(),
        n_lines,
    };
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
            sender.send_modify(|it| *it = it.map(|n| n + 1));
        }
        sender.send_replace(None);
    });
    log
}

impl Log {
    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// `None`: it ended before it listened.
    async fn listening(&self) -> Option<(Option<SocketAddr>, SocketAddr)> {
        let mut n_lines = self.n_lines.clone();
        loop {
            let is_over = n_lines.borrow_and_update().is_none();
            let found = self.lines.lock().unwrap().iter().find_map(|it| addresses(it));
            if found.is_some() || is_over {
                return found;
            }
            // Closed without a last word: the reader is gone, and so is the process.
            if n_lines.changed().await.is_err() {
                return None;
            }
        }
    }

    async fn ended(&self) {
        let mut n_lines = self.n_lines.clone();
        let _ = n_lines.wait_for(Option::is_none).await;
    }
}

/// The line of JSON, or of text, that says where it listens.
fn addresses(line: &str) -> Option<(Option<SocketAddr>, SocketAddr)> {
    if let Ok(line) = serde_json::from_str::<Value>(line) {
        let address = |name: &str| line[name].as_str()?.parse().ok();
        return Some((address("public"), address("admin")?));
    }
    let (public, admin) = line.split_once("listening on ")?.1.split_once(", admin on ")?;
    let admin = admin.split_whitespace().next()?;
    Some((public.parse().ok(), admin.parse().ok()?))
}
