//! `gatepost tokens` and `gatepost audit`.

use super::*;

/// Without what differs from run to run.
fn masked(told: &str, secrets: &[&str]) -> String {
    let mut told = told.to_owned();
    for secret in secrets {
        told = told.replace(secret, "[masked]");
    }
    told
}

#[test]
fn access_is_given_and_taken_away_from_a_terminal() {
    let mut shell = Shell::new();
    for name in ["GATEPOST__SERVER__LISTEN", "GATEPOST__ADMIN__LISTEN"] {
        shell.environment.insert(name, nowhere().to_string());
    }
    let serve = ["serve", "--config", "gatepost.toml"];
    let mut running = Running(shell.command(&serve).stderr(Stdio::piped()).spawn().unwrap());
    running.line_with("listening on");
    let run = |shell: &Shell, args: &[&str]| shell.run(&[args, &["--config", "gatepost.toml"]].concat());
    let told = |shell: &Shell, args: &[&str]| shell.told(&[args, &["--config", "gatepost.toml"]].concat());

    let create = [
        "tokens",
        "create",
        "boss",
        "--role",
        "admin",
        "--expires-in",
        "never",
    ];
    let made = run(&shell, &create);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let boss = text(&made.stdout).trim().to_owned();
    assert!(boss.starts_with("gp_") && boss.len() == 67, "{boss}");
    assert!(
        text(&made.stderr).contains("has the role admin and does not expire; it is not shown again"),
        "{}",
        text(&made.stderr)
    );

    // From now on the side is closed to whoever shows no token.
    let refused = run(&shell, &["events", "list"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("hint: pass a token with `--token`"));
    shell.environment.insert("GATEPOST_ADMIN_TOKEN", boss.clone());

    let made = run(
        &shell,
        &[
            "tokens", "create", "night", "--role", "viewer", "--output", "json",
        ],
    );
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let (night, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(
        made["expires_at"].is_string(),
        "a year, where nothing is said: {made}"
    );
    let listed = run(&shell, &["tokens", "list"]);
    let listed = text(&listed.stdout);
    assert!(
        listed.contains(id) && listed.contains("night") && listed.contains("live"),
        "{listed}"
    );
    assert!(!listed.contains(night) && !listed.contains(&boss), "{listed}");

    let denied = run(&shell, &["tokens", "list", "--token", night]);
    assert!(
        text(&denied.stderr).contains("this needs a token with the role `admin`"),
        "{}",
        text(&denied.stderr)
    );
    let mask = |it: String| masked(&it, &[id, night, &boss]);
    let answers = [
        told(&shell, &["tokens", "revoke", id]),
        told(&shell, &["tokens", "create", "boss", "--role", "admin"]),
        told(&shell, &["tokens", "create", "x", "--role", "root"]),
        told(
            &shell,
            &[
                "tokens",
                "create",
                "x",
                "--role",
                "viewer",
                "--expires-in",
                "soon",
            ],
        ),
    ];
    snapshot!(mask(answers.join("\n")));

    let listed = run(
        &shell,
        &["audit", "list", "--action", "revoke_token", "--output", "json"],
    );
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&listed["data"][0]["actor"], &listed["data"][0]["target"]),
        (&"boss".into(), &id.into())
    );
    let table = run(&shell, &["audit", "list"]);
    assert!(
        text(&table.stdout).contains("create_token"),
        "{}",
        text(&table.stdout)
    );
    let whole = run(&shell, &["audit", "verify"]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    assert!(
        text(&whole.stdout).starts_with("the audit log is whole: 5 entries"),
        "{}",
        text(&whole.stdout)
    );
    assert_eq!(running.terminate(), Some(0));
}

#[test]
fn the_first_token_of_a_closed_side_is_made_with_what_serve_prints() {
    let mut shell = Shell::new();
    let admin = nowhere();
    let everywhere = format!("0.0.0.0:{}", admin.port());
    shell
        .environment
        .insert("GATEPOST__SERVER__LISTEN", nowhere().to_string());
    shell.environment.insert("GATEPOST__ADMIN__LISTEN", everywhere);
    let serve = ["serve", "--config", "gatepost.toml"];
    let mut running = Running(shell.command(&serve).stderr(Stdio::piped()).spawn().unwrap());
    let line = running.line_with("gatepost tokens create NAME");
    let setup = line.split("--token ").nth(1).unwrap().trim().to_owned();
    assert!(setup.starts_with("gp_"), "{line}");
    let create = |name: &str, token: &str| {
        let args = [
            "tokens",
            "create",
            name,
            "--role",
            "admin",
            "--config",
            "gatepost.toml",
        ];
        shell.run(&[&args[..], &["--token", token]].concat())
    };
    assert_eq!(create("boss", "").status.code(), Some(1));
    let made = create("boss", &setup);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let boss = text(&made.stdout).trim();
    let again = create("other", &setup);
    assert!(
        text(&again.stderr).contains("`unauthorized`"),
        "{}",
        text(&again.stderr)
    );
    assert_eq!(create("other", boss).status.code(), Some(0));
    assert_eq!(running.terminate(), Some(0));

    // Not again, with the next start.
    let mut running = Running(shell.command(&serve).stderr(Stdio::piped()).spawn().unwrap());
    let line = running.line_with("listening on");
    assert!(!line.contains("gp_"), "{line}");
    assert_eq!(create("third", boss).status.code(), Some(0));
}
