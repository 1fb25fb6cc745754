//! Connecting, refusing what is not durable, migrating, and telling an operator what is there.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, Row,
    migrate::{Migrate, MigrateError},
    postgres::{PgConnectOptions, PgRow},
};

use crate::store::{
    Settings,
    error::StoreError,
    migrations,
    pool::on,
    pool::{Limits, Pool},
    postgres::{Engine, slots::Slots},
};

/// After this long the server cancels a statement of ingest.
pub(super) const INGEST_LIMIT: Duration = Duration::from_secs(5);
const INGEST_LIMIT_MS: &str = "5000";

/// The oldest version that is known to work.
const OLDEST: i32 = 13;

/// A statement that is prepared while its table is empty keeps a plan that reads the whole table until the table is
/// analyzed, which may be a minute and a million rows later. Every statement here has an index, so it is told to use it.
const INDEXED: &[(&str, &str)] = &[("jit", "off"), ("enable_seqscan", "off")];

/// Besides, where rows are joined with large tables: one by one, by their ids.
const NESTED: &[(&str, &str)] = &[("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// Besides, for the few statements that run hundreds of times a second: planned once. The server would plan a claim anew each
/// time, since it takes a list of unknown length for a long one; that took half as long as the claim itself.
const PLANNED_ONCE: &[(&str, &str)] = &[("plan_cache_mode", "force_generic_plan")];

/// What the server says of itself.
struct Server {
    version: i32,
    version_text: String,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    synchronous_standby_names: String,
    is_read_only: bool,
}

impl Engine {
    pub(in crate::store) async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let url = settings.url.expose_str().unwrap_or_default();
        let options = PgConnectOptions::from_str(url)?
            .application_name("gatepost")
            .log_statements(tracing::log::LevelFilter::Off)
            .log_slow_statements(tracing::log::LevelFilter::Off, Duration::ZERO);
        let limits = |name, deadline| Limits {
            name,
            n_connections: settings.max_connections.max(1),
            patience: Duration::from_secs(3),
            deadline: Duration::from_secs(deadline),
            max_age: Duration::from_mins(30),
        };
        let mut first = Pool::<PgConnection>::new(options.clone(), limits("first", 5));
        let server = on!(&first, |conn| Server::ask(conn).await)?;
        first.close().await;
        server.check()?;

        let is_pooled = url.contains("statement_cache_capacity=0");
        let limited = |statement_ms, plans| server.limit(options.clone(), statement_ms, plans, is_pooled);
        first = Pool::new(limited(INGEST_LIMIT_MS, &[INDEXED])?, limits("ingest", 7));
        let engine = Self {
            ingest: first,
            delivery: Pool::new(
                limited("10000", &[INDEXED, NESTED, PLANNED_ONCE])?,
                limits("delivery", 12),
            ),
            chores: Pool::new(
                limited("30000", &[INDEXED, NESTED])?,
                Limits {
                    n_connections: 2,
                    ..limits("chores", 35)
                },
            ),
            admin: Pool::new(limited("30000", &[])?, limits("admin", 35)),
            options,
            slots: Slots::new(),
        };
        engine.ingest.fill(settings.max_connections.max(1)).await?;
        engine.delivery.fill(1).await?;
        Ok(engine)
    }

    pub(in crate::store) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        // A connection of its own: it may wait long for the lock, and after an error it must not be used again.
        let mut conn = self.options.connect().await?;
        let names = migrations::apply(&mut conn, &migrations::postgres()).await?;
        conn.close().await?;
        Ok(names)
    }

    pub(in crate::store) async fn pending_migrations(&self) -> Result<Vec<String>, StoreError> {
        on!(&self.admin, |conn| {
            let has_table: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
                .fetch_one(&mut *conn)
                .await?;
            let applied = if has_table {
                let result = conn.list_applied_migrations("_sqlx_migrations").await;
                result.map_err(|error| match error {
                    MigrateError::Execute(error) => StoreError::from(error),
                    other => StoreError::from(sqlx::Error::Protocol(other.to_string())),
                })?
            } else {
                Vec::new()
            };
            let all = migrations::postgres();
            let missing = migrations::missing(&all, &applied)?;
            Ok(missing.iter().map(|it| it.description.to_string()).collect())
        })
    }

    pub(in crate::store) async fn describe(&self) -> Result<Vec<(String, String)>, StoreError> {
        on!(&self.admin, |conn| {
            let server = Server::ask(conn).await?;
            let size: i64 = sqlx::query_scalar("select pg_database_size(current_database())")
                .fetch_one(&mut *conn)
                .await?;
            let compression = include_str!("sql/compression.sql");
            let compression: String = sqlx::query_scalar(compression).fetch_one(&mut *conn).await?;
            let lines = [
                ("engine", "Postgres".to_owned()),
                ("version", server.version_text),
                ("fsync", server.fsync),
                ("full_page_writes", server.full_page_writes),
                ("synchronous_commit", server.synchronous_commit),
                ("synchronous_standby_names", server.synchronous_standby_names),
                ("body compression", compression),
                ("size", format!("{size} bytes")),
            ];
            Ok(lines.map(|(name, value)| (name.to_owned(), value)).into())
        })
    }

    pub(in crate::store) async fn ping(&self) -> Result<(), StoreError> {
        on!(&self.ingest, |conn| {
            let is_read_only: bool = sqlx::query_scalar(
                "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean",
            )
            .fetch_one(conn)
            .await?;
            if is_read_only { Err(read_only()) } else { Ok(()) }
        })
    }
}

