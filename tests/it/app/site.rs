//! Where one gatepost lives: a directory with its config and secrets, a store, a handler.

use std::{collections::BTreeMap, ops::Deref, path::PathBuf};

use gatepost::{
    app::{self, Role, Running},
    config::{self, Inputs, Settings},
};
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder, SqliteConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

use crate::{
    app::{
        api::{Api, client},
        receiver::Receiver,
        sender::{OTHER_SECRET, SIGNING_SECRET, STRIPE_SECRET},
        soon,
    },
    postgres::{self, TestDatabase},
};

/// Stripe to `billing`, with quick retries. `{}` is the handler's address.
pub(crate) const STRIPE_TO_BILLING: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]

[destinations.billing]
url = "http://{}/billing"
signing_secret = { file = "signing.secret" }
retry = { max_attempts = 4, max_age = "1h", first = "20ms", cap = "100ms" }

[[routes]]
name = "to-billing"
source = "stripe"
destination = "billing"
"#;

pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) receiver: Receiver,
    /// As a process's environment: what a test sets here is stronger than the file.
    pub(crate) environment: BTreeMap<String, String>,
    /// What a process of this site is started by, with the program and its arguments at the end.
    pub(crate) wrapper: Vec<String>,
    place: Place,
}

enum Place {
    Sqlite(PathBuf),
    Postgres(TestDatabase),
}

/// An event as it lies in the store.
#[derive(Debug, Clone)]
pub(crate) struct StoredEvent {
    pub(crate) external_id: Option<String>,
    pub(crate) verified: String,
    pub(crate) body: Vec<u8>,
}

/// Runs the same on a connection of either engine, behind the store's back.
macro_rules! on_either {
    ($site:expr, |$conn:ident| $work:expr) => {
        match &$site.place {
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                let $conn = &mut connection;
                let answer = $work;
                connection.close().await.unwrap();
                answer
            }
            Place::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&$site.store_url()).await.unwrap();
                let $conn = &mut connection;
                let answer = $work;
                connection.close().await.unwrap();
                answer
            }
        }
    };
}

