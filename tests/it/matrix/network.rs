//! The network between gatepost and Postgres: cut, silent, one way, and cut at the worst moment.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    app::{
        eventually,
        sender::event,
        site::{Site, TestApp},
    },
    matrix::{
        observed,
        proxy::{End, Mode, Moment, Proxy},
        storm::{Storm, assert_few_connections, until_taken},
    },
};

/// From the end of a cut to the next acknowledgement.
const LIMIT: Duration = Duration::from_secs(10);

/// A site whose gatepost reaches its Postgres by way of a proxy.
async fn behind_a_proxy() -> (Site, Proxy) {
    let mut site = Site::empty_postgres().await;
    let proxy = Proxy::start(&site.store_url()).await;
    site.set("GATEPOST__STORE__URL", proxy.url());
    (site, proxy)
}

async fn cut_again_and_again(end: End) {
    let (mut site, proxy) = behind_a_proxy().await;
    let storm = Storm::start(&mut site).await;
    for _ in 0..10 {
        proxy.cut(end);
        storm.load.progress(10).await;
    }
    // The server is away for as long as it takes a sender to hear of it.
    proxy.set(Mode::Refuse);
    proxy.cut(end);
    storm.own_fault().await;
    proxy.set(Mode::Pass);
    let recovery = storm.recovery(LIMIT).await;
    storm.end("F57", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_connections_that_are_reset_lose_nothing() {
    cut_again_and_again(End::Reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_connections_that_are_closed_lose_nothing() {
    cut_again_and_again(End::Closed).await;
}

async fn silence(to_server: bool, to_client: bool) {
    let (mut site, proxy) = behind_a_proxy().await;
    let storm = Storm::start(&mut site).await;
    proxy.set(Mode::Silent { to_server, to_client });
    storm.own_fault().await;
    // The connections from before are dead for ever, and nothing says so; new ones work.
    proxy.set(Mode::Pass);
    let recovery = storm.recovery(LIMIT).await;
    storm.end("F57", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_a_black_hole_is_noticed_in_time() {
    silence(true, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_statements_that_vanish_are_noticed_in_time() {
    silence(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_answers_that_vanish_are_noticed_in_time() {
    silence(false, true).await;
}

/// One event whose statement is cut so often, then the sender's retry.
async fn cut_at(moment: Moment, n_times: usize) -> (Site, Proxy, TestApp, bool) {
    let (mut site, proxy) = behind_a_proxy().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let app = site.start().await;
    app.accept(&event("evt_before")).await;
    proxy.cut_at("evt_marked", moment, n_times);
    let answer = app.post(&event("evt_marked")).await;
    let is_taken = answer.status == 200;
    assert!(is_taken || answer.is_own_fault(), "{answer:?}");
    assert_eq!(proxy.n_cut(), n_times);
    (site, proxy, app, is_taken)
}

/// It is there once and was delivered once; says how long that took.
async fn is_there_once(row: &str, site: &Site, app: TestApp, client: &str) {
    let cut_at = Instant::now();
    site.receiver.arrived("/billing", 2).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 2, "{ledger}");
    assert_eq!(site.receiver.all_hits().len(), 2);
    assert_few_connections(site).await;
    app.finish().await;
    observed(row, site, client, Some(cut_at.elapsed()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f58_a_statement_that_never_arrived_is_sent_again() {
    let (site, _proxy, app, is_taken) = cut_at(Moment::BeforeItIsSent, 1).await;
    assert!(is_taken);
    assert_eq!(app.until_open(0).await["duplicates"], 0);
    is_there_once("F58", &site, app, "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f58_a_commit_whose_answer_is_lost_is_found_and_acknowledged() {
    let (site, _proxy, app, is_taken) = cut_at(Moment::AfterItsCommit, 1).await;
    // The second try finds the first one's row under its own id: accepted, and nobody's duplicate.
    assert!(is_taken);
    assert_eq!(app.until_open(0).await["duplicates"], 0);
    is_there_once("F58", &site, app, "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f58_commits_whose_answers_are_all_lost_are_our_own_fault() {
    // A connection that was new is not tried again: the second cut is the last.
    let (site, _proxy, app, is_taken) = cut_at(Moment::AfterItsCommit, 2).await;
    assert!(!is_taken, "acknowledged without an answer from the store");
    // It is there nonetheless. The sender's retry is told so, and its lease brings it to the handler.
    until_taken(&app, &event("evt_marked")).await.duplicate();
    is_there_once("F58", &site, app, "503, 200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f58_a_result_whose_commit_is_not_heard_of_is_recorded_once() {
    let (mut site, proxy) = behind_a_proxy().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let app = site.start().await;
    // What the handler answers stands in the statement that records it.
    proxy.cut_at("noted", Moment::AfterItsCommit, 3);
    let id = app.accept(&event("evt_1")).await;
    let done = app.until_status(&id, "delivered").await;
    eventually("all of them were cut", || async {
        (proxy.n_cut() == 3).then_some(())
    })
    .await;
    assert_eq!(done[0]["attempts"], 1);
    assert_eq!(app.attempts_of(&id).await.len(), 1);
    assert_eq!(site.receiver.all_hits().len(), 1);
    app.finish().await;
    observed("F58", &site, "200", None);
}
