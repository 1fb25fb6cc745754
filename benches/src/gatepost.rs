//! The gateway under test, as an operator would run it.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    event,
    process::{Process, free_address, get},
    store::{self, Store},
};

pub const PATH: &str = "/webhooks/stripe";

#[derive(Debug)]
pub struct Gatepost {
    pub process: Process,
    pub public: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub ready_ms: f64,
}

impl Gatepost {
    pub fn start(program: &Path, role: &str, store: &Store, sink: SocketAddr) -> anyhow::Result<Self> {
        let (public, admin) = (free_address()?, free_address()?);
        // Left in place: a running gateway watches it.
        let config = store.directory.join("gatepost.toml");
        let text = store::config(store, &public.to_string(), &admin.to_string(), &sink.to_string());
        std::fs::write(&config, text)?;
        let started = Instant::now();
        let mut command = Command::new(program);
        command
            .args(["serve", "--role", role, "--config"])
            .arg(&config)
            .env(event::SECRET_VARIABLE, event::SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut process = Process::start("gatepost", &mut command)?;
        loop {
            if matches!(get(admin, "/readyz"), Ok((200, _))) {
                break;
            }
            anyhow::ensure!(!process.has_ended(), "gatepost ended at its start: see above");
            anyhow::ensure!(
                started.elapsed() < Duration::from_secs(20),
                "gatepost was not ready in 20 s"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let ready_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok(Self {
            process,
            public,
            ready_ms,
        })
    }
}
