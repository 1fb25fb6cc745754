//! What the command line says of keys that are fetched, and the offline ways.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::{ACCOUNT, AUDIENCE, NOW, Signer, StandIn, pem, pushed, set_of};

struct Shell {
    directory: TempDir,
}

impl Shell {
    /// With Google's source, and more lines in its table.
    fn new(more: &str) -> Self {
        let shell = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        shell.write(
            "gatepost.toml",
            &format!(
                "[sources.pubsub]\nprovider = \"google-pubsub\"\naudience = \"{AUDIENCE}\"\n\
                 service_account_email = \"{ACCOUNT}\"\n{more}\n"
            ),
        );
        shell
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_gatepost"))
            .args(args)
            .args(["--config", "gatepost.toml"])
            .env_clear()
            .env("SSL_CERT_FILE", self.directory.path().join("roots.pem"))
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// The verdict on a push with this token.
    fn verify(&self, token: &str, more: &[&str]) -> Value {
        self.write("body.json", std::str::from_utf8(&pushed(token).body).unwrap());
        let (now, header) = (NOW.to_string(), format!("Authorization: Bearer {token}"));
        let args = [
            "verify",
            "pubsub",
            "--file",
            "body.json",
            "--output",
            "json",
            "--now",
            &now,
            "--header",
            &header,
        ];
        let output = self.run(&[&args[..], more].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn check_shows_what_will_be_fetched() {
    let shell = Shell::new("");
    let told = shell.run(&["check"]);
    let line = "source `pubsub` fetches a set of keys at https://www.googleapis.com/oauth2/v3/certs";
    assert!(
        told.status.success() && text(&told.stderr).contains(line),
        "{told:?}"
    );
    let told: Value = serde_json::from_slice(&shell.run(&["check", "--output", "json"]).stdout).unwrap();
    assert_eq!(told["fetches"], serde_json::json!([line]));
}

#[test]
fn who_asks_no_sender_needs_a_key() {
    let refused = Shell::new("[ingest]\nask_senders = false").run(&["check"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = text(&refused.stderr);
    assert!(
        told.contains("`google-pubsub` needs at least one secret"),
        "{told}"
    );
    assert!(told.contains("ingest.ask_senders = true"), "{told}");
    for (more, problem) in [
        (
            "jwks_url = \"http://auth.example.com/keys\"",
            "expected an https URL",
        ),
        (
            "jwks_url = \"https://auth.example.com/keys\"\n[ingest]\nask_senders = false",
            "`ingest.ask_senders` is false",
        ),
        (
            "jwks = '{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}'",
            "it holds no key for RS256",
        ),
        ("jwks = 'x'", "it is not JSON"),
    ] {
        let refused = Shell::new(more).run(&["check"]);
        assert_eq!(refused.status.code(), Some(2), "{more}");
        let told = text(&refused.stderr);
        assert!(told.contains(problem), "{more}: {told}");
    }
}

#[test]
fn a_set_of_keys_in_a_file_needs_no_call() {
    let (left, right) = (Signer::new("a"), Signer::new("b"));
    let shell = Shell::new("jwks = { file = \"google.json\" }\n[ingest]\nask_senders = false");
    shell.write("google.json", &set_of(&[&left, &right]));
    for signer in [&left, &right] {
        let verdict = shell.verify(&signer.token(NOW), &[]);
        assert_eq!(verdict["verified"], true, "{verdict}");
    }
    let verdict = shell.verify(&Signer::new("a").token(NOW), &[]);
    assert_eq!(verdict["cause"], "signature_mismatch", "{verdict}");
    assert!(!text(&shell.run(&["check"]).stderr).contains("fetches"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_fetches_only_when_it_is_told_to() {
    let stand_in = StandIn::start().await;
    let signer = Signer::new("a");
    let address = format!("127.0.0.1:{}/keys", stand_in.handler.address.port());
    stand_in.serve(&address, set_of(&[&signer]));
    let shell = Shell::new(&format!("jwks_url = \"https://{address}\""));
    shell.write("roots.pem", &pem(stand_in.authority.der()));
    let verdict = shell.verify(&signer.token(NOW), &[]);
    assert_eq!(verdict["cause"], "key_needed", "{verdict}");
    assert!(verdict["explanation"].as_str().unwrap().contains(&address));
    assert!(stand_in.asked().is_empty());
    let verdict = shell.verify(&signer.token(NOW), &["--fetch"]);
    assert_eq!(verdict["verified"], true, "{verdict}");
    let verdict = shell.verify(&Signer::new("b").token(NOW), &["--fetch"]);
    assert_eq!(verdict["cause"], "unknown_key", "{verdict}");
    stand_in.set_down(true);
    let verdict = shell.verify(&signer.token(NOW), &["--fetch"]);
    assert_eq!(verdict["cause"], "key_unavailable", "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_looks_whether_the_keys_are_there() {
    let stand_in = StandIn::start().await;
    let address = format!("127.0.0.1:{}/keys", stand_in.handler.address.port());
    stand_in.serve(&address, set_of(&[&Signer::new("a"), &Signer::new("b")]));
    let shell = Shell::new(&format!("jwks_url = \"https://{address}\""));
    shell.write("roots.pem", &pem(stand_in.authority.der()));
    let told = text(&shell.run(&["doctor"]).stdout);
    assert!(told.contains("source `pubsub`: fetched 2 keys"), "{told}");
    stand_in.serve(&address, "<html></html>");
    let output = shell.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stdout);
    assert!(
        told.contains("source `pubsub`: the key cannot be had: it is not JSON"),
        "{told}"
    );
}
