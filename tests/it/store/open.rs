//! What each engine refuses, survives and says of itself.

use std::{fs, os::unix::fs::PermissionsExt};

use gatepost::store::error::StoreError;
use sqlx::Executor;

use crate::{postgres::empty_database, store::*};

async fn refusal(url: &str) -> StoreError {
    Store::open(&settings(url)).await.unwrap_err()
}

fn hint_of(error: &StoreError) -> &str {
    match error {
        StoreError::Unusable { hint, .. } => hint,
        other => panic!("{other:?}"),
    }
}

store_case!(e16_an_operator_sees_what_makes_commits_durable, |store| {
    let lines = store.describe().await.unwrap();
    let of = |name: &str| lines.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    assert!(of("version").is_some());
    if store.is_postgres() {
        assert_eq!(
            (of("fsync"), of("full_page_writes"), of("synchronous_commit")),
            (Some("on"), Some("on"), Some("on"))
        );
        assert_eq!(store.engine_name(), "postgres");
    } else {
        assert_eq!(
            (of("journal_mode"), of("synchronous")),
            (Some("wal"), Some("full"))
        );
        assert_eq!(store.engine_name(), "sqlite");
    }
});

store_case!(the_stores_clock_runs, |store| {
    let first = store.now().await.unwrap();
    assert!(at(0) < first);
    assert!(first <= store.now().await.unwrap());
});

store_case!(f89_a_schema_from_the_future_is_refused, |store| {
    assert!(store.pending_migrations().await.unwrap().is_empty());
    let is_true = if store.is_postgres() { "true" } else { "1" };
    let hex = if store.is_postgres() { r"'\x00'" } else { "x'00'" };
    let sql = format!(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (9999, 'later', {is_true}, {hex}, 0)"
    );
    store.raw(&sql).await;
    for error in [
        store.migrate().await.unwrap_err(),
        store.pending_migrations().await.unwrap_err(),
    ] {
        assert!(hint_of(&error).contains("newer gatepost"), "{error:?}");
    }
});

store_case!(f26_a_closed_store_says_so, |store| {
    let other = store.replica().await;
    if store.is_postgres() {
        other.close().await;
        let error = other.record(vec![event("s", "1")]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
});

/// Every version of the schema, in order.
const MIGRATIONS: [&str; 13] = [
    "0001_first",
    "0002_key_by_id",
    "0003_skip_and_order",
    "0004_job",
    "0005_flow",
    "0006_once",
    "0007_access",
    "0008_issue",
    "0009_sign_on",
    "0010_query",
    "0011_program",
    "0012_held_by",
    "0013_dead_of",
];

#[tokio::test(flavor = "multi_thread")]
async fn e23_four_openers_migrate_an_empty_postgres_at_once() {
    let database = empty_database().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let settings = settings(&database.url);
        tasks.spawn(async move {
            let store = Store::open(&settings).await.unwrap();
            let names = store.migrate().await.unwrap();
            assert!(store.pending_migrations().await.unwrap().is_empty());
            store.record(vec![event("s", "1")]).await.unwrap();
            names
        });
    }
    let applied: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(applied, MIGRATIONS, "one of them did it");
}

#[tokio::test(flavor = "multi_thread")]
async fn e23_four_callers_migrate_an_empty_sqlite_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a/b/gatepost.db", directory.path().display());
    let store = Store::open(&settings(&url)).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), MIGRATIONS);
    let error = store.record(vec![event("s", "1")]).await.unwrap_err();
    assert!(hint_of(&error).contains("gatepost migrate"), "{error:?}");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = store.clone();
        tasks.spawn(async move { store.migrate().await.unwrap() });
    }
    let applied: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(applied, MIGRATIONS);
    let mode = fs::metadata(directory.path().join("a"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn e23_an_empty_postgres_asks_to_be_migrated() {
    let database = empty_database().await;
    let store = Store::open(&settings(&database.url)).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), MIGRATIONS);
    let error = store.record(vec![event("s", "1")]).await.unwrap_err();
    assert!(hint_of(&error).contains("gatepost migrate"), "{error:?}");
}

