//! Measures gatepost against the limits of its machine. `benches/run` is how to start it; `benches/README.md` says what
//! is measured.

mod event;
mod gatepost;
mod load;
mod plan;
mod process;
mod report;
mod rows;
mod servers;
mod store;

use std::path::PathBuf;

use anyhow::Context as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("verify") => servers::verify(),
        Some("single") => servers::single(arguments.next().context("which store?")?),
        Some("sink") => servers::sink(),
        // For profiling by hand: an address, connections, seconds.
        Some("load") => {
            let mut next = || arguments.next().context("load ADDRESS CONNECTIONS SECONDS");
            plan::load_by_hand(next()?.parse()?, next()?.parse()?, next()?.parse()?)
        }
        // The same: a store's URL, seconds.
        Some("write") => {
            let mut next = || arguments.next().context("write URL SECONDS");
            plan::write_by_hand(&next()?, next()?.parse()?)
        }
        Some("measure") => {
            process::end_all_on_signal()?;
            plan::run(&options(arguments)?)
        }
        _ => anyhow::bail!("start it with `benches/run`"),
    }
}

/// `measure` is started by `benches/run`, which explains the flags.
fn options(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<plan::Options> {
    let mut options = plan::Options {
        gatepost: PathBuf::new(),
        directory: PathBuf::new(),
        postgres: String::new(),
        is_quick: false,
        n_repetitions: None,
        engines: vec![store::Engine::Postgres, store::Engine::Sqlite],
    };
    while let Some(flag) = arguments.next() {
        if flag == "--quick" {
            options.is_quick = true;
            continue;
        }
        let value = arguments
            .next()
            .with_context(|| format!("`{flag}` wants a value"))?;
        match flag.as_str() {
            "--gatepost" => options.gatepost = value.into(),
            "--directory" => options.directory = value.into(),
            "--postgres" => options.postgres = value,
            "--repetitions" => options.n_repetitions = Some(value.parse()?),
            "--only" => options.engines.retain(|it| it.name() == value),
            _ => anyhow::bail!("no such flag: `{flag}`"),
        }
    }
    anyhow::ensure!(
        !options.engines.is_empty(),
        "`--only` takes `sqlite` or `postgres`"
    );
    Ok(options)
}

/// A runtime on every core.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
