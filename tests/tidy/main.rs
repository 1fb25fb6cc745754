//! Holds the shape of the code: who may import whom, who owns which crate, how big a file may grow, and a few habits.
//!
//! It reads text, not syntax: a macro that hides `crate::`, or a re-export, gets past the order of rooms. Hence no
//! re-exports, which it checks as well.

mod failures;
mod guards;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms from the ground up. A file may name a room only if that room is in a lower row.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["event", "egress"],
    &["provider", "store", "route", "destination", "telemetry"],
    &["source"],
    &["registry"],
    &["ingest", "delivery", "maintenance"],
    &["alert", "bulk"],
    &["reconcile", "web"],
    &["config"],
    &["app"],
    &["cli"],
];

/// Outside crates, and doors to the process, that have one owner. Nobody else names them outside tests.
const OWNERS: &[(&str, &[&str])] = &[
    ("sqlx::", &["store"]),
    ("axum::", &["web"]),
    ("tower::", &["web"]),
    ("askama::", &["web"]),
    ("utoipa::", &["web"]),
    ("reqwest::", &["egress"]),
    ("tokio_rustls::", &["egress"]),
    ("rquickjs::", &["route"]),
    ("rustix::", &["destination", "store"]),
    ("async_nats::", &["destination"]),
    ("lapin::", &["destination"]),
    ("rdkafka::", &["destination"]),
    ("redis::", &["destination"]),
    ("aws_sigv4::", &["destination"]),
    ("aws_credential_types::", &["destination"]),
    ("clap::", &["cli"]),
    ("toml::", &["config", "provider"]),
    ("env::var", &["config"]),
    ("println!", &["cli"]),
    ("print!", &["cli"]),
    ("eprintln!", &["cli"]),
    ("eprint!", &["cli"]),
    ("io::stdout", &["cli"]),
    // The store's calls must outlive their callers: see its door.
    // `spawn_blocking` is free: whoever calls it waits for it.
    ("tokio::spawn(", &["app", "store"]),
    ("task::spawn(", &["app", "store"]),
];

/// Places in which `store` may spawn: the one that lets a call outlive its caller.
const MAX_STORE_SPAWNS: usize = 1;

const MAX_LINES: usize = 600;

