//! The fault matrix: what happens when something breaks, one test for each row of `rows.toml` and store.
//!
//! The name of a test begins with the row's number. Each says with `observed` what the sender saw and how soon all was well
//! again; where the environment names a directory for that, it goes into `docs/evidence.md`.

mod abuse;
mod answers;
pub(crate) mod beside;
mod blackhole;
#[cfg(any(
    feature = "amqp",
    feature = "aws",
    feature = "kafka",
    feature = "nats",
    feature = "redis"
))]
pub(crate) mod brokers;
mod clouds;
mod cluster;
mod config;
mod damage;
mod destinations;
mod disk;
mod failover;
mod machine;
mod network;
mod panics;
mod postgres;
mod process;
mod proxy;
mod replicas;
mod shim;
mod sqlite;
mod storm;
mod time;
mod tls;

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::LazyLock, time::Duration};

use serde_json::json;

use crate::app::site::Site;

/// Notes what a row showed on this site's store: what the sender got while the fault lasted (`503`, `200`, `reset`, ...), and
/// the time from the end of the fault to the first sign that all is well.
pub(crate) fn observed(row: &str, site: &Site, client: &str, recovered_in: Option<Duration>) {
    let store = if site.is_postgres() { "postgres" } else { "sqlite" };
    observed_on(row, store, client, recovered_in);
}

/// The same, where the store alone is played with.
#[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
pub(crate) fn observed_on(row: &str, store: &str, client: &str, recovered_in: Option<Duration>) {
    let Some(directory) = std::env::var_os("GATEPOST_TEST_EVIDENCE") else {
        return;
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unknown");
    let line = json!({
        "row": row, "store": store, "test": test, "client": client,
        "recovered_ms": recovered_in.map(|it| u64::try_from(it.as_millis()).unwrap()),
        "commit": *COMMIT,
    });
    let name = format!("{row}-{store}-{}.json", test.replace("::", "-"));
    fs::write(Path::new(&directory).join(name), format!("{line}\n")).unwrap();
}

static COMMIT: LazyLock<String> = LazyLock::new(|| {
    let arguments = ["describe", "--always", "--dirty", "--abbrev=12"];
    let described = Command::new("git")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .output();
    let text = described.map_or_else(|_| Vec::new(), |it| it.stdout);
    String::from_utf8(text).unwrap().trim().to_owned()
});

#[derive(serde::Deserialize)]
struct Matrix {
    row: Vec<Row>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    group: String,
    fault: String,
    /// `test` or `campaign`.
    played_by: Option<String>,
    /// Why it is not played.
    not_run: Option<String>,
}

/// The numbers of all tests that are named after a row.
fn tested() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("tests/it")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(path).unwrap();
                for start in ["fn f", "case!(f", "case!(\n    f"] {
                    for (at, _) in text.match_indices(start) {
                        let rest = &text[at + start.len()..];
                        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
                        if number.len() > 1 && rest[number.len()..].starts_with('_') {
                            found.insert(format!("F{number}"));
                        }
                    }
                }
            }
        }
    }
    found
}

#[test]
fn every_row_is_played_or_says_why_not() {
    let matrix: Matrix = toml::from_str(include_str!("rows.toml")).unwrap();
    let tested = tested();
    let mut faults = Vec::new();
    for (idx, row) in matrix.row.iter().enumerate() {
        let Row { id, group, fault, .. } = row;
        assert_eq!(*id, format!("F{:02}", idx + 1));
        assert!(!group.is_empty() && !fault.is_empty(), "{id}");
        // F01 to F14 are names of known failures as well; the campaign plays those rows.
        let is_tested = tested.contains(id) && idx >= 20;
        match (row.played_by.as_deref(), &row.not_run) {
            (Some("test"), None) if is_tested => (),
            (Some("test"), None) => faults.push(format!("{id}: no test is named after it")),
            (Some("campaign"), None) => (),
            (None, Some(reason)) if is_tested => faults.push(format!("{id}: is tested, but says `{reason}`")),
            (None, Some(reason)) => assert!(reason.len() > 10, "{id}: `{reason}` is no reason"),
            _ => faults.push(format!("{id}: wants either `played_by` or `not_run`")),
        }
    }
    assert_eq!(matrix.row.len(), 100);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