#[tokio::test]
async fn f29_a_second_opener_of_one_file_is_refused() {
    let store = TestStore::sqlite().await;
    let error = Store::open(&store.settings).await.unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    assert!(hint_of(&error).contains("Postgres"));
    let TestStore {
        store,
        settings,
        place: _directory,
    } = store;
    store.close().await;
    drop(store);
    Store::open(&settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn e18_a_locked_file_is_unavailable_and_then_works_again() {
    let store = TestStore::sqlite().await;
    let mut thief = SqliteConnection::connect(store.url()).await.unwrap();
    thief.execute("begin exclusive").await.unwrap();
    for error in [
        store.record(vec![event("s", "1")]).await.unwrap_err(),
        store.ping().await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    thief.execute("rollback").await.unwrap();
    store.record(vec![event("s", "1")]).await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn f64_a_replaced_file_is_noticed() {
    let store = TestStore::sqlite().await;
    let Place::Sqlite(directory) = &store.place else {
        unreachable!()
    };
    let file = directory.path().join("gatepost.db");
    fs::rename(&file, directory.path().join("moved.db")).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("removed or replaced"), "{error}");
    let error = store.record(vec![event("s", "1")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    fs::write(&file, b"").unwrap();
    assert!(store.ping().await.is_err());
}

#[tokio::test]
async fn unusable_files_are_refused_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    fs::write(
        directory.path().join("text.db"),
        "no database at all, but long enough to look".repeat(99),
    )
    .unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    for (url, part) in [
        ("sqlite::memory:".to_owned(), "in memory"),
        ("sqlite:".to_owned(), "names no file"),
        ("mysql://host/db".to_owned(), "neither SQLite nor Postgres"),
        (format!("sqlite:{path}/text.db"), "not a database"),
        (format!("sqlite:{path}/file/gatepost.db"), "cannot be made"),
        (format!("sqlite:{path}"), "directory"),
    ] {
        let error = refusal(&url).await;
        assert!(!hint_of(&error).is_empty());
        assert!(error.to_string().contains(part), "{url}: {error}");
    }
}

#[tokio::test]
async fn f39_a_read_only_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gatepost.db");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let error = refusal(&format!("sqlite:{}", file.display())).await;
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
}

#[tokio::test]
async fn f49_a_postgres_that_takes_no_writes_is_read_only() {
    let database = postgres::database().await;
    let store = Store::open(&settings(&database.url)).await.unwrap();
    let mut conn = PgConnection::connect(&database.url).await.unwrap();
    QueryBuilder::new(
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); \
         end $$",
    )
    .build()
    .execute(&mut conn)
    .await
    .unwrap();
    let error = refusal(&database.url).await;
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    // Sessions from before keep their setting, as after a reload of the server they would not.
    store.ping().await.unwrap();
}

#[tokio::test]
async fn e15_a_session_waits_for_the_disk_whatever_the_default() {
    let database = postgres::database().await;
    let mut conn = PgConnection::connect(&database.url).await.unwrap();
    QueryBuilder::new(
        "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$",
    )
    .build()
    .execute(&mut conn)
    .await
    .unwrap();
    let store = Store::open(&settings(&database.url)).await.unwrap();
    let lines = store.describe().await.unwrap();
    let line = lines.iter().find(|it| it.0 == "synchronous_commit").unwrap();
    assert_eq!(line.1, "on");
    store.close().await;
    let store = Store::open(&pooled(&database)).await.unwrap();
    let lines = store.describe().await.unwrap();
    let line = lines.iter().find(|it| it.0 == "synchronous_commit").unwrap();
    assert_eq!(line.1, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn e20_the_schema_is_made_through_pgbouncer_by_one_of_several() {
    let database = empty_database().await;
    let settings = pooled(&database);
    let migrate = async || Store::open(&settings).await.unwrap().migrate().await.unwrap();
    let (first, second, third) = tokio::join!(migrate(), migrate(), migrate());
    let mut n_applied = [first.len(), second.len(), third.len()];
    n_applied.sort_unstable();
    assert!(n_applied[2] > 0, "{n_applied:?}");
    assert_eq!(n_applied[..2], [0, 0]);
    // Nobody waits for a lock that was left in somebody else's session.
    let direct = Store::open(&self::settings(&database.url)).await.unwrap();
    assert!(direct.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn e20_a_pooler_that_was_not_told_of_is_named() {
    let database = postgres::database().await;
    let settings = Settings {
        pool_mode: PoolMode::Session,
        ..pooled(&database)
    };
    let error = Store::open(&settings).await.unwrap_err();
    assert!(hint_of(&error).contains("store.pool_mode"), "{error:?}");
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable_and_a_wrong_database_unusable() {
    let error = refusal("postgres://user:hunter2@127.0.0.1:1/db").await;
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"));
    let database = empty_database().await;
    let error = refusal(&database.url.replacen("gatepost_test", "no_such", 1)).await;
    assert!(hint_of(&error).contains("url"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f50_terminated_sessions_cost_no_call() {
    let store = TestStore::postgres().await;
    for round in 0..5 {
        store
            .raw("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            .await;
        for n in 0..4 {
            store
                .record(vec![event("s", &format!("{round} {n}"))])
                .await
                .unwrap();
        }
        store.claim_billing(WorkerId::new(), 2, at(1)).await;
        store.ledger(at(0)).await.unwrap();
    }
    assert_eq!(store.ledger(at(0)).await.unwrap().stored, 20);
    store.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f53_a_locked_table_is_unavailable_within_the_limit() {
    let store = TestStore::postgres().await;
    let mut thief = PgConnection::connect(store.url()).await.unwrap();
    thief.execute("begin").await.unwrap();
    thief
        .execute("lock table event in access exclusive mode")
        .await
        .unwrap();
    let started = std::time::Instant::now();
    let error = store.record(vec![event("s", "1")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(6));
    thief.execute("rollback").await.unwrap();
    store.record(vec![event("s", "1")]).await.unwrap();
    store.finish().await;
}

#[tokio::test]
async fn f47_a_server_that_accepts_and_never_answers_is_unavailable_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let started = std::time::Instant::now();
    let error = refusal(&format!("postgres://user@127.0.0.1:{port}/db?sslmode=disable")).await;
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
}
