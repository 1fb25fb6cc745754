//! The connection of what comes in and what is settled: a whole transaction is one call.
//!
//! sqlx takes each statement to a thread of its connection and the answer back. A batch has a statement a row, and more than
//! half of its time went by between them; here they run one after the other on one thread. It is the same
//! SQLite, linked once. Whoever uses it has the writer in hand, so that the two never wait for each other's lock.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::store::{
    error::StoreError,
    fault,
    pool::on,
    sqlite::{
        Engine,
        open::{BUSY_TIMEOUT, assert_settings, pragmas},
    },
};

pub(super) struct Direct {
    path: PathBuf,
    /// `None` after a fault, until it is next needed.
    connection: Mutex<Option<Connection>>,
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// One transaction, which has the right to write from its start. It is committed where the work succeeds, else undone.
    /// The work is run again where it can do no harm, so it must not count on being run once.
    pub(super) async fn transact<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> Result<T, StoreError> + Send + Sync,
    ) -> Result<T, StoreError> {
        on!(&self.writer, |_writer| in_place(|| self.direct.transact(&work)))
    }
}

/// Runs what blocks on this thread, whose other tasks another thread takes over. So a batch is begun at once, and the next one
/// after it as well. A runtime with a single thread, which only tests have, waits.
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

impl Direct {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = in_place(|| open(path))?;
        Ok(Self {
            path: path.to_owned(),
            connection: Mutex::new(Some(connection)),
        })
    }

    pub(super) fn close(&self) {
        in_place(|| drop(self.lock().take()));
    }

    fn transact<T>(&self, work: impl Fn(&Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.lock();
        // Taken out, so that one that a panic left in the middle of something is closed.
        let mut open = match connection.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        let result = commit(&mut open, work);
        if !result.as_ref().is_err_and(fault::is_connection_lost) {
            *connection = Some(open);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit<T>(
    connection: &mut Connection,
    work: impl Fn(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let res = work(&transaction)?;
    transaction.commit()?;
    Ok(res)
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    for (name, value) in pragmas() {
        connection.pragma_update(None, name, value)?;
    }
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    assert_settings(&mode, synchronous)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn n_rows(direct: &Direct) -> i64 {
        direct
            .transact(|it| Ok(it.query_row("select count(*) from t", [], |row| row.get(0))?))
            .unwrap()
    }

    #[tokio::test]
    async fn what_fails_or_panics_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("direct.db");
        let batch = "pragma journal_mode = wal; create table t (n integer not null) strict";
        Connection::open(&path).unwrap().execute_batch(batch).unwrap();
        let direct = Direct::open(&path).unwrap();
        let insert = |it: &Transaction<'_>| it.execute("insert into t values (1)", []);

        direct.transact(|it| Ok(insert(it)?)).unwrap();
        let refused = direct.transact(|it| {
            insert(it)?;
            Ok(it.execute("insert into t values (null)", [])?)
        });
        assert!(matches!(refused, Err(StoreError::BadRow { .. })), "{refused:?}");
        assert_eq!(n_rows(&direct), 1);

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            direct.transact(|it| {
                insert(it)?;
                std::panic::panic_any("in the middle of a transaction");
                #[expect(unreachable_code, reason = "says what the closure answers")]
                Ok(())
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(n_rows(&direct), 1);
    }
}
