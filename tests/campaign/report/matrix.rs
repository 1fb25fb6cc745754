//! The hundred rows of the fault matrix, joined with what was seen of each.

use std::{collections::BTreeSet, fmt::Write};

use serde::Deserialize;
use serde_json::Value;

use crate::{report::cell, summary::Summary};

#[derive(Debug, Deserialize)]
struct Matrix {
    row: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    group: String,
    fault: String,
    played_by: Option<String>,
    not_run: Option<String>,
}

pub(super) fn matrix(text: &mut String, observed: &[Value], campaigns: &[Summary], lines: &[Value]) {
    let matrix: Matrix = toml::from_str(include_str!("../../it/matrix/rows.toml")).unwrap();
    text.push_str("\n## Fault matrix\n\nRows of `test` are played by `tests/run matrix` and the tests named after them; with GATEPOST_TEST_EVIDENCE set to a\ndirectory they write what they saw. \"Recovery\" is the time from the end of the fault to the first sign that all is well.\n");
    let commits: BTreeSet<_> = observed.iter().filter_map(|it| it["commit"].as_str()).collect();
    for commit in commits {
        let _ = writeln!(text, "Played at commit `{commit}`.");
    }
    text.push('\n');
    text.push_str(
        "| row | fault | played by | store | the sender saw | recovery |\n|---|---|---|---|---|---|\n",
    );
    let mut group = "";
    for row in &matrix.row {
        if group != row.group {
            group = &row.group;
            let _ = writeln!(text, "| | **{group}** | | | | |");
        }
        let Row { id, fault, .. } = row;
        match (&row.played_by, &row.not_run) {
            (_, Some(reason)) => {
                let _ = writeln!(text, "| {id} | {fault} | not run | | {reason} | |");
            }
            (Some(by), None) if by == "campaign" => of_campaign(text, row, campaigns, lines),
            (by, None) => {
                let seen: Vec<_> = observed.iter().filter(|it| it["row"] == id.as_str()).collect();
                let by = by.as_deref().unwrap_or("test");
                if seen.is_empty() {
                    let _ = writeln!(text, "| {id} | {fault} | {by} | | no result among these | |");
                }
                for it in seen {
                    let recovery = it["recovered_ms"]
                        .as_u64()
                        .map_or_else(|| "-".to_owned(), |it| format!("{it} ms"));
                    let (store, client) = (cell(&it["store"]), cell(&it["client"]));
                    let _ = writeln!(
                        text,
                        "| {id} | {fault} | {by} | {store} | {client} | {recovery} |"
                    );
                }
            }
        }
    }
}

/// The first twenty rows are the kill points; what loses power is beside them.
fn of_campaign(text: &mut String, row: &Row, campaigns: &[Summary], lines: &[Value]) {
    let Row { id, fault, .. } = row;
    let number: u32 = id.trim_start_matches('F').parse().unwrap();
    let point = format!("K{number:02}");
    let mut n_seen = 0;
    for store in ["sqlite", "postgres"] {
        let runs = campaigns.iter().filter(|it| number <= 20 && it.store == store);
        let died: Vec<_> = runs.filter_map(|it| Some((it.points.get(&point)?, it))).collect();
        let n: u64 = died.iter().map(|(n, _)| **n).sum();
        if n > 0 {
            n_seen += 1;
            let p99 = died.iter().map(|(_, it)| it.recovery.p99_ms).max().unwrap_or(0);
            let _ = writeln!(
                text,
                "| {id} | {fault} | campaign, {n} times | {store} | reset; 200 to the retry | p99 of all starts at most {p99} ms |"
            );
        }
    }
    for it in lines
        .iter()
        .filter(|it| number > 20 && it["campaign"] == "power" && it["flaw"].is_null())
    {
        n_seen += 1;
        let _ = writeln!(
            text,
            "| {id} | {fault} | power campaign, {} losses | sqlite | reset; 200 to the retry | p99 {} ms |",
            it["cycles"], it["recovery_p99_ms"]
        );
    }
    if n_seen == 0 {
        let _ = writeln!(text, "| {id} | {fault} | campaign | | no result among these | |");
    }
}
