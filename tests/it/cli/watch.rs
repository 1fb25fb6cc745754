//! Commands that look again and again.

use super::*;

/// The lines of a command's stdout as they come.
struct Lines(mpsc::Receiver<String>);

impl Lines {
    fn of(running: &mut Running) -> Self {
        let stdout = running.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            lines.map_while(|it| sender.send(it).ok()).for_each(drop);
        });
        Self(receiver)
    }

    fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn top_shows_what_comes_and_what_is_wrong() {
    let mut shell = Shell::new();
    let _running = shell.serve();
    let run = |args: &[&str]| shell.run(&[args, &["--config", "gatepost.toml"]].concat());
    let sent = run(&["send", "stripe", "--type", "invoice.paid"]);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    assert_eq!(run(&["destinations", "pause", "app"]).status.code(), Some(0));

    let seen = run(&["top", "--once"]);
    let seen = text(&seen.stdout);
    assert!(
        seen.lines().next().unwrap().ends_with("  `app` is held"),
        "{seen}"
    );
    let line = |start: &str| seen.lines().find(|it| it.starts_with(start)).unwrap().to_owned();
    assert!(line("received").starts_with("received 1  rejected 0  "), "{seen}");
    let cells = line("stripe")
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    assert_eq!(cells, ["stripe", "1", "0", "-"]);
    assert!(line("app").contains("held: "), "{seen}");
    assert!(!seen.contains('\u{1b}'), "drawn without a terminal");

    let seen = run(&["top", "--once", "--output", "json"]);
    let seen: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(
        (&seen["ledger"]["received"], &seen["destinations"][0]["name"]),
        (&1.into(), &"app".into())
    );
}

#[test]
fn tail_prints_events_as_they_come() {
    let mut shell = Shell::new();
    let _running = shell.serve();
    shell.write("empty-token", "\n");
    let run = |args: &[&str]| shell.run(&[args, &["--config", "gatepost.toml"]].concat());
    let send = || {
        let sent = run(&["send", "stripe", "--type", "invoice.paid"]);
        let sent: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
        sent["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (send(), send());

    let args = ["events", "tail", "--last", "1", "--config", "gatepost.toml"];
    let mut tail = Running(shell.command(&args).stdout(Stdio::piped()).spawn().unwrap());
    let lines = Lines::of(&mut tail);
    let line = lines.next();
    assert!(line.contains(&second) && !line.contains(&first), "{line}");
    let third = send();
    let line = lines.next();
    assert!(
        line.contains(&third) && line.contains("  stripe  invoice.paid  "),
        "{line}"
    );

    let refused = run(&["events", "tail", "--token-file", "empty-token"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("empty-token is empty"),
        "{}",
        text(&refused.stderr)
    );
}
