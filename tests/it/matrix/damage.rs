//! A row with a damaged column, each column in turn: it harms nobody but itself.

use gatepost::app::Role;

use crate::{
    app::{app_case, sender::event, site::Site},
    matrix::observed,
};

/// Columns that name the row, or that the row is found by: with another value it is another row.
const NAMES: &[&str] = &["id", "event_id"];

/// The columns of a table, each with what does not belong there.
async fn damages(site: &Site, table: &str) -> Vec<(String, &'static str)> {
    let sql = match (site.is_postgres(), table) {
        (true, "event") => {
            "select column_name || ' ' || data_type from information_schema.columns where table_name = 'event'"
        }
        (true, _) => {
            "select column_name || ' ' || data_type from information_schema.columns where table_name = 'delivery'"
        }
        (false, "event") => "select name || ' ' || lower(type) from pragma_table_info('event')",
        (false, _) => "select name || ' ' || lower(type) from pragma_table_info('delivery')",
    };
    let damage = |line: String| {
        let (name, kind) = line.split_once(' ').unwrap();
        let junk = match kind {
            "bytea" => r"'\x00ff00'",
            "blob" => "x'00ff00'",
            "text" => "'from the future'",
            "uuid" => "'00000000-0000-0000-0000-000000000000'",
            "boolean" => "true",
            "bigint" | "integer" => "-7",
            "timestamp with time zone" => "'infinity'",
            _ => panic!("what damages `{line}`?"),
        };
        (name.to_owned(), junk)
    };
    site.texts(sql).await.into_iter().map(damage).collect()
}

app_case!(f41_a_damaged_column_harms_its_own_row_alone, |site| {
    let app = site.start_as(Role::Ingest).await;
    let mut spoiled = Vec::new();
    for table in ["event", "delivery"] {
        for (column, junk) in damages(&site, table).await {
            if !NAMES.contains(&column.as_str()) {
                let id = format!("evt_{table}_{column}");
                app.accept(&event(&id)).await;
                spoiled.push((id, table, column, junk));
            }
        }
    }
    let n_good = 10;
    for n in 0..n_good {
        app.accept(&event(&format!("evt_good_{n}"))).await;
    }
    app.stop().await;
    for (id, table, column, junk) in &spoiled {
        let by = if *table == "event" { "id" } else { "event_id" };
        let sql = format!(
            "update {table} set {column} = {junk} where {by} = (select id from event where external_id = '{id}')"
        );
        if column == "external_id" {
            let sql = format!("update event set external_id = {junk} where external_id = '{id}'");
            assert_eq!(site.raw(&sql).await, 1, "{sql}");
        } else {
            assert_eq!(site.raw(&sql).await, 1, "{sql}");
        }
    }
    let app = site.start().await;
    let good = |id: &str| id.starts_with("evt_good_");
    site.receiver
        .until("the others are delivered", |hits| {
            let is_good = |hit: &&crate::app::receiver::Hit| {
                hit.headers
                    .get("gatepost-external-id")
                    .is_some_and(|it| good(it.to_str().unwrap()))
            };
            (hits.iter().filter(is_good).count() >= n_good).then_some(())
        })
        .await;
    // It goes on, and shows what there is to show.
    app.accept(&event("evt_good_after")).await;
    site.receiver
        .until("the next one is delivered", |hits| {
            let is_it = |hit: &crate::app::receiver::Hit| {
                hit.headers
                    .get("gatepost-external-id")
                    .is_some_and(|it| it == "evt_good_after")
            };
            hits.iter().any(is_it).then_some(())
        })
        .await;
    for list in [
        "/v1/events?limit=200",
        "/v1/deliveries?limit=200",
        "/v1/deliveries?status=dead",
    ] {
        assert!(!app.list(list).await.is_empty(), "{list}");
    }
    let bodies: Vec<_> = site.receiver.all_hits().into_iter().map(|it| it.body).collect();
    assert!(
        bodies.iter().all(|it| it.starts_with(b"{\"id\":\"evt_")),
        "a damaged body was delivered"
    );
    app.stop().await;
    observed("F41", &site, "200", None);
});
