//! kill -9 at any moment: nothing acknowledged is lost, nothing forged gets in, duplicates stay within what was in hand.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use crate::{
    app::{
        app_case,
        load::{Load, Seed, assert_kept},
        process::{Process, signal},
        receiver::Reply,
        sender::event,
        site::{STRIPE_TO_BILLING, Site},
    },
    matrix::observed,
};

const N_KILLS: usize = 24;
/// Attempts at once.
const CONCURRENCY: usize = 4;
/// In one process's hands: running, waiting, or waiting to be settled.
const IN_HAND: usize = CONCURRENCY * 4;

fn prepare(site: &mut Site) {
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let narrow = format!("concurrency = {CONCURRENCY}\nretry =");
    site.configure(&STRIPE_TO_BILLING.replace("retry =", &narrow));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_kills_at_random_moments_lose_nothing_on_sqlite() {
    let site = kill_and_restart(Site::sqlite().await).await;
    let verdict: String = {
        let mut conn = site.sqlite_connection().await;
        sqlx::query_scalar("pragma integrity_check")
            .fetch_one(&mut conn)
            .await
            .unwrap()
    };
    assert_eq!(verdict, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_kills_at_random_moments_lose_nothing_on_postgres() {
    kill_and_restart(Site::empty_postgres().await).await;
}

async fn kill_and_restart(mut site: Site) -> Site {
    prepare(&mut site);
    let seed = Seed::choose();
    let mut random = StdRng::seed_from_u64(seed.0);
    let load = Load::start(seed.0, 6);
    for n_kills in 0..N_KILLS {
        // While it starts: opening, migrating, rescuing. The first ones meet an empty store.
        if n_kills < 3 || random.random_ratio(1, 8) {
            Process::kill_early(&site, Duration::from_millis(random.random_range(0..150))).await;
            continue;
        }
        let process = Process::spawn(&site, "all").await;
        load.aim(process.public);
        if n_kills == 3 {
            load.progress(50).await;
        }
        // The moment is the test: nothing tells when the next interesting one is.
        process
            .live_for(Duration::from_millis(random.random_range(0..400)))
            .await;
        if random.random_ratio(1, 4) {
            // In the middle of a stop.
            signal(process.id(), "TERM");
            process
                .run_on(Duration::from_millis(random.random_range(0..30)))
                .await;
        }
        process.kill();
        load.aim(None);
    }
    let started_at = Instant::now();
    let process = Process::spawn(&site, "all").await;
    load.aim(process.public);
    load.progress(1).await;
    let recovered_in = started_at.elapsed();
    load.progress(19).await;
    let book = load.finish().await;
    let n_acknowledged = book.acknowledged.len();
    assert!(
        n_acknowledged > 5 * N_KILLS,
        "too little happened: {n_acknowledged}"
    );
    assert!(book.n_forged > 0);
    let n_twice = assert_kept(&site, &book).await;
    assert!(n_twice <= N_KILLS * IN_HAND, "{n_twice} deliveries came twice");
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["dead"], 0, "{ledger}");
    observed("F21", &site, "reset", Some(recovered_in));
    process.terminate().await;
    site
}

app_case!(f21_a_kill_in_the_middle_of_an_attempt_delivers_again, |site| {
    prepare(&mut site);
    site.receiver.script("/billing", [Reply::Hang]);
    let process = Process::start(&site, "all").await;
    let id = process.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    process.kill();
    let process = Process::start(&site, "all").await;
    let hits = site.receiver.arrived("/billing", 2).await;
    assert_eq!(hits[1].header("webhook-id"), id);
    // What died with its process is no attempt that anybody can know the end of.
    assert_eq!(hits[1].header("gatepost-attempt"), "1");
    process.until_status(&id, "delivered").await;
    process.terminate().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_a_second_process_on_one_sqlite_file_is_refused() {
    let site = Site::sqlite().await;
    let process = Process::start(&site, "all").await;
    let second = Process::end_of(&site, "all").await;
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    let holder = format!("in use by another process (process {})", process.id());
    assert!(second.stderr.contains(&holder), "{}", second.stderr);
    process.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    process.until_open(0).await;
    observed("F29", &site, "200 from the first, which goes on", None);
    process.terminate().await;
}
