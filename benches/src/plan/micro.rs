//! What verifying and routing cost, by the program of `benches/micro`.

use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    options::Options,
    report::{Report, Wanted},
};

pub const EXPLANATION: &str = "Nanoseconds for a genuine request, without any I/O: of `tests/vectors`, and of 2.3 KB where we can sign it. \
    `HMAC` is a plain one of the very bytes that the signature covers, by the same library, its key taken in each time. `names` finds \
    the event's id, type and time. `receive` is all that happens to a request before the store: both, and two hashes. A filter of five \
    conditions, beside the parse of the JSON that it looks at; a transform that sets one field, in a fresh context. `The engine alone`: \
    QuickJS makes a context of its own, reads a program of one line and the body, calls it, and writes the body.";

const FILTER: &str = "a filter, over the parse of its JSON";
const TRANSFORM: &str = "a small transform, in all";

/// A line of the program.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Sender(Sample),
    Route(RouteSample),
}

#[derive(Debug, Deserialize)]
struct RouteSample {
    body: usize,
    parse_ns: f64,
    filter_ns: f64,
    transform_ns: f64,
    floor_ns: f64,
}

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
        let it = match serde_json::from_str(line)? {
            Line::Sender(it) => it,
            Line::Route(it) => {
                report.add(&format!("JSON of {} bytes: parse", it.body), "ns", it.parse_ns);
                report.add(FILTER, "ns", it.filter_ns - it.parse_ns);
                report.add(TRANSFORM, "ns", it.transform_ns);
                report.add("a small transform, the engine alone", "ns", it.floor_ns);
                report.ratio(
                    "a small transform, in all / the engine alone",
                    it.transform_ns / it.floor_ns,
                );
                continue;
            }
        };
        let (provider, signed) = (it.provider, it.signed);
        report.add(&format!("{provider}: HMAC of {signed} bytes"), "ns", it.plain_ns);
        report.add(&format!("{provider}: verify"), "ns", it.verify_ns);
        report.ratio(&format!("{provider}: verify / HMAC"), it.verify_ns / it.plain_ns);
        report.add(&format!("{provider}: names"), "ns", it.names_ns);
        report.add(&format!("{provider}: receive"), "ns", it.receive_ns);
    }
    report.want(FILTER, Wanted::AtMost(3_000.0));
    report.want(TRANSFORM, Wanted::AtMost(120_000.0));
    anyhow::ensure!(!report.figures.is_empty(), "`micro` measured nothing");
    Ok(())
}
