//! `gatepost issues` and `gatepost notifications`.

use std::time::Instant;

use super::*;

/// Without what differs from run to run.
fn masked(told: &str, id: &str) -> String {
    let lines = told.replace(id, "[id]");
    let timeless = |line: &str| match line.split_once("_at:") {
        Some((name, _)) => format!("{name}_at: [time]"),
        None => line.to_owned(),
    };
    lines.lines().map(timeless).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_issue_is_found_shown_and_moved_from_a_terminal() {
    let mut shell = Shell::new();
    let ops = "\n[notifications.ops]\nwebhook = { url = \"http://127.0.0.1:9/ops\" }\nrules = [\"ledger\"]\n";
    // Nobody listens there, and it is tried once.
    let hooks = "url = \"http://127.0.0.1:9/hooks\"";
    let once = format!("{hooks}\nretry = {{ max_attempts = 1 }}");
    shell.write("gatepost.toml", &format!("{}{ops}", CONFIG.replace(hooks, &once)));
    for (name, value) in [
        ("GATEPOST__ISSUES__EVERY", "1s"),
        ("GATEPOST__ISSUES__STORE__ENABLED", "false"),
    ] {
        shell.environment.insert(name, value.to_owned());
    }
    let _running = shell.serve();
    let run = |args: &[&str]| shell.run(&[args, &["--config", "gatepost.toml"]].concat());
    let told = |args: &[&str]| shell.told(&[args, &["--config", "gatepost.toml"]].concat());
    let sent = run(&["send", "stripe"]);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));

    let deadline = Instant::now() + PATIENCE;
    let id = loop {
        let listed = run(&["issues", "list", "--rule", "dead_letters", "--output", "json"]);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        if let Some(id) = listed["data"][0]["id"].as_str() {
            break id.to_owned();
        }
        assert!(Instant::now() < deadline, "it is never found: {listed}");
    };
    let table = run(&["issues", "list"]);
    let table = text(&table.stdout);
    assert!(
        table.contains(&id) && table.contains("warning") && table.contains("1 dead letter to `app`"),
        "{table}"
    );
    let answers = [
        told(&["issues", "acknowledge", &id, "--reason", "we know"]),
        told(&["issues", "show", &id]),
        told(&["issues", "ignore", &id]),
        told(&["issues", "acknowledge", &id]),
        told(&["issues", "list"]),
        told(&["notifications", "list"]),
        told(&["notifications", "test", "ops"]),
        told(&["notifications", "test", "nobody"]),
    ];
    snapshot!(masked(&answers.join("\n"), &id));
}
