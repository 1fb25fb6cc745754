//! The schema as the database itself tells it, and every statement understood by its engine.

use std::{fs, path::Path};

use sqlx::{Executor, Row};

use crate::store::*;

/// Read at run time: the tests look at the files as they are.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// What the engine's store says: its own texts, and those that it shares with the other.
fn statements(engine: &str) -> Vec<(String, String)> {
    let own = files(&format!("src/store/{engine}/sql"));
    own.into_iter().chain(files("src/store/common/sql")).collect()
}

/// A connection of the test's own.
async fn connection<C: Connection>(store: &TestStore) -> C {
    C::connect(store.url()).await.unwrap()
}

/// What SQLite would do, a line a step.
async fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explained = QueryBuilder::<sqlx::Sqlite>::new(format!("explain query plan {sql}")).into_sql();
    let steps = conn.fetch_all(explained).await.unwrap();
    steps.iter().map(|it| it.get("detail")).collect()
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |folder| files(folder).into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(names("migrations/postgres"), names("migrations/sqlite"));
}

#[tokio::test]
async fn every_postgres_statement_is_understood() {
    let store = TestStore::postgres().await;
    let mut conn = connection::<PgConnection>(&store).await;
    for (name, sql) in statements("postgres") {
        assert!(sql.starts_with("--"), "{name} says what it does");
        if let Err(error) = conn
            .prepare(QueryBuilder::<sqlx::Postgres>::new(sql).into_sql())
            .await
        {
            panic!("{name}: {error}");
        }
    }
}

/// Few are being delivered, and many were: the index of them is long until it is vacuumed, and the planner takes it for short.
#[tokio::test]
async fn results_and_leases_are_written_by_the_ids_of_their_deliveries() {
    let store = TestStore::postgres().await;
    let mut conn = connection::<PgConnection>(&store).await;
    for statement in [
        "insert into delivery (id, event_id, route, destination, origin, status, created_at)
         select gen_random_uuid(), gen_random_uuid(), 'r', 'd', 'received', 'delivered', now() from generate_series(1, 20000)",
        "analyze delivery",
        // As the connections have it that run these statements.
        "set enable_seqscan = off",
        "set enable_hashjoin = off",
        "set enable_mergejoin = off",
        "set plan_cache_mode = force_generic_plan",
    ] {
        conn.execute(statement).await.unwrap();
    }
    for name in ["settle", "renew", "release"] {
        let path = format!("src/store/postgres/sql/{name}.sql");
        let sql = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let n_values = (1..100).take_while(|it| sql.contains(&format!("${it}"))).count();
        let raw = |it: String| QueryBuilder::<sqlx::Postgres>::new(it).into_sql();
        conn.execute(raw(format!("prepare {name} as {sql}")))
            .await
            .unwrap();
        let nulls = vec!["null"; n_values].join(", ");
        let explained = conn
            .fetch_all(raw(format!("explain execute {name} ({nulls})")))
            .await;
        let steps: Vec<String> = explained.unwrap().iter().map(|it| it.get(0)).collect();
        let plan = steps.join("\n");
        assert!(plan.contains("delivery_pkey"), "{name}:\n{plan}");
        assert!(!plan.contains("delivery_lease"), "{name}:\n{plan}");
    }
}

/// However many there are: a look goes from one destination to the next, and counts no further than it is told to.
#[tokio::test]
async fn dead_letters_are_looked_at_by_the_index_of_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/common/sql/dead_letters.sql");
    let sql = fs::read_to_string(path).unwrap();
    let store = TestStore::postgres().await;
    let mut conn = connection::<PgConnection>(&store).await;
    for statement in [
        "insert into delivery (id, event_id, route, destination, origin, status, created_at)
         select gen_random_uuid(), gen_random_uuid(), 'r', 'd' || n % 3, 'received',
             case when n % 50 = 0 then 'dead' else 'delivered' end, now()
         from generate_series(1, 20000) n",
        "analyze delivery",
    ] {
        conn.execute(statement).await.unwrap();
    }
    let explain = format!("explain (costs off) {}", sql.replace("$1", "10000"));
    let steps = conn
        .fetch_all(QueryBuilder::<sqlx::Postgres>::new(explain).into_sql())
        .await
        .unwrap();
    let plan: Vec<String> = steps.iter().map(|it| it.get(0)).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("delivery_dead_of") && !plan.contains("Seq Scan"),
        "{plan}"
    );

    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    let plan = self::plan(&mut conn, &sql).await;
    let of_deliveries: Vec<_> = plan.iter().filter(|it| it.contains(" delivery ")).collect();
    assert!(
        of_deliveries.len() == 3 && of_deliveries.iter().all(|it| it.contains("delivery_dead_of")),
        "{plan:?}"
    );
}

