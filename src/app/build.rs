//! Puts the rooms together and starts every task.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{self, Alerts, Setup},
    app::{
        Role,
        reload::{self, Reloader},
        supervisor::{Ended, Tasks},
    },
    base::{ids::WorkerId, metrics::Metrics, secret::Secret},
    bulk,
    config::{Inputs, Loaded, Settings},
    delivery::{
        self, claimer, heartbeat, lanes::Lanes, originals::Originals, pool, pool::Held, queue::Queues,
        settler::Settler,
    },
    egress,
    ingest::{Ingest, Parts},
    maintenance,
    registry::{Fault, Registry, Snapshot},
    source::asking::Asking,
    store::{Store, clock::StoreClock, handover::Handover, wake::Wake},
    telemetry::{Tracer, export::Exporter},
    web::{
        self,
        health::Health,
        listener::{self, Limits},
        settings::InForce,
        state::{AdminParts, AdminState, PublicState, admin_router, public_router},
    },
};

/// Everything that `start` started, and the handles that end it.
#[derive(Debug)]
pub struct Built {
    pub public: Option<SocketAddr>,
    pub admin: SocketAddr,
    /// The end was asked for: readiness answers 503.
    pub stop: CancellationToken,
    pub reload: Arc<Notify>,
    pub steps: Steps,
    pub ingest: Ingest,
    pub settler: Settler,
    pub store: Store,
    pub settings: Settings,
    /// Makes the first token of an admin, where there is none.
    pub setup: Option<Secret>,
    /// One set for each step of a stop, so that each can be waited for by itself.
    pub groups: Groups,
}

/// The tokens of a stop, in the order in which they fire.
#[derive(Debug, Default)]
pub struct Steps {
    pub close_public: CancellationToken,
    pub stop_claiming: CancellationToken,
    pub abort_attempts: CancellationToken,
    pub stop_leases: CancellationToken,
    pub close_admin: CancellationToken,
}

/// The tasks that a stop waits for, step by step.
#[derive(Debug, Default)]
pub struct Groups {
    pub public: Tasks,
    pub ingest: Tasks,
    pub claiming: Tasks,
    pub attempts: Tasks,
    pub settling: Tasks,
    /// All that runs to the very end.
    pub last: Tasks,
}

impl Groups {
    /// Waits until some task of any group ends by itself.
    pub async fn ended(&mut self) -> Ended {
        tokio::select! {
            ended = self.public.ended() => ended,
            ended = self.ingest.ended() => ended,
            ended = self.claiming.ended() => ended,
            ended = self.attempts.ended() => ended,
            ended = self.settling.ended() => ended,
            ended = self.last.ended() => ended,
        }
    }
}

