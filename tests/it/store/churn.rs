//! Claims on Postgres while the rows that are over cannot be cleaned up.

use std::time::Instant;

use sqlx::Executor;

use crate::{matrix::observed_on, store::*};

const N_ROWS: usize = 100;

/// Records, claims and settles so many batches; says how long the claims of the last ones took, the median.
async fn churn(store: &TestStore, name: &str, n_rounds: usize) -> Duration {
    let worker = WorkerId::new();
    let mut times = Vec::new();
    for round in 0..n_rounds {
        let batch = (0..N_ROWS)
            .map(|n| event("s", &format!("{name} {round} {n}")))
            .collect();
        store.record(batch).await.unwrap();
        let asked_at = Instant::now();
        let claims = store.claim_billing(worker, N_ROWS, at(10)).await;
        times.push(asked_at.elapsed());
        assert_eq!(claims.len(), N_ROWS);
        let over = claims
            .iter()
            .map(|it| settlement(it.delivery.id, it.fence, Outcome::Delivered, at(10)))
            .collect();
        store.settle(over, at(10)).await.unwrap();
    }
    let mut last = times.split_off(n_rounds - 15);
    last.sort();
    last[7]
}

/// With room for a busy machine, and none for reading 10,000 rows that are over: that takes hundreds of times as long.
fn assert_little_slower(before: Duration, during: Duration) {
    assert!(
        during < 5 * before + Duration::from_millis(50),
        "claims took {before:?} before and {during:?} now"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f54_a_transaction_that_stays_open_does_not_slow_claims() {
    let store = TestStore::postgres().await;
    let before = churn(&store, "before", 15).await;
    let mut idle = PgConnection::connect(store.url()).await.unwrap();
    idle.execute("begin isolation level repeatable read")
        .await
        .unwrap();
    idle.execute("select count(*) from delivery").await.unwrap();
    let during = churn(&store, "during", 100).await;
    idle.execute("rollback").await.unwrap();
    assert_little_slower(before, during);
    store.finish().await;
    observed_on("F54", "postgres", "200", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_claims_do_without_autovacuum() {
    let store = TestStore::postgres().await;
    store
        .raw("alter table delivery set (autovacuum_enabled = off)")
        .await;
    let before = churn(&store, "before", 15).await;
    let during = churn(&store, "during", 100).await;
    assert_little_slower(before, during);
    store.finish().await;
    observed_on("F55", "postgres", "200", None);
}
