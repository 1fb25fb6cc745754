//! A config, a real SQLite store and both sides of the HTTP server, without the pool.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use gatepost::{
    alert::{Alerts, Setup},
    base::{
        clock::Timestamp,
        ids::{AttemptId, DeliveryId, EventId, IssueId, RequestId, WorkerId},
        metrics::Metrics,
    },
    config::{self, Inputs, Loaded, Settings},
    delivery::{self, queue::Queues},
    event::{
        self, Binding, Event, Origin,
        attempt::{Attempt, Outcome, Trigger},
        headers::Headers,
    },
    ingest::{Ingest, Parts},
    registry::{Registry, Snapshot},
    source::asking::Asking,
    store::{
        Store,
        claim::{Settlement, Share, Wanted},
        clock::StoreClock,
        handover::Handover,
        issue::{Finding, NotTaken, Place, Severity},
        record::{NewDelivery, NewEvent, Start},
        rejected::RejectedRequest,
    },
    web::{
        health::Health,
        settings::{Effective, InForce},
        state::{self, AdminParts, AdminState, PublicState},
    },
};
use sqlx::{Connection, QueryBuilder, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::web::wire::{Answer, Server, limits};

const CONFIG: &str = r#"
[server]
public_url = "https://hooks.example.com"
max_body = "64 KiB"
trusted_proxies = ["127.0.0.1/32"]

[sources.github]
provider = "github"
secrets = [{ env = "GITHUB_SECRET" }]
rate = "500/s"

[sources.open]
provider = "unverified"

[sources.limited]
provider = "unverified"
rate = "1/s"
max_body = "10 B"

[sources.graph]
provider = "slack"
secrets = [{ env = "GITHUB_SECRET" }]

[destinations.billing]
url = { env = "BILLING_URL" }
signing_secret = { env = "SIGNING_SECRET" }
headers = { authorization = { env = "BILLING_AUTH" } }

[destinations.search]
url = "http://127.0.0.1:9/search"
concurrency = 3

[[routes]]
source = "github"
destination = "billing"
types = ["push"]

[[routes]]
name = "all"
source = "github"
destination = "search"
"#;

const ENVIRONMENT: [(&str, &str); 8] = [
    ("BILLING_URL", "http://127.0.0.1:9/hooks?token=canary-query"),
    ("GITHUB_SECRET", "canary-github-secret"),
    ("SIGNING_SECRET", "whsec_Y2FuYXJ5LXNpZ25pbmctc2VjcmV0LTAwMDA="),
    ("BILLING_AUTH", "canary-billing-auth"),
    ("VIEWER", "canary-viewer-token"),
    ("OPERATOR", "canary-operator-token"),
    ("ADMIN", "canary-admin-token"),
    ("CONSUMER", "canary-consumer-token"),
];

const TOKENS: &str = r#"
[admin]
tokens = [
    { name = "looks", token = { env = "VIEWER" }, role = "viewer" },
    { name = "ops", token = { env = "OPERATOR" }, role = "operator" },
    { name = "boss", token = { env = "ADMIN" }, role = "admin" },
    { name = "eats", token = { env = "CONSUMER" }, role = "consumer" },
]
"#;

fn queues(settings: &Settings, store: &Store, registry: &Registry, stop: &CancellationToken) -> Queues {
    let context = delivery::Context {
        store: store.clone(),
        registry: registry.clone(),
        clock: StoreClock::new(),
        metrics: Metrics::new(),
        handover: Handover::new(WorkerId::new()).0,
        wake: gatepost::store::wake::Wake::default(),
        originals: gatepost::delivery::originals::Originals::default(),
        tracer: gatepost::telemetry::Tracer::OFF,
        settings: settings.delivery.clone(),
    };
    Queues::new(context, stop.clone())
}

pub(crate) struct Fixture {
    pub(crate) public: Server,
    pub(crate) admin: Server,
    pub(crate) store: Store,
    pub(crate) draining: CancellationToken,
    pub(crate) stop: CancellationToken,
    _tasks: JoinSet<()>,
    directory: TempDir,
}

impl Fixture {
    /// Open, as on a laptop.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    pub(crate) async fn with_tokens() -> Self {
        Self::with(TOKENS).await
    }

    /// With more keys of `[admin]`.
    pub(crate) async fn with_tokens_and(more: &str) -> Self {
        Self::with(&format!("{TOKENS}{more}")).await
    }

    /// With tokens, and rules of what is not shown of `github`'s events.
    pub(crate) async fn redacting(rules: &str) -> Self {
        Self::with(&format!("{TOKENS}[sources.github.redact]\n{rules}\n")).await
    }

    async fn with(more: &str) -> Self {
        let mut limits = limits();
        limits.idle_timeout = Duration::from_mins(1);
        let directory = TempDir::new().unwrap();
        let loaded = loaded(&directory, more);
        let config = InForce::new(Effective::new(
            at(0),
            Some("gatepost.toml".to_owned()),
            loaded.effective.clone(),
            loaded.warnings.clone(),
        ));
        let settings = settings(loaded);
        let store = Store::open(&settings.store).await.unwrap();
        store.migrate().await.unwrap();
        let registry = Registry::new(Snapshot::build(&settings.registry).unwrap());
        let draining = CancellationToken::new();
        let stop = CancellationToken::new();
        let health = Health::new(store.clone(), draining.clone());
        let mut tasks = JoinSet::new();
        let ingest = ingest(&settings, &store, &registry, &limits.metrics, &mut tasks);
        let public = PublicState::new(
            &settings.server,
            ingest.clone(),
            registry.clone(),
            limits.metrics.clone(),
            health.clone(),
        );
        let state = AdminState::new(AdminParts {
            server: &settings.server,
            admin: &settings.admin,
            setup: None,
            store: store.clone(),
            clock: StoreClock::new(),
            ingest: ingest.clone(),
            registry: registry.clone(),
            metrics: limits.metrics.clone(),
            lanes: gatepost::delivery::lanes::Lanes::default(),
            wake: gatepost::store::wake::Wake::default(),
            queues: queues(&settings, &store, &registry, &stop),
            health,
            alerts: Alerts::new(Setup::build(&settings.alerts).unwrap()),
            audited: tokio::sync::watch::channel(None).1,
            stop: stop.clone(),
            config,
        })
        .unwrap();
        Self {
            public: Server::start(state::public_router(public), limits.clone()).await,
            admin: Server::start(state::admin_router(state), limits).await,
            store,
            draining,
            stop,
            _tasks: tasks,
            directory,
        }
    }

    /// Behind the store's back.
    pub(crate) async fn raw(&self, sql: &str) {
        let url = format!("sqlite:{}", self.directory.path().join("gatepost.db").display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        QueryBuilder::new(sql).build().execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.admin
            .ask(format!(
                "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
            ))
            .await
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        let length = body.len();
        let content_type = if body.is_empty() {
            ""
        } else {
            "content-type: application/json\r\n"
        };
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{content_type}\r\n"
        );
        self.admin.ask(format!("{head}{body}")).await
    }

    /// An event of `github`, `n` seconds after a fixed time, with a delivery to each destination.
    pub(crate) async fn seed(&self, n: u8, event_type: &str) -> Seeded {
        let seeded = Seeded {
            event: EventId::from_uuid(numbered(n, 0)),
            billing: DeliveryId::from_uuid(numbered(n, 1)),
            search: DeliveryId::from_uuid(numbered(n, 2)),
        };
        let headers = [
            ("content-type", &b"application/json"[..]),
            ("x-hub-signature-256", b"sha256=abc"),
            ("authorization", b"canary-sent-credential"),
            ("x-odd", b"\xff"),
            ("x-odd", b"2"),
        ];
        let body = Bytes::from(format!(r#"{{"n":{n}}}"#));
        let event = Event {
            id: seeded.event,
            source: "github".into(),
            external_id: Some(format!("id-{n}")),
            event_type: Some(event_type.to_owned()),
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: at(n),
            query: String::new(),
            headers: Headers::from_pairs(headers),
            body: body.clone(),
        };
        let body_hash = event::body_hash(&body);
        let delivery = |id, route: &str, destination: &str| NewDelivery {
            id,
            route: route.into(),
            destination: destination.into(),
            origin: Origin::Received,
            start: Start::NOW,
            position: None,
            once: None,
            program: None,
        };
        let new = NewEvent {
            key: Some(event::deduplication_key("github", Some(&[n]), body_hash)),
            body_hash,
            deliveries: vec![
                delivery(seeded.billing, "github-to-billing", "billing"),
                delivery(seeded.search, "all", "search"),
            ],
            event: event.into(),
        };
        self.store.record(vec![new]).await.unwrap();
        seeded
    }

    /// Takes what is due for `billing` and fails it for good.
    pub(crate) async fn kill_billing(&self) {
        let now = self.store.now().await.unwrap();
        let wanted = Wanted {
            worker: WorkerId::new(),
            lease: Duration::from_secs(30),
            per_destination: vec![Share {
                destination: "billing".into(),
                n_first: 10,
                n_retries: 10,
            }],
        };
        let settlements = self
            .store
            .claim(&wanted, now)
            .await
            .unwrap()
            .into_iter()
            .map(|claim| Settlement {
                delivery_id: claim.delivery.id,
                fence: claim.fence,
                attempt: Attempt {
                    id: AttemptId::from_uuid(numbered(200, 0)),
                    number: 1,
                    started_at: at(200),
                    duration: Duration::from_millis(12),
                    trigger: Trigger::Initial,
                    status_code: Some(500),
                    error: Some("the handler answered 500".to_owned()),
                    response_headers: Headers::from_pairs([
                        ("set-cookie", &b"canary-cookie"[..]),
                        ("x-a", b"b"),
                    ]),
                    response_body: Bytes::from_static(b"oh \xff no"),
                },
                outcome: Outcome::Dead,
            });
        self.store.settle(settlements.collect(), now).await.unwrap();
    }

    /// About a dead letter to `billing`, of which nobody would hear.
    pub(crate) async fn seed_issue(&self) -> IssueId {
        let now = self.store.now().await.unwrap();
        let finding = Finding {
            key: "dead_letters:destination:billing".to_owned(),
            rule: "dead_letters",
            severity: Severity::Critical,
            place: Place {
                destination: Some("billing".to_owned()),
                ..Place::default()
            },
            summary: "1 dead letter to `billing`".to_owned(),
            count: 1,
            seen_at: None,
            tell: vec!["ops".into()],
        };
        self.store.see_issue(finding, now).await.unwrap();
        let (notice, issue) = self.store.due_notices("ops", now, 1).await.unwrap().remove(0);
        let why = NotTaken {
            reason: "it answered 500".to_owned(),
            due_at: None,
        };
        self.store.notices_not_taken(vec![notice.id], why).await.unwrap();
        issue.id
    }

    pub(crate) async fn seed_rejected(&self, n: u8, cause: &str) -> RequestId {
        self.seed_request(n, cause, "github", "/webhooks/github?a=b")
            .await
    }

    /// For want of a signature.
    pub(crate) async fn seed_refused(&self, n: u8, source: &str, target: &str) -> RequestId {
        self.seed_request(n, "unsigned", source, target).await
    }

    async fn seed_request(&self, n: u8, cause: &str, source: &str, target: &str) -> RequestId {
        let id = RequestId::from_uuid(numbered(n, 3));
        let request = RejectedRequest {
            id,
            source: source.into(),
            cause: cause.to_owned(),
            explanation: "signature does not match any of 1 secrets".to_owned(),
            received_at: at(n),
            method: "POST".to_owned(),
            target: target.to_owned(),
            client: Some("203.0.113.7".to_owned()),
            headers: Headers::from_pairs([("x-github-event", &b"push"[..])]),
            body: Some(Bytes::from_static(b"{}")),
            size: 2,
            accepted_as: None,
        };
        self.store.reject(vec![request], vec![]).await.unwrap();
        id
    }
}

pub(crate) struct Seeded {
    pub(crate) event: EventId,
    pub(crate) billing: DeliveryId,
    pub(crate) search: DeliveryId,
}

fn loaded(directory: &TempDir, more: &str) -> Loaded {
    let file = directory.path().join("gatepost.toml");
    let database = directory.path().join("gatepost.db");
    let store = format!("[store]\nurl = \"sqlite:{}\"\n", database.display());
    std::fs::write(&file, format!("{store}{more}{CONFIG}")).unwrap();
    let inputs = Inputs {
        file: Some(file),
        flags: Vec::new(),
        environment: BTreeMap::from(ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    };
    config::load(&inputs).unwrap_or_else(|faults| panic!("{faults}"))
}

fn settings(loaded: Loaded) -> Settings {
    let mut settings = loaded.settings;
    // Shorter than the config allows, so that nothing here waits long.
    settings.server.body_timeout = Duration::from_secs(3);
    settings.ingest.max_bytes_in_flight = 100 * 1024;
    settings
}

/// The real one, with the tasks that commit for it.
fn ingest(
    settings: &Settings,
    store: &Store,
    registry: &Registry,
    metrics: &Metrics,
    tasks: &mut JoinSet<()>,
) -> Ingest {
    let parts = Parts {
        store: store.clone(),
        registry: registry.clone(),
        asking: Asking::new(metrics.clone()).unwrap(),
        metrics: metrics.clone(),
        clock: StoreClock::new(),
        handover: None,
        wake: gatepost::store::wake::Wake::default(),
        tracer: gatepost::telemetry::Tracer::OFF,
        lease: Duration::from_secs(15),
    };
    let ingest = Ingest::new(&settings.ingest, parts);
    tasks.spawn(ingest.batcher().clone().run());
    tasks.spawn(ingest.rejections().clone().run());
    ingest
}

fn at(n: u8) -> Timestamp {
    Timestamp::from_unix_seconds(1_767_225_600 + i64::from(n))
}

/// A `UUIDv7` of that second.
fn numbered(n: u8, kind: u8) -> Uuid {
    let ms = u128::from(at(n).as_unix_seconds().unsigned_abs()) * 1000;
    Uuid::from_u128((ms << 80) | (7 << 76) | (2 << 62) | u128::from(kind))
}
