//! The store on Postgres 13 and later.
//!
//! Pools of their own for ingest, deliveries, chores and the admin side, so that none can slow an acknowledgement. Every verb is one statement
//! wherever that can be: a statement outside a transaction commits by itself, which saves the round trips of `begin`
//! and `commit`. Behind a pooler that lends transactions each call is one: `pool` begins and ends it.

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
mod dialect;
pub(super) mod error;
mod mark;
mod once;
mod open;
mod order;
mod prune;
mod record;
mod reject;
mod replay;
mod settle;
mod slots;
mod warnings;

use sqlx::{Executor, Postgres, Transaction};

use crate::{
    base::{clock::Timestamp, ids::WorkerId},
    store::{
        PoolMode,
        error::StoreError,
        pool::{Pool, on},
        postgres::slots::Slots,
        value::Time,
    },
};

type Connection = sqlx::PgConnection;

#[derive(Debug)]
pub(super) struct Engine {
    ingest: Pool<Connection>,
    delivery: Pool<Connection>,
    /// Retention and the marking of what is held.
    chores: Pool<Connection>,
    admin: Pool<Connection>,
    /// Without the time limits of the pools, for migrations.
    options: sqlx::postgres::PgConnectOptions,
    pool_mode: PoolMode,
    slots: Slots,
}

impl Engine {
    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        on!(&self.delivery, |conn| {
            let now: Time = sqlx::query_scalar("select clock_timestamp()")
                .fetch_one(conn)
                .await?;
            Ok(now.0)
        })
    }

    pub(in crate::store) async fn attend(
        &self,
        worker: WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<u32, StoreError> {
        on!(&self.delivery, |conn| {
            let n_there: i64 = sqlx::query_scalar(include_str!("sql/attend.sql"))
                .bind(worker.uuid())
                .bind(Time(now))
                .bind(Time(until))
                .fetch_one(conn)
                .await?;
            Ok(u32::try_from(n_there).unwrap_or(u32::MAX))
        })
    }

    #[expect(clippy::unused_async, reason = "the other engine has work to do")]
    pub(super) async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.admin.close().await;
        self.chores.close().await;
        self.delivery.close().await;
        self.ingest.close().await;
    }

    const fn admin_reader(&self) -> &Pool<Connection> {
        &self.admin
    }

    const fn admin_writer(&self) -> &Pool<Connection> {
        &self.admin
    }

    const fn chore_reader(&self) -> &Pool<Connection> {
        &self.chores
    }

    const fn chore_writer(&self) -> &Pool<Connection> {
        &self.chores
    }
}

async fn begin(conn: &mut Connection) -> Result<Transaction<'_, Postgres>, StoreError> {
    use sqlx::Connection as _;
    Ok(conn.begin().await?)
}

/// Where the call is a transaction: keeps what it did until now, and goes on.
async fn commit_so_far(conn: &mut Connection) -> Result<(), StoreError> {
    use sqlx::Connection as _;
    if conn.is_in_transaction() {
        conn.execute("commit; begin").await?;
    }
    Ok(())
}

/// A transaction that sees one moment throughout, and changes nothing.
async fn snapshot(conn: &mut Connection) -> Result<Transaction<'_, Postgres>, StoreError> {
    use sqlx::Connection as _;
    if conn.is_in_transaction() {
        // The call is one, which has done nothing so far and cannot become another. In one message, so that it keeps its session.
        conn.execute("rollback; begin isolation level repeatable read read only")
            .await?;
        return Ok(conn.begin().await?);
    }
    Ok(conn
        .begin_with("begin isolation level repeatable read read only")
        .await?)
}
