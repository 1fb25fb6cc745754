//! Postgres for tests, with nothing to set up.
//!
//! `GATEPOST_TEST_POSTGRES_URL` names a server to use; databases of our own are made there and dropped again, others are
//! not touched. Without it a throw-away cluster is started from the binaries of this machine, one for each test process.
//! It runs with the durability that gatepost insists on.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use gatepost::{
    base::secret::Secret,
    store::{PoolMode, Settings, Store},
};
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};

/// A database of one test's own, with the schema in place. Dropped at the end.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    /// Empty where somebody else drops it.
    name: String,
    /// Set where the whole server is the test's own.
    server: Option<Cluster>,
}

impl TestDatabase {
    /// Of a cluster that goes as a whole.
    pub(crate) fn elsewhere(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: String::new(),
            server: None,
        }
    }
}

/// A server to make databases on.
#[derive(Debug)]
struct Cluster {
    /// With `{}` where the database's name goes.
    url: String,
    is_ours: bool,
    /// Keeps the cluster's shell alive: it stops the server when our end of its standard input closes.
    _shell: Option<(Child, ChildStdin)>,
}

/// Owns the cluster: runs Postgres until its standard input ends, however the test process ended, then removes all.
const SHELL: &str = r#"
set -eu
trap "" PIPE
server=
directory=$(mktemp -d /tmp/gatepost-test.XXXXXX)
trap '[ -z "$server" ] || { kill -QUIT "$server"; wait "$server"; } 2>/dev/null; rm -rf "$directory"' EXIT
# A shell that a signal ends runs no trap for its exit: whoever ends the whole group of the tests ends this too.
trap 'exit 143' HUP INT TERM
if [ "$(id -u)" = 0 ]; then
    chown nobody "$directory"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=$directory"
else
    as=env
fi
cd "$directory"
export LC_ALL=C
$as "$1/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 >"$directory/initdb.log" 2>&1 ||
    { cat "$directory/initdb.log" >&2; exit 1; }
$as "$1/postgres" -D "$directory/data" -k "$directory" -c listen_addresses= -c max_connections=300 \
    -c shared_buffers=64MB >"$directory/log" 2>&1 </dev/null &
server=$!
n_waits=0
# The socket is there before the server takes anybody: its log says when it does.
until grep -q "ready to accept connections" "$directory/log" 2>/dev/null; do
    n_waits=$((n_waits + 1))
    [ $n_waits -lt 400 ] || { cat "$directory/log" >&2; exit 1; }
    sleep 0.05
done
echo "$directory"
cat >/dev/null || true
"#;

/// A database with gatepost's schema.
pub(crate) async fn database() -> TestDatabase {
    static TEMPLATE: tokio::sync::OnceCell<TestDatabase> = tokio::sync::OnceCell::const_new();
    if !cluster().is_ours {
        // A template would stay behind on somebody's server: nothing drops a static.
        return migrated().await;
    }
    let template = TEMPLATE.get_or_init(migrated).await;
    create(Some(&template.name)).await
}

/// A server of one test's own, with gatepost's schema, for what no other test would survive. It takes a second to start.
pub(crate) async fn server() -> TestDatabase {
    let server = start(&binaries());
    let database = TestDatabase {
        url: server.url.replace("{}", "postgres"),
        name: "postgres".to_owned(),
        server: Some(server),
    };
    migrate(&database).await;
    database
}

async fn migrated() -> TestDatabase {
    let database = empty_database().await;
    migrate(&database).await;
    database
}

async fn migrate(database: &TestDatabase) {
    let settings = Settings {
        url: Secret::new(database.url.clone()),
        max_connections: 1,
        pool_mode: PoolMode::Session,
    };
    let store = Store::open(&settings).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
}

/// A database with nothing in it.
pub(crate) async fn empty_database() -> TestDatabase {
    create(None).await
}

async fn create(template: Option<&str>) -> TestDatabase {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("gatepost_test_{}_{number}", std::process::id());
    let mut sql = QueryBuilder::<Postgres>::new("create database ");
    sql.push(&name);
    if let Some(template) = template {
        sql.push(" template ").push(template);
    }
    let mut conn = connect("postgres").await;
    sql.build().execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let url = cluster().url.replace("{}", &name);
    TestDatabase {
        url,
        name,
        server: None,
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A cluster of ours goes with all that is in it.
        if self.server.is_some() || self.name.is_empty() || cluster().is_ours {
            return;
        }
        let mut sql = QueryBuilder::<Postgres>::new("drop database if exists ");
        sql.push(&self.name).push(" with (force)");
        let drop = async move {
            let mut conn = connect("postgres").await;
            sql.build().execute(&mut conn).await.unwrap();
        };
        let thread = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(drop);
        });
        thread.join().unwrap();
    }
}

async fn connect(database: &str) -> PgConnection {
    let url = cluster().url.replace("{}", database);
    match PgConnection::connect(&url).await {
        Ok(conn) => conn,
        Err(error) => panic!("no connection to the test server: {error}"),
    }
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match variable("GATEPOST_TEST_POSTGRES_URL") {
        Some(url) => Cluster {
            url: with_placeholder(&url),
            is_ours: false,
            _shell: None,
        },
        None => start(&binaries()),
    })
}

fn start(binaries: &PathBuf) -> Cluster {
    let mut shell = Command::new("sh")
        .args(["-c", SHELL, "sh"])
        .arg(binaries)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = shell.stdin.take().unwrap();
    let mut line = String::new();
    let stdout = shell.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let directory = line.trim();
    assert!(
        !directory.is_empty(),
        "the throw-away Postgres did not start: see above"
    );
    Cluster {
        url: format!("postgres:///{{}}?host={directory}&user=postgres"),
        is_ours: true,
        _shell: Some((shell, stdin)),
    }
}

/// Where `initdb` and `postgres` are.
pub(crate) fn binaries() -> PathBuf {
    if let Some(directory) = variable("GATEPOST_TEST_POSTGRES_BIN") {
        return directory.into();
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
        .filter(|it: &(u32, PathBuf)| it.1.join("initdb").exists())
        .collect();
    versions.sort();
    if let Some((_, directory)) = versions.pop() {
        return directory;
    }
    let directory = Command::new("pg_config")
        .arg("--bindir")
        .output()
        .ok()
        .map(|it| PathBuf::from(String::from_utf8_lossy(&it.stdout).trim()))
        .filter(|it| it.join("initdb").exists());
    directory.unwrap_or_else(|| {
        panic!(
            "no Postgres server binaries found: `initdb` is neither in /usr/lib/postgresql/*/bin nor where \
             `pg_config --bindir` says. Install them (Debian: `apt-get install postgresql`), or set \
             GATEPOST_TEST_POSTGRES_BIN to their directory, or GATEPOST_TEST_POSTGRES_URL to a server's URL"
        )
    })
}

/// The same URL with `{}` for the database's name.
fn with_placeholder(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (rest, query) = rest
        .split_once('?')
        .map_or((rest, ""), |(rest, query)| (rest, query));
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    format!("{scheme}://{host}/{{}}?{query}")
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

#[test]
fn the_database_of_a_url_is_replaced() {
    for (url, expected) in [
        (
            "postgres://u:p@h:1/db?sslmode=disable",
            "postgres://u:p@h:1/{}?sslmode=disable",
        ),
        ("postgres://h", "postgres://h/{}?"),
        ("postgres:///db?host=/tmp", "postgres:///{}?host=/tmp"),
    ] {
        assert_eq!(with_placeholder(url), expected);
    }
}
