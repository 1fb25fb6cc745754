//! SIGTERM and SIGINT stop, a second one ends at once; SIGHUP reloads.

use std::{convert::Infallible, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on none of these ends the process by itself.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub async fn obey(mut self, stop: CancellationToken, reload: Arc<Notify>) -> Infallible {
        loop {
            tokio::select! {
                _ = self.hang_up.recv() => reload.notify_one(),
                _ = self.terminate.recv() => end(&stop, "SIGTERM"),
                _ = self.interrupt.recv() => end(&stop, "SIGINT"),
            }
        }
    }
}

#[expect(
    clippy::exit,
    reason = "a second signal means now; leases and retries pick up what is in flight"
)]
fn end(stop: &CancellationToken, signal: &str) {
    if stop.is_cancelled() {
        tracing::warn!("{signal} again: ending at once");
        std::process::exit(1);
    }
    tracing::info!("{signal}: stopping; open requests and attempts in flight finish first");
    stop.cancel();
}
