//! Where the gateposts of a round live: a directory, a config, a store, and proxies in between.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;

use crate::{
    letter::{GITHUB_SECRET, SIGNING_SECRET, STRIPE_SECRET},
    options::{Engine, variable},
    postgres,
    proxy::{Proxy, Upstream},
    sink::Sink,
    store::Place,
};

/// Attempts at once, for each of the two destinations.
const CONCURRENCY: usize = 8;
/// Of them for what is tried again: a quarter is kept for first attempts.
const RETRIES: usize = CONCURRENCY - CONCURRENCY / 4;
/// What one process can have in hand: running, waiting for a slot, or waiting to be settled.
pub(crate) const IN_HAND: usize = 2 * (CONCURRENCY + RETRIES) * 4;
/// After so many a delivery is given up.
pub(crate) const MAX_ATTEMPTS: u64 = 10;

#[derive(Debug)]
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) sink: Sink,
    pub(crate) sink_proxy: Proxy,
    /// One for each replica; none for SQLite.
    pub(crate) store_proxies: Vec<Proxy>,
    pub(crate) place: Place,
    flaw: Option<String>,
}

impl Site {
    pub(crate) async fn new(engine: Engine, replicas: usize, seed: u64, flaw: Option<String>) -> Self {
        let root = root();
        std::fs::create_dir_all(&root).unwrap();
        let directory = TempDir::with_prefix_in("round-", root).unwrap();
        let sink = Sink::start(seed).await;
        let sink_proxy = Proxy::start(Upstream::Tcp(sink.address.to_string())).await;
        let place = match engine {
            Engine::Sqlite => Place::Sqlite(directory.path().join("gatepost.db")),
            Engine::Postgres => Place::Postgres(postgres::empty_database().await),
        };
        let mut store_proxies = Vec::new();
        if let Place::Postgres(database) = &place {
            for _ in 0..replicas {
                store_proxies.push(Proxy::start(upstream(&database.url)).await);
            }
        }
        let site = Self {
            directory,
            sink,
            sink_proxy,
            store_proxies,
            place,
            flaw,
        };
        for (name, secret) in [
            ("stripe.secret", STRIPE_SECRET),
            ("github.secret", GITHUB_SECRET),
            ("signing.secret", SIGNING_SECRET),
        ] {
            site.write(name, secret);
        }
        site.configure(0);
        site
    }

    fn write(&self, name: &str, text: &str) {
        // Whole or not at all: a running gatepost looks at these files.
        let fresh = self.directory.path().join(format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(fresh, self.directory.path().join(name)).unwrap();
    }

    /// Writes the config; another `version` is another config that does the same.
    pub(crate) fn configure(&self, version: u64) {
        let to = self.sink_proxy.address;
        let mut text = String::new();
        for source in ["stripe", "github"] {
            let _ = write!(
                text,
                r#"
[sources.{source}]
provider = "{source}"
secrets = [{{ file = "{source}.secret" }}]

[destinations.{source}-handler]
url = "http://{to}/{source}"
timeout = "3s"
concurrency = {CONCURRENCY}
signing_secret = {{ file = "signing.secret" }}
headers = {{ campaign-process = {{ env = "CAMPAIGN_PROCESS" }}, campaign-version = "{version}" }}
retry = {{ max_attempts = {MAX_ATTEMPTS}, max_age = "1h", first = "20ms", cap = "200ms" }}
breaker = {{ pause = "20ms", max_pause = "200ms", ramp = "100ms" }}

[[routes]]
name = "{source}-route"
source = "{source}"
destination = "{source}-handler"
"#
            );
        }
        self.write("gatepost.toml", &text);
    }

    pub(crate) fn environment(&self, slot: usize) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("GATEPOST__STORE__URL", self.gatepost_url(slot)),
            ("GATEPOST__STORE__MAX_CONNECTIONS", "3".to_owned()),
            ("GATEPOST__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("GATEPOST__SERVER__GRACE", "5s".to_owned()),
            ("GATEPOST__ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            // The shortest that there is.
            ("GATEPOST__DELIVERY__LEASE", "5s".to_owned()),
            ("GATEPOST__DELIVERY__POLL", "50ms".to_owned()),
            ("GATEPOST__LOG__FORMAT", "json".to_owned()),
            // To hear of lost claims.
            (
                "GATEPOST__LOG__FILTER",
                "info,gatepost::delivery::settler=debug".to_owned(),
            ),
        ]);
        if let Some(flaw) = &self.flaw {
            all.insert("GATEPOST_TRIAL_FLAW", flaw.clone());
        }
        all
    }

    /// Through the proxy, where there is one.
    fn gatepost_url(&self, slot: usize) -> String {
        match &self.place {
            Place::Sqlite(file) => format!("sqlite:{}", file.display()),
            Place::Postgres(database) => {
                let mut url = url::Url::parse(&database.url).unwrap();
                let options: PgConnectOptions = database.url.parse().unwrap();
                let address = self.store_proxies[slot].address;
                let user = options.get_username().to_owned();
                // A URL without a host takes neither user nor port.
                if url.host_str().is_none_or(str::is_empty) {
                    let name = options.get_database().unwrap();
                    return format!("postgres://{user}@{address}/{name}?sslmode=disable");
                }
                url.set_host(Some("127.0.0.1")).unwrap();
                url.set_port(Some(address.port())).unwrap();
                url.into()
            }
        }
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.directory.path().join("gatepost.toml")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves its directory where it is, for whoever looks into a failure.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }
}

/// The binary to kill.
pub(crate) fn gatepost() -> PathBuf {
    let path = variable("GATEPOST_CAMPAIGN_GATEPOST");
    path.map_or_else(
        || panic!("GATEPOST_CAMPAIGN_GATEPOST names no trial build of gatepost"),
        PathBuf::from,
    )
}

/// Below `target`, so that stores lie on a disk and not in memory.
fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/campaign");
    variable("GATEPOST_CAMPAIGN_DIRECTORY").map_or(root, PathBuf::from)
}

fn upstream(url: &str) -> Upstream {
    let options: PgConnectOptions = url.parse().unwrap();
    let port = options.get_port();
    let directory = url::Url::parse(url).ok().and_then(|it| {
        let host = it.query_pairs().find(|(name, _)| name == "host");
        host.map(|(_, value)| value.into_owned())
    });
    match directory.filter(|it| it.starts_with('/')) {
        Some(directory) => Upstream::Unix(Path::new(&directory).join(format!(".s.PGSQL.{port}"))),
        None => Upstream::Tcp(format!("{}:{port}", options.get_host())),
    }
}