/// One Rust file.
struct Source {
    path: String,
    /// `src/web/api/mod.rs` is of `web`; the two doors (`main.rs`, `lib.rs`) and everything in `tests` are of none.
    room: Option<String>,
    text: String,
    /// Without lines that are comments.
    code: String,
    /// Of `code`, what stands before the file's own tests; empty where the whole file is tests.
    live_code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        walk(&root().join(folder), &mut files);
    }
    files
        .iter()
        .filter(|it| it.extension().is_some_and(|it| it == "rs"))
        .map(|it| source(it))
        .collect()
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("a source file is readable UTF-8");
    let path = path
        .strip_prefix(root())
        .expect("it is below the root")
        .display()
        .to_string()
        .replace('\\', "/");
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: String = text
        .lines()
        .filter(is_code)
        .flat_map(|line| [line, "\n"])
        .collect();
    let room = path.strip_prefix("src/").and_then(|it| {
        let room = it.split('/').next()?.trim_end_matches(".rs");
        (!["main", "lib"].contains(&room)).then(|| room.to_owned())
    });
    let is_test_file = path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/");
    let live_code = if is_test_file {
        ""
    } else {
        code.split("#[cfg(test)]\nmod tests {").next().unwrap_or("")
    };
    Source {
        path,
        room,
        live_code: live_code.to_owned(),
        text,
        code,
    }
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(path) else {
        return;
    };
    let mut paths: Vec<_> = entries
        .map(|it| it.expect("a folder can be listed").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_only_look_down() {
    let mut faults = Vec::new();
    for Source { path, room, code, .. } in sources() {
        let Some(room) = room else { continue };
        for other in rooms_named_in(&code) {
            if other == room {
                continue;
            }
            match (level(&other), level(&room)) {
                (Some(other_level), Some(own)) if other_level < own => (),
                (Some(_), Some(_)) => faults.push(format!("{path}: `{room}` must not import `{other}`")),
                (None, _) => faults.push(format!("{path}: room `{other}` is missing from LAYERS")),
                (_, None) => faults.push(format!("{path}: room `{room}` is missing from LAYERS")),
            }
        }
    }
    none(faults);
}

#[test]
fn rooms_are_entered_by_the_door() {
    let mut faults = Vec::new();
    for Source {
        path,
        room,
        live_code,
        ..
    } in sources()
    {
        let Some(room) = room else { continue };
        if path == format!("src/{room}/mod.rs") && live_code.contains("super::") {
            faults.push(format!("{path}: `super::` leaves the room; write `crate::`"));
        }
        if live_code
            .lines()
            .any(|it| it.trim_start().starts_with("pub use "))
        {
            faults.push(format!("{path}: a re-export gives one thing two paths"));
        }
    }
    none(faults);
}

#[test]
fn heavy_crates_have_one_owner() {
    let mut faults = Vec::new();
    for Source {
        path,
        room,
        live_code,
        ..
    } in sources()
    {
        let Some(room) = room else { continue };
        for (name, owners) in OWNERS {
            if count_words(&live_code, name) > 0 && !owners.contains(&room.as_str()) {
                faults.push(format!("{path}: `{name}` belongs to `{}`", owners.join("`, `")));
            }
        }
    }
    none(faults);
}

#[test]
fn store_spawns_in_one_place() {
    let store = |it: &Source| it.room.as_deref() == Some("store");
    let n_spawns: usize = sources()
        .iter()
        .filter(|it| store(it))
        .map(|it| count_words(&it.live_code, "tokio::spawn(") + count_words(&it.live_code, "task::spawn("))
        .sum();
    assert!(
        n_spawns <= MAX_STORE_SPAWNS,
        "`store` spawns in {n_spawns} places, at most {MAX_STORE_SPAWNS}"
    );
}

#[test]
fn files_stay_readable() {
    let long = |it: &Source| it.text.lines().count() > MAX_LINES;
    let fault = |it: &Source| {
        format!(
            "{}: {} lines, at most {MAX_LINES}",
            it.path,
            it.text.lines().count()
        )
    };
    none(sources().iter().filter(|it| long(it)).map(fault).collect());
}

#[test]
fn a_folder_has_no_file_of_its_name_beside_it() {
    let has_folder = |it: &Source| root().join(it.path.trim_end_matches(".rs")).is_dir();
    let beside = |it: &Source| format!("{}: move it into the folder, as mod.rs", it.path);
    none(sources().iter().filter(|it| has_folder(it)).map(beside).collect());
}

#[test]
fn every_room_says_what_it_is() {
    let is_door = |it: &&Source| {
        it.room
            .as_ref()
            .is_some_and(|room| it.path == format!("src/{room}/mod.rs"))
    };
    let is_silent = |it: &&Source| !it.text.starts_with("//! ");
    let fault = |it: &Source| format!("{}: begins without a word on what the room does", it.path);
    none(
        sources()
            .iter()
            .filter(is_door)
            .filter(is_silent)
            .map(fault)
            .collect(),
    );
}

#[test]
fn nothing_is_left_to_do_ignored_or_asleep() {
    // Written in two halves, so that this file does not hold them.
    let unfinished = [
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ign", "ore"),
    ];
    let asleep = [concat!("thread::", "sleep"), concat!("time::", "sleep(")];
    let mut faults = Vec::new();
    for Source {
        path,
        code,
        live_code,
        ..
    } in sources()
    {
        for word in unfinished {
            if code.contains(word) {
                faults.push(format!("{path}: `{word}`"));
            }
        }
        let test_code = &code[live_code.len()..];
        for word in asleep {
            if test_code.contains(word) {
                faults.push(format!(
                    "{path}: a test waits for a signal with a deadline, not `{word}`"
                ));
            }
        }
    }
    none(faults);
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    const KINDS: &[&str] = &[
        "rs", "toml", "lock", "md", "yml", "yaml", "sh", "sql", "html", "json", "snap", "service", "env",
    ];
    // Written in two halves, so that this file does not hold them.
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
    ];
    let mut faults = Vec::new();
    for path in committed() {
        let name = path
            .strip_prefix(root())
            .expect("it is below the root")
            .display()
            .to_string();
        let is_text = path
            .extension()
            .and_then(|it| it.to_str())
            .is_some_and(|it| KINDS.contains(&it))
            || ["Dockerfile", "justfile"].iter().any(|it| name.ends_with(it));
        // What providers send may hold anything.
        if !is_text || name.starts_with("tests/vectors") {
            continue;
        }
        let text = fs::read(&path)
            .map(|it| String::from_utf8_lossy(&it).into_owned())
            .unwrap_or_default();
        for (idx, line) in text.lines().enumerate() {
            // After a letter, it is a part of a URL or of a longer path.
            let is_start = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|it| !(it.is_alphanumeric() || "._~-/{}%".contains(it)))
            };
            for place in places {
                if line.match_indices(place).any(|(at, _)| is_start(at)) {
                    faults.push(format!("{name}:{}: `{place}`", idx + 1));
                }
            }
            let registry = line.strip_prefix("source = \"registry+");
            if name == "Cargo.lock"
                && registry.is_some_and(|it| !it.starts_with("https://github.com/rust-lang/"))
            {
                faults.push(format!("{name}:{}: a registry of one machine", idx + 1));
            }
        }
    }
    none(faults);
}

