//! What a config may say, what it may not, and what an operator reads then.

#![expect(clippy::panic, reason = "the helpers of tests fail them")]

use std::{collections::BTreeMap, path::Path, time::Duration};

use gatepost::{
    config::{Inputs, Loaded, load},
    destination::Kind,
};
use proptest::prelude::*;

const SECRET: &str = "a-secret-that-is-long-enough-0123456789";

/// Without the expression, which repeats the cases.
macro_rules! snapshot {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

/// What the configs of these tests refer to.
fn environment() -> BTreeMap<String, String> {
    let names = [
        "STRIPE_WEBHOOK_SECRET",
        "GITHUB_WEBHOOK_SECRET",
        "ORDERS_SECRET",
        "BILLING_AUTH",
        "GATEPOST_ADMIN_TOKEN",
    ];
    let mut res: BTreeMap<_, _> = names
        .iter()
        .map(|it| ((*it).to_owned(), SECRET.to_owned()))
        .collect();
    res.insert(
        "BILLING_SIGNING_SECRET".into(),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
    );
    res.insert("EMPTY".into(), String::new());
    res.insert("BLANK".into(), " \n".into());
    res.insert("SHORT".into(), "short".into());
    res.insert("WHSEC_ALONE".into(), "whsec_".into());
    res.insert("WHSEC_SHORT".into(), "whsec_c2hvcnQ=".into());
    res
}

fn with(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut res = environment();
    res.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    res
}

fn load_bytes(bytes: &[u8], environment: BTreeMap<String, String>) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("the system has a temporary directory");
    std::fs::write(directory.path().join("gatepost.toml"), bytes).expect("it can be written to");
    load_in(directory.path(), environment, &[])
}

/// The faults as they are printed, without the directory of this run.
fn load_in(
    directory: &Path,
    environment: BTreeMap<String, String>,
    flags: &[(&str, &str)],
) -> Result<Loaded, String> {
    let inputs = Inputs {
        file: Some(directory.join("gatepost.toml")),
        flags: flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        environment,
    };
    load(&inputs).map_err(|faults| faults.rendered.replace(&format!("{}/", directory.display()), ""))
}

