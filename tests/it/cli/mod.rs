//! The real binary: exit code, stdout and stderr together, as a person or a script meets them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use tempfile::TempDir;

const STRIPE_SECRET: &str = "whsec_0123456789abcdef0123";
const SLACK_SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Bodies with the signatures that these secrets make at `NOW`.
const BODY: &str = r#"{"id":"evt_1","type":"invoice.paid"}"#;
const SIGNATURE: &str = "0281bcf16b572cb1f563fb7c30a6d91c7285dc59ef51e22962262d7ae891db2f";
const CHALLENGE: &str = r#"{"type":"url_verification","challenge":"abc"}"#;
const CHALLENGE_SIGNATURE: &str = "74f036ddf082b3f0d0865629b8c052d1a72bf03ce3f383ce2e48e92c64fbbf49";
const NOW: &str = "1767225600";
/// Longer than a start takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

const CONFIG: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ env = "STRIPE_WEBHOOK_SECRET" }]

[sources.slack]
provider = "slack"
secrets = [{ file = "slack" }]

[destinations.app]
url = "http://127.0.0.1:9/hooks"

[[routes]]
source = "stripe"
destination = "app"
"#;

/// Without the expression, which repeats the cases.
macro_rules! snapshot {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

mod access;
mod issues;
mod routes;
mod watch;

/// A directory of its own with a config, and nothing of this process's environment.
struct Shell {
    directory: TempDir,
    environment: BTreeMap<&'static str, String>,
}

impl Shell {
    fn new() -> Self {
        let shell = Self {
            directory: tempfile::tempdir().unwrap(),
            environment: BTreeMap::from([("STRIPE_WEBHOOK_SECRET", STRIPE_SECRET.to_owned())]),
        };
        shell.write("gatepost.toml", CONFIG);
        shell.write("slack", SLACK_SECRET);
        // Others may not read it, whatever this process's umask says: that would be warned of.
        std::fs::set_permissions(shell.path().join("slack"), std::fs::Permissions::from_mode(0o600)).unwrap();
        shell.write("body.json", BODY);
        shell.write("challenge.json", CHALLENGE);
        shell
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("TMPDIR", self.path())
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command ended with and printed, in one text.
    fn told(&self, args: &[&str]) -> String {
        let output = self.run(args);
        format!(
            "$ gatepost {}\nexit code {}\n--- stdout\n{}--- stderr\n{}",
            args.join(" "),
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr)
        )
    }

    /// A gateway of this config that is ready; commands that come after it find it.
    fn serve(&mut self) -> Running {
        for name in ["GATEPOST__SERVER__LISTEN", "GATEPOST__ADMIN__LISTEN"] {
            self.environment.insert(name, nowhere().to_string());
        }
        let serve = ["serve", "--config", "gatepost.toml"];
        let mut running = Running(self.command(&serve).stderr(Stdio::piped()).spawn().unwrap());
        running.line_with("listening on");
        running
    }

    fn verify(&self, more: &[&str]) -> String {
        self.told(
            &[
                &[
                    "verify",
                    "stripe",
                    "--config",
                    "gatepost.toml",
                    "--file",
                    "body.json",
                ],
                more,
            ]
            .concat(),
        )
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn signed(signature: &str) -> String {
    format!("Stripe-Signature: t={NOW},v1={signature}")
}

/// Where nothing listens: it was free a moment ago.
fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// A started command that is killed if its test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// The first line of stderr that has all of this, within a deadline.
    fn line_with(&mut self, wanted: &'static str) -> String {
        let stderr = self.0.stderr.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
            let _ = sender.send(lines.find(|it| it.contains(wanted)));
            // Reads on, so that the writer never meets a closed pipe.
            lines.for_each(drop);
        });
        let line = receiver.recv_timeout(PATIENCE).unwrap();
        line.unwrap_or_else(|| panic!("it ended without saying `{wanted}`"))
    }

    fn terminate(&mut self) -> Option<i32> {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.0.wait().unwrap().code()
    }
}

#[test]
fn without_arguments_it_prints_help() {
    snapshot!(Shell::new().told(&[]));
}

#[test]
fn help_of_a_command_has_examples() {
    snapshot!(Shell::new().told(&["send", "--help"]));
}

