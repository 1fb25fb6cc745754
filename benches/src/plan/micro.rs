//! What verifying costs, by the program of `benches/micro.rs`.

use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use crate::{options::Options, report::Report};

pub const EXPLANATION: &str = "Nanoseconds for a genuine request, without any I/O: of `tests/vectors`, and of 2.3 KB where we can sign it. \
    `HMAC` is a plain one of the very bytes that the signature covers, by the same library, its key taken in each time. `names` finds \
    the event's id, type and time. `receive` is all that happens to a request before the store: both, and two hashes.";

#[derive(Debug, Deserialize)]
struct Sample {
    provider: String,
    /// Bytes that the signature covers.
    signed: usize,
    plain_ns: f64,
    verify_ns: f64,
    names_ns: f64,
    receive_ns: f64,
}

pub fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let program = options.micro.as_ref().context("its program was not built")?;
    let output = Command::new(program).output()?;
    anyhow::ensure!(
        output.status.success(),
        "`micro` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let it: Sample = serde_json::from_str(line)?;
        let (provider, signed) = (it.provider, it.signed);
        report.add(&format!("{provider}: HMAC of {signed} bytes"), "ns", it.plain_ns);
        report.add(&format!("{provider}: verify"), "ns", it.verify_ns);
        report.ratio(&format!("{provider}: verify / HMAC"), it.verify_ns / it.plain_ns);
        report.add(&format!("{provider}: names"), "ns", it.names_ns);
        report.add(&format!("{provider}: receive"), "ns", it.receive_ns);
    }
    anyhow::ensure!(!report.figures.is_empty(), "`micro` measured nothing");
    Ok(())
}
