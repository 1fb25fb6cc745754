//! The store in one SQLite file.
//!
//! One writes at a time, a few read. WAL with `synchronous=FULL`: a commit is on the disk when it is answered. One
//! process at a time, held by a lock file. What comes in and what is settled goes through `direct`, a transaction at a call;
//! all else through sqlx, whose every statement goes to a thread of its connection and back.

#[path = "../common/access.rs"]
mod access;
#[path = "../common/audit.rs"]
mod audit;
#[path = "../common/hold.rs"]
mod hold;
#[path = "../common/issue.rs"]
mod issue;
#[path = "../common/job.rs"]
mod job;
#[path = "../common/ledger.rs"]
mod ledger;
#[path = "../common/list.rs"]
mod list;
#[path = "../common/operate.rs"]
mod operate;
#[path = "../common/program.rs"]
mod program;
#[path = "../common/retention.rs"]
mod retention;
#[path = "../common/rhythm.rs"]
mod rhythm;

mod advance;
mod claim;
mod clock;
mod dialect;
mod direct;
pub(super) mod error;
mod ids;
mod lock;
mod mark;
mod once;
mod open;
mod prune;
mod record;
mod reject;
mod replay;
mod settle;

use std::{path::PathBuf, sync::atomic::AtomicBool};

use sqlx::{Sqlite, Transaction};

use crate::{
    base::{clock::Timestamp, ids::WorkerId},
    store::{
        error::StoreError,
        pool::Pool,
        sqlite::{clock::SteadyClock, direct::Direct, lock::FileLock, open::Identity},
    },
};

type Connection = sqlx::SqliteConnection;

#[derive(Debug)]
pub(super) struct Engine {
    writer: Pool<Connection>,
    /// In use only while the writer is lent.
    direct: Direct,
    readers: Pool<Connection>,
    /// Copies the log back into the file while the writer goes on.
    checkpointer: Pool<Connection>,
    path: PathBuf,
    /// The last commit of events failed, so a lock alone does not show whether the next one would go in.
    is_suspect: AtomicBool,
    /// Which file it was when it was opened.
    identity: Identity,
    clock: SteadyClock,
    _lock: FileLock,
}

impl Engine {
    #[expect(clippy::unused_async, reason = "the other engine asks its server")]
    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    /// One process has the file.
    #[expect(clippy::unused_async, reason = "the other engine has work to do")]
    pub(in crate::store) async fn attend(
        &self,
        _worker: WorkerId,
        _now: Timestamp,
        _until: Timestamp,
    ) -> Result<u32, StoreError> {
        Ok(1)
    }

    /// Of the file system that the file is on.
    pub(super) fn free_space(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.checkpointer.close().await;
        self.writer.close().await;
        self.direct.close();
    }

    const fn admin_reader(&self) -> &Pool<Connection> {
        &self.readers
    }

    const fn admin_writer(&self) -> &Pool<Connection> {
        &self.writer
    }

    const fn chore_reader(&self) -> &Pool<Connection> {
        &self.readers
    }

    const fn chore_writer(&self) -> &Pool<Connection> {
        &self.writer
    }
}

/// A transaction that has the right to write from its start: one that asks for it later is refused at once where
/// another writes, without waiting.
async fn begin(conn: &mut Connection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    use sqlx::Connection as _;
    Ok(conn.begin_with("begin immediate").await?)
}

/// A transaction that sees one moment throughout.
async fn snapshot(conn: &mut Connection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    use sqlx::Connection as _;
    Ok(conn.begin().await?)
}