impl Site {
    pub(crate) async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("gatepost.db");
        Self::new(directory, Place::Sqlite(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = postgres::database().await;
        Self::new(TempDir::new().unwrap(), Place::Postgres(database)).await
    }

    /// On a server of its own, whose settings it may change.
    pub(crate) async fn postgres_server() -> Self {
        let database = postgres::server().await;
        Self::new(TempDir::new().unwrap(), Place::Postgres(database)).await
    }

    /// On a database without a schema.
    pub(crate) async fn empty_postgres() -> Self {
        let database = postgres::empty_database().await;
        Self::new(TempDir::new().unwrap(), Place::Postgres(database)).await
    }

    /// On a Postgres of the test's own.
    pub(crate) async fn on(url: &str) -> Self {
        let place = Place::Postgres(TestDatabase::elsewhere(url));
        Self::new(TempDir::new().unwrap(), place).await
    }

    async fn new(directory: TempDir, place: Place) -> Self {
        let mut site = Self {
            directory,
            receiver: Receiver::start().await,
            environment: BTreeMap::new(),
            wrapper: Vec::new(),
            place,
        };
        let url = site.store_url();
        for (name, value) in [
            ("GATEPOST__STORE__URL", url.as_str()),
            ("GATEPOST__STORE__MAX_CONNECTIONS", "4"),
            ("GATEPOST__SERVER__LISTEN", "127.0.0.1:0"),
            ("GATEPOST__ADMIN__LISTEN", "127.0.0.1:0"),
            ("GATEPOST__DELIVERY__POLL", "50ms"),
            ("GATEPOST__LOG__FORMAT", "json"),
        ] {
            site.set(name, value);
        }
        for (name, secret) in [
            ("stripe.secret", STRIPE_SECRET),
            ("other.secret", OTHER_SECRET),
            ("signing.secret", SIGNING_SECRET),
        ] {
            site.write(name, secret);
        }
        site.configure(STRIPE_TO_BILLING);
        site
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // Whole or not at all: a running gatepost looks at these files.
        let path = self.directory.path().join(name);
        let fresh = self.directory.path().join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    /// Writes the config; `{}` becomes the handler's address.
    pub(crate) fn configure(&self, text: &str) {
        let text = text.replace("http://{}/", &format!("http://{}/", self.receiver.address));
        self.write("gatepost.toml", &text);
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.directory.path().join("gatepost.toml")
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres(_))
    }

    pub(crate) fn store_url(&self) -> String {
        match &self.place {
            Place::Sqlite(file) => format!("sqlite:{}", file.display()),
            Place::Postgres(database) => database.url.clone(),
        }
    }

    /// A gatepost in this process.
    pub(crate) async fn start(&self) -> TestApp {
        self.start_as(Role::All).await
    }

    pub(crate) async fn start_as(&self, role: Role) -> TestApp {
        self.start_with(role, |_| ()).await
    }

    /// With settings that no config says.
    pub(crate) async fn start_with(&self, role: Role, change: impl FnOnce(&mut Settings)) -> TestApp {
        let inputs = Inputs {
            file: Some(self.config_file()),
            flags: Vec::new(),
            environment: self.environment.clone(),
        };
        let mut loaded = config::load(&inputs).unwrap_or_else(|faults| panic!("{faults}"));
        change(&mut loaded.settings);
        let running = Box::pin(app::start(loaded, inputs, role)).await.unwrap();
        TestApp {
            api: Api {
                client: client(),
                public: running.public,
                admin: running.admin,
            },
            running: Box::new(running),
        }
    }

    /// Where the test itself looks at the store from now on; gatepost's own way there is in `environment`.
    pub(crate) fn look_at(&mut self, url: &str) {
        self.place = match url.strip_prefix("sqlite:") {
            Some(file) => Place::Sqlite(file.into()),
            None => Place::Postgres(TestDatabase::elsewhere(url)),
        };
    }

    /// A statement that both engines know, behind the store's back.
    pub(crate) async fn raw(&self, sql: &str) -> u64 {
        on_either!(self, |conn| {
            let done = QueryBuilder::new(sql).build().execute(conn).await.unwrap();
            done.rows_affected()
        })
    }

    /// One text for each row.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        on_either!(self, |conn| sqlx::query_scalar(sql)
            .fetch_all(conn)
            .await
            .unwrap())
    }

    /// One number.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        on_either!(self, |conn| sqlx::query_scalar(sql)
            .fetch_one(conn)
            .await
            .unwrap())
    }

    pub(crate) async fn events(&self) -> Vec<StoredEvent> {
        let sql = "select external_id, verified, body from event order by id";
        let rows: Vec<(Option<String>, String, Vec<u8>)> =
            on_either!(self, |conn| sqlx::query_as(sql).fetch_all(conn).await.unwrap());
        let stored = |(external_id, verified, body)| StoredEvent {
            external_id,
            verified,
            body,
        };
        rows.into_iter().map(stored).collect()
    }

    /// A connection to the SQLite file, as another process has it.
    pub(crate) async fn sqlite_connection(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.store_url()).await.unwrap()
    }

    pub(crate) async fn postgres_connection(&self) -> PgConnection {
        PgConnection::connect(&self.store_url()).await.unwrap()
    }

    /// Changes the Postgres database, and ends the sessions that began before.
    pub(crate) async fn alter_database(&self, change: &str) {
        let (mut conn, name) = self.beside_it().await;
        let mut sql = QueryBuilder::<Postgres>::new("alter database ");
        sql.push(&name).push(" ").push(change);
        sql.build().execute(&mut conn).await.unwrap();
        terminate(&mut conn, &name).await;
        conn.close().await.unwrap();
    }

    /// Ends every session of the Postgres database.
    pub(crate) async fn terminate_sessions(&self) {
        let (mut conn, name) = self.beside_it().await;
        terminate(&mut conn, &name).await;
        conn.close().await.unwrap();
    }

    /// Keeps a copy of the store, which nobody may have open.
    pub(crate) async fn back_up(&self) {
        if let Place::Sqlite(file) = &self.place {
            std::fs::copy(file, file.with_extension("backup")).unwrap();
            return;
        }
        let (mut conn, name) = self.beside_it().await;
        let mut sql = QueryBuilder::<Postgres>::new("create database ");
        sql.push(&name).push("_backup template ").push(&name);
        sql.build().execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    /// Puts the copy into the store's place.
    pub(crate) async fn restore(&self) {
        if let Place::Sqlite(file) = &self.place {
            for leftover in ["db-wal", "db-shm"] {
                // Gone already where the last one to close it tidied up.
                let _ = std::fs::remove_file(file.with_extension(leftover));
            }
            std::fs::rename(file.with_extension("backup"), file).unwrap();
            return;
        }
        let (mut conn, name) = self.beside_it().await;
        let mut drop = QueryBuilder::<Postgres>::new("drop database ");
        drop.push(&name).push(" with (force)");
        drop.build().execute(&mut conn).await.unwrap();
        let mut rename = QueryBuilder::<Postgres>::new("alter database ");
        rename.push(&name).push("_backup rename to ").push(&name);
        rename.build().execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    /// A connection to another database of the same server, and the name of ours.
    async fn beside_it(&self) -> (PgConnection, String) {
        let options: PgConnectOptions = self.store_url().parse().unwrap();
        let name = options.get_database().unwrap().to_owned();
        let conn = PgConnection::connect_with(&options.database("postgres"))
            .await
            .unwrap();
        (conn, name)
    }
}

async fn terminate(conn: &mut PgConnection, database: &str) {
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    sqlx::query(sql).bind(database).execute(conn).await.unwrap();
}

/// A gatepost that runs in this process.
#[derive(Debug)]
pub(crate) struct TestApp {
    pub(crate) api: Api,
    pub(crate) running: Box<Running>,
}

impl Deref for TestApp {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl TestApp {
    /// What must hold after every case: all is delivered or given up, and the ledger adds up.
    pub(crate) async fn finish(self) {
        self.finish_with_open(0).await;
    }

    pub(crate) async fn finish_with_open(self, n_open: u64) {
        let ledger = self.until_open(n_open).await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
        self.stop().await;
    }

    pub(crate) async fn stop(self) {
        self.running.stop();
        soon("the stop", Box::pin(self.running.wait())).await.unwrap();
    }
}
