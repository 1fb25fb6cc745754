//! Where and of what the figures are: machine, commit, versions.

use std::{fs, process::Command};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::options::Options;

/// What figures must have in common to stand in one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub commit: String,
    /// The start of the binary's SHA-256.
    pub binary: String,
    pub n_cores: usize,
    pub cpu: String,
    pub memory_gib: u64,
    pub kernel: String,
    pub postgres: String,
}

impl Machine {
    pub fn look(options: &Options) -> anyhow::Result<Self> {
        let field = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text
                .lines()
                .find_map(|it| it.strip_prefix(key))
                .unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
        };
        let memory_kib = field("/proc/meminfo", "MemTotal");
        let memory_kib: u64 = memory_kib.trim_end_matches(" kB").parse().unwrap_or(0);
        let digest = hex::encode(Sha256::digest(fs::read(&options.gatepost)?));
        Ok(Self {
            commit: options.commit.clone(),
            binary: digest[..12].to_owned(),
            n_cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: field("/proc/cpuinfo", "model name"),
            memory_gib: (memory_kib + 512 * 1024) / (1024 * 1024),
            kernel: said("uname", &["-sr"]),
            postgres: postgres_version(&options.postgres),
        })
    }

    /// Whether figures of both may stand in one table. A run on SQLite alone knows no Postgres.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_postgres =
            self.postgres == other.postgres || self.postgres.is_empty() || other.postgres.is_empty();
        let rest = |it: &Self| Self {
            postgres: String::new(),
            ..it.clone()
        };
        is_same_postgres && rest(self) == rest(other)
    }
}

/// Now, in UTC, to the minute.
pub fn now() -> String {
    said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    Command::new(program)
        .args(arguments)
        .output()
        .map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Empty where no server is there.
fn postgres_version(url: &str) -> String {
    let version = || -> anyhow::Result<String> {
        crate::runtime()?.block_on(async {
            let client = crate::rows::connect(url).await?;
            Ok(client.query_one("show server_version", &[]).await?.get(0))
        })
    };
    if url.is_empty() {
        return String::new();
    }
    version().unwrap_or_default()
}
