//! What the log of a real process holds: one line for each thing that happened, nothing that a sender wrote as a line of its
//! own, no secret of a URL, and a trace of what an operator did.

use serde_json::Value;

use crate::{
    app::{
        app_case, eventually,
        process::{Ended, Process},
        receiver::Reply,
        sender::{OTHER_SECRET, Signed, event, stripe, stripe_with},
        site::{STRIPE_TO_BILLING, Site},
    },
    handler::Handler,
};

/// Turns a terminal red, ends the line, and begins one that looks like ours.
const FORGED: &str = "\u{1b}[31m\u{9b}31m\u{7}\r\n1970-01-01T00:00:00.000000Z ERROR forged\n{\"level\":\"ERROR\",\"message\":\"forged\"}";

/// All that a sender and a handler can write, full of it. Whatever happens to it is in the log.
async fn be_hostile(site: &Site, process: &Process) {
    let text = serde_json::to_string(FORGED).unwrap();
    let body = |n: u32| format!(r#"{{"id":{text},"type":{text},"n":{n}}}"#);
    process.accept(&stripe(body(1))).await;
    // The same id with another body is worth a line.
    process.post(&stripe(body(2))).await.duplicate();
    let signed = stripe_with(OTHER_SECRET, body(3)).header("x-odd", "\u{9b}31m");
    assert_eq!(process.post(&signed).await.status, 401);
    let encoded = "%1b%5b31m%0d%0aforged";
    let targets = [format!("stripe?{encoded}"), format!("{encoded}?{encoded}")];
    for target in targets {
        let signed = event("evt_target").to(&target);
        let answer = process.post(&signed).await;
        assert!([200, 404].contains(&answer.status), "{answer:?}");
    }
    let line = format!("http://{}/v1/deliveries/{encoded}", process.admin);
    assert_eq!(process.client.get(line).send().await.unwrap().status(), 400);
    process.logged("again with another body", 1).await;
    process.logged("holding route", 1).await;
    assert!(site.receiver.all_hits().is_empty());
}

/// A handler that is gone, and says so in colours.
async fn hostile_handler() -> Handler {
    let odd = "\u{9b}31m\t\u{e4}";
    let body = FORGED;
    let answer = format!(
        "HTTP/1.1 410 \u{e4}\u{9b}31m\r\nlocation: http://{odd}/\r\nx: {odd}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    Handler::answering(answer).await.0
}

async fn logged_with(format: &str) -> Ended {
    let mut site = Site::sqlite().await;
    let handler = hostile_handler().await;
    site.configure(&STRIPE_TO_BILLING.replace("http://{}/billing", &handler.url("/billing")));
    site.set("GATEPOST__LOG__FORMAT", format);
    site.set("GATEPOST__LOG__FILTER", "trace");
    let process = Process::start(&site, "all").await;
    be_hostile(&site, &process).await;
    process.terminate().await
}

/// What it said of its config before the log began is left out.
fn lines_of(ended: &Ended) -> impl Iterator<Item = &str> {
    ended.stderr.lines().skip_while(|it| it.starts_with("warning: "))
}

fn assert_no_control(line: &str) {
    let is_shown = |it: char| !it.is_control() || it == '\t';
    assert!(line.chars().all(is_shown), "{line:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g06_every_line_of_the_json_log_is_one_of_ours() {
    let ended = logged_with("json").await;
    assert!(ended.stderr.lines().count() > 9, "{}", ended.stderr);
    for line in lines_of(&ended) {
        assert_no_control(line);
        let json: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert_ne!(json["message"], "forged", "{line}");
        assert!(json["timestamp"].as_str().unwrap() > "2000", "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g06_every_line_of_the_text_log_is_one_of_ours() {
    let ended = logged_with("text").await;
    assert!(ended.stderr.lines().count() > 9, "{}", ended.stderr);
    for line in lines_of(&ended) {
        assert_no_control(line);
        let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(time.ends_with('Z') && time > "2000", "{line:?}");
        let level = rest.split_whitespace().next().unwrap_or_default();
        assert!(
            ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level),
            "{line:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g08_what_a_url_holds_in_confidence_is_in_no_log() {
    let mut site = Site::sqlite().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    // One that answers, one that refuses, one that leads elsewhere.
    let more = format!(
        r#"
[destinations.closed]
url = "http://{closed}/canary-path/x?token=canary-query"
retry = {{ max_attempts = 1 }}
[destinations.moved]
url = "http://{{}}/moved/canary-path?token=canary-query"
retry = {{ max_attempts = 1 }}
[[routes]]
source = "stripe"
destination = "closed"
[[routes]]
source = "stripe"
destination = "moved"
"#
    );
    let first = STRIPE_TO_BILLING.replace("/billing\"", "/billing/canary-path?token=canary-query\"");
    site.configure(&format!("{first}{more}"));
    site.set("GATEPOST__LOG__FILTER", "trace");
    let elsewhere = "http://127.0.0.1:9/canary-path?token=canary-query";
    let moved = Reply::With(302, "location", elsewhere.to_owned());
    site.receiver.always("/moved/canary-path", moved);
    let process = Process::start(&site, "all").await;
    let id = process
        .accept(&event("evt_1").to("stripe?token=canary-query"))
        .await;
    let forged = stripe_with(OTHER_SECRET, "x").to("stripe?token=canary-query");
    assert_eq!(process.post(&forged).await.status, 401);
    let nobody = Signed::new("canary-path?token=canary-query", "x");
    assert_eq!(process.post(&nobody).await.status, 404);
    site.receiver.arrived("/billing/canary-path", 1).await;
    site.receiver.arrived("/moved/canary-path", 1).await;
    process.until_open(0).await;
    assert_eq!(process.deliveries_of(&id).await.len(), 3);
    let ended = process.terminate().await;
    let shown: Vec<_> = ended.stderr.lines().filter(|it| it.contains("canary")).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

app_case!(g10_what_an_operator_does_is_in_the_log, |site| {
    site.receiver.script("/billing", [Reply::Status(410)]);
    let process = Process::start(&site, "all").await;
    let id = process.accept(&event("evt_1")).await;
    let dead = process.until_status(&id, "dead").await.remove(0);
    let delivery = dead["id"].as_str().unwrap().to_owned();
    process.logged("holding route `to-billing`", 1).await;
    eventually("the route is held", || async {
        let routes = process.list("/v1/routes").await;
        (!routes[0]["held"].is_null()).then_some(())
    })
    .await;
    for (path, line) in [
        (
            "/v1/routes/to-billing/resume".to_owned(),
            "route `to-billing` is resumed by an operator".to_owned(),
        ),
        (
            format!("/v1/deliveries/{delivery}/retry"),
            format!("delivery {delivery} is tried again by an operator"),
        ),
        (
            format!("/v1/events/{id}/replay"),
            format!("event {id} is replayed by an operator"),
        ),
        (
            "/v1/destinations/billing/pause".to_owned(),
            "destination `billing` is held by an operator".to_owned(),
        ),
        (
            "/v1/destinations/billing/resume".to_owned(),
            "destination `billing` is resumed by an operator".to_owned(),
        ),
    ] {
        let answer = process.command(&path, "").await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        process.logged(&line, 1).await;
    }
    process.until_open(0).await;
    process.terminate().await;
});
