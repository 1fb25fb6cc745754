//! Opening the file, refusing what is not durable, migrating, and telling an operator what is there.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqliteConnection,
    migrate::{Migrate, MigrateError},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    base::trial::{self, Flaw},
    store::{
        Settings,
        error::StoreError,
        migrations,
        pool::on,
        pool::{Limits, Pool},
        sqlite::{Engine, begin, clock::SteadyClock, direct::Direct, lock::FileLock},
    },
};

/// The first version without the WAL-reset bug, which could lose committed data.
const OLDEST: [u32; 3] = [3, 51, 3];

/// Device and number of a file: another file under the same name has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Engine {
    pub(in crate::store) async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let path = path_of(settings.url.expose_str().unwrap_or_default())?;
        make_directory(&path)?;
        if path.is_dir() {
            return Err(StoreError::Unusable {
                reason: format!("`{}` is a directory", path.display()),
                hint: "name a file in it, as in `sqlite:data/gatepost.db`".to_owned(),
            });
        }
        let lock = FileLock::take(&path)?;
        sync_names(&path);
        if fs::metadata(&path).is_ok_and(|it| it.permissions().readonly()) {
            return Err(StoreError::ReadOnly {
                reason: format!("`{}` may not be written", path.display()),
            });
        }
        let writer = Pool::<SqliteConnection>::new(writer_options(&path), limits("writer", 1, 30));
        writer.fill(1).await.map_err(|error| explain(error, &path))?;
        on!(&writer, |conn| assert_durable(conn).await).map_err(|error| explain(error, &path))?;
        let readers = Pool::<SqliteConnection>::new(reader_options(&path), limits("readers", 3, 30));
        let checkpointer =
            Pool::<SqliteConnection>::new(checkpointer_options(&path), limits("checkpointer", 1, 30));
        let direct = Direct::open(&path).map_err(|error| explain(error, &path))?;
        let identity = identity(&path)?;
        Ok(Self {
            writer,
            direct,
            readers,
            checkpointer,
            path,
            is_suspect: AtomicBool::new(false),
            identity,
            clock: SteadyClock::new(),
            _lock: lock,
        })
    }

    pub(in crate::store) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        on!(&self.writer, |conn| migrations::apply(
            conn,
            &migrations::sqlite()
        )
        .await)
    }

    pub(in crate::store) async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        on!(&self.readers, |conn| {
            let n_tables: i64 =
                sqlx::query_scalar("select count(*) from sqlite_schema where name = '_sqlx_migrations'")
                    .fetch_one(&mut *conn)
                    .await?;
            let applied = if n_tables == 0 {
                Vec::new()
            } else {
                let result = conn.list_applied_migrations("_sqlx_migrations").await;
                result.map_err(|error| match error {
                    MigrateError::Execute(error) => StoreError::from(error),
                    other => StoreError::from(sqlx::Error::Protocol(other.to_string())),
                })?
            };
            let all = migrations::sqlite();
            let missing = migrations::missing(&all, &applied)?;
            Ok(missing.iter().map(|it| it.description.to_string()).collect())
        })
    }

    pub(in crate::store) async fn describe(&self) -> Result<Vec<(String, String)>, StoreError> {
        on!(&self.writer, |conn| {
            let version: String = sqlx::query_scalar("select sqlite_version()")
                .fetch_one(&mut *conn)
                .await?;
            let mode: String = sqlx::query_scalar("pragma journal_mode")
                .fetch_one(&mut *conn)
                .await?;
            let synchronous: i64 = sqlx::query_scalar("pragma synchronous")
                .fetch_one(&mut *conn)
                .await?;
            let size = |suffix: &str| {
                let mut path = self.path.as_os_str().to_owned();
                path.push(suffix);
                fs::metadata(path).map_or(0, |it| it.len())
            };
            let lines = [
                ("engine", "SQLite".to_owned()),
                ("version", version),
                ("file", self.path.display().to_string()),
                ("journal_mode", mode),
                (
                    "synchronous",
                    if synchronous == 2 {
                        "full".to_owned()
                    } else {
                        synchronous.to_string()
                    },
                ),
                ("size", format!("{} bytes", size(""))),
                ("size of the write-ahead log", format!("{} bytes", size("-wal"))),
            ];
            Ok(lines.map(|(name, value)| (name.to_owned(), value)).into())
        })
    }

    /// A file that was removed or replaced under us still takes writes, which nobody would ever read.
    pub(super) fn assert_same_file(&self) -> Result<(), StoreError> {
        if identity(&self.path).ok() == Some(self.identity) {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            reason: format!(
                "`{}` was removed or replaced while it was open",
                self.path.display()
            ),
            source: None,
        })
    }

    /// Copies what the log holds back into the file, as far as no reader is in the way, while the writer goes on. Nobody can
    /// begin the log anew while anything is left to copy, and under a load that never rests something always is: so
    /// where it is long, the rest is copied while nobody writes. That rest is what came in during the last of some more
    /// copies, so that the writer waits a few milliseconds and not for all of it.
    pub(in crate::store) async fn checkpoint(&self) -> Result<(), StoreError> {
        if self.copy_log().await? < LONG_LOG {
            return Ok(());
        }
        self.copy_log().await?;
        self.copy_log().await?;
        on!(&self.writer, |_writer| self.copy_log().await.map(drop))
    }

    /// How many pages the log has, copied or not.
    async fn copy_log(&self) -> Result<i64, StoreError> {
        on!(&self.checkpointer, |conn| {
            let (_is_busy, n_pages, _n_copied): (i64, i64, i64) =
                sqlx::query_as("pragma wal_checkpoint(passive)")
                    .fetch_one(conn)
                    .await?;
            Ok(n_pages)
        })
    }

    /// Takes the right to write and gives it back. After a commit that failed it also commits something, which changes
    /// nothing: a disk that is full or read-only shows only then.
    pub(in crate::store) async fn ping(&self) -> Result<(), StoreError> {
        self.assert_same_file()?;
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            if self.is_suspect.load(Ordering::Relaxed) {
                // There and back: what is equal already is not written.
                for change in [
                    "update tally set received = received + 1",
                    "update tally set received = received - 1",
                ] {
                    sqlx::query(change).execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await?;
            Ok(())
        })?;
        self.is_suspect.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// From so many pages on the log is begun anew.
const LONG_LOG: i64 = 8000;

/// How long a connection waits for the right to write.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// How connections that write are set. 8 MiB of pages. The log is copied back by `checkpoint`; a writer does so itself only
/// past 64 MiB, where that does not keep up.
pub(super) fn pragmas() -> [(&'static str, &'static str); 5] {
    let is_flawed = trial::has(Flaw::SynchronousNormal);
    [
        ("synchronous", if is_flawed { "normal" } else { "full" }),
        ("cache_size", "-8192"),
        ("wal_autocheckpoint", "16000"),
        ("journal_size_limit", "67108864"),
        ("temp_store", "memory"),
    ]
}

fn limits(name: &'static str, n_connections: u32, deadline: u64) -> Limits {
    Limits {
        name,
        n_connections,
        patience: Duration::from_secs(4),
        deadline: Duration::from_secs(deadline),
        max_age: Duration::MAX,
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false)
        .log_statements(tracing::log::LevelFilter::Off)
        .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO)
}

