//! Measures gatepost against the limits of its machine. `benches/run` is how to start it; `benches/README.md` says what
//! is measured.

mod event;
mod gatepost;
mod load;
mod machine;
mod options;
mod pace;
mod plan;
mod process;
mod report;
mod rows;
mod samples;
mod servers;
mod store;

use anyhow::Context as _;

use crate::rows::{Batches, postgres::Insert};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("verify") => servers::verify(),
        Some("log") => servers::log::log(arguments.next().context("which file?")?),
        Some("single") => servers::single::single(arguments.next().context("which store?")?),
        Some("sink") => servers::sink::serve_sink(),
        // For profiling by hand: an address, connections, seconds, and the rate of an open loop.
        Some("load") => {
            let mut next = || {
                arguments
                    .next()
                    .context("load ADDRESS CONNECTIONS SECONDS [RATE]")
            };
            let (address, n_connections, seconds) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
            let rate = next().ok().map(|it| it.parse()).transpose()?;
            plan::load_by_hand(address, n_connections, seconds, rate)
        }
        // The same: a store's URL, seconds, rows of a batch, connections, and `own` for gatepost's statement (Postgres).
        Some("write") => {
            let mut next = || {
                arguments
                    .next()
                    .context("write URL SECONDS ROWS CONNECTIONS [own]")
            };
            let (url, seconds) = (next()?, next()?.parse()?);
            let batches = Batches {
                n_rows: next()?.parse()?,
                n_connections: next()?.parse()?,
            };
            let insert = match arguments.next().as_deref() {
                Some("own") => Insert::Own,
                _ => Insert::Bare,
            };
            plan::write_by_hand(&url, seconds, batches, insert)
        }
        Some("measure") => {
            process::end_all_on_signal()?;
            plan::run(&options::read(arguments)?)
        }
        _ => anyhow::bail!("start it with `benches/run`"),
    }
}

/// A runtime on every core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
