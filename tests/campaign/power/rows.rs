//! SQLite without gatepost: rows that are committed, and counted after the loss.

use std::path::Path;

use sqlx::{
    ConnectOptions, Connection, Executor, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::runtime::Runtime;

pub(crate) const N_ROWS: i64 = 40;

pub(crate) fn commit(directory: &Path, synchronous: SqliteSynchronous) {
    block_on(async {
        let mut conn = SqliteConnectOptions::new()
            .filename(directory.join("rows.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .connect()
            .await
            .unwrap();
        conn.execute("create table row (id integer primary key)")
            .await
            .unwrap();
        for _ in 0..N_ROWS {
            conn.execute("insert into row default values").await.unwrap();
        }
        // Never closed: that would copy the log back.
        std::mem::forget(conn);
    });
}

pub(crate) fn count(directory: &Path) -> i64 {
    block_on(async {
        let mut conn = SqliteConnectOptions::new()
            .filename(directory.join("rows.db"))
            .connect()
            .await
            .ok()?;
        let n_rows = sqlx::query_scalar("select count(*) from row")
            .fetch_one(&mut conn)
            .await
            .ok()?;
        conn.close().await.ok()?;
        Some(n_rows)
    })
    .unwrap_or(0)
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A reader in the middle of a transaction: what it sees must stay in the log.
pub(crate) struct Reader {
    runtime: Runtime,
    conn: SqliteConnection,
}

impl Reader {
    pub(crate) fn begin(database: &Path) -> Self {
        let runtime = runtime();
        let conn = runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(database).read_only(true);
            let mut conn = options.connect().await.unwrap();
            conn.execute("begin; select count(*) from sqlite_schema")
                .await
                .unwrap();
            conn
        });
        Self { runtime, conn }
    }

    pub(crate) fn end(self) {
        self.runtime.block_on(self.conn.close()).unwrap();
    }
}
