//! Fresh stores with gatepost's tables: a file or a database for each measurement, copied from one that `gatepost migrate`
//! made, so that none is measured on what another left behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;

use crate::rows;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// Where stores are made.
#[derive(Debug)]
pub struct Stores {
    engine: Engine,
    directory: PathBuf,
    /// The server's URL with `{}` for the database's name.
    server: String,
    n_made: u32,
}

/// One store. Removed when dropped.
#[derive(Debug)]
pub struct Store {
    pub engine: Engine,
    pub url: String,
    /// Where files beside it go.
    pub directory: PathBuf,
    server: String,
    name: String,
}

impl Stores {
    /// Makes the one that the others are copies of.
    pub fn new(engine: Engine, directory: &Path, postgres: &str, gatepost: &Path) -> anyhow::Result<Self> {
        let server = with_placeholder(postgres);
        let directory = directory.join(engine.name());
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let stores = Self {
            engine,
            directory,
            server,
            n_made: 0,
        };
        let template = stores.named("template")?;
        template.admin(&[&format!("create database {}", template.name)])?;
        let config = stores.directory.join("template.toml");
        fs::write(&config, format!("[store]\nurl = \"{}\"\n", template.url))?;
        let output = Command::new(gatepost)
            .arg("migrate")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("could not run `{}`", gatepost.display()))?;
        anyhow::ensure!(
            output.status.success(),
            "`gatepost migrate` failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Kept: the next ones are its copies.
        std::mem::forget(template);
        Ok(stores)
    }

    /// An empty store, with what was written before on the disk already.
    pub fn fresh(&mut self) -> anyhow::Result<Store> {
        self.n_made += 1;
        let store = self.named(&format!("n{}", self.n_made))?;
        match self.engine {
            Engine::Sqlite => {
                let template = self.named_path("template");
                for suffix in ["", "-wal"] {
                    let from = PathBuf::from(format!("{}{suffix}", template.display()));
                    if from.exists() {
                        fs::copy(from, format!("{}{suffix}", store.name))?;
                    }
                }
                rustix::fs::sync();
            }
            Engine::Postgres => {
                let template = self.named("template")?;
                let copy = format!("create database {} template {}", store.name, template.name);
                std::mem::forget(template);
                store.admin(&[&copy, "checkpoint"])?;
            }
        }
        Ok(store)
    }

    /// Removes the one that the others were copies of.
    pub fn remove(self) -> anyhow::Result<()> {
        drop(self.named("template")?);
        Ok(())
    }

    /// Where files beside the stores go.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn named(&self, name: &str) -> anyhow::Result<Store> {
        let (name, url) = match self.engine {
            Engine::Sqlite => {
                let path = self.named_path(name).display().to_string();
                (path.clone(), format!("sqlite:{path}"))
            }
            Engine::Postgres => {
                let name = format!("gatepost_bench_{}_{name}", std::process::id());
                (name.clone(), self.server.replace("{}", &name))
            }
        };
        Ok(Store {
            engine: self.engine,
            url,
            directory: self.directory.clone(),
            server: self.server.clone(),
            name,
        })
    }

    fn named_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.db"))
    }
}

impl Store {
    /// The path of the file.
    pub fn path(&self) -> &str {
        &self.name
    }

    /// Events that retention removed, by gatepost's own tally.
    pub fn n_pruned(&self) -> anyhow::Result<u64> {
        self.count("select cast(coalesce(sum(pruned_events), 0) as bigint) from tally")
    }

    /// Events that are stored, each with its delivery.
    pub fn n_events(&self) -> anyhow::Result<u64> {
        let sql = "select count(*) from event where exists (select from delivery where event_id = event.id)";
        match self.engine {
            Engine::Sqlite => self.count(&sql.replace("select from", "select 1 from")),
            Engine::Postgres => self.count(sql),
        }
    }

    fn count(&self, sql: &str) -> anyhow::Result<u64> {
        let count: i64 = match self.engine {
            Engine::Sqlite => {
                let connection = rusqlite::Connection::open(&self.name)?;
                connection.busy_timeout(Duration::from_secs(5))?;
                connection.query_row(sql, [], |row| row.get(0))?
            }
            Engine::Postgres => crate::runtime()?.block_on(async {
                let client = rows::connect(&self.url).await?;
                anyhow::Ok(client.query_one(sql, &[]).await?.get(0))
            })?,
        };
        Ok(u64::try_from(count)?)
    }

    /// How far the server's log has been written, in bytes; `None` on SQLite, whose log is a ring.
    pub fn log_position(&self) -> anyhow::Result<Option<u64>> {
        match self.engine {
            Engine::Sqlite => Ok(None),
            Engine::Postgres => self
                .count("select cast(pg_current_wal_insert_lsn() - '0/0' as bigint)")
                .map(Some),
        }
    }

    fn admin(&self, statements: &[&str]) -> anyhow::Result<()> {
        if self.engine == Engine::Sqlite {
            return Ok(());
        }
        crate::runtime()?.block_on(async {
            let client = rows::connect(&self.server.replace("{}", "postgres")).await?;
            for it in statements {
                client
                    .batch_execute(it)
                    .await
                    .with_context(|| format!("`{it}` failed"))?;
            }
            Ok(())
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        match self.engine {
            Engine::Sqlite => {
                for suffix in ["", "-wal", "-shm", ".lock"] {
                    let _ = fs::remove_file(format!("{}{suffix}", self.name));
                }
            }
            Engine::Postgres => {
                let _ = self.admin(&[&format!("drop database if exists {} with (force)", self.name)]);
            }
        }
    }
}

/// The same URL with `{}` in place of the database's name.
fn with_placeholder(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::new();
    };
    let (rest, query) = rest
        .split_once('?')
        .map_or((rest, String::new()), |(rest, query)| (rest, format!("?{query}")));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}/{{}}{query}")
}
