use std::collections::BTreeSet;

use crate::config::{
    DEFAULT, Inputs, Loaded, load_file, load_from, load_text, parse,
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

fn with(environment: &[(&str, &str)], text: &str) -> Loaded {
    load_text(&inputs(environment), text).unwrap()
}

/// Where each key of `[telemetry]` was said, but for the ratio.
fn telemetry_places(loaded: &Loaded) -> Vec<(&str, &str)> {
    let settings = loaded.effective.iter();
    settings
        .filter_map(|it| Some((it.key.strip_prefix("telemetry.")?, it.place.as_str())))
        .filter(|(key, _)| *key != "sample_ratio")
        .collect()
}

const OTEL: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", " http://127.0.0.1:4318 "),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    (
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Authorization=Basic%20a+b%3D, x-tenant = 7,",
    ),
    ("OTEL_SERVICE_NAME", "hooks"),
    ("OTEL_SDK_DISABLED", ""),
];

#[test]
fn variables_of_opentelemetry_fill_what_the_config_leaves_open() {
    let loaded = with(OTEL, "");
    let telemetry = loaded.settings.telemetry.as_ref().unwrap();
    assert_eq!(telemetry.endpoint.to_string(), "http://127.0.0.1:4318/");
    assert_eq!(telemetry.service_name, "hooks");
    let headers: Vec<_> = telemetry
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(
        headers,
        [("authorization", &b"Basic a+b="[..]), ("x-tenant", b"7")]
    );
    assert_eq!(
        telemetry_places(&loaded),
        [
            ("endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            ("headers.authorization", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("headers.x-tenant", "OTEL_EXPORTER_OTLP_HEADERS"),
            ("service_name", "OTEL_SERVICE_NAME"),
        ]
    );
    let shown = format!("{:?}", loaded.effective);
    assert!(!shown.contains("Basic"), "{shown}");
    assert!(
        loaded.warnings.iter().all(|it| !it.contains("OTEL")),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn the_config_wins_over_variables_of_opentelemetry() {
    let written = "[telemetry]\nendpoint = \"http://127.0.0.1:9\"\nservice_name = \"gatepost\"";
    let own = [("GATEPOST__TELEMETRY__ENDPOINT", "http://127.0.0.1:9")];
    let off = [("OTEL_SDK_DISABLED", "true")];
    for (environment, text, service_name) in [
        (OTEL.to_vec(), written, "gatepost"),
        ([OTEL, &own].concat(), "", "hooks"),
        ([OTEL, &off].concat(), written, "gatepost"),
    ] {
        let telemetry = with(&environment, text).settings.telemetry.unwrap();
        assert_eq!(telemetry.endpoint.to_string(), "http://127.0.0.1:9/");
        // They may hold the credentials of the other collector.
        assert!(telemetry.headers.is_empty());
        assert_eq!(telemetry.service_name, service_name);
    }
    let headers = "[telemetry]\nheaders = { x-mine = \"1\" }";
    let telemetry = with(OTEL, headers).settings.telemetry.unwrap();
    assert_eq!(telemetry.headers.len(), 1);
    assert_eq!(telemetry.headers[0].0, "x-mine");
    // `true` in any case, and nothing else.
    for (word, is_on) in [("TRUE", false), ("1", true), ("false", true)] {
        let environment = [OTEL, &[("OTEL_SDK_DISABLED", word)]].concat();
        assert_eq!(
            with(&environment, "").settings.telemetry.is_some(),
            is_on,
            "{word}"
        );
    }
}

#[test]
fn what_cannot_be_used_of_opentelemetry_is_warned_of_and_is_no_fault() {
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let headers = "OTEL_EXPORTER_OTLP_HEADERS";
    for (name, value, part, is_on) in [
        (endpoint, "collector:4317", "no http or https URL", false),
        (endpoint, "http://169.254.169.254/", "may be sent to", false),
        (
            endpoint,
            "http://ops:hunter2@127.0.0.1:4318",
            "no http or https URL",
            false,
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "`http/protobuf`", false),
        (headers, "hunter2", "names and values", true),
        (headers, "x-key=hunter2%", "names and values", true),
        (headers, "x-key=hunter2%0a", "names and values", true),
        (headers, "x-key=%ff", "names and values", true),
        (headers, "x-key=", "names and values", true),
        (headers, "content-length=7", "names and values", true),
    ] {
        let loaded = with(&[OTEL, &[(name, value)]].concat(), "");
        let warnings: Vec<_> = loaded.warnings.iter().filter(|it| it.contains("OTEL")).collect();
        assert!(
            warnings.len() == 1 && warnings[0].contains(part),
            "{value}: {warnings:?}"
        );
        assert!(!warnings[0].contains("hunter2"), "{warnings:?}");
        let telemetry = loaded.settings.telemetry;
        assert_eq!(telemetry.is_some(), is_on, "{value}");
        assert!(telemetry.is_none_or(|it| it.headers.is_empty()), "{value}");
    }
}
