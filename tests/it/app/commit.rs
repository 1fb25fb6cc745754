//! What an acknowledgement stands for: a commit, of all that belongs to it, that nobody cut short.

use std::{pin::pin, time::Duration};

use sqlx::Executor;

use crate::app::{
    api::Answer,
    app_case, eventually,
    faults::Lock,
    sender::event,
    site::{Site, TestApp},
    soon,
};

/// The next one is refused and leaves nothing; once the cause is gone, it is taken.
async fn check_refused(site: &Site, app: TestApp, remove_cause: &'static str) {
    for _ in 0..3 {
        let answer = app.post(&event("evt_2")).await;
        assert!(answer.is_own_fault(), "{answer:?}");
    }
    assert_eq!(site.count("select count(*) from event").await, 1);
    assert_eq!(site.count("select count(*) from delivery").await, 1);
    site.raw(remove_cause).await;
    app.accept(&event("evt_2")).await;
    site.receiver.arrived("/billing", 2).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 2);
    assert_eq!(site.receiver.all_hits().len(), 2);
    app.finish().await;
}

app_case!(e12_nothing_is_acknowledged_before_it_is_stored, |site| {
    let app = site.start().await;
    for n in 0..5 {
        let signed = event(&format!("evt_{n}"));
        let mut post = pin!(app.post(&signed));
        let lock = Lock::take(&site).await;
        let early = tokio::time::timeout(Duration::from_millis(50), &mut post).await;
        assert!(early.is_err(), "answered under the lock: {early:?}");
        lock.release().await;
        post.await.accepted();
        // As another process sees it, at the moment of the answer.
        assert_eq!(site.count("select count(*) from event").await, n + 1);
        assert_eq!(site.count("select count(*) from delivery").await, n + 1);
    }
    app.finish().await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_what_fails_only_at_the_commit_is_not_acknowledged() {
    let site = Site::postgres().await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    // The statement itself succeeds; what it promised is looked at by the commit alone.
    site.raw(
        "create function refuse() returns trigger language plpgsql as $$ begin \
         raise exception using errcode = '23000', message = 'refused'; end $$",
    )
    .await;
    site.raw(
        "create constraint trigger refuse after insert on event deferrable initially deferred \
         for each row execute function refuse()",
    )
    .await;
    check_refused(&site, app, "drop trigger refuse on event").await;
}

app_case!(e24_an_event_is_stored_with_its_deliveries_or_not_at_all, |site| {
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    let remove_cause = if site.is_postgres() {
        site.raw(
            "create function refuse() returns trigger language plpgsql as $$ begin \
             raise exception using errcode = '22000', message = 'refused'; end $$",
        )
        .await;
        site.raw("create trigger refuse before insert on delivery for each row execute function refuse()")
            .await;
        "drop trigger refuse on delivery"
    } else {
        site.raw("create trigger refuse before insert on delivery begin select raise(abort, 'refused'); end")
            .await;
        "drop trigger refuse"
    };
    check_refused(&site, app, remove_cause).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e14_a_cancelled_wait_for_a_standby_is_not_acknowledged() {
    let mut site = Site::postgres_server().await;
    // What was recorded and not acknowledged is in this process' name, and in nobody's hands.
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    app.until_open(0).await;
    site.raw("alter system set synchronous_standby_names = 'nobody'")
        .await;
    site.raw("select pg_reload_conf()").await;
    until_commits_wait(&site).await;
    // The second time, the row is there already, and so is its duplicate's count: that one waits as well.
    for _ in 0..2 {
        let answer = cancelled(&site, app.post(&event("evt_2"))).await;
        assert!(answer.is_own_fault(), "{answer:?}");
    }
    site.raw("alter system reset synchronous_standby_names").await;
    site.raw("select pg_reload_conf()").await;
    eventually("commits wait for nobody", || async {
        let answer = app.post(&event("evt_2")).await;
        assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
        (answer.status == 200).then(|| answer.duplicate())
    })
    .await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 2);
    app.finish().await;
}

/// A changed setting reaches the sessions when they look next.
async fn until_commits_wait(site: &Site) {
    eventually("commits wait for a standby", || async {
        let mut conn = site.postgres_connection().await;
        let commit = conn.execute("select pg_logical_emit_message(true, 'test', 'test')");
        let waited = tokio::time::timeout(Duration::from_millis(100), commit).await;
        waited.is_err().then_some(())
    })
    .await;
}

/// The answer to a request whose every wait for a standby is cancelled, as a hurried administrator does.
async fn cancelled(site: &Site, post: impl Future<Output = Answer>) -> Answer {
    let mut post = pin!(post);
    let mut n_cancelled = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(15));
    let answer = soon("the answer", async {
        loop {
            tokio::select! {
                answer = &mut post => return answer,
                _ = pace.tick() => n_cancelled += site
                    .count(
                        "select count(pg_cancel_backend(pid)) from pg_stat_activity \
                         where wait_event = 'SyncRep' and application_name = 'gatepost'",
                    )
                    .await,
            }
        }
    })
    .await;
    assert!(n_cancelled > 0, "it never waited: {answer:?}");
    answer
}