fn writer_options(path: &Path) -> SqliteConnectOptions {
    let mut options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    for (name, value) in pragmas() {
        options = options.pragma(name, value);
    }
    options
}

fn checkpointer_options(path: &Path) -> SqliteConnectOptions {
    options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-512")
}

fn reader_options(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true).pragma("cache_size", "-2048")
}

/// `sqlite:PATH`, with or without slashes.
fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let unusable = |reason: &str, hint: &str| StoreError::Unusable {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    };
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .unwrap_or(url);
    let path = path.split('?').next().unwrap_or_default();
    if path.contains(":memory:") {
        return Err(unusable(
            "an SQLite store in memory keeps nothing",
            "name a file, as in `sqlite:data/gatepost.db`",
        ));
    }
    if path.is_empty() {
        return Err(unusable(
            "the `url` names no file",
            "name one, as in `sqlite:data/gatepost.db`",
        ));
    }
    Ok(path.into())
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .recursive(true)
        // Bodies may hold personal data: for this user alone.
        .mode(0o700)
        .create(directory)
        .map_err(|error| StoreError::Unusable {
            reason: format!("the directory `{}` cannot be made: {error}", directory.display()),
            hint: "make it, writable for this user, or name a file elsewhere".to_owned(),
        })
}

/// Makes the names of the directories last, whoever made them: with one of them, a power loss takes all that was ever
/// committed in it. For the names in the file's own directory, SQLite sees to it.
fn sync_names(path: &Path) {
    for directory in path.ancestors().skip(2) {
        let is_here = directory.as_os_str().is_empty();
        let directory = if is_here { Path::new(".") } else { directory };
        // Some may not be read, and some file systems cannot do it; SQLite goes on then, too.
        let _ = fs::File::open(directory).and_then(|it| it.sync_all());
    }
}

