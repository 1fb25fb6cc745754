//! What `benches/run` was asked for, and where it found what the run needs.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

use crate::{plan::Part, store::Engine};

#[derive(Debug)]
pub struct Options {
    /// The binary under test.
    pub gatepost: PathBuf,
    /// The program of `benches/micro`, where that part is wanted.
    pub micro: Option<PathBuf>,
    pub pgbench: Option<PathBuf>,
    /// Where stores go.
    pub directory: PathBuf,
    /// The JSON lines, which several runs share.
    pub lines: PathBuf,
    /// The table that is made of them.
    pub table: PathBuf,
    pub postgres: String,
    /// The server's first process, where it is ours: for its processor time.
    pub postgres_pid: Option<u32>,
    /// Of what is measured; the harness may have changed since.
    pub commit: String,
    /// As it was typed.
    pub command: String,
    pub is_quick: bool,
    pub n_repetitions: Option<usize>,
    pub engines: Vec<Engine>,
    pub parts: Vec<Part>,
    pub open_transaction: Option<Duration>,
    /// Events of the fullest store of `grow`.
    pub n_stored: Option<u64>,
}

/// Fixed by the script: --gatepost, --directory and so on. From the user: what `benches/run --help` says.
pub fn read(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let mut options = Options {
        gatepost: PathBuf::new(),
        micro: None,
        pgbench: None,
        directory: PathBuf::new(),
        lines: PathBuf::new(),
        table: PathBuf::new(),
        postgres: String::new(),
        postgres_pid: None,
        commit: String::new(),
        command: "benches/run".to_owned(),
        is_quick: false,
        n_repetitions: None,
        engines: vec![Engine::Postgres, Engine::Sqlite],
        parts: Vec::new(),
        open_transaction: None,
        n_stored: None,
    };
    let mut is_typed = false;
    while let Some(flag) = arguments.next() {
        if flag == "--" {
            is_typed = true;
            continue;
        }
        if is_typed {
            options.command = format!("{} {flag}", options.command);
        }
        if flag == "--quick" {
            options.is_quick = true;
            continue;
        }
        let value = arguments
            .next()
            .with_context(|| format!("`{flag}` wants a value"))?;
        if is_typed {
            options.command = format!("{} {value}", options.command);
        }
        let given = (!value.is_empty()).then(|| value.clone());
        match flag.as_str() {
            "--gatepost" => options.gatepost = value.into(),
            "--micro" => options.micro = given.map(PathBuf::from),
            "--pgbench" => options.pgbench = given.map(PathBuf::from),
            "--directory" => options.directory = value.into(),
            "--lines" => options.lines = value.into(),
            "--table" => options.table = value.into(),
            "--postgres" => options.postgres = value,
            "--postgres-pid" => options.postgres_pid = value.parse().ok(),
            "--commit" => options.commit = value,
            "--repetitions" => options.n_repetitions = Some(value.parse()?),
            "--only" => options.engines.retain(|it| it.name() == value),
            "--part" => options.parts.push(Part::named(&value)?),
            "--open-transaction" => options.open_transaction = Some(duration(&value)?),
            "--stored" => options.n_stored = Some(value.parse()?),
            _ => anyhow::bail!("no such flag: `{flag}`"),
        }
    }
    anyhow::ensure!(
        !options.engines.is_empty(),
        "`--only` takes `sqlite` or `postgres`"
    );
    if options.parts.is_empty() {
        options.parts = Part::ALL.to_vec();
    }
    Ok(options)
}

/// `30m`, `45s`, `1h`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => anyhow::bail!("`{text}` is no time like `30m`"),
    };
    Ok(Duration::from_secs(number.parse::<u64>()? * seconds))
}
