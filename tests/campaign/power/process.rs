//! The gatepost that loses its power.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::Duration,
};

use serde_json::Value;

use crate::sender::answer;

/// Nothing here should take so long, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// What it said so far.
    log: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            log: Vec::new(),
        }
    }

    /// `None`: it ended before it listened.
    pub(crate) fn listening(&mut self) -> Option<Addresses> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = addresses(&line);
                    self.log.push(line);
                    if found.is_some() {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("neither up nor gone: {}", self.said()),
            }
        }
    }

    /// Lets it run so long; says whether it still does.
    pub(crate) fn runs_for(&mut self, time: Duration) -> bool {
        let end = std::time::Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.log.push(line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.runs_for(PATIENCE);
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        assert!(!self.runs_for(PATIENCE), "it does not end: {}", self.said());
        self.child.wait().unwrap()
    }

    /// Whether it ended as one does whose power goes, and not by itself.
    pub(crate) fn was_killed(&mut self) -> bool {
        self.ended().signal() == Some(9)
    }

    pub(crate) fn said(&self) -> String {
        self.log.join("\n")
    }
}

/// No child outlives the campaign, however that ends.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn addresses(line: &str) -> Option<Addresses> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line[name].as_str()?.parse().ok();
    Some(Addresses {
        public: address("public")?,
        admin: address("admin")?,
    })
}

/// What the admin side answers.
pub(crate) fn ask(admin: SocketAddr, path: &str) -> Value {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let (_, body) = answer(&mut BufReader::new(stream)).unwrap();
    serde_json::from_slice(&body).unwrap_or_default()
}
