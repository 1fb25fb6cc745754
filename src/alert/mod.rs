//! Issues, and who is told of them.
//!
//! `look` finds what is wrong, by rules, and keeps it as issues; `tell` sends the notices that the store has of their changes.
//! Each is done by one replica at a time, under a lease; what only the process itself can see, how its breakers stand, every one
//! adds for itself. No statement here reads more than a bounded number of rows: a store of any size is looked at as cheaply.
//!
//! Imports: `base`, `event`, `egress`, `store`, `destination`, `registry`, `delivery`.

pub mod channel;
mod look;
mod message;
pub mod rule;
mod tell;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    alert::{channel::Channel, rule::Rules},
    base::{ids::WorkerId, metrics::Metrics},
    delivery::lanes::Lanes,
    egress::{client, error::Failure, guard::Reach},
    registry::{Fault, Registry},
    store::{Store, clock::StoreClock, issue::Severity, query::Audit},
};

/// What the operator says of issues and of who is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often everything is looked at.
    pub every: Duration,
    /// What is not found any more for so long is resolved.
    pub resolve_after: Duration,
    /// How long resolved issues, and what was told of them, are kept.
    pub keep: Duration,
    /// Where people reach the dashboard, for the links in messages.
    pub dashboard_url: Option<Url>,
    pub rules: Rules,
    pub notifications: Vec<channel::Settings>,
}

/// One config's rules and channels, ready.
#[derive(Debug)]
pub struct Setup {
    pub settings: Settings,
    pub channels: BTreeMap<Arc<str>, Channel>,
}

impl Setup {
    /// Every fault at once.
    pub fn build(settings: &Settings) -> Result<Self, Vec<Fault>> {
        let client = client().map_err(|failure| {
            vec![Fault {
                path: "notifications".to_owned(),
                problem: failure.explanation,
                hint: None,
            }]
        })?;
        let mut channels = BTreeMap::new();
        let mut faults = Vec::new();
        for it in &settings.notifications {
            match Channel::new(it, client.clone()) {
                Ok(channel) => drop(channels.insert(Arc::from(it.name.as_str()), channel)),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            settings: settings.clone(),
            channels,
        })
    }

    /// Names of the notifications that want to hear of such an issue.
    pub fn wanting(&self, rule: &str, severity: Severity) -> Vec<Arc<str>> {
        let wants = |it: &&channel::Settings| {
            it.severity <= severity && (it.rules.is_empty() || it.rules.iter().any(|it| it.as_str() == rule))
        };
        let all = self.settings.notifications.iter().filter(wants);
        all.map(|it| Arc::from(it.name.as_str())).collect()
    }

    /// How an issue's page is reached, where that is known.
    fn link(&self) -> Option<&Url> {
        self.settings.dashboard_url.as_ref()
    }
}

/// For messages to whom the config names: private addresses are fine, as with destinations.
fn client() -> Result<client::Client, Failure> {
    client::Client::new(&client::Settings {
        connect_timeout: Duration::from_secs(5),
        reach: Reach::Private,
        max_idle: 1,
        extra_roots: Vec::new(),
        identity: None,
        proxy: None,
    })
}

/// The rules and channels that hold now; a reload swaps them whole. Clones share everything.
#[derive(Debug, Clone)]
pub struct Alerts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    setup: ArcSwap<Setup>,
    /// Something is to be told.
    news: Notify,
}

impl Alerts {
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Shared {
            setup: ArcSwap::from_pointee(setup),
            news: Notify::new(),
        }))
    }

    pub fn current(&self) -> Arc<Setup> {
        self.0.setup.load_full()
    }

    pub fn replace(&self, setup: Setup) {
        self.0.setup.store(Arc::new(setup));
    }

    /// An issue changed in this process: what is to be told of it need not wait for the next look.
    pub fn wake(&self) {
        self.0.news.notify_one();
    }
}

/// What the room works with.
#[derive(Debug, Clone)]
pub struct Context {
    pub store: Store,
    pub registry: Registry,
    pub clock: StoreClock,
    pub metrics: Metrics,
    pub worker: WorkerId,
    /// Empty in a process that does not deliver.
    pub lanes: Lanes,
    /// As this process counted it last; `None` until it has.
    pub ledger: watch::Receiver<Option<Audit>>,
    pub alerts: Alerts,
}

/// Looks and tells, until stopped.
pub async fn run(context: Context, stop: CancellationToken) {
    tokio::join!(look::run(&context, &stop), tell::run(&context, &stop));
}
