//! The store on Postgres 13 and later.
//!
//! Pools of their own for ingest, deliveries, chores and the admin side, so that none can slow an acknowledgement. Every verb is one statement
//! wherever that can be: a statement outside a transaction commits by itself, which saves the round trips of `begin`
//! and `commit`.

mod access;
mod audit;
mod claim;
pub(super) mod error;
mod hold;
mod issue;
mod job;
mod ledger;
mod list;
mod once;
mod open;
mod operate;
mod order;
mod record;
mod reject;
mod retention;
mod rhythm;
mod settle;
mod slots;
mod warnings;

use sqlx::PgConnection;

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        pool::{Pool, on},
        postgres::slots::Slots,
        value::Time,
    },
};

#[derive(Debug)]
pub(super) struct Engine {
    ingest: Pool<PgConnection>,
    delivery: Pool<PgConnection>,
    /// Retention and the marking of what is held.
    chores: Pool<PgConnection>,
    admin: Pool<PgConnection>,
    /// Without the time limits of the pools, for migrations.
    options: sqlx::postgres::PgConnectOptions,
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
}
