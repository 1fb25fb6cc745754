//! The admin API is what its description says: an outside tool makes calls of the description, good and bad ones, and finds no answer that
//! is not described, and no failure.
//!
//! The tool is schemathesis, from PyPI, under target/schemathesis: `tests/venv schemathesis`, which `tests/run` calls. Without it, this
//! is left out and says so.

use std::{path::Path, process::Stdio, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use tokio::process::Command;

use crate::app::{
    api::Api,
    app_case, eventually,
    process::Process,
    receiver::Reply,
    sender::{OTHER_SECRET, event_body, stripe_with},
    site::Site,
};

const TOKEN: &str = "token-of-whoever-reads-descriptions";

const CONFIG: &str = r#"
[admin]
tokens = [{ name = "reader", token = { file = "reader.token" }, role = "admin" }]

[issues]
every = "1s"

[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]

[sources.github]
provider = "github"
secrets = [{ file = "other.secret" }]

[sources.meters]
provider = "unverified"
redact = { body = ["/value"] }

[destinations.billing]
url = "http://{}/billing"
signing_secret = { file = "signing.secret" }

[destinations.search]
url = "http://{}/search"

[destinations.jobs]
queue = {}

[notifications.ops]
webhook = { url = "http://{}/ops", signing_secret = { file = "signing.secret" } }

[[routes]]
name = "payments"
source = "stripe"
destination = "billing"
order = { by = "body:/type", mode = "flag" }

[[routes]]
name = "pushes"
source = "github"
destination = "search"

[[routes]]
name = "readings"
source = "meters"
destination = "jobs"
"#;

/// Something of everything that can be asked for.
async fn fill(app: &Api, site: &Site) {
    site.receiver.always("/search", Reply::Says(422, "no".into()));
    for (source, n) in [("stripe", 4), ("github", 2), ("meters", 3)] {
        for _ in 0..n {
            let sent = app.command(&format!("/v1/sources/{source}/sample"), "{}").await;
            assert_eq!(sent.status, 200, "{sent:?}");
        }
    }
    let forged = stripe_with(OTHER_SECRET, event_body("evt_forged", "invoice.paid"));
    assert_eq!(app.post(&forged).await.status, 401);
    app.until_rejected("signature_mismatch", 1).await;
    for (path, body) in [
        ("/v1/tokens", r#"{"name":"night-shift","role":"viewer"}"#),
        (
            "/v1/jobs",
            r#"{"action":"replay","filter":{"source":"stripe"},"rate":1}"#,
        ),
    ] {
        let made = app.command(path, body).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    eventually("its dead letters are an issue", || async {
        (!app.list("/v1/issues").await.is_empty()).then_some(())
    })
    .await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "this client plays an admin; it guards nothing"
)]
fn admin() -> reqwest::Client {
    let token = HeaderValue::try_from(format!("Bearer {TOKEN}")).unwrap();
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, token)]);
    reqwest::Client::builder()
        .default_headers(headers)
        .no_proxy()
        .build()
        .unwrap()
}

#[expect(clippy::print_stderr, reason = "what is left out must not go unseen")]
fn schemathesis() -> Option<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("target/schemathesis");
    if !directory.join("requirements.txt").exists() {
        eprintln!(
            "NOT TESTED: whether the API is as described; tests/venv schemathesis fetches what tells it"
        );
        return None;
    }
    let mut command = Command::new(directory.join("bin/schemathesis"));
    command
        .arg("--config-file")
        .arg(root.join("tests/schemathesis/schemathesis.toml"))
        .env("PYTHONPATH", root.join("tests/schemathesis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Some(command)
}

app_case!(every_answer_is_described_and_none_is_a_failure, |site| {
    let Some(mut schemathesis) = schemathesis() else {
        return;
    };
    site.write("reader.token", TOKEN);
    site.configure(CONFIG);
    let mut process = Process::start(&site, "all").await;
    process.api.client = admin();
    fill(&process, &site).await;

    let url = format!("http://{}", process.admin);
    let run = schemathesis
        .args(["run", &format!("{url}/openapi.json"), "--url", &url])
        .env("GATEPOST_URL", &url)
        .env("GATEPOST_TOKEN", TOKEN)
        .current_dir(site.directory.path())
        .output();
    // Less than a minute where nothing else runs.
    let run = tokio::time::timeout(Duration::from_mins(8), run).await;
    let run = run.expect("schemathesis ends in time").unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );

    let ledger = process.get("/v1/ledger").await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    process.terminate().await;
});