/// What git would keep, near enough: no hidden folder, nothing that is built or written at run time.
fn committed() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(root()).expect("the root can be listed");
    for path in entries.map(|it| it.expect("the root can be listed").path()) {
        let name = path
            .file_name()
            .and_then(|it| it.to_str())
            .unwrap_or_default()
            .to_owned();
        match name.as_str() {
            "target" | "data" => (),
            ".github" => walk(&path, &mut files),
            _ if name.starts_with('.') => (),
            _ if path.is_dir() => walk(&path, &mut files),
            _ => files.push(path),
        }
    }
    files
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> BTreeSet<String> {
        let mut files = Vec::new();
        walk(&root().join("migrations").join(engine), &mut files);
        let name = |it: &PathBuf| it.file_name().map(|it| it.to_string_lossy().into_owned());
        files.iter().filter_map(name).collect()
    };
    let (postgres, sqlite) = (names("postgres"), names("sqlite"));
    assert!(!postgres.is_empty(), "there is no migration");
    assert_eq!(postgres, sqlite);
}

/// Every room after `crate::`, in `crate::store::Store` and in `crate::{event::Event, store}`.
fn rooms_named_in(code: &str) -> BTreeSet<String> {
    let mut res = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            res.insert(first_word(rest));
            continue;
        };
        let mut depth = 0_u32;
        let mut start = 0;
        for (idx, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    res.insert(first_word(&group[start..idx]));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    res.insert(first_word(&group[start..idx]));
                    start = idx + 1;
                }
                _ => (),
            }
        }
    }
    res.remove("");
    res
}

fn first_word(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|it| it.is_alphanumeric() || *it == '_')
        .collect()
}

/// How often a name stands there that is not the end of a longer one: `print!` is not in `eprint!`.
fn count_words(code: &str, name: &str) -> usize {
    let is_whole = |at: usize| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|it| !it.is_alphanumeric() && it != '_')
    };
    code.match_indices(name).filter(|(at, _)| is_whole(*at)).count()
}

fn level(room: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&room))
}

#[test]
fn imports_are_read_right() {
    let rooms = |code: &str| rooms_named_in(code).into_iter().collect::<Vec<_>>();
    assert_eq!(rooms("use crate::store::Store;"), ["store"]);
    assert_eq!(
        rooms("use crate::{\n    base::{ids::{A, B}, clock},\n    event,\n};"),
        ["base", "event"]
    );
    assert_eq!(rooms("crate::web::x(crate::app::y)"), ["app", "web"]);
    assert_eq!(count_words("eprint!(); print!(); my_print!()", "print!"), 1);
}
