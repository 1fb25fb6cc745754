use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::{
    base::{clock::Timestamp, ids::DeliveryId},
    event::{
        Binding, Event, Origin,
        trace::{Trace, Traceparent},
    },
};

const PATIENCE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Program {
    Program {
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        directory: None,
        environment: vec![("OWN".to_owned(), Secret::new("of the operator"))],
    }
}

fn message(body: &'static [u8], headers: &[(&str, &[u8])]) -> Message {
    Message {
        event: Arc::new(Event {
            id: "evt_01jdq8z3e9f7v8k2m4n6p8r0st".parse().unwrap(),
            source: "stripe".into(),
            external_id: Some("$(reboot)\n".into()),
            event_type: Some("a; rm -rf / \0".into()),
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: Timestamp::EPOCH,
            query: String::new(),
            headers: Headers::from_pairs(headers.iter().copied()),
            body: Bytes::from_static(body),
        }),
        delivery_id: "dlv_01jdq8z3e9f7v8k2m4n6p8r0st".parse::<DeliveryId>().unwrap(),
        origin: Origin::Received,
        attempt: 3,
        is_stale: true,
        order_key: None,
        traceparent: Traceparent {
            trace: Trace::begun(Uuid::nil()),
            span_id: 1,
        },
        now: Timestamp::EPOCH,
    }
}

async fn run_within(script: &str, body: &'static [u8], timeout: Duration) -> Result<Response, SendError> {
    let exec = Exec::new(&shell(script), timeout, Outbound::new(Vec::new(), None)).unwrap();
    exec.send(&message(body, &[("content-type", b"text/plain")]))
        .await
}