#[test]
fn unknown_commands_and_flags_are_usage_faults() {
    let shell = Shell::new();
    let told = [
        shell.told(&["serv"]),
        shell.told(&["serve", "--lisen", "x"]),
        shell.told(&["verify", "stripe"]),
        shell.told(&["events", "list", "--limit", "201"]),
        shell.told(&["events", "list", "--admin", "ftp://x"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn check_says_that_a_config_is_fine() {
    let shell = Shell::new();
    let told = [
        shell.told(&["check", "--config", "gatepost.toml"]),
        shell.told(&["check", "--config", "gatepost.toml", "--output", "json"]),
        shell.told(&["check"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn check_reports_every_fault_of_a_config() {
    let shell = Shell::new();
    shell.write(
        "bad.toml",
        "[server]\nlisten = \"localhost\"\nmax_bdy = 1\n\n[sources.a]\nprovider = \"strpe\"\nsecrets = [{ env = \"NOPE\" }]\n",
    );
    let told = [
        shell.told(&["check", "--config", "bad.toml"]),
        shell.told(&["check", "--config", "nowhere.toml"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn serve_refuses_what_check_refuses() {
    let shell = Shell::new();
    shell.write("bad.toml", "[server]\nlisten = 80\n");
    let args = ["serve", "--config", "bad.toml"];
    let (checked, served) = (shell.run(&["check", "--config", "bad.toml"]), shell.run(&args));
    assert_eq!(served.status.code(), Some(2));
    assert!(text(&checked.stderr).starts_with(text(&served.stderr)));
}

#[test]
fn verify_tells_good_from_bad() {
    let shell = Shell::new();
    let good = signed(SIGNATURE);
    let bad = signed(&SIGNATURE.replace('0', "1"));
    let told = [
        shell.verify(&["--now", NOW, "--header", &good]),
        shell.verify(&["--now", NOW, "--header", &bad]),
        shell.verify(&["--now", "1767226600", "--header", &good]),
        shell.verify(&["--now", NOW]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn verify_speaks_json() {
    let shell = Shell::new();
    let good = signed(SIGNATURE);
    let told = [
        shell.verify(&["--now", NOW, "--header", &good, "--output", "json"]),
        shell.verify(&["--now", "1767226600", "--header", &good, "--output", "json"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn verify_counts_a_handshake_as_verified() {
    let signature = format!("X-Slack-Signature: v0={CHALLENGE_SIGNATURE}");
    let time = format!("X-Slack-Request-Timestamp: {NOW}");
    let args = [
        "verify",
        "slack",
        "--config",
        "gatepost.toml",
        "--file",
        "challenge.json",
    ];
    let headers = ["--now", NOW, "--header", &signature, "--header", &time];
    snapshot!(Shell::new().told(&[&args[..], &headers].concat()));
}

#[test]
fn verify_refuses_what_makes_no_sense() {
    let shell = Shell::new();
    let told = [
        shell.told(&[
            "verify",
            "strip",
            "--config",
            "gatepost.toml",
            "--file",
            "body.json",
        ]),
        shell.told(&[
            "verify",
            "stripe",
            "--config",
            "gatepost.toml",
            "--file",
            "nowhere.json",
        ]),
        shell.verify(&["--header", "no colon"]),
        shell.verify(&["--header", "a b: c"]),
        shell.verify(&["--method", "P OST"]),
        shell.verify(&["--url", "hooks.example.com"]),
        shell.verify(&["--now", "yesterday"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn verify_reads_the_body_from_stdin() {
    let shell = Shell::new();
    let args = [
        "verify",
        "stripe",
        "--config",
        "gatepost.toml",
        "--file",
        "-",
        "--now",
        NOW,
    ];
    let mut command = shell.command(&[&args[..], &["--header", &signed(SIGNATURE)]].concat());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(BODY.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn providers_are_explained() {
    let shell = Shell::new();
    let told = [
        shell.told(&["providers", "stripe"]),
        shell.told(&["providers", "hmac"]),
        shell.told(&["providers", "strpe"]),
        shell.told(&["providers", "zzzzzz"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn providers_are_listed_one_a_line() {
    let shell = Shell::new();
    let output = shell.run(&["providers"]);
    let listed = text(&output.stdout).lines().skip(1);
    let names: Vec<_> = listed.filter_map(|it| it.split(' ').next()).collect();
    let known: Vec<_> = gatepost::provider::all()
        .iter()
        .map(|it| it.name.to_string())
        .collect();
    assert_eq!(names, known);
    let json: serde_json::Value =
        serde_json::from_slice(&shell.run(&["providers", "--output", "json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), known.len());
}

#[test]
fn completions_know_every_command() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish"] {
        let output = shell.run(&["completions", name]);
        assert_eq!(output.status.code(), Some(0));
        for command in ["serve", "demo", "deliveries", "healthcheck"] {
            assert!(text(&output.stdout).contains(command), "{name}: {command}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let shell = Shell::new();
    for args in [
        &["completions", "bash"][..],
        &["providers"],
        &["--help"],
        &[],
        &["check", "--config", "gatepost.toml"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = shell.command(args).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!text(&output.stderr).contains("panicked"), "{args:?}");
    }
}

#[test]
fn where_nothing_runs_every_client_says_so() {
    let shell = Shell::new();
    let address = nowhere();
    let port = address.port().to_string();
    let admin = format!("http://{address}");
    let url = format!("http://{address}/webhooks/stripe");
    let told = [
        shell.told(&["healthcheck", "--admin", &admin]),
        shell.told(&["events", "list", "--admin", &admin]),
        shell.told(&["send", "stripe", "--config", "gatepost.toml", "--url", &url]),
    ];
    snapshot!(told.join("\n").replace(&port, "PORT"));
}

#[test]
fn send_needs_to_know_who_signs_and_with_what() {
    let shell = Shell::new();
    let told = [
        shell.told(&["send", "strip", "--config", "gatepost.toml"]),
        shell.told(&["send", "x", "--provider", "stripe"]),
        shell.told(&[
            "send",
            "x",
            "--provider",
            "strip",
            "--secret-env",
            "STRIPE_WEBHOOK_SECRET",
        ]),
        shell.told(&["send", "x", "--provider", "stripe", "--secret-env", "NOPE"]),
    ];
    snapshot!(told.join("\n"));
}

#[test]
fn the_demo_tells_its_story_and_leaves_nothing_behind() {
    let mut shell = Shell::new();
    let scene = tempfile::tempdir().unwrap();
    shell
        .environment
        .insert("TMPDIR", scene.path().display().to_string());
    let output = shell.run(&["demo", "--exit"]);
    let story = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{story}\n{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    for part in [
        "ok stripe   200 accepted evt_",
        "ok stripe   200 duplicate evt_",
        "signature_mismatch",
        "shopify  attempt 1: your handler answered 500",
        "shopify  attempt 2: your handler answered 204, delivered",
        "received   7 = 1 rejected + 1 duplicates + 5 stored",
        "deliveries 5 = 5 delivered + 0 open + 0 dead + 0 cancelled + 0 skipped",
    ] {
        assert!(story.contains(part), "`{part}` is missing:\n{story}");
    }
    assert!(!story.contains('\u{1b}'), "colours without a terminal");
    assert_eq!(std::fs::read_dir(scene.path()).unwrap().count(), 0);
}

#[test]
fn a_served_store_is_sent_to_listed_and_examined() {
    let mut shell = Shell::new();
    let shop = "[sources.shop]\nprovider = \"token\"\nsecrets = [{ file = \"slack\" }]\ntoken = { query = \"token\" }\n";
    shell.write("gatepost.toml", &format!("{CONFIG}{shop}"));
    let mut running = shell.serve();
    let run = |args: &[&str]| shell.run(&[args, &["--config", "gatepost.toml"]].concat());

    assert_eq!(text(&run(&["healthcheck"]).stdout), "ready\n");
    let sent = run(&["send", "stripe", "--type", "invoice.paid"]);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    let sent: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    let id = sent["id"].as_str().unwrap();

    let listed = run(&["events", "list", "--type", "invoice.*", "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["data"][0]["id"], id);
    assert!(text(&run(&["events", "list"]).stdout).contains(id));
    let found = run(&["events", "list", "--text", "no such text"]);
    assert!(text(&found.stdout).is_empty() && text(&found.stderr).contains("looked into the bodies of"));
    let shown = run(&["events", "get", id]);
    assert!(text(&shown.stdout).contains("invoice.paid"));
    let missing = run(&["events", "get", "evt_00000000000000000000000000"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("`not_found`"),
        "{}",
        text(&missing.stderr)
    );

    let examined = run(&["doctor"]);
    assert_eq!(examined.status.code(), Some(0), "{}", text(&examined.stdout));
    for part in [
        "in use by the running gatepost",
        "ledger: received 1 = rejected 0 + duplicates 0 + stored 1",
        "ledger: deliveries 1 = ",
        "destination `app`",
    ] {
        assert!(
            text(&examined.stdout).contains(part),
            "{}",
            text(&examined.stdout)
        );
    }
    let sent = run(&["send", "shop"]);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    assert!(!text(&sent.stderr).contains("token="), "{}", text(&sent.stderr));
    let second = run(&["migrate"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("hint: "),
        "{}",
        text(&second.stderr)
    );

    assert_eq!(running.terminate(), Some(0));
    assert_eq!(
        text(&run(&["migrate", "--check"]).stdout),
        "the sqlite store is up to date\n"
    );
}

#[test]
fn serve_without_a_config_says_what_to_do() {
    let shell = Shell::new();
    let (public, admin) = (nowhere().to_string(), nowhere().to_string());
    let serve = ["serve", "--listen", &public, "--admin-listen", &admin];
    let mut running = Running(shell.command(&serve).stderr(Stdio::piped()).spawn().unwrap());
    let line = running.line_with("no config file");
    assert!(
        line.contains("sqlite:data/gatepost.db") && line.contains(&public),
        "{line}"
    );
}

#[test]
fn doctor_changes_nothing() {
    let shell = Shell::new();
    let output = shell.run(&["doctor", "--config", "gatepost.toml"]);
    assert!(text(&output.stdout).contains("warn  store: `data/gatepost.db` is not there yet"));
    assert!(!shell.path().join("data").exists());
    shell.write("bad.toml", "[server]\nlisten = 80\n");
    assert_eq!(
        shell.run(&["doctor", "--config", "bad.toml"]).status.code(),
        Some(2)
    );
}

/// The page of the catalog. Made anew by this test where GATEPOST_TEST_WRITE_DOCS is set.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
fn the_page_of_the_providers_is_that_of_the_catalog() {
    let senders: Vec<_> = gatepost::provider::all()
        .iter()
        .filter(|it| !["basic", "hmac", "token", "unverified"].contains(&it.name.as_ref()))
        .collect();
    let mut page = format!(
        "# Providers\n\n{} senders. `gatepost providers NAME` explains one: how its requests are verified, where to register, what to know. \
         Facts: where the row was read; what is unconfirmed is known from one second-hand place. A hash in brackets is old or broken, and all that the sender has. Any other sender that signs with a \
         shared key works with `provider = \"hmac\"`.\n\nWritten by `GATEPOST_TEST_WRITE_DOCS=1 cargo test --test it the_page_of`.\n\n\
         | provider | name | scheme | verifies | handshake | facts |\n|---|---|---|---|---|---|\n",
        senders.len()
    );
    for row in senders {
        let name = match &row.docs {
            Some(docs) => format!("[{}]({docs})", row.title.replace('|', "/")),
            None => row.title.replace('|', "/"),
        };
        let handshake = if row.handshakes.is_empty() { "" } else { "answered" };
        let cells = [
            format!("`{}`", row.name),
            name,
            row.kind().to_owned(),
            match row.weak_hash() {
                Some(hash) => format!("{} ({})", row.binding().as_str(), hash.as_str()),
                None => row.binding().as_str().to_owned(),
            },
            handshake.to_owned(),
            row.confidence.as_str().to_owned(),
        ];
        page.push_str("| ");
        page.push_str(&cells.join(" | "));
        page.push_str(" |\n");
    }
    page.push_str(include_str!("absent.md"));
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md");
    if std::env::var_os("GATEPOST_TEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/providers.md is behind the catalog: GATEPOST_TEST_WRITE_DOCS=1 writes it anew"
    );
}
