//! Reads the config again when told to, or when one of its files changed: all of it is applied, or, with one fault, none.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{Alerts, Setup},
    base::{
        clock::wall_now,
        metrics::Metrics,
        secret::Secret,
        trial::{self, Point},
    },
    config::{self, Inputs, Loaded, Settings},
    registry::{self, Registry, Snapshot},
    route,
    store::{
        Store,
        clock::StoreClock,
        program::{Program, RouteProgram},
        wake::Wake,
    },
    web::{
        self,
        settings::{Effective, InForce},
    },
};

/// Contents are compared, not times, and by reading: mounted secrets are swapped through links, which no watch sees.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Files over this size are none of ours.
const MAX_FILE: u64 = 4 << 20;

/// What a reload works with.
#[derive(Debug)]
pub struct Reloader {
    pub inputs: Inputs,
    pub current: Settings,
    pub watched: Vec<PathBuf>,
    /// What the admin side shows.
    pub in_force: InForce,
    pub registry: Registry,
    pub alerts: Alerts,
    pub metrics: Metrics,
    pub wake: Wake,
    pub store: Store,
    pub clock: StoreClock,
    /// Whether the store knows what the routes of the running config make of events.
    pub is_noted: bool,
    pub asked: Arc<Notify>,
}

impl Reloader {
    pub async fn run(mut self, stop: CancellationToken) {
        let mut seen = contents(&self.watched).await;
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if !self.is_noted {
                self.is_noted = self.note(&self.current.registry).await;
            }
            let now = contents(&self.watched).await;
            if !is_asked && now == seen {
                continue;
            }
            self.reload().await;
            seen = contents(&self.watched).await;
        }
    }

    async fn reload(&mut self) {
        let loaded = match config::load(&self.inputs) {
            Ok(loaded) => loaded,
            Err(faults) => {
                self.metrics.reloaded(false);
                tracing::error!(
                    n_faults = faults.n_faults,
                    "kept the running config, the new one is faulty:\n{faults}"
                );
                return;
            }
        };
        let built = Snapshot::build(&loaded.settings.registry)
            .and_then(|it| Ok((it, Setup::build(&loaded.settings.alerts)?)));
        match built {
            Ok((snapshot, setup)) => self.apply(loaded, snapshot, setup).await,
            Err(faults) => {
                self.metrics.reloaded(false);
                tracing::error!(
                    n_faults = faults.len(),
                    "kept the running config, the new one is faulty: {faults:?}"
                );
            }
        }
    }

    async fn apply(&mut self, loaded: Loaded, snapshot: Snapshot, setup: Setup) {
        for key in needs_restart(&self.current, &loaded.settings) {
            tracing::warn!("`{key}` changed, which takes a restart; the rest of the config is applied");
        }
        let (n_sources, n_destinations) = (snapshot.sources.len(), snapshot.destinations.len());
        self.is_noted = self.note(&loaded.settings.registry).await;
        trial::point(Point::Reloading);
        self.registry.replace(snapshot);
        self.alerts.replace(setup);
        self.metrics.reloaded(true);
        self.wake.now();
        self.in_force.reload(effective(&loaded));
        self.watched = loaded.watched;
        self.current.registry = loaded.settings.registry;
        self.current.alerts = loaded.settings.alerts;
        tracing::info!(n_sources, n_destinations, "reloaded the config");
    }
}

impl Reloader {
    /// False: the store does not take it now. A config is not kept from its work by that; the next look tries again.
    async fn note(&self, settings: &registry::Settings) -> bool {
        let noted = self
            .store
            .keep_programs(programs(settings), self.clock.now())
            .await;
        if let Err(error) = &noted {
            self.metrics.store_error(error.kind());
            tracing::warn!("could not note in the store what routes make of events: {error}");
        }
        noted.is_ok()
    }
}

/// What the routes of a config make of events.
pub fn programs(settings: &registry::Settings) -> Vec<RouteProgram> {
    let program = |it: &route::transform::Settings| Program {
        name: it.name.clone(),
        code: it.program.clone(),
    };
    let of_route = |it: &route::Settings| RouteProgram {
        route: it.name().into(),
        program: it.transform.as_ref().map(program),
    };
    settings.routes.iter().map(of_route).collect()
}

/// A config as people may see it.
pub fn effective(loaded: &Loaded) -> Effective {
    Effective::new(
        wall_now(),
        loaded.file.as_ref().map(|it| it.display().to_string()),
        loaded.effective.clone(),
        loaded.warnings.clone(),
    )
}

/// Sources, routes and destinations are swapped; what was bound, opened or sized at the start is not.
fn needs_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let store_url = |it: &Settings| it.store.url.expose().to_vec();
    let tokens = |it: &Settings| {
        let token = |it: &web::Token| (it.name.clone(), it.token.expose().to_vec(), it.role);
        it.admin.tokens.iter().map(token).collect::<Vec<_>>()
    };
    let oidc = |it: &Settings| {
        let it = it.admin.oidc.as_ref()?;
        Some((
            it.fingerprint(),
            it.client_secret.expose().to_vec(),
            it.public_url.clone(),
            it.scopes.clone(),
        ))
    };
    let telemetry = |it: &Settings| {
        let it = it.telemetry.as_ref()?;
        let header = |(name, value): &(String, Secret)| (name.clone(), value.expose().to_vec());
        let headers: Vec<_> = it.headers.iter().map(header).collect();
        Some((
            it.endpoint.clone(),
            headers,
            it.sample_ratio,
            it.service_name.clone(),
        ))
    };
    [
        ("server.listen", old.server.listen != new.server.listen),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.tokens", tokens(old) != tokens(new)),
        ("admin.oidc", oidc(old) != oidc(new)),
        ("store.url", store_url(old) != store_url(new)),
        ("store.pool_mode", old.store.pool_mode != new.store.pool_mode),
        ("server.max_body", old.server.max_body != new.server.max_body),
        (
            "server.max_connections",
            old.server.max_connections != new.server.max_connections,
        ),
        ("store.retention", old.retention != new.retention),
        ("telemetry", telemetry(old) != telemetry(new)),
    ]
    .into_iter()
    .filter_map(|(key, is_changed)| is_changed.then_some(key))
    .collect()
}

/// The contents of every file; `None` for one that cannot be read, which is a change too.
async fn contents(paths: &[PathBuf]) -> Vec<Option<Vec<u8>>> {
    let paths = paths.to_vec();
    let read = move || {
        let read = |path: &PathBuf| {
            let is_small = std::fs::metadata(path).is_ok_and(|it| it.len() <= MAX_FILE);
            is_small.then(|| std::fs::read(path).ok()).flatten()
        };
        paths.iter().map(read).collect()
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}
