use std::collections::BTreeSet;

use crate::config::{
    DEFAULT, Inputs, load_file, load_from, parse,
    tree::{Node, Table, Value},
};

fn inputs(environment: &[(&str, &str)]) -> Inputs {
    Inputs {
        environment: environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Inputs::default()
    }
}

/// `default.toml` with the keys that have no default made real: prose begins with `# `, a key with `#`.
fn uncommented() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    DEFAULT
        .lines()
        .map(uncomment)
        .collect::<String>()
        .replace("\"*\"", "example")
}

/// Every key with `*` for a chosen name and `[]` for a place in an array, without what is inside a reference.
fn keys(table: &Table, shape: &str, res: &mut BTreeSet<String>) {
    for (key, entry) in &table.0 {
        let key = if ["sources", "destinations", "notifications"].contains(&shape) {
            "*"
        } else {
            key
        };
        let shape = if shape.is_empty() {
            key.to_owned()
        } else {
            format!("{shape}.{key}")
        };
        keys_of(&entry.node, &shape, res);
        if key != "*" {
            res.insert(shape);
        }
    }
}

fn keys_of(node: &Node, shape: &str, res: &mut BTreeSet<String>) {
    let is_leaf = [
        "headers",
        "environment",
        "signing_secret",
        "signing_secrets[]",
        "url",
        "secrets[]",
        "tokens[].token",
        "public_key",
        "verify_token",
        "filter",
        "certificate",
        "client_key",
        "access_key_id",
        "secret_access_key",
        "session_token",
        "client_secret",
        "credentials",
        "password",
        "jwks",
        "routing_key",
    ]
    .iter()
    .any(|it| shape.ends_with(it));
    match &node.value {
        Value::Table(table) if !is_leaf => keys(table, shape, res),
        Value::Array(items) => items
            .iter()
            .for_each(|it| keys_of(it, &format!("{shape}[]"), res)),
        _ => (),
    }
}

#[test]
fn every_known_key_is_in_the_reference_and_every_key_there_is_known() {
    let text = uncommented().replace(
        "tokens = []",
        "tokens = [{ name = \"ops\", token = { env = \"TOKEN\" }, role = \"operator\" }]",
    );
    let tree = parse::document(&text, false).unwrap_or_else(|faults| panic!("{}", faults[0].problem));
    let mut listed = BTreeSet::new();
    keys(&tree, "", &mut listed);

    // All at once they contradict each other; what counts is that every one is asked for and none is unknown.
    let mut known = BTreeSet::new();
    let res = load_file(&inputs(&[]), None, &text, &mut known);
    assert!(!res.is_err_and(|it| it.rendered.contains("unknown key")));
    let is_inside_reference =
        |it: &&String| ["env", "file"].contains(&it.rsplit('.').next().unwrap_or_default());
    let known: BTreeSet<_> = known
        .iter()
        .filter(|it| !is_inside_reference(it))
        .cloned()
        .collect();
    let unlisted: Vec<_> = known.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&known).collect();
    assert!(unlisted.is_empty(), "not in config/default.toml: {unlisted:?}");
    assert!(
        unknown.is_empty(),
        "in config/default.toml, but never read: {unknown:?}"
    );
}

#[test]
fn without_a_file_the_built_in_defaults_hold() {
    let loaded = load_from(&inputs(&[]), &[]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.file, None);
    assert!(loaded.watched.is_empty());
    assert!(loaded.settings.server.listen.ip().is_loopback());
    assert!(loaded.settings.admin.listen.ip().is_loopback());
    assert_eq!(loaded.settings.store.url.expose(), b"sqlite:data/gatepost.db");
    assert!(loaded.settings.registry.sources.is_empty());
    let written: Vec<_> = loaded
        .effective
        .iter()
        .filter(|it| it.place != "default")
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn the_first_file_of_the_search_that_exists_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("second.toml"), "[server]\nmax_headers = 50\n").unwrap();
    std::fs::write(path("third.toml"), "[server]\nmax_headers = 60\n").unwrap();
    let search = [path("first.toml"), path("second.toml"), path("third.toml")];
    let search: Vec<&str> = search.iter().map(String::as_str).collect();
    let n_headers = |inputs: &Inputs| load_from(inputs, &search).unwrap().settings.server.max_headers;

    assert_eq!(n_headers(&inputs(&[])), 50);
    assert_eq!(
        n_headers(&inputs(&[("GATEPOST_CONFIG", &path("third.toml"))])),
        60
    );
    assert_eq!(n_headers(&inputs(&[("GATEPOST_CONFIG", "")])), 50);
    let named = Inputs {
        file: Some(path("second.toml").into()),
        ..inputs(&[("GATEPOST_CONFIG", &path("third.toml"))])
    };
    assert_eq!(n_headers(&named), 50);
}

#[test]
fn a_secret_in_a_line_that_is_no_toml_is_not_shown() {
    let lines = [
        "provider = \"stripe\" secrets = [\"hunter2\"]",
        "timeout = \"30s\" \"ghp_hunter2\"",
        "tolerance = \"5m\", token = \"hunter2\"",
        "secrets: [\"hunter2==\"]",
        "secrets [\"hunter2=\", \"x\"]",
        "hunter2==",
    ];
    for line in lines {
        let text = format!("[sources.a]\n{line}\n");
        let faults = load_file(&inputs(&[]), None, &text, &mut BTreeSet::new()).unwrap_err();
        assert!(!faults.rendered.contains("hunter2"), "{faults}");
    }
}
