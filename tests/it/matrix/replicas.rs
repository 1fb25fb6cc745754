//! Several processes over one store, one of which sleeps, is cut off, or is of another time.

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use gatepost::{
    base::secret::Secret,
    store::{PoolMode, Settings, Store, error::StoreError},
};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    app::{
        api::Answer,
        app_case, eventually,
        faults::Lock,
        process::{Process, signal},
        receiver::Reply,
        sender::event,
        site::{STRIPE_TO_BILLING, Site},
    },
    matrix::{blackhole::BlackHole, observed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f80_three_replicas_race_for_one_id_again_and_again() {
    const N: usize = 300;
    let site = Site::postgres().await;
    let replicas = join_all((0..3).map(|_| site.start())).await;
    let race = async |n: usize| {
        let signed = event(&format!("evt_{n}"));
        let answers = join_all((0..6).map(|it| replicas[it % 3].post(&signed))).await;
        let answers: Vec<_> = answers.iter().map(Answer::taken).collect();
        assert_eq!(
            answers.iter().filter(|(status, _)| status == "accepted").count(),
            1
        );
        assert!(answers.iter().all(|(_, id)| *id == answers[0].1));
    };
    for first in (0..N).step_by(10) {
        join_all((first..first + 10).map(&race)).await;
    }
    let ledger = replicas[0].until_open(0).await;
    assert_eq!(ledger["stored"], N, "{ledger}");
    assert_eq!(ledger["duplicates"], 5 * N, "{ledger}");
    assert_eq!(site.receiver.all_hits().len(), N, "each was delivered once");
    observed("F80", &site, "200 for all", None);
    for replica in replicas {
        replica.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f82_what_waited_in_a_sleepers_hands_is_not_sent_when_it_wakes() {
    let mut site = Site::postgres().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    // One attempt at once, and three more in hand: claimed, and not yet sent.
    site.configure(&STRIPE_TO_BILLING.replace("retry =", "concurrency = 1\nretry ="));
    let sleeper = Process::start(&site, "all").await;
    site.receiver.script("/billing", [Reply::Gate]);
    for n in 0..4 {
        sleeper.accept(&event(&format!("evt_{n}"))).await;
    }
    site.receiver.arrived("/billing", 1).await;
    eventually("it has all four in hand", || async {
        let sql = "select count(*) from delivery where status = 'delivering'";
        (site.count(sql).await == 4).then_some(())
    })
    .await;
    let other = Process::start(&site, "all").await;
    signal(sleeper.id(), "STOP");
    let stopped_at = Instant::now();
    other.until_open(0).await;
    let took = stopped_at.elapsed();
    assert!(took <= Duration::from_secs(15), "{took:?}");
    assert_eq!(site.receiver.all_hits().len(), 5, "the one in flight came twice");
    site.receiver.open();
    signal(sleeper.id(), "CONT");
    eventually("the late attempt is recorded", || async {
        (site.count("select count(*) from attempt").await == 5).then_some(())
    })
    .await;
    // Sent one after the other: what comes now comes after the three that waited.
    sleeper.accept(&event("evt_late")).await;
    site.receiver
        .until("the sleeper is of use again", |hits| {
            hits.iter()
                .any(|it| it.header("gatepost-external-id") == "evt_late")
                .then_some(())
        })
        .await;
    let ledger = sleeper.until_open(0).await;
    assert_eq!(ledger["delivered"], 5, "{ledger}");
    assert_eq!(site.receiver.all_hits().len(), 6, "nothing else was sent");
    observed("F82", &site, "200 from the other", Some(took));
    sleeper.terminate().await;
    other.terminate().await;
}

app_case!(f83_paused_with_64_waiting_it_acknowledges_nothing_early, |site| {
    let process = Process::start(&site, "all").await;
    process.accept(&event("evt_first")).await;
    let lock = Lock::take(&site).await;
    let mut posts = JoinSet::new();
    for n in 0..64 {
        let api = process.api.clone();
        let id = format!("evt_{n:02}");
        posts.spawn(async move {
            let answer = api.post(&event(&id)).await;
            (id, answer)
        });
    }
    let early = tokio::time::timeout(Duration::from_millis(700), posts.join_next()).await;
    assert!(early.is_err(), "answered while the store was locked: {early:?}");
    signal(process.id(), "STOP");
    lock.release().await;
    let early = tokio::time::timeout(Duration::from_secs(1), posts.join_next()).await;
    assert!(early.is_err(), "answered while it was paused: {early:?}");
    signal(process.id(), "CONT");
    let woken_at = Instant::now();
    let mut taken = HashSet::new();
    for (id, answer) in posts.join_all().await {
        assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
        if answer.status == 200 {
            taken.insert(id);
        }
    }
    let stored: HashSet<_> = site
        .events()
        .await
        .into_iter()
        .filter_map(|it| it.external_id)
        .collect();
    assert!(taken.is_subset(&stored), "acknowledged and not in the store");
    for n in 0..64 {
        process.post(&event(&format!("evt_{n:02}"))).await.taken();
    }
    let took = woken_at.elapsed();
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["stored"], 65, "{ledger}");
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(site.receiver.all_hits().len(), 65);
    observed("F83", &site, "no answer, then 200", Some(took));
    process.terminate().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f84_two_that_do_the_same_chore_do_it_once() {
    let site = Site::postgres().await;
    let app = site.start().await;
    for n in 0..30 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    app.until_open(0).await;
    app.stop().await;
    // Of the one that stopped; the next would have to wait for it to end.
    site.raw("delete from chore_lease").await;
    site.raw("update event set received_at = received_at - interval '60 days'")
        .await;
    // What a dead worker left: both look for it every second.
    site.raw(
        "update delivery set status = 'delivering', worker = gen_random_uuid(), lease_until = now(), fence = fence + 1 \
         where id in (select id from delivery order by id limit 10)",
    )
    .await;
    let replicas = join_all((0..2).map(|_| site.start())).await;
    eventually("retention and rescue are done", || async {
        (site.count("select count(*) from event").await <= 10).then_some(())
    })
    .await;
    site.receiver.arrived("/billing", 40).await;
    let ledger = replicas[0].until_open(0).await;
    assert_eq!(ledger["stored"], 30, "{ledger}");
    assert_eq!(ledger["delivered"], 30, "{ledger}");
    assert_eq!(
        site.receiver.all_hits().len(),
        40,
        "each that was freed was sent once"
    );
    observed("F84", &site, "200", None);
    for replica in replicas {
        replica.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f85_cut_off_from_postgres_it_is_not_ready_and_says_503() {
    let mut site = Site::postgres().await;
    let hole = BlackHole::before(&mut site).await;
    let app = site.start().await;
    app.accept(&event("evt_before")).await;
    app.until_open(0).await;
    hole.close();
    let cut_at = Instant::now();
    let asked = [1, 2, 3].map(|n| event(&format!("evt_{n}")));
    let answers = join_all(asked.iter().map(|it| app.post(it))).await;
    for answer in &answers {
        assert!(answer.is_own_fault(), "{answer:?}");
    }
    eventually("readiness says no", || async {
        (app.ask("/readyz").await.status == 503).then_some(())
    })
    .await;
    let noticed = cut_at.elapsed();
    assert!(noticed <= Duration::from_secs(10), "{noticed:?}");
    assert_eq!(app.ask("/livez").await.status, 200);
    hole.open();
    let mended_at = Instant::now();
    for signed in &asked {
        eventually("it takes them", || async {
            let answer = app.post(signed).await;
            assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
            (answer.status == 200).then_some(())
        })
        .await;
    }
    let took = mended_at.elapsed();
    assert!(took <= Duration::from_secs(10), "{took:?}");
    eventually("readiness says yes", || async {
        (app.ask("/readyz").await.status == 200).then_some(())
    })
    .await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 4, "{ledger}");
    observed("F85", &site, "503", Some(took));
    app.finish().await;
}

/// Ends the session that runs the n-th statement of a migration, and every one that tries again.
const DIE: [&str; 5] = [
    "create sequence statement_number",
    "create table die_at (n bigint not null)",
    "insert into die_at values (1)",
    "create function die() returns event_trigger language plpgsql as $$ begin \
    if nextval('statement_number') >= (select n from die_at) then \
    perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); end if; end $$",
    "create event trigger die on ddl_command_start execute function die()",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f88_a_migration_that_dies_at_any_statement_is_done_again() {
    let site = Site::empty_postgres().await;
    for sql in DIE {
        site.raw(sql).await;
    }
    let settings = Settings {
        url: Secret::new(site.store_url()),
        max_connections: 1,
        pool_mode: PoolMode::Session,
    };
    let mut n_deaths = 0;
    loop {
        site.raw("select setval('statement_number', 1, false)").await;
        let store = Store::open(&settings).await.unwrap();
        let migrated = store.migrate().await;
        store.close().await;
        match migrated {
            Ok(_) => break,
            Err(StoreError::Unavailable { .. }) => n_deaths += 1,
            Err(other) => panic!("after {n_deaths} deaths: {other}"),
        }
        // In steps, so that it is over soon.
        site.raw("update die_at set n = n + 3").await;
    }
    assert!(n_deaths > 5, "{n_deaths}");
    site.raw("drop event trigger die").await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    assert_eq!(app.until_open(0).await["delivered"], 1);
    observed("F88", &site, "refused until it listens", None);
    app.finish().await;
}

app_case!(f89_an_older_program_leaves_a_newer_store_alone, |site| {
    let process = Process::start(&site, "all").await;
    let id = process.accept(&event("evt_1")).await;
    process.until_open(0).await;
    process.terminate().await;
    site.raw(if site.is_postgres() {
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (9999, 'from the future', true, '\\x00', 0)"
    } else {
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (9999, 'from the future', true, x'00', 0)"
    })
    .await;
    let ended = Process::end_of(&site, "all").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("version 9999"), "{}", ended.stderr);
    site.raw("delete from _sqlx_migrations where version = 9999")
        .await;
    let process = Process::start(&site, "all").await;
    assert_eq!(process.post(&event("evt_1")).await.duplicate(), id);
    assert_eq!(process.until_open(0).await["stored"], 1);
    observed("F89", &site, "refused: it does not start", None);
    process.terminate().await;
});