async fn run(script: &str, body: &'static [u8]) -> Result<Response, SendError> {
    run_within(script, body, PATIENCE).await
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_body_comes_by_stdin_byte_for_byte() {
    let response = run("od -An -tx1", b"\x00\xff\n").await.unwrap();
    assert_eq!((text(&response.body).trim(), response.status), ("00 ff 0a", None));
}

#[tokio::test]
async fn the_environment_holds_what_was_named_and_nothing_else() {
    let response = run("env | sort", b"").await.unwrap();
    let shown: Vec<_> = text(&response.body)
        .lines()
        // Of the shell itself.
        .filter(|it| {
            !["PWD=", "_=", "SHLVL=", "OLDPWD="]
                .iter()
                .any(|own| it.starts_with(own))
        })
        .filter(|it| !it.starts_with("GATEPOST_HEADERS="))
        .collect();
    assert_eq!(
        shown,
        [
            "GATEPOST_ATTEMPT=3",
            "GATEPOST_DELIVERY_ID=dlv_01jdq8z3e9f7v8k2m4n6p8r0st",
            "GATEPOST_EVENT_ID=evt_01jdq8z3e9f7v8k2m4n6p8r0st",
            "GATEPOST_EVENT_TYPE=a; rm -rf / %00",
            "GATEPOST_EXTERNAL_ID=$(reboot)%0A",
            "GATEPOST_ORIGIN=received",
            "GATEPOST_SOURCE=stripe",
            "GATEPOST_STALE=true",
            "GATEPOST_VERIFIED=body",
            "OWN=of the operator",
            "PATH=/usr/local/bin:/usr/bin:/bin",
        ]
    );
}

#[tokio::test]
async fn the_headers_are_one_json_object() {
    let response = run("printf %s \"$GATEPOST_HEADERS\"", b"").await.unwrap();
    let headers: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(headers["webhook-id"], "evt_01jdq8z3e9f7v8k2m4n6p8r0st");
}

#[tokio::test]
async fn headers_that_do_not_fit_are_left_out_and_that_is_said() {
    let large = vec![b'"'; 60_000];
    let exec = Exec::new(
        &shell("printf '%s %s' \"$GATEPOST_HEADERS_CUT\" \"$GATEPOST_HEADERS\""),
        PATIENCE,
        Outbound::new(Vec::new(), None),
    )
    .unwrap();
    let message = message(b"", &[("x-large", &large), ("x-small", b"1")]);
    let response = exec.send(&message).await.unwrap();
    let (is_cut, headers) = text(&response.body).split_once(' ').unwrap();
    assert_eq!(is_cut, "true");
    let headers: serde_json::Value = serde_json::from_str(headers).unwrap();
    assert!(
        headers["x-large"].is_null() && headers["x-small"] == "1",
        "{headers}"
    );
}

#[tokio::test]
async fn the_exit_code_decides() {
    for (script, expected) in [
        ("exit 1", Fate::Retriable),
        ("exit 75", Fate::Retriable),
        ("exit 65", Fate::Permanent),
        ("kill -9 $$", Fate::Ambiguous),
    ] {
        let error = run(&format!("echo out; echo err >&2; {script}"), b"")
            .await
            .unwrap_err();
        assert_eq!((error.code, error.fate), ("exit", expected), "{script}: {error}");
        assert_eq!(text(&error.output), "out\nerr\n");
    }
}

#[tokio::test]
async fn one_that_takes_too_long_is_killed_with_all_that_it_started() {
    // The one in the background holds the output open: were it alive, its line would come.
    let script = "echo $$; (sleep 60; echo late) & wait";
    let error = run_within(script, b"", Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!((error.code, error.fate), ("timeout", Fate::Ambiguous));
    let group = text(&error.output).trim().parse().unwrap();
    until_gone(group).await;
}

#[tokio::test]
async fn what_it_leaves_running_goes_with_it() {
    let response = run("sleep 60 & echo $$", b"").await.unwrap();
    until_gone(text(&response.body).trim().parse().unwrap()).await;
}

#[tokio::test]
async fn a_dropped_attempt_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("group");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 60", file.display());
    let exec = Exec::new(&shell(&script), PATIENCE, Outbound::new(Vec::new(), None)).unwrap();
    let message = message(b"", &[]);
    let mut group = None;
    tokio::select! {
        _ = exec.send(&message) => (),
        found = async {
            loop {
                if let Ok(found) = std::fs::read_to_string(&file) {
                    break found;
                }
                tokio::task::yield_now().await;
            }
        } => group = Some(found),
    }
    until_gone(group.unwrap().trim().parse().unwrap()).await;
}

/// Until nobody is left of a process group but who waits to be reaped.
async fn until_gone(group: i32) {
    let group = group.to_string();
    let is_alive = || {
        std::fs::read_dir("/proc").unwrap().flatten().any(|it| {
            let stat = std::fs::read_to_string(it.path().join("stat")).unwrap_or_default();
            // pid (name) state parent group
            let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            fields.get(2) == Some(&group.as_str()) && fields[0] != "Z"
        })
    };
    let gone = async {
        while is_alive() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("it is still there");
}

#[tokio::test]
async fn it_need_not_read_its_stdin_and_may_say_as_much_as_it_likes() {
    static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];
    assert!(run("exit 0", &LARGE).await.is_ok());
    let response = run("cat; echo end", &LARGE).await.unwrap();
    assert_eq!(response.body.len(), 4096);
    assert!(response.body.ends_with(b"xend\n"));
}

#[tokio::test]
async fn one_that_is_not_there_is_tried_again() {
    let program = Program {
        command: vec!["/nonexistent/program".to_owned()],
        ..shell("")
    };
    let exec = Exec::new(&program, PATIENCE, Outbound::new(Vec::new(), None)).unwrap();
    let error = exec.send(&message(b"", &[])).await.unwrap_err();
    assert_eq!((error.code, error.fate), ("start", Fate::Retriable));
    assert!(error.explanation.contains("/nonexistent/program"), "{error}");
}

#[test]
fn bad_commands_are_refused() {
    let key = |program: &Program| check(program).err().map(|it| it.key);
    let command = |words: &[&str]| Program {
        command: words.iter().map(|it| (*it).to_owned()).collect(),
        ..shell("")
    };
    assert_eq!(key(&shell("true")), None);
    assert_eq!(key(&command(&[])).as_deref(), Some("exec.command"));
    assert_eq!(key(&command(&["import"])).as_deref(), Some("exec.command[0]"));
    assert_eq!(key(&command(&["./import"])).as_deref(), Some("exec.command[0]"));
    assert_eq!(
        key(&command(&["/bin/true", "a\0"])).as_deref(),
        Some("exec.command")
    );
    for (name, value) in [("", "x"), ("A=B", "x"), ("A", "\0"), ("GATEPOST_EVENT_ID", "x")] {
        let program = Program {
            environment: vec![(name.to_owned(), Secret::new(value))],
            ..shell("true")
        };
        assert!(
            key(&program).is_some_and(|it| it.starts_with("exec.environment")),
            "{name}"
        );
    }
}
