//! What the two sides hold, and their routers.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use ipnet::IpNet;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    alert::Alerts,
    base::{metrics::Metrics, secret::Secret},
    delivery::{lanes::Lanes, queue::Queues},
    egress::{error::Failure, guard::Reach},
    ingest::Ingest,
    registry::Registry,
    store::{Store, clock::StoreClock, query::Audit, wake::Wake},
    web::{
        AdminSettings, PagePatience, ServerSettings, api,
        api::{metrics::Gauges, numbers::Numbers, stream::Newest},
        auth::Auth,
        counters::Counters,
        dashboard,
        health::Health,
        middleware,
        oidc::SignOn,
        receive,
        settings::InForce,
        trail::{Operations, Trail},
    },
};

/// The address at the other end of a connection, in the extensions of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// What the public side needs. Clones share everything.
#[derive(Debug, Clone)]
pub struct PublicState(pub(crate) Arc<Public>);

#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) ingest: Ingest,
    pub(crate) registry: Registry,
    pub(crate) health: Health,
    pub(crate) max_body: u64,
    pub(crate) body_timeout: Duration,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) counters: Counters,
}

impl PublicState {
    pub fn new(
        settings: &ServerSettings,
        ingest: Ingest,
        registry: Registry,
        metrics: Metrics,
        health: Health,
    ) -> Self {
        Self(Arc::new(Public {
            ingest,
            registry,
            health,
            max_body: settings.max_body,
            body_timeout: settings.body_timeout,
            trusted_proxies: settings.trusted_proxies.clone(),
            counters: Counters::new(metrics),
        }))
    }
}

/// What the admin side needs. Clones share everything.
#[derive(Debug, Clone)]
pub struct AdminState(pub(crate) Arc<Admin>);

#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) store: Store,
    pub(crate) ingest: Ingest,
    pub(crate) registry: Registry,
    /// Empty in a process that does not deliver.
    pub(crate) lanes: Lanes,
    pub(crate) wake: Wake,
    pub(crate) queues: Queues,
    pub(crate) health: Health,
    pub(crate) alerts: Alerts,
    pub(crate) auth: Auth,
    /// Absent where it is not configured.
    pub(crate) sign_on: Option<SignOn>,
    pub(crate) trail: Trail,
    pub(crate) operations: Operations,
    /// Ends the streams: an open one would hold a graceful stop for ever.
    pub(crate) stop: CancellationToken,
    pub(crate) public_url: Option<Url>,
    /// What a source may be sent, where it does not say so itself.
    pub(crate) max_body: u64,
    pub(crate) newest: Newest,
    pub(crate) numbers: Numbers,
    pub(crate) gauges: Gauges,
    pub(crate) openapi: String,
    pub(crate) config: InForce,
    pub(crate) viewers_see_bodies: bool,
    pub(crate) patience: PagePatience,
    /// Of the URLs of replays.
    pub(crate) reach: Reach,
}

/// What `AdminState::new` is made of.
#[derive(Debug)]
pub struct AdminParts<'a> {
    pub server: &'a ServerSettings,
    pub admin: &'a AdminSettings,
    /// A token that may make the first one of an admin, on a side that would be closed to everybody.
    pub setup: Option<&'a Secret>,
    pub store: Store,
    pub clock: StoreClock,
    pub ingest: Ingest,
    pub registry: Registry,
    pub metrics: Metrics,
    pub lanes: Lanes,
    pub wake: Wake,
    pub queues: Queues,
    pub health: Health,
    pub alerts: Alerts,
    /// What the chore that counts the ledger tells.
    pub audited: watch::Receiver<Option<Audit>>,
    pub stop: CancellationToken,
    pub config: InForce,
}

impl AdminState {
    pub fn new(parts: AdminParts<'_>) -> Result<Self, Failure> {
        let sign_on = parts.admin.oidc.as_ref().map(SignOn::new).transpose()?;
        let auth = Auth::new(
            parts.admin,
            parts.setup,
            &parts.server.trusted_proxies,
            parts.store.clone(),
            parts.clock.clone(),
        );
        let numbers = Numbers::new(parts.store.clone(), parts.audited);
        Ok(Self(Arc::new(Admin {
            auth,
            sign_on,
            trail: Trail::new(parts.store.clone(), parts.clock),
            operations: Operations::new(&api::router().into_openapi()),
            newest: Newest::new(parts.store.clone()),
            gauges: Gauges::new(parts.metrics, numbers.clone()),
            numbers,
            store: parts.store,
            ingest: parts.ingest,
            registry: parts.registry,
            lanes: parts.lanes,
            wake: parts.wake,
            queues: parts.queues,
            health: parts.health,
            alerts: parts.alerts,
            stop: parts.stop,
            public_url: parts.server.public_url.clone(),
            max_body: parts.server.max_body,
            openapi: openapi(),
            config: parts.config,
            viewers_see_bodies: parts.admin.viewers_see_bodies,
            patience: parts.admin.patience,
            reach: parts.admin.reach(),
        })))
    }

    /// Counts for the pages what takes too long to be waited for, until it is stopped.
    pub fn count(&self, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        self.0.numbers.clone().keep(stop)
    }
}

/// The public side: no routes but a function, so that nothing is allocated to find it.
pub fn public_router(state: PublicState) -> Router {
    Router::new().fallback(receive::public).with_state(state)
}

/// The admin side. Everything but `/livez`, `/readyz` and `/login` passes `auth`, whether it exists or not.
pub fn admin_router(state: AdminState) -> Router {
    let (router, _) = api::router().split_for_parts();
    middleware::around(router.merge(dashboard::pages().router), state)
}

/// Method and path of every page and form of the dashboard.
pub fn pages() -> Vec<(&'static str, &'static str)> {
    dashboard::pages().listed
}

/// The description of the admin API, as JSON.
pub fn openapi() -> String {
    api::openapi::complete(api::router().into_openapi())
        .to_pretty_json()
        .expect("the description is made of strings and maps")
}