fn good(text: &str) -> Loaded {
    load_bytes(text.as_bytes(), environment()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn bad(text: &str) -> String {
    match load_bytes(text.as_bytes(), environment()) {
        Ok(_) => panic!("no fault in:\n{text}"),
        Err(faults) => faults,
    }
}

/// Every case and what is printed for it, for one snapshot.
pub(crate) fn printed(cases: &[&str]) -> String {
    let one = |it: &&str| format!("{}\n\n{}\n", it.trim(), bad(it));
    cases
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join("\n================\n\n")
}

#[test]
fn the_sample_of_the_contract_loads_word_for_word() {
    let loaded = good(include_str!("product.toml"));
    let settings = &loaded.settings;
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        settings.server.public_url.as_ref().map(url::Url::as_str),
        Some("https://hooks.example.com/")
    );
    assert_eq!(settings.server.max_body, 10 << 20);
    assert_eq!(settings.admin.tokens[0].role, gatepost::web::Role::Operator);
    assert_eq!(settings.retention, Duration::from_hours(30 * 24));
    assert_eq!(settings.grace, Duration::from_secs(25));
    assert_eq!(settings.registry.sources.len(), 2);
    let billing = &settings.registry.destinations[0];
    assert_eq!(
        (billing.timeout, billing.concurrency, billing.rate),
        (Duration::from_secs(30), 16, Some(200))
    );
    assert_eq!(billing.headers[0].0, "authorization");
    assert_eq!(billing.headers[0].1.expose(), SECRET.as_bytes());
    assert_eq!(billing.retry.cap, Duration::from_hours(6));
    assert_eq!(
        settings.registry.routes[0].types,
        ["payment_intent.*", "charge.refunded"]
    );
    assert_eq!(
        loaded.warnings,
        ["source `orders` has no route: its events are stored and go nowhere"]
    );
}

#[test]
fn the_example_in_the_repository_loads_with_two_variables() {
    let environment = environment()
        .into_iter()
        .filter(|(name, _)| ["STRIPE_WEBHOOK_SECRET", "GITHUB_WEBHOOK_SECRET"].contains(&name.as_str()))
        .collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/gatepost.toml");
    let inputs = Inputs {
        file: Some(file.clone()),
        environment,
        ..Inputs::default()
    };
    let loaded = load(&inputs).unwrap_or_else(|faults| panic!("{faults}"));
    let sources: Vec<_> = loaded
        .settings
        .registry
        .sources
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(sources, ["github", "stripe"]);
    assert_eq!(loaded.settings.registry.routes.len(), 2);
    assert_eq!(loaded.watched, [file]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gatepost.toml");
    let listen = |environment, flags: &[(&str, &str)]| {
        load_in(directory.path(), environment, flags)
            .unwrap()
            .settings
            .server
            .listen
            .to_string()
    };
    std::fs::write(&file, "[server]\n").unwrap();
    assert_eq!(listen(environment(), &[]), "127.0.0.1:8080");
    std::fs::write(&file, "[server]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    assert_eq!(listen(environment(), &[]), "127.0.0.1:1");
    let variable = with(&[("gatepost__Server__LISTEN", "127.0.0.1:2")]);
    assert_eq!(listen(variable.clone(), &[]), "127.0.0.1:2");
    assert_eq!(
        listen(variable, &[("server.listen", "127.0.0.1:3")]),
        "127.0.0.1:3"
    );
}

#[test]
fn the_environment_overrides_single_keys_of_named_tables() {
    let text = r#"
        [destinations.my-app]
        url = "http://127.0.0.1:3000/"
        [destinations."other_app.eu"]
        url = "http://127.0.0.1:3000/"
        timeout = "7s"
    "#;
    let variables = with(&[
        ("GATEPOST__DESTINATIONS__MY_APP__URL", "http://127.0.0.1:4000/"),
        ("GATEPOST__DESTINATIONS__MY_APP__CONCURRENCY", "3"),
        ("GATEPOST__DESTINATIONS__MY_APP__RETRY__MAX_ATTEMPTS", "2"),
        ("GATEPOST__DESTINATIONS__MY_APP__HEADERS__X_API_KEY", "12345"),
        ("GATEPOST__DESTINATIONS__OTHER_APP_EU__RATE", "5/s"),
        ("GATEPOST__SERVER__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
        ("GATEPOST_CONFIGURATION", "no setting of ours"),
    ]);
    let loaded = load_bytes(text.as_bytes(), variables).unwrap_or_else(|faults| panic!("{faults}"));
    let [app, other] = loaded.settings.registry.destinations.as_slice() else {
        panic!("two destinations");
    };
    assert!(matches!(&app.kind, Kind::Http(url) if url.expose().port() == Some(4000)));
    assert_eq!((app.concurrency, app.retry.max_attempts), (3, 2));
    assert_eq!(app.retry.max_age, Duration::from_hours(72));
    assert_eq!(
        (app.headers[0].0.as_str(), app.headers[0].1.expose()),
        ("x-api-key", &b"12345"[..])
    );
    assert_eq!((other.rate, other.timeout), (Some(5), Duration::from_secs(7)));
    assert_eq!(loaded.settings.server.trusted_proxies.len(), 1);
}

#[test]
fn faults_from_variables_and_flags_name_them() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("gatepost.toml"),
        "[destinations.app]\nurl = \"http://127.0.0.1:3000/\"\n",
    )
    .unwrap();
    let variables = with(&[
        ("GATEPOST__SERVER__LISTEN", "localhost:80"),
        ("GATEPOST__SERVER__MAX_HEADER", "5"),
        ("GATEPOST__SEVER__LISTEN", "127.0.0.1:1"),
        ("GATEPOST__DESTINATIONS__AP__URL", "http://127.0.0.1/"),
        ("GATEPOST__DESTINATIONS__APP__TIMEOUT", "30"),
        ("GATEPOST__DESTINATIONS", "x"),
        ("GATEPOST__ROUTES", "[]"),
        ("GATEPOST__LOG", "debug"),
        ("GATEPOST____LISTEN", "x"),
    ]);
    let flags = [("store.retention", "1h"), ("log.format", "jsn")];
    snapshot!(load_in(directory.path(), variables, &flags).unwrap_err());
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    snapshot!(printed(&[
        "[sever]\nlisten = \"127.0.0.1:80\"",
        "[server]\nlissten = \"127.0.0.1:80\"\nzzz = 1",
        "[sources.s]\nprovider = \"stripe\"\nsecrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]\nsecrt = \"hunter2hunter2\"",
        "[sources.s]\nprovider = \"stripe\"\nsecrets = [{ enf = \"STRIPE_WEBHOOK_SECRET\" }]",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nretry = { max_atempts = 3 }",
        "[sources.s]\nprovider = \"basic\"\nbasic = { user = \"x\" }\nsecrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]",
        "[[routes]]\nsource = \"s\"\ndestination = \"d\"\ntype = [\"x\"]",
    ]));
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    snapshot!(printed(&[
        "server = 5",
        "[server]\nlisten = 8080",
        "[server]\nlisten = \":8080\"\nmax_body = 10\nhead_timeout = 10\nmax_headers = \"100\"",
        "[server]\nlisten = \"127.0.0.1\"\nmax_body = \"10 MegaBytes\"\nhead_timeout = \"10 parsecs\"\nmax_headers = 1.5",
        "[server]\nmax_body = \"99999999999999999999 GiB\"\nbody_timeout = \"9999999999999999999d\"\nmax_connections = 0",
        "[server]\npublic_url = \"hooks.example.com\"\ntrusted_proxies = [\"10.0.0.1/8\", \"10.0.0.1\", \"ten\", 10]",
        "[server]\npublic_url = \"https://user:password@hooks.example.com/?a=b\"",
        "sources = []\ndestinations = 1\nroutes = { }",
        "sources.s = \"stripe\"\n[[routes]]\nsource = 1\ndestination = [\"x\"]\ntypes = \"x\"",
        "[sources.s]\nunverified = \"yes\"\nrate = 100\ntolerance = \"\"",
        "[sources.s]\nprovider = \"stripe\"\nsecrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]\nrate = \"100/m\"",
        "[destinations.d]\nrate = \"0/s\"\nconcurrency = -1",
        "[destinations.d]\nurl = \"ftp://127.0.0.1/\"",
        "[log]\nfilter = \"gatepost=lots\"\nformat = \"jsn\"",
        "[store]\nurl = \"mysql://localhost/x\"",
        "[store]\nurl = \"\"",
        "[rejected]\nkeep = 1e3\nretention = 1979-05-27",
    ]));
}

#[test]
fn a02_secrets_that_are_none_are_refused() {
    let source = |secrets: &str| format!("[sources.s]\nprovider = \"github\"\nsecrets = {secrets}\n");
    let cases = [
        source("[{ env = \"STRIPE_WEBHOK_SECRET\" }]"),
        source("[{ env = \"QQQ\" }]"),
        source("[{ env = \"EMPTY\" }, { env = \"BLANK\" }]"),
        source("[{ env = \"SHORT\" }]"),
        source("[]"),
        source("[{ file = \"nowhere\" }, { file = \"\" }, { file = \".\" }]"),
        source("[{ env = \"EMPTY\", file = \"x\" }, {}, 5, { env = 5 }]"),
        source("{ env = \"ORDERS_SECRET\" }"),
        source("[{ env = \"WHSEC_ALONE\" }, { env = \"WHSEC_SHORT\" }]")
            .replace("github", "standard-webhooks"),
    ];
    let cases: Vec<_> = cases.iter().map(String::as_str).collect();
    snapshot!(printed(&cases));
}

#[test]
fn literal_secrets_are_refused_and_never_shown() {
    let printed = [
        "[sources.s]\nprovider = \"github\"\nsecrets = [\"hunter2hunter2hunter2\"]",
        "[sources.s]\nprovider = \"github\"\nsecrets = \"hunter2hunter2hunter2\"",
        "[sources.s]\nprovider = \"github\"\nsecrets = [{ env = \"whsec_hunter2hunter2hunter2\" }]",
        "[sources.s]\nprovider = \"github\"\nsecret = \"hunter2hunter2hunter2\"",
        "[sources.s]\nprovider = \"github\"\nsecrets = [\"\"\"\nhunter2\nhunter2\"\"\", 'hunter2hunter2']",
        "[destinations.d]\nurl = \"http://x/\"\nsigning_secret = \"whsec_hunter2hunter2\"",
        "[destinations.d]\nurl = \"https://user:hunter2@example.com/\"",
        "[destinations.d]\nurl = \"https://hunter2@exa mple.com/\"",
        "[destinations.d]\nurl = \"http://x/\"\nheaders = { authorization = [\"Bearer hunter2\"] }",
        "[admin]\ntokens = [{ name = \"ops\", token = \"hunter2hunter2hunter2\", role = \"admin\" }]",
        "[destinations.d]\nurl = 5\nheaders = { role = \"hunter2\", zip = [\"hunter2\"] }",
        "[admin]\ntoken = \"hunter2hunter2hunter2\"",
        "[admin]\napi_key = 4815162342",
        "[store]\nurl = \"postgres://gatepost:hunter2@db/gatepost\"",
        "[sources.s]\nprovider = \"github\"\nsecrets = [\"hunter2",
        "[sources.s]\nprovider = \"github\"\nsecrets = [hunter2]",
        "[sources.s]\nsecrets = [\n  \"hunter2\",\n  hunter2,\n]",
    ]
    .map(bad);
    let printed = printed.join("\n\n");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(!printed.contains("4815162342"), "{printed}");
    snapshot!(printed);
}

#[test]
fn providers_and_their_secrets_must_agree() {
    snapshot!(printed(&[
        "[sources.s]\nprovider = \"strip\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]",
        "[sources.s]\nsecrets = [{ env = \"ORDERS_SECRET\" }]",
        "[sources.s]\nprovider = \"stripe\"",
        "[sources.s]\nprovider = \"github\"\nunverified = true",
        "[sources.s]\nprovider = \"unverified\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]",
        "[sources.s]\nprovider = \"github\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]\nhmac = { hash = \"sha256\" }",
        "[sources.s]\nprovider = \"hmac\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]\nhmac = { hash = \"md4\", header = \"x\", signed = \"{bdy}\" }",
        "[sources.s]\nprovider = \"github\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]\nevent_id = \"x-event-id\"",
        "[sources.s]\nprovider = \"token\"\nsecrets = [{ env = \"ORDERS_SECRET\" }]\ntoken = { header = \"x\", query = \"y\" }",
        "[sources.\"a.b\"]\nprovider = \"github\"\nsecrets = [\n  { env = \"ORDERS_SECRET\" },\n  { env = \"SHORT\" },\n]\n[sources.auth]\nprovider = \"strip\"",
        "[sources.\"a/b\"]\nprovider = \"unverified\"\n[sources.Stripe]\n[sources.\"..\"]\n[destinations.\"*\"]\n[destinations.\"\"]",
    ]));
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    snapshot!(printed(&[
        "[server]\nlisten = \"127.0.0.1:8081\"",
        "[server]\nlisten = \"0.0.0.0:9000\"\n[admin]\nlisten = \"127.0.0.1:9000\"",
        "[admin]\ntokens = [{ name = \"ops\", token = { env = \"SHORT\" }, role = \"root\" }, { role = \"admin\" }]",
        "[admin]\ntokens = [\n  { name = \"ops\", token = { env = \"ORDERS_SECRET\" }, role = \"admin\" },\n  { name = \"ops\", token = { env = \"BILLING_AUTH\" }, role = \"viewer\" },\n]",
        "[delivery]\nlease = \"4s\"",
        "[ingest]\nmax_bytes_in_flight = \"1 MiB\"",
        "[sources.s]\nprovider = \"unverified\"\nmax_body = \"300 MiB\"",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\ntimeout = \"6m\"",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nretry = { first = \"7h\" }",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nretry = { max_age = \"5s\" }",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nretry = { max_attempts = 0 }",
    ]));
}

#[test]
fn destinations_that_cannot_be_sent_to_are_refused() {
    snapshot!(printed(&[
        "[destinations.d]\nurl = \"http://169.254.169.254/latest\"",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nsigning_secret = { env = \"SHORT\" }",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nsigning_secret = { env = \"WHSEC_SHORT\" }",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nheaders = { \"a b\" = \"x\", x-control = \"a\\nb\", Host = \"example.com\", webhook-id = \"1\" }",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nheaders = { x-empty = \"\" }",
    ]));
}

#[test]
fn a_destination_goes_to_one_place() {
    snapshot!(printed(&[
        "[destinations.d]\ntimeout = \"3s\"",
        "[destinations.d]\nurl = \"http://127.0.0.1/\"\nexec = { command = [\"/bin/true\"] }",
        "[destinations.d]\nexec = { command = \"/bin/true\" }",
        "[destinations.d]\nexec = { command = [\"import\"], shell = true }",
        "[destinations.d]\nexec = { command = [\"import\"] }",
        "[destinations.d]\nexec = { command = [\"/bin/true\"] }\nretry = { on = [\"5xx\"] }",
        "[destinations.d]\nexec = { command = [\"/bin/true\"], environment = { GATEPOST_X = \"hunter2\" } }",
        "[destinations.d]\nqueue = { lease = \"1ms\" }\nslack = { text = \"{tpye}\" }",
        "[destinations.d]\nslack = { url = \"https://hooks.slack.com/services/T/B/x\", text = \"{tpye}\" }\nsigning_secret = { env = \"ORDERS_SECRET\" }",
        "[destinations.d]\nredis = { url = \"http://127.0.0.1/\" }\nnats = { url = \"nats://\", subject = \"a\" }",
        "[destinations.d]\ndiscord = { url = \"discord.com/api\" }",
    ]));
}

#[test]
fn b07_a_retention_below_the_senders_patience_is_refused() {
    snapshot!(bad("[store]\nretention = \"2d\""));
    assert_eq!(
        good("[store]\nretention = \"3d\"").settings.retention,
        Duration::from_hours(72)
    );
}

#[test]
fn routes_lead_from_somewhere_to_somewhere() {
    let parts = "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]\n\
                 [sources.broken]\nprovider = \"stripe\"\nsecrets = [{ env = \"EMPTY\" }]\n\
                 [destinations.billing]\nurl = \"http://127.0.0.1/\"\n";
    let routes = "[[routes]]\nsource = \"strip\"\ndestination = \"biling\"\n\
                  [[routes]]\nsource = \"broken\"\ndestination = \"billing\"\n\
                  [[routes]]\nsource = \"stripe\"\ndestination = \"billing\"\ntypes = [\"a\", \"b\"]\n\
                  [[routes]]\nsource = \"stripe\"\ndestination = \"billing\"\ntypes = [\"b\", \"a\"]\n\
                  [[routes]]\nsource = \"stripe\"\ndestination = \"billing\"\n\
                  [[routes]]\nsource = \"nobody\"\ndestination = \"billing\"\nname = \"x\"\ntypes = [\"\"]\n\
                  [[routes]]\ndestination = \"billing\"\n";
    snapshot!(bad(&format!("{parts}{routes}")));
}

#[test]
fn what_is_no_toml_is_refused() {
    snapshot!(printed(&[
        "[server\nlisten = \"127.0.0.1:8080\"",
        "[server]\nlisten = \"127.0.0.1:8080",
        "[server]\nlisten = 127.0.0.1:8080",
        "[server]\nlisten = \"127.0.0.1:8080\"\nlisten = \"127.0.0.1:8081\"",
        "[sources.a]\nprovider = \"stripe\"\n[sources.a]\nprovider = \"github\"",
        "{\"server\": {}}",
        "just words",
    ]));
}

#[test]
fn what_is_no_text_file_is_refused() {
    let huge = vec![b'#'; (1 << 20) + 1];
    let cases: [&[u8]; 6] = [
        b"",
        b" \n\t\n",
        b"\xef\xbb\xbf[server]\n",
        b"\xff\xfe[\0",
        b"[server]\n# caf\xe9\n",
        &huge,
    ];
    let mut printed: Vec<_> = cases
        .iter()
        .map(|it| load_bytes(it, environment()).unwrap_err())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    printed.push(load_in(directory.path(), environment(), &[]).unwrap_err());
    std::fs::create_dir(directory.path().join("gatepost.toml")).unwrap();
    printed.push(load_in(directory.path(), environment(), &[]).unwrap_err());
    snapshot!(printed.join("\n\n"));
}

#[test]
fn secret_files_are_read_watched_and_their_line_end_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("unix"), format!("{SECRET}\n")).unwrap();
    std::fs::write(path("windows"), format!("{SECRET}\r\n")).unwrap();
    std::fs::write(path("blank"), "\n").unwrap();
    let text =
        "[sources.s]\nprovider = \"github\"\nsecrets = [{ file = \"unix\" }, { file = \"windows\" }]\n";
    std::fs::write(path("gatepost.toml"), text).unwrap();

    let loaded = load_in(directory.path(), environment(), &[]).unwrap_or_else(|faults| panic!("{faults}"));
    let secrets = &loaded.settings.registry.sources[0].secrets;
    assert!(secrets.iter().all(|it| it.expose() == SECRET.as_bytes()));
    assert_eq!(
        loaded.watched,
        [path("gatepost.toml"), path("unix"), path("windows")]
    );

    std::fs::write(path("gatepost.toml"), text.replace("windows", "blank")).unwrap();
    snapshot!(load_in(directory.path(), environment(), &[]).unwrap_err());
}

#[cfg(unix)]
#[test]
fn a_secret_file_that_everybody_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let text = "[sources.s]\nprovider = \"github\"\nsecrets = [{ file = \"secret\" }]\n";
    std::fs::write(directory.path().join("gatepost.toml"), text).unwrap();
    let n_warnings = |mode| {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let loaded = load_in(directory.path(), environment(), &[]).unwrap();
        loaded.warnings.iter().filter(|it| it.contains("chmod")).count()
    };
    assert_eq!(n_warnings(0o644), 1);
    assert_eq!(n_warnings(0o600), 0);
}

#[test]
fn what_is_legal_but_unwise_is_warned_of() {
    let short = "rosebud-9";
    let text = r#"
        [admin]
        listen = "0.0.0.0:8081"
        [sources.open]
        provider = "unverified"
        [sources.short]
        provider = "github"
        secrets = [{ env = "STRIPE_WEBHOOK_SECRET" }, { env = "SHORT" }]
        [sources.mail]
        provider = "postmark"
        secrets = [{ env = "BASIC" }]
        [destinations.far]
        url = "http://example.com/hooks"
        [destinations.near]
        url = "http://app:3000/hooks"
        [[routes]]
        source = "open"
        destination = "near"
        [[routes]]
        source = "mail"
        destination = "near"
        types = ["Bounce"]
        [rejected]
        keep = 0
        "#;
    let variables = with(&[("SHORT", short), ("BASIC", "user:a-password-of-the-tests")]);
    let loaded = load_bytes(text.as_bytes(), variables).unwrap_or_else(|it| panic!("{it}"));
    assert!(!loaded.warnings.iter().any(|it| it.contains(short)));
    snapshot!(loaded.warnings.join("\n"));
}

#[test]
fn effective_settings_show_no_secret() {
    let text = include_str!("product.toml").replace("{ env = \"BILLING_AUTH\" }", "\"Bearer hunter2\"");
    let variables = with(&[
        ("GATEPOST__STORE__URL", "postgres://gatepost:hunter2@db/gatepost"),
        (
            "GATEPOST__DESTINATIONS__BILLING__SIGNING_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ),
    ]);
    let loaded = load_bytes(text.as_bytes(), variables).unwrap_or_else(|faults| panic!("{faults}"));
    let lines = loaded.effective.iter().map(|it| format!("{it}\n"));
    let effective: String = lines.collect();
    let shown = format!("{effective}{loaded:?}");
    for secret in ["hunter2", SECRET, "MfKQ9r8GKYqr"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    snapshot!(effective);
}

#[test]
fn thousands_of_faults_are_counted_and_a_hundred_shown() {
    let text = "[[routes]]\nunknown = 1\n".repeat(20_000);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gatepost.toml");
    std::fs::write(&file, text).unwrap();
    let faults = load(&Inputs {
        file: Some(file),
        ..Inputs::default()
    })
    .unwrap_err();
    assert_eq!(faults.n_faults, 60_000);
    assert_eq!(faults.rendered.matches("error:").count(), 100);
    assert!(faults.rendered.ends_with("and 59900 more faults like these"));
}

#[test]
fn deep_nesting_is_a_fault_not_an_overflow() {
    for text in [
        "a.".repeat(200_000) + "a = 1",
        format!("[{}a]", "a.".repeat(200_000)),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
        "[a]\n".to_owned() + &"[[a.b]]\n".repeat(50_000),
    ] {
        assert!(load_bytes(text.as_bytes(), environment()).is_err());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = load_bytes(&bytes, environment());
    }

    /// Nearer to a config than bytes are: a part of one is replaced.
    #[test]
    fn a_damaged_config_never_panics(
        at in 0..2_000_usize,
        len in 0..40_usize,
        patch in prop::sample::select(vec!["", "\"", "[", "]]", "{", "é", "\u{0}", "\r", "= 1", "''", "#", ".", "[[sources]]", "env = \"\"", "\"\"\"", "99999999999999999999"]),
    ) {
        let mut bytes = include_bytes!("product.toml").to_vec();
        let start = at.min(bytes.len());
        let end = (start + len).min(bytes.len());
        bytes.splice(start..end, patch.bytes());
        let _ = load_bytes(&bytes, environment());
    }

    #[test]
    fn any_variable_never_panics(name in "[A-Z_]{0,20}", value in ".{0,40}") {
        let name = format!("GATEPOST__{name}");
        let _ = load_bytes(include_bytes!("product.toml"), with(&[(name.as_str(), value.as_str())]));
    }
}
