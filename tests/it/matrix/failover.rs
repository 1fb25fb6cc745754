//! A standby that takes over, and the old primary that comes back.

use std::{collections::HashSet, time::Duration};

use crate::{
    app::site::Site,
    matrix::{
        cluster::Cluster,
        observed,
        proxy::{End, Proxy},
        storm::{Storm, until_ready},
    },
};

const PRIMARY: u16 = 5432;
const STANDBY: u16 = 5433;

/// From the promotion to the next acknowledgement.
const LIMIT: Duration = Duration::from_secs(5);

/// A gatepost under load on a primary that a standby follows.
async fn with_standby() -> (Cluster, Site, Proxy, Storm) {
    let cluster = Cluster::start().await;
    cluster.run("standby").await;
    cluster.run("control standby start -o '-p 5433'").await;
    cluster
        .until(
            PRIMARY,
            "select bool_or(state = 'streaming') from pg_stat_replication",
        )
        .await;
    let mut site = Site::on(&cluster.url(PRIMARY)).await;
    let proxy = Proxy::start(&cluster.url(PRIMARY)).await;
    site.set("GATEPOST__STORE__URL", proxy.url());
    let storm = Storm::start(&mut site).await;
    (cluster, site, proxy, storm)
}

/// Commits wait for it from now on.
async fn make_synchronous(cluster: &Cluster) {
    let set = "alter system set synchronous_standby_names = '*'; select pg_reload_conf()";
    cluster.execute(PRIMARY, set).await;
    cluster
        .until(
            PRIMARY,
            "select bool_or(sync_state = 'sync') from pg_stat_replication",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f43_a_synchronous_standby_that_takes_over_has_all_that_was_acknowledged() {
    let (cluster, mut site, proxy, storm) = with_standby().await;
    make_synchronous(&cluster).await;
    storm.load.progress(30).await;
    cluster.run("control primary stop -m immediate").await;
    storm.own_fault().await;
    cluster.run("control standby promote").await;
    proxy.lead_to(&cluster.url(STANDBY));
    site.look_at(&cluster.url(STANDBY));
    let recovery = storm.recovery(LIMIT).await;
    storm.end("F43", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f45_nothing_is_acknowledged_by_an_old_primary() {
    let (cluster, mut site, proxy, storm) = with_standby().await;
    make_synchronous(&cluster).await;
    storm.load.progress(30).await;
    cluster.run("control primary stop -m immediate").await;
    cluster.run("control standby promote").await;
    // The way to the store still leads to the old one, which takes writes, and nobody follows it any more.
    cluster.run("control primary start").await;
    storm.is_refused_within(Duration::from_secs(6)).await;
    let n_acknowledged = storm.load.n_acknowledged();
    storm.own_fault().await;
    assert_eq!(storm.load.n_acknowledged(), n_acknowledged);
    // Now it is a standby, as whoever repairs this makes it: it is up, and takes no writes.
    cluster.run("control primary stop -m immediate").await;
    cluster
        .run("$as touch \"$directory/primary/standby.signal\"")
        .await;
    cluster.run("control primary start").await;
    storm.own_fault().await;
    until_ready(&storm.api, false).await;
    assert_eq!(storm.load.n_acknowledged(), n_acknowledged);
    proxy.lead_to(&cluster.url(STANDBY));
    proxy.cut(End::Closed);
    site.look_at(&cluster.url(STANDBY));
    let recovery = storm.recovery(LIMIT).await;
    until_ready(&storm.api, true).await;
    storm.end("F45", &site, Some(recovery)).await;
}

/// What an asynchronous standby has not heard of when the primary dies is lost with it, acknowledged or not. This is what
/// the README says, so the test holds that it is no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f44_an_asynchronous_standby_loses_no_more_than_it_was_behind() {
    let (cluster, mut site, proxy, storm) = with_standby().await;
    let safe = storm.load.acknowledged();
    let is_even = "select bool_and(replay_lsn >= pg_current_wal_insert_lsn()) from pg_stat_replication";
    storm.load.aim(None);
    cluster.until(PRIMARY, is_even).await;
    // It falls behind: what is acknowledged from now on is in danger.
    cluster.run("kill -STOP $(tail_of standby)").await;
    storm.load.aim(storm.api.public);
    storm.load.progress(100).await;
    cluster.run("control primary stop -m immediate").await;
    cluster.run("kill -CONT $(tail_of standby)").await;
    cluster.run("control standby promote").await;
    proxy.lead_to(&cluster.url(STANDBY));
    site.look_at(&cluster.url(STANDBY));
    let recovery = storm.recovery(LIMIT).await;
    storm.load.progress(20).await;
    let book = storm.finish_load().await;
    assert!(book.wrong.is_empty(), "{:?}", book.wrong);
    let events = site.events().await;
    let stored: HashSet<_> = events.iter().filter_map(|it| it.external_id.as_deref()).collect();
    let lost: Vec<_> = book
        .acknowledged
        .keys()
        .filter(|it| !stored.contains(it.as_str()))
        .collect();
    assert!(lost.iter().all(|it| !safe.contains(*it)), "{lost:?}");
    let client = format!(
        "503, 200; of {} acknowledged events {} were lost, all of them acknowledged while the standby was behind",
        book.acknowledged.len(),
        lost.len()
    );
    observed("F44", &site, &client, Some(recovery));
}