#[tokio::test]
async fn every_sqlite_statement_is_understood() {
    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    for (name, sql) in statements("sqlite") {
        assert!(sql.starts_with("--"), "{name} says what it does");
        if let Err(error) = conn
            .prepare(QueryBuilder::<sqlx::Sqlite>::new(sql).into_sql())
            .await
        {
            panic!("{name}: {error}");
        }
    }
}

#[tokio::test]
async fn the_sqlite_schema_is_as_written_down() {
    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    let rows = conn
        .fetch_all(
            "select tbl.name || '.' || col.name || ' ' || lower(col.type)
                    || case when col.\"notnull\" then ' not null' else '' end
                    || coalesce(' default ' || col.dflt_value, '')
                    || case when col.pk > 0 then ' key ' || col.pk else '' end as line
             from sqlite_schema tbl join pragma_table_info(tbl.name) col
             where tbl.type = 'table' and tbl.name not like '\\_%' escape '\\'
             union all
             select lower(sql) from sqlite_schema where type = 'index' and sql is not null
             order by 1",
        )
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|it| it.get("line")).collect();
    insta::assert_snapshot!("sqlite_schema", lines.join("\n"));
}

#[tokio::test]
async fn the_postgres_schema_is_as_written_down() {
    let store = TestStore::postgres().await;
    let mut conn = connection::<PgConnection>(&store).await;
    let rows = conn
        .fetch_all(
            "select format('%s.%s %s%s%s', cls.relname, att.attname, format_type(att.atttypid, att.atttypmod),
                           case when att.attnotnull then ' not null' else '' end,
                           ' default ' || pg_get_expr(def.adbin, def.adrelid)) as line,
                    col_description(cls.oid, att.attnum) as comment
             from pg_class cls
             join pg_attribute att on att.attrelid = cls.oid and att.attnum > 0 and not att.attisdropped
             left join pg_attrdef def on def.adrelid = cls.oid and def.adnum = att.attnum
             where cls.relnamespace = 'public'::regnamespace and cls.relkind = 'r' and cls.relname not like '\\_%'
             union all
             select lower(indexdef), '' from pg_indexes
             where schemaname = 'public' and tablename not like '\\_%'
             order by 1",
        )
        .await
        .unwrap();
    let mut lines: Vec<String> = Vec::new();
    for row in &rows {
        let line: String = row.get("line");
        let comment: Option<String> = row.get("comment");
        assert!(comment.is_some(), "no comment on {line}");
        lines.push(line);
    }
    lines.sort();
    insta::assert_snapshot!("postgres_schema", lines.join("\n"));
}

#[tokio::test]
async fn e10_no_statement_of_sqlites_hot_path_reads_every_delivery() {
    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    for (name, sql) in statements("sqlite") {
        // The numbers for people count every row; the last three begin at the end of a table and stop soon.
        if matches!(
            name.as_str(),
            "ledger.sql"
                | "stats_deliveries.sql"
                | "stats_rejected.sql"
                | "prune_requests.sql"
                | "create_job.sql"
                | "paces.sql"
                | "last_seen.sql"
        ) {
            continue;
        }
        for detail in plan(&mut conn, &sql).await {
            // `other` is a delivery of the same key.
            let is_scan = ["SCAN delivery", "SCAN event", "SCAN attempt", "SCAN other"]
                .iter()
                .any(|it| detail.starts_with(it));
            assert!(!is_scan || detail.contains("INDEX delivery_"), "{name}: {detail}");
        }
    }
}

/// It runs every second.
#[tokio::test]
async fn e10_where_nothing_is_held_no_waiting_delivery_is_looked_at() {
    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    let (_, sql) = statements("sqlite")
        .into_iter()
        .find(|(name, _)| name == "to_hold.sql")
        .unwrap();
    let details = plan(&mut conn, &sql).await;
    let place = |part: &str| details.iter().position(|it| it.contains(part)).unwrap();
    assert!(place(" hold ") < place("SCAN delivery"), "{details:?}");
}

/// The same: a million may wait for one destination.
#[tokio::test]
async fn e10_what_waits_for_a_held_destination_is_not_looked_at_one_by_one() {
    let store = TestStore::sqlite().await;
    let mut conn = connection::<SqliteConnection>(&store).await;
    let (_, sql) = statements("sqlite")
        .into_iter()
        .find(|(name, _)| name == "to_free.sql")
        .unwrap();
    let details = plan(&mut conn, &sql).await;
    assert!(
        !details.iter().any(|it| it.contains("SCAN delivery")),
        "{details:?}"
    );
}
