//! Logs to stderr: text on a terminal, JSON elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::config::Log;

/// Starts the log. A second call changes nothing.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // Someone has started one already, in a test: that one stays.
    let _ = if log.is_json.unwrap_or(!is_terminal) {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        builder.with_ansi(is_terminal).finish().try_init()
    };
}