impl Server {
    async fn ask(conn: &mut PgConnection) -> Result<Self, StoreError> {
        let row = sqlx::query(include_str!("sql/server.sql"))
            .fetch_one(conn)
            .await?;
        Ok(Self::read(&row)?)
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            version: row.try_get("version")?,
            version_text: row.try_get("version_text")?,
            fsync: row.try_get("fsync")?,
            full_page_writes: row.try_get("full_page_writes")?,
            synchronous_commit: row.try_get("synchronous_commit")?,
            synchronous_standby_names: row.try_get("synchronous_standby_names")?,
            is_read_only: row.try_get("is_read_only")?,
        })
    }

    fn check(&self) -> Result<(), StoreError> {
        let unusable = |reason: String, hint: &str| {
            Err(StoreError::Unusable {
                reason,
                hint: hint.to_owned(),
            })
        };
        if self.version / 10_000 < OLDEST {
            return unusable(
                format!(
                    "Postgres {} is too old, expected {OLDEST} or later",
                    self.version_text
                ),
                "upgrade the server",
            );
        }
        for (name, value) in [
            ("fsync", &self.fsync),
            ("full_page_writes", &self.full_page_writes),
        ] {
            if value != "on" {
                return unusable(
                    format!("the server has `{name}` = `{value}`: a crash would lose acknowledged events"),
                    "set it to `on` in postgresql.conf and reload",
                );
            }
        }
        if self.is_read_only {
            return Err(read_only());
        }
        Ok(())
    }

    /// Time limits for every session, and a commit that waits for the disk whatever the server's default.
    fn limit(
        &self,
        options: PgConnectOptions,
        statement_ms: &'static str,
        plans: &[&[(&'static str, &'static str)]],
        is_pooled: bool,
    ) -> Result<PgConnectOptions, StoreError> {
        let is_lazy = matches!(self.synchronous_commit.as_str(), "off" | "local");
        if is_pooled {
            // PgBouncer in transaction mode takes no session settings.
            return if is_lazy {
                Err(StoreError::Unusable {
                    reason: format!(
                        "the server has `synchronous_commit` = `{}`: a crash would lose acknowledged events",
                        self.synchronous_commit
                    ),
                    hint: "run `alter role ... set synchronous_commit = on` for gatepost's user".to_owned(),
                })
            } else {
                Ok(options)
            };
        }
        let options = options.options([
            ("statement_timeout", statement_ms),
            ("lock_timeout", "3000"),
            ("idle_in_transaction_session_timeout", "10000"),
            // A replica that vanished without a word gives its sessions back within 90 s, not two hours.
            ("tcp_keepalives_idle", "60"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
        ]);
        let options = options.options(plans.iter().copied().flatten().copied());
        Ok(if is_lazy {
            options.options([("synchronous_commit", "on")])
        } else {
            options
        })
    }
}

fn read_only() -> StoreError {
    StoreError::ReadOnly {
        reason: "the server is a standby, or takes no writes by default".to_owned(),
    }
}