pub async fn build(loaded: Loaded, inputs: Inputs, role: Role) -> anyhow::Result<Built> {
    #[cfg(feature = "trial")]
    crate::base::trial::armed::arm(&inputs.environment);
    egress::tls::install_crypto();
    let settings = loaded.settings.clone();
    let snapshot = Snapshot::build(&settings.registry).map_err(|it| faulty(&it))?;
    let alerts = Alerts::new(Setup::build(&settings.alerts).map_err(|it| faulty(&it))?);
    let store = open_store(&settings).await?;
    let setup = setup_token(&settings, &store).await?;
    // Bound before any task starts: an address in use must not leave work half begun.
    let public = if role.ingests() {
        Some(bind("server.listen", settings.server.listen).await?)
    } else {
        None
    };
    let admin = bind("admin.listen", settings.admin.listen).await?;

    let registry = Registry::new(snapshot);
    let metrics = Metrics::new();
    let clock = StoreClock::new();
    clock
        .sync(&store)
        .await
        .context("could not ask the store for its time")?;
    store
        .keep_programs(reload::programs(&settings.registry), clock.now())
        .await
        .context("could not note in the store what routes make of events")?;
    let worker = WorkerId::new();
    let mut groups = Groups::default();
    let steps = Steps::default();
    let tracer = start_tracing(&settings, worker, &metrics, &mut groups.last, &steps.close_admin)?;
    let wake = Wake::default();
    let (handover, in_hand) = Handover::new(worker);
    let stop = CancellationToken::new();

    let ingest = Ingest::new(
        &settings.ingest,
        Parts {
            store: store.clone(),
            registry: registry.clone(),
            asking: Asking::new(metrics.clone()).context("could not set up calls to senders")?,
            metrics: metrics.clone(),
            clock: clock.clone(),
            handover: role.delivers().then(|| handover.clone()),
            wake: wake.clone(),
            tracer: tracer.clone(),
            lease: settings.delivery.lease,
        },
    );
    for _ in 0..ingest.batcher().n_committers() {
        groups.ingest.start("commit", ingest.batcher().clone().run());
    }
    groups
        .ingest
        .start("rejections", ingest.rejections().clone().run());

    let context = delivery::Context {
        store: store.clone(),
        registry: registry.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        tracer,
        handover,
        wake: wake.clone(),
        originals: Originals::default(),
        settings: settings.delivery.clone(),
    };
    let (lanes, held) = (Lanes::default(), Held::default());
    let queues = Queues::new(context.clone(), stop.clone());
    let settler = Settler::new(context.clone(), held.clone());
    groups.settling.start("settle", settler.clone().run());
    if role.delivers() {
        let pool_stop = pool::Stop {
            soft: steps.stop_claiming.clone(),
            hard: steps.abort_attempts.clone(),
        };
        let claim = claimer::run(context.clone(), lanes.clone(), steps.stop_claiming.clone());
        groups.claiming.start("claim", claim);
        let attempts = pool::run(
            context.clone(),
            lanes.clone(),
            held.clone(),
            settler.clone(),
            in_hand,
            pool_stop,
        );
        groups.attempts.start("attempts", attempts);
        groups.last.start(
            "heartbeat",
            heartbeat::run(context, held, lanes.clone(), steps.stop_leases.clone()),
        );
    }

    let jobs = bulk::Context {
        store: store.clone(),
        registry: registry.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        worker,
        wake: wake.clone(),
    };
    let reach = settings.admin.reach();
    groups.last.start(
        "guests",
        bulk::guests::run(jobs.clone(), reach, steps.stop_claiming.clone()),
    );
    groups
        .last
        .start("jobs", bulk::work::run(jobs, steps.stop_claiming.clone()));

    let (count, audited) = watch::channel(None);
    let chores = maintenance::Context {
        store: store.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        worker,
        settings: maintenance::Settings {
            retention: settings.retention,
            rejected_retention: settings.rejected_retention,
            rejected_keep: settings.rejected_keep,
        },
        ledger: count,
    };
    groups.last.start(
        "maintenance",
        maintenance::run(chores, steps.stop_claiming.clone()),
    );

    let looks = alert::Context {
        store: store.clone(),
        registry: registry.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        worker,
        lanes: lanes.clone(),
        ledger: audited.clone(),
        alerts: alerts.clone(),
    };
    groups
        .last
        .start("issues", alert::run(looks, steps.stop_claiming.clone()));

    let health = Health::new(store.clone(), stop.clone());
    let limits = Limits::new(&settings.server, settings.grace, metrics.clone());
    let public_address = public.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(listener) = public {
        let state = PublicState::new(
            &settings.server,
            ingest.clone(),
            registry.clone(),
            metrics.clone(),
            health.clone(),
        );
        let (limits, close) = (limits.clone(), steps.close_public.clone());
        let serve = async move { listener::serve(listener, public_router(state), &limits, close).await };
        groups.public.start("public listener", serve);
    }
    let admin_address = admin.local_addr()?;
    let in_force = InForce::new(reload::effective(&loaded));
    let state = AdminState::new(AdminParts {
        server: &settings.server,
        admin: &settings.admin,
        setup: setup.as_ref(),
        store: store.clone(),
        clock: clock.clone(),
        ingest: ingest.clone(),
        registry: registry.clone(),
        metrics: metrics.clone(),
        lanes,
        wake: wake.clone(),
        queues,
        health,
        alerts: alerts.clone(),
        audited,
        stop: stop.clone(),
        config: in_force.clone(),
    })
    .context("could not set up single sign-on")?;
    groups
        .last
        .start("numbers", state.count(steps.close_admin.clone()));
    let close = steps.close_admin.clone();
    let serve = async move { listener::serve(admin, admin_router(state), &limits, close).await };
    groups.last.start("admin listener", serve);

    let asked = Arc::new(Notify::new());
    let reloader = Reloader {
        inputs,
        current: settings.clone(),
        watched: loaded.watched,
        in_force,
        registry,
        alerts,
        metrics,
        wake,
        store: store.clone(),
        clock,
        is_noted: true,
        asked: Arc::clone(&asked),
    };
    groups
        .last
        .start("reload", reloader.run(steps.close_admin.clone()));

    Ok(Built {
        public: public_address,
        admin: admin_address,
        stop,
        reload: asked,
        steps,
        ingest,
        settler,
        store,
        settings,
        setup,
        groups,
    })
}

/// The exporter outlives everything that makes spans.
fn start_tracing(
    settings: &Settings,
    instance: WorkerId,
    metrics: &Metrics,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<Tracer> {
    let Some(telemetry) = &settings.telemetry else {
        return Ok(Tracer::OFF);
    };
    let (tracer, spans) = Tracer::new(telemetry, metrics.clone());
    let exporter = Exporter::new(telemetry, instance, metrics.clone(), spans)
        .context("could not set up the export of traces")?;
    tasks.start("traces", exporter.run(stop.clone()));
    Ok(tracer)
}

fn faulty(faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<_> = faults
        .iter()
        .map(|it| format!("{}: {}", it.path, it.problem))
        .collect();
    anyhow::anyhow!("the config is faulty: {}", lines.join("; "))
}

async fn open_store(settings: &Settings) -> anyhow::Result<Store> {
    let store = Store::open(&settings.store).await?;
    let applied = store.migrate().await?;
    if !applied.is_empty() {
        tracing::info!(
            n_applied = applied.len(),
            "brought the store's schema up to date: {}",
            applied.join(", ")
        );
    }
    Ok(store)
}

/// Where nobody could ever get in: beyond loopback, without single sign-on, a token in the config, or an admin's in the store.
async fn setup_token(settings: &Settings, store: &Store) -> anyhow::Result<Option<Secret>> {
    let admin = &settings.admin;
    let is_open = !admin.tokens.is_empty() || admin.oidc.is_some() || admin.listen.ip().is_loopback();
    if is_open || store.had_token(web::Role::Admin.as_str()).await? {
        return Ok(None);
    }
    Ok(Some(web::auth::mint()))
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen on `{address}` (`{key}`)"))
}
