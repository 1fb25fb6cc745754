//! A Postgres that restarts, hangs, is slow, full of connections, read-only, or ends its sessions.

use std::time::Duration;

use crate::{
    app::site::Site,
    matrix::{cluster::Cluster, storm::Storm},
};

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
