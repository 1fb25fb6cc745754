//! The dashboard in a real browser: what strangers send stays text, our own script runs, and the policy has nothing to report.
//!
//! The browser is Debian's `chromium`, which `tests/run` installs where it may. Where there is none, these cases say so and end.

use std::{path::Path, process::Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::app::{
    app_case,
    receiver::Reply,
    sender::{Signed, event_body, stripe},
    site::TestApp,
    soon,
};

const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

/// What a browser made of a page.
struct Seen {
    /// After all scripts.
    document: String,
    /// What it wrote into its console: faults of scripts, and what the policy stopped.
    console: Vec<String>,
}

#[expect(clippy::print_stderr, reason = "what is left out must not go unseen")]
fn browser() -> Option<&'static str> {
    let found = BROWSERS.into_iter().find(|it| Path::new(it).exists());
    if found.is_none() {
        eprintln!("NOT TESTED: there is no browser; Debian: apt-get install chromium");
    }
    found
}

async fn open(browser: &str, url: &str) -> Seen {
    let profile = TempDir::new().unwrap();
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--disable-extensions",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        // So long a time passes for the page's timers, however long it really takes: some parts are fetched anew in it.
        .arg("--virtual-time-budget=8000")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = soon("the browser's page", command.output()).await.unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    Seen {
        document: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: log
            .lines()
            .filter(|it| it.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
    }
}

/// Each would rename the page if it were taken for markup or for a script anywhere.
const PAYLOADS: [&str; 5] = [
    "<script>document.title='it ran'</script>",
    "\"><img src=x onerror=\"document.title='it ran'\">",
    "</pre></title></textarea><svg onload=\"document.title='it ran'\">",
    "'};document.title='it ran';//",
    "<a href=\"javascript:document.title='it ran'\" autofocus onfocus=\"document.title='it ran'\">",
];

async fn send_payloads(app: &TestApp) -> Vec<String> {
    let mut ids = Vec::new();
    for payload in PAYLOADS {
        let body = serde_json::json!({ "id": payload, "type": payload, "data": { payload: payload } });
        let signed: Signed = stripe(body.to_string()).header("x-payload", payload);
        ids.push(app.accept(&signed).await);
    }
    ids
}

app_case!(g04_no_script_of_a_stranger_runs_in_a_browser, |site| {
    let Some(browser) = browser() else { return };
    let hostile = Reply::With(422, "x-answer", PAYLOADS[0].to_owned());
    site.receiver.always("/billing", hostile);
    let app = site.start().await;
    let ids = send_payloads(&app).await;
    for id in &ids {
        app.until_status(id, "dead").await;
    }
    let mut forged = stripe(event_body("evt_1", PAYLOADS[1]));
    forged.body.push(b' ');
    assert_eq!(app.post(&forged).await.status, 401);
    let refused = app.until_rejected("signature_mismatch", 1).await.remove(0);

    let mut targets: Vec<_> = ids.iter().map(|it| format!("/events/{it}")).collect();
    let delivery = app.delivery_of(&ids[0]).await;
    targets.extend([
        "/".to_owned(),
        "/events".to_owned(),
        "/deliveries".to_owned(),
        format!("/deliveries/{}", delivery["id"].as_str().unwrap()),
        format!("/requests/{}", refused["id"].as_str().unwrap()),
        "/events?q=%3Cscript%3Edocument.title%3D%27it%20ran%27%3C%2Fscript%3E".to_owned(),
        "/login?next=%22%3E%3Cscript%3Edocument.title%3D%27it%20ran%27%3C%2Fscript%3E".to_owned(),
    ]);
    for target in targets {
        let seen = open(browser, &format!("http://{}{target}", app.admin)).await;
        let title = seen.document.split("<title>").nth(1).unwrap_or_default();
        assert!(title.contains("gatepost</title>"), "{target}: {}", seen.document);
        assert!(!title.starts_with("it ran"), "{target}");
        assert_eq!(seen.console, Vec::<String>::new(), "{target}");
        // Ours did run: it has put every time into words of the browser's own, and the server answered it.
        assert!(
            !seen.document.contains(" UTC</time>"),
            "{target}: {}",
            seen.document
        );
        assert!(
            !seen.document.contains("id=\"stale\" role=\"status\">"),
            "{target}"
        );
    }
    app.finish().await;
});
