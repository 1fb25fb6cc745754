//! Several processes over one store, and what happens to the others when one of them dies or sleeps.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use gatepost::app::Role;
use tokio::time::Instant;

use crate::{
    app::{
        app_case, eventually,
        load::{Load, Seed, assert_kept},
        process::{Process, signal},
        receiver::{Hit, Reply},
        sender::event,
        site::{STRIPE_TO_BILLING, Site},
    },
    matrix::observed,
};

/// From the death of a worker to the delivery of all that it held.
const TAKEOVER: Duration = Duration::from_secs(15);

app_case!(what_ingest_took_alone_is_delivered_by_another_process, |site| {
    let app = site.start_as(Role::Ingest).await;
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    let ledger = app.until_open(30).await;
    assert_eq!(ledger["balanced"], true);
    assert!(site.receiver.all_hits().is_empty());
    app.stop().await;

    let app = site.start_as(Role::Deliver).await;
    assert!(app.public.is_none());
    site.receiver.arrived("/billing", 30).await;
    for id in &ids {
        app.until_status(id, "delivered").await;
    }
    assert_eq!(site.receiver.all_hits().len(), 30);
    app.finish().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f87_four_replicas_start_at_once_on_an_empty_database() {
    let site = Site::empty_postgres().await;
    let begun_at = Instant::now();
    let replicas = join_all((0..4).map(|_| Process::start(&site, "all"))).await;
    let took = begun_at.elapsed();
    for (n, replica) in replicas.iter().enumerate() {
        replica.accept(&event(&format!("evt_{n}"))).await;
    }
    site.receiver.arrived("/billing", 4).await;
    let ledger = replicas[0].until_open(0).await;
    assert_eq!(ledger["stored"], 4);
    assert_eq!(ledger["balanced"], true);
    assert_eq!(site.receiver.all_hits().len(), 4);
    observed("F87", &site, "refused until they listen", Some(took));
    for replica in replicas {
        replica.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b05_one_id_at_many_replicas_is_one_event() {
    let site = Site::postgres().await;
    let replicas = join_all((0..3).map(|_| site.start())).await;
    for round in 0..10 {
        let signed = event(&format!("evt_{round}"));
        let posts = (0..24).map(|n| replicas[n % 3].post(&signed));
        let answers: Vec<_> = join_all(posts)
            .await
            .iter()
            .map(crate::app::api::Answer::taken)
            .collect();
        let n_accepted = answers.iter().filter(|(status, _)| status == "accepted").count();
        assert_eq!(n_accepted, 1);
        assert!(answers.iter().all(|(_, id)| *id == answers[0].1));
    }
    site.receiver.arrived("/billing", 10).await;
    let ledger = replicas[0].until_open(0).await;
    assert_eq!(ledger["stored"], 10);
    assert_eq!(ledger["duplicates"], 230);
    assert_eq!(site.receiver.all_hits().len(), 10);
    for replica in replicas {
        replica.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e09_work_is_found_by_looking_alone() {
    let mut site = Site::postgres().await;
    let poll = Duration::from_millis(400);
    site.set("GATEPOST__DELIVERY__POLL", "400ms");
    let ingest = Process::start(&site, "ingest").await;
    let deliver = Process::start(&site, "deliver").await;
    for n in 1..=10 {
        let id = ingest.accept(&event(&format!("evt_{n}"))).await;
        let accepted_at = Instant::now();
        let hits = site.receiver.arrived("/billing", n).await;
        assert_eq!(hits[n - 1].header("webhook-id"), id);
        // Nothing tells the one process of what the other did; it looks as often as it says. The rest is the machine's.
        let took = hits[n - 1].at.saturating_duration_since(accepted_at);
        assert!(took <= poll + Duration::from_secs(2), "{took:?}");
    }
    // Nobody asked to be told, either.
    let listening = "select count(*) from pg_stat_activity where query ilike 'listen %' or query ilike '%notify%' and pid <> pg_backend_pid()";
    assert_eq!(site.count(listening).await, 0);
    deliver.until_open(0).await;
    ingest.terminate().await;
    deliver.terminate().await;
}

fn per_id(hits: &[Hit]) -> HashMap<String, usize> {
    let mut res = HashMap::new();
    for hit in hits {
        *res.entry(hit.header("gatepost-external-id").to_owned())
            .or_default() += 1;
    }
    res
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_killed_replicas_work_is_taken_over_in_time() {
    let site = Site::postgres().await;
    let victim = Process::start(&site, "all").await;
    site.receiver.always("/billing", Reply::Hang);
    for n in 0..30 {
        victim.accept(&event(&format!("evt_{n}"))).await;
    }
    // As many as it may send at once hang; the rest wait in its hands.
    site.receiver.arrived("/billing", 16).await;
    // Only now, so that all of it is the victim's.
    let others = join_all((0..2).map(|_| Process::start(&site, "all"))).await;
    site.receiver.always("/billing", Reply::Status(200));
    victim.kill();
    let killed_at = Instant::now();
    others[0].until_open(0).await;
    let took = killed_at.elapsed();
    assert!(took <= TAKEOVER, "{took:?}");
    let per_id = per_id(&site.receiver.all_hits());
    assert_eq!(per_id.len(), 30);
    assert!(per_id.values().all(|it| *it <= 2), "{per_id:?}");
    let n_twice = per_id.values().filter(|it| **it == 2).count();
    assert_eq!(n_twice, 16, "only what was in flight comes twice");
    let ledger = others[0].get("/v1/ledger").await;
    assert_eq!(ledger["delivered"], 30);
    observed("F22", &site, "reset", Some(took));
    for replica in others {
        replica.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f81_a_sleeping_replicas_late_results_are_refused() {
    let site = Site::postgres().await;
    site.configure(
        &STRIPE_TO_BILLING
            .replace("max_attempts = 4", "max_attempts = 1")
            // All are to fail at once.
            .replace("retry =", "breaker = { enabled = false }\nretry ="),
    );
    let sleeper = Process::start(&site, "all").await;
    site.receiver.script("/billing", (0..16).map(|_| Reply::Gate));
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(sleeper.accept(&event(&format!("evt_{n}"))).await);
    }
    site.receiver.arrived("/billing", 16).await;
    let other = Process::start(&site, "all").await;
    site.receiver.always("/billing", Reply::Status(500));
    signal(sleeper.id(), "STOP");
    let stopped_at = Instant::now();
    // It took them over, failed, and gave them up.
    other.until_open(0).await;
    let took = stopped_at.elapsed();
    assert!(took <= TAKEOVER, "{took:?}");
    // The sleeper's handler says yes after all, and it wakes.
    site.receiver.open();
    signal(sleeper.id(), "CONT");
    eventually("the late attempts are recorded", || async {
        let n_attempts = site.count("select count(*) from attempt").await;
        (n_attempts == 36).then_some(())
    })
    .await;
    for id in &ids {
        assert_eq!(other.delivery_of(id).await["status"], "dead");
    }
    assert_eq!(site.receiver.all_hits().len(), 36);
    let ledger = other.get("/v1/ledger").await;
    assert_eq!(ledger["dead"], 20);
    assert_eq!(ledger["balanced"], true, "{ledger}");
    // It is of use again.
    site.receiver.always("/billing", Reply::Status(200));
    let late = sleeper.accept(&event("evt_late")).await;
    sleeper.until_status(&late, "delivered").await;
    observed("F81", &site, "200 from the other", Some(took));
    sleeper.terminate().await;
    other.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_killed_and_sleeping_deliverers_under_load_lose_nothing() {
    let site = Site::postgres().await;
    let seed = Seed::choose();
    let ingest = Process::start(&site, "ingest").await;
    let mut deliverers = join_all((0..2).map(|_| Process::start(&site, "deliver"))).await;
    site.receiver
        .always("/billing", Reply::Slow(Duration::from_millis(5)));
    let load = Load::start(seed.0, 4);
    load.aim(ingest.public);
    load.progress(100).await;
    let sleeper = deliverers.pop().unwrap();
    signal(sleeper.id(), "STOP");
    load.progress(50).await;
    deliverers.pop().unwrap().kill();
    deliverers.push(Process::start(&site, "deliver").await);
    load.progress(100).await;
    signal(sleeper.id(), "CONT");
    load.progress(50).await;
    let book = load.finish().await;
    let n_twice = assert_kept(&site, &book).await;
    // In the hands of one process: sixteen at once, and three times as many beside them.
    assert!(n_twice <= 2 * 64, "{n_twice} came twice");
    let ledger = ingest.until_open(0).await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    for process in deliverers.into_iter().chain([sleeper, ingest]) {
        process.terminate().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_three_replicas_share_a_rate() {
    const N: usize = 150;
    let mut site = Site::postgres().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    site.configure(&STRIPE_TO_BILLING.replace("retry =", "rate = \"30/s\"\nretry ="));
    let replicas = join_all((0..3).map(|_| site.start())).await;
    for replica in &replicas {
        eventually("all three know of each other", || async {
            let metrics = String::from_utf8(replica.ask("/metrics").await.body.to_vec()).unwrap();
            metrics
                .lines()
                .any(|it| it == "gatepost_replicas 3")
                .then_some(())
        })
        .await;
    }
    let pause = replicas[0].command("/v1/destinations/billing/pause", "").await;
    assert_eq!(pause.status, 200, "{pause:?}");
    for n in 0..N {
        replicas[n % 3].accept(&event(&format!("evt_{n}"))).await;
    }
    let n_before = site.receiver.hits("/billing").len();
    let resume = replicas[0].command("/v1/destinations/billing/resume", "").await;
    assert_eq!(resume.status, 200, "{resume:?}");
    let hits = site.receiver.arrived("/billing", N).await;
    // Each of the three may begin at once.
    let n_paced = u32::try_from(N - n_before - 3).unwrap();
    let least = Duration::from_secs(1) * n_paced / 30;
    let took = hits[N - 1].at - hits[n_before].at;
    assert!(took >= least, "{n_paced} within {took:?}, at least {least:?}");
    // One that goes leaves its share to the others.
    let mut replicas = replicas.into_iter();
    let last = replicas.next().unwrap();
    for replica in replicas {
        replica.stop().await;
    }
    eventually("one is left", || async {
        let metrics = String::from_utf8(last.ask("/metrics").await.body.to_vec()).unwrap();
        metrics
            .lines()
            .any(|it| it == "gatepost_replicas 1")
            .then_some(())
    })
    .await;
    last.finish().await;
}