fn identity(path: &Path) -> Result<Identity, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::Unavailable {
        reason: format!("`{}`: {error}", path.display()),
        source: None,
    })?;
    Ok(Identity(metadata.dev(), metadata.ino()))
}

/// Names the file in what SQLite says without it.
fn explain(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Unusable { reason, hint } => StoreError::Unusable {
            reason: format!("`{}`: {reason}", path.display()),
            hint,
        },
        other => other,
    }
}

async fn assert_durable(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let version: String = sqlx::query_scalar("select sqlite_version()")
        .fetch_one(&mut *conn)
        .await?;
    let mode: String = sqlx::query_scalar("pragma journal_mode")
        .fetch_one(&mut *conn)
        .await?;
    let synchronous: i64 = sqlx::query_scalar("pragma synchronous")
        .fetch_one(&mut *conn)
        .await?;
    if !is_new_enough(&version) {
        return Err(StoreError::Unusable {
            reason: format!("SQLite {version} can lose committed data, expected 3.51.3 or later"),
            hint: "use a released gatepost, which brings its own SQLite".to_owned(),
        });
    }
    assert_settings(&mode, synchronous)
}

/// Refuses a connection that writes and whose commits would not last.
pub(super) fn assert_settings(mode: &str, synchronous: i64) -> Result<(), StoreError> {
    // Some file systems have no shared memory, which WAL needs; SQLite then stays in another mode without a word.
    if mode != "wal" || (synchronous != 2 && !trial::has(Flaw::SynchronousNormal)) {
        return Err(StoreError::Unusable {
            reason: format!("journal_mode is `{mode}` and synchronous {synchronous}, expected `wal` and 2"),
            hint: "put the file on a local file system".to_owned(),
        });
    }
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map(|it| it.parse().unwrap_or(0)).collect();
    parts.as_slice() >= &OLDEST[..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e17_versions_with_the_wal_reset_bug_are_known() {
        for (version, is_fine) in [
            ("3.51.2", false),
            ("3.51.3", true),
            ("3.52.0", true),
            ("3.9.99", false),
            ("4.0.0", true),
        ] {
            assert_eq!(is_new_enough(version), is_fine, "{version}");
        }
    }

    #[test]
    fn a_url_names_a_file() {
        for (url, path) in [
            ("sqlite:data/gatepost.db", "data/gatepost.db"),
            ("sqlite:///var/lib/gatepost.db", "/var/lib/gatepost.db"),
            ("sqlite:/var/lib/gatepost.db?mode=rwc", "/var/lib/gatepost.db"),
        ] {
            assert_eq!(path_of(url).unwrap(), PathBuf::from(path));
        }
        for url in [
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:",
            "sqlite://?mode=rwc",
        ] {
            assert!(matches!(path_of(url), Err(StoreError::Unusable { .. })), "{url}");
        }
    }
}
