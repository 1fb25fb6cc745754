//! A Postgres that restarts, hangs, is slow, full of connections, read-only, or ends its sessions.

use std::time::Duration;

use gatepost::app::Role;
use sqlx::Executor;
use tokio::time::Instant;

use crate::{
    app::{eventually, process::Process, receiver::Reply, sender::event, site::Site},
    matrix::{
        cluster::Cluster,
        observed,
        proxy::{Mode, Proxy},
        shim::Shim,
        storm::{BUSY, Storm, until_ready, until_taken},
    },
    pooler::Pooler,
};

/// What a sender waits at most.
const ACK_TIMEOUT: Duration = Duration::from_secs(4);

async fn restart(mode: &str) {
    let cluster = Cluster::start().await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    cluster.run(&format!("control primary stop -m {mode}")).await;
    storm.own_fault().await;
    cluster.run("control primary start").await;
    let recovery = storm.recovery(Duration::from_secs(2)).await;
    // And without a pause, as an administrator does it.
    cluster.run(&format!("control primary restart -m {mode}")).await;
    storm.load.progress(20).await;
    storm.end("F42", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_a_fast_restart_loses_nothing() {
    restart("fast").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f42_an_immediate_restart_loses_nothing() {
    restart("immediate").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f46_slow_statements_are_waited_for_up_to_a_limit() {
    let mut site = Site::empty_postgres().await;
    let proxy = Proxy::start(&site.store_url()).await;
    site.set("GATEPOST__STORE__URL", proxy.url());
    let storm = Storm::start(&mut site).await;
    proxy.set(Mode::Slow(Duration::from_secs(1)));
    storm.load.progress(6).await;
    proxy.set(Mode::Slow(Duration::from_secs(10)));
    storm.is_refused_within(ACK_TIMEOUT).await;
    proxy.set(Mode::Pass);
    let recovery = storm.recovery(Duration::from_secs(2)).await;
    storm.end("F46", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f47_a_server_that_hangs_is_503_in_time() {
    let cluster = Cluster::start().await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    cluster.run("signal STOP").await;
    storm.is_refused_within(ACK_TIMEOUT).await;
    until_ready(&storm.api, false).await;
    storm.is_refused_within(ACK_TIMEOUT).await;
    cluster.run("signal CONT").await;
    let recovery = storm.recovery(Duration::from_secs(3)).await;
    until_ready(&storm.api, true).await;
    storm.end("F47", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f59_a_pooler_that_lends_transactions_and_its_restart() {
    let mut site = Site::empty_postgres().await;
    let pooler = Pooler::start(&site.store_url());
    site.set("GATEPOST__STORE__URL", &pooler.url(&site.store_url()));
    site.set("GATEPOST__STORE__POOL_MODE", "transaction");
    let storm = Storm::start(&mut site).await;
    pooler.run("stop");
    storm.own_fault().await;
    pooler.run("start");
    let recovery = storm.recovery(Duration::from_secs(2)).await;
    storm.end("F59", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f48_without_a_connection_nobody_knocks_all_the_time() {
    let cluster = Cluster::start().await;
    cluster
        .execute(
            5432,
            "create role gatepost login; create database gatepost owner gatepost",
        )
        .await;
    let url = cluster.url(5432).replace("/postgres?", "/gatepost?");
    let mut site = Site::on(&url.replace("user=postgres", "user=gatepost")).await;
    let proxy = Proxy::start(&site.store_url()).await;
    site.set("GATEPOST__STORE__URL", proxy.url());
    let storm = Storm::start(&mut site).await;
    cluster
        .execute(
            5432,
            "alter role gatepost connection limit 0; \
             select pg_terminate_backend(pid) from pg_stat_activity where usename = 'gatepost'",
        )
        .await;
    storm.own_fault().await;
    let (since, n_before) = (Instant::now(), proxy.n_connections());
    eventually("two seconds of refusals", || async {
        (since.elapsed() >= Duration::from_secs(2)).then_some(())
    })
    .await;
    // Each place of the four pools knocks five times a second at most.
    let n_knocks = proxy.n_connections() - n_before;
    assert!(
        n_knocks <= 2 * 5 * (4 + 4 + 2 + 4),
        "{n_knocks} connections were tried"
    );
    until_ready(&storm.api, false).await;
    cluster
        .execute(5432, "alter role gatepost connection limit -1")
        .await;
    let recovery = storm.recovery(Duration::from_secs(3)).await;
    storm.end("F48", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f49_a_server_that_becomes_read_only_is_503() {
    let cluster = Cluster::start().await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    cluster
        .execute(
            5432,
            "alter system set default_transaction_read_only = on; select pg_reload_conf()",
        )
        .await;
    storm.own_fault().await;
    until_ready(&storm.api, false).await;
    cluster
        .execute(
            5432,
            "set default_transaction_read_only = off; alter system reset default_transaction_read_only; \
             select pg_reload_conf()",
        )
        .await;
    let recovery = storm.recovery(Duration::from_secs(3)).await;
    until_ready(&storm.api, true).await;
    storm.end("F49", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f50_sessions_ended_ten_times_a_second_lose_nothing() {
    let mut site = Site::empty_postgres().await;
    let storm = Storm::start(&mut site).await;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..20 {
        pace.tick().await;
        site.terminate_sessions().await;
    }
    let recovery = storm.recovery(Duration::from_secs(1)).await;
    storm.end("F50", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f51_a_commit_that_no_standby_confirms_is_not_acknowledged() {
    let cluster = Cluster::start().await;
    let mut site = Site::on(&cluster.url(5432)).await;
    // So that the store's own limit ends the wait, not the sender's.
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "20s");
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    cluster
        .execute(
            5432,
            "alter system set synchronous_standby_names = 'nobody'; select pg_reload_conf()",
        )
        .await;
    cluster
        .until(
            5432,
            "select current_setting('synchronous_standby_names') = 'nobody'",
        )
        .await;
    // The server ends the wait at its limit and then says that all is well. It is not.
    let answer = app.post(&event("evt_2")).await;
    assert!(answer.is_own_fault(), "{answer:?}");
    cluster
        .execute(
            5432,
            "set synchronous_commit = local; alter system reset synchronous_standby_names; select pg_reload_conf()",
        )
        .await;
    let ended_at = Instant::now();
    until_taken(&app, &event("evt_2")).await;
    let recovery = ended_at.elapsed();
    site.receiver.arrived("/billing", 2).await;
    app.finish().await;
    observed("F51", &site, "503, 200", Some(recovery));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f51_a_cancelled_statement_is_not_acknowledged() {
    let site = Site::postgres().await;
    let app = site.start().await;
    let mut thief = site.postgres_connection().await;
    thief.execute("begin").await.unwrap();
    thief.execute("lock table event in exclusive mode").await.unwrap();
    let cancel = async {
        let sql = "select count(pg_cancel_backend(pid)) from pg_stat_activity where application_name = 'gatepost' and \
                   wait_event_type = 'Lock' and datname = current_database()";
        eventually("it is cancelled", || async {
            (site.count(sql).await > 0).then_some(())
        })
        .await;
    };
    let signed = event("evt_1");
    let (answer, ()) = tokio::join!(app.post(&signed), cancel);
    assert!(answer.is_own_fault(), "{answer:?}");
    thief.execute("rollback").await.unwrap();
    until_taken(&app, &signed).await.accepted();
    site.receiver.arrived("/billing", 1).await;
    app.finish().await;
    observed("F51", &site, "503, 200", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f56_without_a_notification_the_poll_finds_all_in_time() {
    let site = Site::postgres().await;
    // One takes and the other delivers; nothing but the store is between them, and it tells nobody.
    let ingest = site.start_as(Role::Ingest).await;
    let deliver = site.start_as(Role::Deliver).await;
    let mut slowest = Duration::ZERO;
    for n in 1..=20 {
        ingest.accept(&event(&format!("evt_{n}"))).await;
        let taken_at = Instant::now();
        site.receiver.arrived("/billing", n).await;
        slowest = slowest.max(taken_at.elapsed());
    }
    // It polls every 50 ms here.
    assert!(slowest < BUSY, "{slowest:?}");
    let n_listening = "select count(*) from pg_stat_activity where datname = current_database() and query ilike '%listen %'";
    assert_eq!(site.count(n_listening).await, 1, "the question itself");
    ingest.stop().await;
    deliver.finish().await;
    observed("F56", &site, "200", Some(slowest));
}

/// Every third batch is refused by the server with this code, as it does to one of two that are in each other's way.
async fn refuse_every_third(site: &Site, code: &str) {
    site.raw("create sequence third").await;
    let body = format!(
        "create function refuse() returns trigger language plpgsql as $$ begin if nextval('third') % 3 = 0 then raise \
         exception using errcode = '{code}'; end if; return null; end $$"
    );
    site.raw(&body).await;
    site.raw("create trigger refuse before insert on event for each statement execute function refuse()")
        .await;
}

async fn rolled_back(code: &str) {
    let site = Site::postgres().await;
    let app = site.start().await;
    refuse_every_third(&site, code).await;
    for n in 0..30 {
        app.accept(&event(&format!("evt_{n}"))).await;
    }
    site.receiver.arrived("/billing", 30).await;
    app.finish().await;
    assert!(site.count("select last_value from third").await > 40);
    observed("F61", &site, "200", Some(Duration::ZERO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f61_deadlocks_are_tried_again_within_the_call() {
    rolled_back("40P01").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f61_serialization_failures_are_tried_again_within_the_call() {
    rolled_back("40001").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f61_a_server_that_serializes_everything_loses_nothing() {
    let mut site = Site::postgres().await;
    site.alter_database("set default_transaction_isolation = 'serializable'")
        .await;
    let storm = Storm::start(&mut site).await;
    storm.load.progress(200).await;
    storm.end("F61", &site, Some(Duration::ZERO)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f60_replicas_whose_clocks_are_wrong_steal_nothing() {
    let mut site = Site::postgres().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    site.receiver.always("/billing", Reply::Gate);
    let right = Process::start(&site, "all").await;
    // These two think that it is ten minutes later, or earlier.
    let _shim = Shim::of(&mut site);
    site.set("SHIM_CLOCK", "600");
    let fast = Process::start(&site, "deliver").await;
    site.set("SHIM_CLOCK", "-600");
    let slow = Process::start(&site, "deliver").await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(right.accept(&event(&format!("evt_{n}"))).await);
    }
    site.receiver.arrived("/billing", 10).await;
    // Long enough for every one of them to look for leases that have ended, more than once.
    fast.live_for(Duration::from_millis(2500)).await;
    site.receiver.open();
    for id in &ids {
        right.until_status(id, "delivered").await;
    }
    assert_eq!(site.receiver.all_hits().len(), 10);
    // And what the others take is due when the store says so.
    right.terminate().await;
    site.raw("update delivery set status = 'pending', due_at = now(), lease_until = null, worker = null")
        .await;
    let asked_at = Instant::now();
    site.receiver.arrived("/billing", 20).await;
    let took = asked_at.elapsed();
    let ledger = slow.until_open(0).await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    fast.terminate().await;
    slow.terminate().await;
    observed("F60", &site, "200", Some(took));
}
