//! Processes of this run: started, watched, and ended by their number, nobody else's.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// What runs now, for the end by a signal.
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[derive(Debug)]
pub struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    pub fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        running().push(child.id());
        Ok(Self { child, name })
    }

    /// One of our own servers, and the address that it says.
    pub fn serve(name: &'static str, arguments: &[&str]) -> anyhow::Result<(Self, SocketAddr)> {
        let mut command = Command::new(own_program()?);
        command.arg(name).args(arguments);
        let mut process = Self::start(name, command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdout = process
            .child
            .stdout
            .take()
            .context("its standard output is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .with_context(|| format!("{name} ended at once"))?;
        Ok((process, address))
    }

    /// Asks it to end, and waits.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(40);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                anyhow::ensure!(
                    status.success() || self.child.stdin.is_some(),
                    "{} ended with {status}",
                    self.name
                );
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        anyhow::bail!("{} did not end when it was asked to", self.name)
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Resident memory now, in MB of a million bytes.
    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    /// The most resident memory that it ever had.
    pub fn peak_mb(&self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    /// Processor time so far, of all its threads.
    pub fn cpu_s(&self) -> anyhow::Result<f64> {
        Ok(Stat::read(&self.child.id().to_string())
            .context("it is gone")?
            .own_s)
    }

    fn status(&self, key: &str) -> anyhow::Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|it| it.strip_prefix(key));
        let kib = line
            .and_then(|it| it.trim().strip_suffix(" kB"))
            .context("no such line")?;
        Ok(kib.trim().parse::<f64>()? * 1024.0 / 1e6)
    }

    fn signal(&self, signal: Signal) {
        end(self.child.id(), signal);
    }
}

/// What the kernel says of one process.
struct Stat {
    parent: u32,
    own_s: f64,
    /// Of children that have ended.
    children_s: f64,
}

impl Stat {
    fn read(id: &str) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in parentheses may hold spaces.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let seconds = |idx: usize| {
            let ticks: f64 = fields.get(idx)?.parse().ok()?;
            Some(ticks / rustix::param::clock_ticks_per_second() as f64)
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_s: seconds(11)? + seconds(12)?,
            children_s: seconds(13)? + seconds(14)?,
        })
    }
}

/// Processor time so far of a process and of all its children, those that have ended included: of a Postgres server.
pub fn cpu_with_children_s(id: u32) -> f64 {
    let Some(first) = Stat::read(&id.to_string()) else {
        return f64::NAN;
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let running: f64 = entries
        .filter_map(|it| Stat::read(it.file_name().to_str()?))
        .filter(|it| it.parent == id)
        .map(|it| it.own_s)
        .sum();
    first.own_s + first.children_s + running
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
        running().retain(|it| *it != self.child.id());
    }
}

/// On an interrupt: ends what was started, and this process.
pub fn end_all_on_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            running().iter().for_each(|it| end(*it, Signal::KILL));
            std::process::exit(130);
        });
    });
    Ok(())
}

fn end(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn running() -> std::sync::MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ours, by its path: a build that replaces it while we run must not end the run.
fn own_program() -> anyhow::Result<PathBuf> {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = PATH.get() {
        return Ok(path.clone());
    }
    let path = std::env::current_exe()?;
    Ok(PATH.get_or_init(|| path).clone())
}

/// An address of loopback that nobody listens on just now.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Status and body of one GET.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    call(
        address,
        &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    )
}

/// What a POST of JSON is answered with; an error where that is not 2xx.
pub fn post(address: SocketAddr, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, answer) = call(address, &request)?;
    anyhow::ensure!((200..300).contains(&status), "{path}: {status} {answer}");
    Ok(serde_json::from_str(&answer)?)
}

fn call(address: SocketAddr, request: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.context("no HTTP answer")?, body.to_owned()))
}
