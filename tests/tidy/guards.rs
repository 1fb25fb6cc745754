//! Known failures that the text itself can show: what is compared how, who dials, what the SQL says.

use std::fs;

use crate::{Source, count_words, none, root, sources, walk};

/// Secret bytes and what is computed from them. None of them has `==`: see `a06` below.
const SECRETS: &[(&str, &str)] = &[
    ("src/base/secret.rs", "pub struct Secret("),
    ("src/provider/mod.rs", "pub struct Key {"),
    ("src/provider/encoding.rs", "pub(super) struct Bytes {"),
    ("src/web/auth/known.rs", "struct Known {"),
    ("src/web/auth/session.rs", "pub(crate) struct Cookie("),
];

/// Where secrets are compared, in constant time: signatures and credentials of senders, tokens of operators.
const COMPARERS: &[&str] = &["src/provider/verify/mod.rs", "src/web/auth/known.rs"];

/// Where sockets are opened to somebody else, by the crate that could do so.
const DIALLERS: &[(&str, &[&str])] = &[
    ("reqwest::Client", &["src/egress/client.rs"]),
    ("reqwest::get", &[]),
    ("hyper_util::client", &[]),
    ("UdpSocket", &[]),
    ("UnixStream", &[]),
    // Its addresses come out of the guard.
    ("TcpStream::connect", &["src/egress/stream.rs"]),
    ("lookup_host", &["src/egress/resolver.rs"]),
];

fn live(path: &str) -> Source {
    let found = sources().into_iter().find(|it| it.path == path);
    found.expect("a file that is named above is there: say where it went")
}

#[test]
fn a06_secrets_have_no_equality() {
    let mut faults = Vec::new();
    for (path, definition) in SECRETS {
        let code = live(path).live_code;
        let name = definition
            .trim_end_matches(['(', '{', ' '])
            .rsplit(' ')
            .next()
            .unwrap_or_default();
        let Some(at) = code.find(definition) else {
            faults.push(format!("{path}: `{definition}` is gone: say where it went"));
            continue;
        };
        // What stands between the item before and this one: its derives.
        let before = code[..at].rsplit("\n\n").next().unwrap_or_default();
        if before.contains("PartialEq") || code.contains(&format!("PartialEq for {name}")) {
            faults.push(format!(
                "{path}: `{name}` has an `==`, which takes no constant time"
            ));
        }
    }
    none(faults);
}

#[test]
fn a06_secrets_are_compared_in_constant_time_and_nowhere_else() {
    let mut faults = Vec::new();
    for source in sources() {
        let is_comparer = COMPARERS.contains(&source.path.as_str());
        if is_comparer != source.live_code.contains(".ct_eq(") {
            faults.push(format!(
                "{}: secrets are compared in {}",
                source.path,
                COMPARERS.join(" and ")
            ));
        }
        // In these rooms, whatever is exposed goes into a hash, a MAC or a decoder.
        if !["provider", "web", "source"].contains(&source.room.as_deref().unwrap_or_default()) {
            continue;
        }
        for line in source.live_code.lines() {
            let exposes = ["expose()", "as_slice()", "ct_eq("]
                .iter()
                .any(|it| line.contains(it));
            if exposes
                && [" == ", " != ", ".eq(", ".ne("]
                    .iter()
                    .any(|it| line.contains(it))
            {
                let is_length = line.contains(".len() == ") && line.contains("ct_eq(");
                if !is_length {
                    faults.push(format!("{}: `{}`", source.path, line.trim()));
                }
            }
        }
    }
    none(faults);
}

#[test]
fn c05_nobody_dials_but_the_guard() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|it| it.room.is_some()) {
        for (name, places) in DIALLERS {
            if count_words(&source.live_code, name) > 0 && !places.contains(&source.path.as_str()) {
                faults.push(format!(
                    "{}: `{name}` gets past the guard of `egress`",
                    source.path
                ));
            }
        }
    }
    assert!(
        live("src/egress/stream.rs")
            .live_code
            .contains("resolver::filter("),
        "`stream` dials what the guard lets through"
    );
    none(faults);
}

/// Every statement: the files of SQL, the migrations, and what the store's code holds, all in lower case.
fn statements() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["src/store", "migrations"] {
        walk(&root().join(folder), &mut files);
    }
    let is_read = |it: &&std::path::PathBuf| it.extension().is_some_and(|it| it == "sql" || it == "rs");
    files
        .iter()
        .filter(is_read)
        .map(|path| {
            let text = fs::read_to_string(path).expect("it is readable UTF-8");
            let is_code = |line: &&str| !["//", "--"].iter().any(|it| line.trim_start().starts_with(it));
            let code: Vec<_> = text.lines().filter(is_code).collect();
            (path.display().to_string(), code.join("\n").to_lowercase())
        })
        .collect()
}

fn check_statements(words: &[&str], why: &str) {
    let all = statements();
    assert!(all.len() > 50, "{} files of statements", all.len());
    let mut faults = Vec::new();
    for (path, code) in &all {
        for word in words {
            let is_word = |at: usize| {
                let around = [
                    code[..at].chars().next_back(),
                    code[at + word.len()..].chars().next(),
                ];
                around
                    .into_iter()
                    .flatten()
                    .all(|it| !it.is_alphanumeric() && it != '_')
            };
            if code.match_indices(word).any(|(at, _)| is_word(at)) {
                faults.push(format!("{path}: `{word}`: {why}"));
            }
        }
    }
    none(faults);
}

#[test]
fn e07_no_statement_notifies() {
    // Tokio's `Notify` is one process' own, and stands without a name or a channel after it.
    check_statements(
        &["pg_notify", "notify gatepost", "notify wake", "execute notify"],
        "a notification takes a global lock at commit",
    );
    let sql = statements().into_iter().filter(|it| {
        std::path::Path::new(&it.0)
            .extension()
            .is_some_and(|it| it == "sql")
    });
    none(
        sql.filter(|(_, code)| count_words(code, "notify") > 0)
            .map(|(path, _)| format!("{path}: `notify`"))
            .collect(),
    );
}

#[test]
fn e08_no_commit_depends_on_a_queue_of_notifications() {
    check_statements(
        &[
            "pglistener",
            "listen gatepost",
            "pg_notification_queue_usage",
            "unlisten",
        ],
        "nobody listens, so nothing can be full; work is found by looking",
    );
}

#[test]
fn e11_no_migration_builds_an_index_that_can_stay_half_built() {
    check_statements(
        &["concurrently"],
        "a migration is one transaction: it is there or it is not",
    );
}

#[test]
fn d12_numbers_do_not_overflow_unseen_in_a_release() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it is readable");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    let release = &manifest["profile"]["release"];
    assert_eq!(
        release.get("overflow-checks").and_then(toml::Value::as_bool),
        Some(true)
    );
    // Nothing weaker for one crate or for the code that runs while it is built.
    for part in ["package", "build-override"] {
        assert!(
            release.get(part).is_none(),
            "`profile.release.{part}` may weaken it"
        );
    }
}

#[test]
fn f14_the_readme_promises_no_order() {
    let readme = fs::read_to_string(root().join("README.md")).expect("it is readable");
    let text = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("Deliveries come in no order"),
        "a handler's author has to know"
    );
}
