//! The store in one SQLite file.
//!
//! One writes at a time, a few read. WAL with `synchronous=FULL`: a commit is on the disk when it is answered. One
//! process at a time, held by a lock file. What comes in and what is settled goes through `direct`, a transaction at a call;
//! all else through sqlx, whose every statement goes to a thread of its connection and back.

mod access;
mod audit;
mod claim;
mod clock;
mod direct;
pub(super) mod error;
mod hold;
mod ids;
mod issue;
mod job;
mod ledger;
mod list;
mod lock;
mod once;
mod open;
mod operate;
mod record;
mod reject;
mod retention;
mod rhythm;
mod settle;

use std::{path::PathBuf, sync::atomic::AtomicBool};

use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::Pool,
        sqlite::{clock::SteadyClock, direct::Direct, lock::FileLock, open::Identity},
    },
};

#[derive(Debug)]
pub(super) struct Engine {
    writer: Pool<SqliteConnection>,
    /// In use only while the writer is lent.
    direct: Direct,
    readers: Pool<SqliteConnection>,
    /// Copies the log back into the file while the writer goes on.
    checkpointer: Pool<SqliteConnection>,
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

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.checkpointer.close().await;
        self.writer.close().await;
        self.direct.close();
    }
}

/// A transaction that has the right to write from its start: one that asks for it later is refused at once where
/// another writes, without waiting.
async fn begin(conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    use sqlx::Connection;
    Ok(conn.begin_with("begin immediate").await?)
}
