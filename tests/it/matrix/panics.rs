//! A panic in an attempt. Panics in a request are `d11`, in `web`; those in a committer, which end the process, are played by
//! `tests/campaign` with a trial build.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gatepost::{
    app::Role,
    base::{ids::WorkerId, metrics::Metrics},
    config::{self, Inputs},
    delivery::{self, claimer, heartbeat, lanes::Lanes, pool, pool::Held, settler::Settler},
    destination::{Destination, Message, Response, Sending, Way},
    event::headers::Headers,
    maintenance::{self, rescue},
    registry::{Outlet, Registry, Snapshot},
    store::{Store, clock::StoreClock, handover::Handover},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{app_case, eventually, sender::event, site::Site},
    matrix::observed,
};

const N_PANICS: usize = 3;

/// Panics a few times, then takes everything.
#[derive(Debug, Default)]
struct Panicking {
    n_sent: AtomicUsize,
}

impl Destination for Panicking {
    fn send<'a>(&'a self, _: &'a Message) -> Sending<'a> {
        Box::pin(async {
            // Somewhere in the middle of it.
            tokio::task::yield_now().await;
            assert!(
                self.n_sent.fetch_add(1, Ordering::SeqCst) >= N_PANICS,
                "on purpose"
            );
            Ok(Response {
                status: Some(200),
                headers: Headers::default(),
                body: Bytes::new(),
            })
        })
    }
}

/// The site's config, with that in place of its destination.
fn registry(site: &Site) -> (config::Settings, Registry) {
    let inputs = Inputs {
        file: Some(site.config_file()),
        flags: Vec::new(),
        environment: site.environment.clone(),
    };
    let settings = config::load(&inputs)
        .unwrap_or_else(|faults| panic!("{faults}"))
        .settings;
    let mut snapshot = Snapshot::build(&settings.registry).unwrap();
    let outlet = snapshot.destinations.get("billing").unwrap();
    let panicking = Outlet {
        name: outlet.name.clone(),
        settings: outlet.settings.clone(),
        way: Way::Push(Arc::new(Panicking::default())),
    };
    snapshot
        .destinations
        .insert("billing".into(), Arc::new(panicking));
    (settings, Registry::new(snapshot))
}

app_case!(
    f26_an_attempt_that_panics_is_made_again_and_holds_up_nobody,
    |site| {
        const N: u64 = 10;
        let app = site.start_as(Role::Ingest).await;
        for n in 0..N {
            app.accept(&event(&format!("evt_{n}"))).await;
        }
        app.stop().await;

        let (settings, registry) = registry(&site);
        let store = Store::open(&settings.store).await.unwrap();
        let (clock, metrics, worker) = (StoreClock::new(), Metrics::new(), WorkerId::new());
        clock.sync(&store).await.unwrap();
        let (handover, in_hand) = Handover::new(worker);
        let context = delivery::Context {
            store: store.clone(),
            registry,
            clock: clock.clone(),
            metrics: metrics.clone(),
            handover,
            wake: gatepost::store::wake::Wake::default(),
            originals: gatepost::delivery::originals::Originals::default(),
            tracer: gatepost::telemetry::Tracer::OFF,
            settings: delivery::Settings {
                lease: Duration::from_secs(1),
                poll: Duration::from_millis(50),
            },
        };
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
            ledger: tokio::sync::watch::channel(None).0,
        };
        let (lanes, held, stop) = (Lanes::default(), Held::default(), CancellationToken::new());
        let settler = Settler::new(context.clone(), held.clone());
        let begun_at = Instant::now();
        let mut tasks = JoinSet::new();
        tasks.spawn(settler.clone().run());
        tasks.spawn(claimer::run(context.clone(), lanes.clone(), stop.clone()));
        tasks.spawn(heartbeat::run(
            context.clone(),
            held.clone(),
            lanes.clone(),
            stop.clone(),
        ));
        let pool_stop = pool::Stop {
            soft: stop.clone(),
            hard: CancellationToken::new(),
        };
        tasks.spawn(pool::run(
            context,
            lanes,
            held,
            settler.clone(),
            in_hand,
            pool_stop,
        ));
        let its_stop = stop.clone();
        tasks.spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(200));
            while !its_stop.is_cancelled() {
                pace.tick().await;
                rescue::run(&chores).await.unwrap();
            }
        });
        let ledger = eventually("all are delivered", || async {
            let ledger = store.ledger(clock.now()).await.unwrap();
            (ledger.open == 0).then_some(ledger)
        })
        .await;
        let took = begun_at.elapsed();
        assert_eq!(ledger.delivered, N);
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert!(
            metrics
                .encode()
                .contains(&format!("gatepost_panics_total {N_PANICS}\n"))
        );
        stop.cancel();
        settler.close();
        tasks.join_all().await;
        store.close().await;
        observed("F26", &site, "200", Some(took));
    }
);
