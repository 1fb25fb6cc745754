//! Build, run, stop: roles, supervisor, signals, reload, log.
//!
//! The only room that starts tasks that outlive a call. `start` builds everything and returns; `Running` is what it
//! built. The order of a stop is in `shutdown`.
//!
//! Imports: every room below.

pub mod build;
pub mod log;
pub mod reload;
pub mod shutdown;
pub mod signals;
pub mod supervisor;

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{build::Built, supervisor::Ended},
    base::secret::Secret,
    config::{Inputs, Loaded},
};

/// Which halves of gatepost a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives and delivers.
    All,
    /// Receives only; deliveries wait in the store for another process.
    Ingest,
    /// Delivers only; the public listener is not opened.
    Deliver,
}

impl Role {
    pub const fn ingests(self) -> bool {
        matches!(self, Self::All | Self::Ingest)
    }

    pub const fn delivers(self) -> bool {
        matches!(self, Self::All | Self::Deliver)
    }
}

/// A running gatepost.
#[derive(Debug)]
pub struct Running {
    /// Where the public side listens; `None` in a process that only delivers.
    pub public: Option<SocketAddr>,
    pub admin: SocketAddr,
    built: Built,
}

/// Opens the store, migrates it, binds the listeners and starts every task.
pub async fn start(loaded: Loaded, inputs: Inputs, role: Role) -> anyhow::Result<Running> {
    let built = build::build(loaded, inputs, role).await?;
    let (admin, store) = (built.admin, built.store.engine_name());
    if let Some(public) = built.public {
        tracing::info!(%public, %admin, store, "listening on {public}, admin on {admin}");
    } else {
        tracing::info!(%admin, store, "delivering, admin on {admin}");
    }
    Ok(Running {
        public: built.public,
        admin: built.admin,
        built,
    })
}

impl Running {
    /// Asks for the end; `wait` waits for it.
    pub fn stop(&self) {
        self.built.stop.cancel();
    }

    /// Reads the config again and applies all of it, or, with one fault, none of it.
    pub fn reload(&self) {
        self.built.reload.notify_one();
    }

    /// Cancelled when the end was asked for.
    pub fn stopping(&self) -> CancellationToken {
        self.built.stop.clone()
    }

    /// Waits for the end. `Ok` after a stop that was asked for; `Err` if a critical task ended by itself.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = self.built.stop.cancelled() => None,
            ended = self.built.groups.ended() => Some(ended),
        };
        shutdown::run(self.built).await;
        match ended {
            None => Ok(()),
            Some(Ended { name, error }) => {
                Err(error).with_context(|| format!("task `{name}` ended by itself"))
            }
        }
    }
}

/// `start`, then signals until the end: SIGTERM and SIGINT stop, SIGHUP reloads.
///
/// `introduce` is told the admin side's address and the token that makes the first one, where nobody could get in without it.
pub async fn serve(
    loaded: Loaded,
    inputs: Inputs,
    role: Role,
    introduce: impl FnOnce(SocketAddr, &Secret),
) -> anyhow::Result<()> {
    let signals = signals::Signals::listen().context("could not listen for signals")?;
    let running = start(loaded, inputs, role).await?;
    if let Some(setup) = &running.built.setup {
        introduce(running.admin, setup);
    }
    let (stop, reload) = (running.built.stop.clone(), running.built.reload.clone());
    tokio::select! {
        result = running.wait() => result,
        never = signals.obey(stop, reload) => match never {},
    }
}
