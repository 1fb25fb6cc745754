//! Connecting, refusing what is not durable, migrating, and telling an operator what is there.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, Postgres, QueryBuilder, Row, SqlStr,
    migrate::{Migrate, MigrateError},
    postgres::{PgConnectOptions, PgRow},
};

use crate::store::{
    PoolMode, Settings,
    error::StoreError,
    migrations,
    pool::{Limits, Pool, on},
    postgres::{Engine, slots::Slots},
};

/// After this long the server cancels a statement of ingest.
pub(super) const INGEST_LIMIT: Duration = Duration::from_secs(5);
const INGEST_LIMIT_MS: &str = "5000";

/// The oldest version that is known to work.
const OLDEST: i32 = 13;

/// A name and its value.
type Setting = (&'static str, &'static str);

/// A statement that is prepared while its table is empty keeps a plan that reads the whole table until the table is
/// analyzed, which may be a minute and a million rows later. Every statement here has an index, so it is told to use it.
const INDEXED: &[Setting] = &[("jit", "off"), ("enable_seqscan", "off")];

/// Besides, where rows are joined with large tables: one by one, by their ids.
const NESTED: &[Setting] = &[("enable_hashjoin", "off"), ("enable_mergejoin", "off")];

/// Besides, for the few statements that run hundreds of times a second: planned once. The server would plan a claim anew each
/// time, since it takes a list of unknown length for a long one; that took half as long as the claim itself.
const PLANNED_ONCE: &[Setting] = &[("plan_cache_mode", "force_generic_plan")];

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
        let pool_mode = settings.pool_mode;
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
        let options = match pool_mode {
            PoolMode::Session => options,
            // The pooler knows nothing of what sqlx sets at the start, and a statement is prepared for one transaction only.
            PoolMode::Transaction => options.extra_float_digits(None::<i8>).statement_cache_capacity(0),
        };
        let pool = |limits, set: &[Setting]| make_pool(options.clone(), limits, pool_mode, set);
        let mut first = pool(limits("first", 5), &[]);
        let server = on!(&first, |conn| Server::ask(conn).await)?;
        first.close().await;
        server.check()?;

        let limited = |limits, statement_ms, plans: &[&[Setting]]| {
            let mut settings = server.session(statement_ms);
            settings.extend(plans.concat());
            pool(limits, &settings)
        };
        first = limited(limits("ingest", 7), INGEST_LIMIT_MS, &[INDEXED]);
        let engine = Self {
            ingest: first,
            delivery: limited(limits("delivery", 12), "10000", &[INDEXED, NESTED, PLANNED_ONCE]),
            chores: limited(
                Limits {
                    n_connections: 2,
                    ..limits("chores", 35)
                },
                "30000",
                &[INDEXED, NESTED],
            ),
            admin: limited(limits("admin", 35), "30000", &[]),
            options,
            pool_mode,
            slots: Slots::new(),
        };
        engine.ingest.fill(settings.max_connections.max(1)).await?;
        engine.delivery.fill(1).await?;
        Ok(engine)
    }

    pub(in crate::store) async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        // A connection of its own: it may wait long for the lock, and after an error it must not be used again.
        let mut conn = self.options.connect().await?;
        let all = migrations::postgres();
        let names = match self.pool_mode {
            PoolMode::Session => migrations::apply(&mut conn, &all).await?,
            PoolMode::Transaction => {
                let mut transaction = conn.begin_with(begin_with(&[])).await?;
                migrations::lock_until_commit(&mut transaction).await?;
                let names = migrations::apply(&mut *transaction, &all).await?;
                transaction.commit().await?;
                names
            }
        };
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

    /// Time limits, and a commit that waits for the disk whatever the server's default.
    fn session(&self, statement_ms: &'static str) -> Vec<Setting> {
        let mut settings = vec![
            ("statement_timeout", statement_ms),
            ("lock_timeout", "3000"),
            ("idle_in_transaction_session_timeout", "10000"),
            // A replica that vanished without a word gives its sessions back within 90 s, not two hours.
            ("tcp_keepalives_idle", "60"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
        ];
        if matches!(self.synchronous_commit.as_str(), "off" | "local") {
            settings.push(("synchronous_commit", "on"));
        }
        settings
    }
}

/// Connections with these settings: of the session, or of each transaction where there is no session of ours.
fn make_pool(
    options: PgConnectOptions,
    limits: Limits,
    pool_mode: PoolMode,
    settings: &[Setting],
) -> Pool<PgConnection> {
    match pool_mode {
        PoolMode::Session => Pool::new(options.options(settings.iter().copied()), limits),
        PoolMode::Transaction => Pool::new(options, limits).in_transactions(begin_with(settings)),
    }
}

/// One message, so that the pooler lends the same session for all of it. What others prepared there goes by the same names as
/// what we prepare, so it goes first.
fn begin_with(settings: &[Setting]) -> SqlStr {
    let mut sql = QueryBuilder::<Postgres>::new("begin; deallocate all");
    for (name, value) in settings.iter().filter(|(name, _)| !name.starts_with("tcp_")) {
        sql.push("; set local ")
            .push(name)
            .push(" = '")
            .push(value)
            .push("'");
    }
    sql.into_sql()
}

fn read_only() -> StoreError {
    StoreError::ReadOnly {
        reason: "the server is a standby, or takes no writes by default".to_owned(),
    }
}
