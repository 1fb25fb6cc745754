//! A server that runs out of file descriptors, in a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, routing};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::web::wire::{PATIENCE, Server, Wire, limits};

/// Set in the child: it serves instead of testing.
const IS_CHILD: &str = "GATEPOST_TEST_SERVES_WITH_FEW_DESCRIPTORS";
const NAME: &str = "web::descriptors::d14_without_descriptors_the_loop_rests_and_recovers";
const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how the child knows that it is one")]
async fn d14_without_descriptors_the_loop_rests_and_recovers() {
    if std::env::var_os(IS_CHILD).is_some() {
        serve_until_stdin_closes().await;
        return;
    }
    let (mut child, port) = start_child();
    let connect = || async { TcpStream::connect(("127.0.0.1", port)).await.unwrap() };
    // The kernel completes these on its own, so more are open than the server can accept.
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(connect().await);
    }
    let mut waiting = Wire(connect().await);
    waiting.send(GET).await;

    let before = cpu_ticks(&child);
    let unanswered = tokio::time::timeout(Duration::from_millis(500), waiting.0.read_u8()).await;
    assert!(unanswered.is_err(), "it has no descriptor left for this one");
    // 500 ms are 50 ticks: a loop that does not rest would take most of them.
    let n_ticks = cpu_ticks(&child) - before;
    assert!(n_ticks < 20, "{n_ticks} of 50 ticks: a busy loop");

    drop(silent);
    assert_eq!(waiting.answer().await.status, 200);
    // Its stdin closes, and with it the child.
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn start_child() -> (Child, u16) {
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 32 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(IS_CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = lines.map_while(Result::ok).filter_map(|line| {
        let (_, port) = line.split_once("port=")?;
        port.trim().parse().ok()
    });
    let port = ports.next().expect("the child says its port");
    (child, port)
}

#[expect(clippy::print_stdout, reason = "how the parent learns the port")]
async fn serve_until_stdin_closes() {
    let mut limits = limits();
    limits.max_connections = 10_000;
    limits.head_timeout = PATIENCE;
    let server = Server::start(
        Router::new().route("/", routing::get(|| async { "hello" })),
        limits,
    )
    .await;
    println!("port={}", server.address.port());
    let _ = tokio::io::stdin().read_u8().await;
}

/// User and system time of the child, in hundredths of a second.
fn cpu_ticks(child: &Child) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    [11, 12]
        .iter()
        .map(|it| fields[*it].parse::<u64>().unwrap())
        .sum()
}
