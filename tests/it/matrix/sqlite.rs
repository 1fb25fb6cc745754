//! The SQLite file: damaged, held back by a reader, removed under a running gatepost.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use gatepost::app::Role;
use sqlx::{Connection, Executor};
use tokio::time::Instant;

use crate::{
    app::{
        eventually,
        process::Process,
        sender::{event, stripe},
        site::Site,
    },
    matrix::{
        observed,
        storm::{BUSY, Storm, until_ready},
    },
};

fn file_of(site: &Site, suffix: &str) -> PathBuf {
    site.directory.path().join(format!("gatepost.db{suffix}"))
}

/// Flips one bit of the file, there where this text is.
fn flip_a_bit_at(path: &Path, text: &[u8]) {
    let bytes = fs::read(path).unwrap();
    let at = bytes.windows(text.len()).position(|it| it == text);
    let at = at.unwrap_or_else(|| panic!("`{}` is not there", String::from_utf8_lossy(text)));
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
}

/// A body over many pages, of one line again and again.
fn large(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","note":"{}"}}"#,
        format!("line of {id};").repeat(1500)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f40_a_flipped_bit_of_a_body_is_neither_delivered_nor_shown() {
    let site = Site::sqlite().await;
    let app = site.start_as(Role::Ingest).await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(app.accept(&stripe(large(&format!("evt_{n}")))).await);
    }
    app.stop().await;
    flip_a_bit_at(&file_of(&site, ""), b"line of evt_1;line of evt_1;");
    let app = site.start().await;
    site.receiver.arrived("/billing", 3).await;
    let dead = eventually("the damaged one is a dead letter", || async {
        app.list("/v1/deliveries?status=dead").await.pop()
    })
    .await;
    assert_eq!(dead["event_id"], ids[1]);
    assert!(dead["last_error"].as_str().unwrap().contains("damaged"), "{dead}");
    let shown = app.ask(&format!("/v1/events/{}/body", ids[1])).await;
    assert_ne!(shown.status, 200, "wrong bytes are shown as if they were right");
    let hits = site.receiver.all_hits();
    assert!(hits.iter().all(|it| it.header("webhook-id") != ids[1]));
    // The sender's next event, and the store's next one, are taken as ever.
    app.accept(&event("evt_after")).await;
    site.receiver.arrived("/billing", 4).await;
    app.finish().await;
    observed("F40", &site, "200", Some(Duration::ZERO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f40_a_damaged_file_is_refused_with_advice() {
    let site = Site::sqlite().await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    app.finish().await;
    flip_a_bit_at(&file_of(&site, ""), b"SQLite format 3");
    let ended = Process::end_of(&site, "all").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("restore it from a backup"),
        "{}",
        ended.stderr
    );
    observed("F40", &site, "refused", None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f40_what_follows_a_flipped_bit_of_the_log_is_never_shown() {
    let site = Site::sqlite().await;
    let process = Process::start(&site, "ingest").await;
    // Keeps the log from being copied back and begun anew.
    let mut reader = site.sqlite_connection().await;
    reader.execute("begin").await.unwrap();
    reader.execute("select count(*) from event").await.unwrap();
    for n in 0..6 {
        process.accept(&stripe(large(&format!("evt_{n}")))).await;
    }
    process.kill();
    // A copy, because the last connection that closes the file would copy its log back.
    let files = ["", "-wal"].map(|it| (it, fs::read(file_of(&site, it)).unwrap()));
    drop(reader.close().await);
    for (suffix, bytes) in files {
        fs::write(file_of(&site, suffix), bytes).unwrap();
    }
    let _ = fs::remove_file(file_of(&site, "-shm"));
    flip_a_bit_at(&file_of(&site, "-wal"), b"line of evt_3;line of evt_3;");
    let app = site.start().await;
    let events = site.events().await;
    assert_eq!(events.len(), 3, "the commits before it, and no other");
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event.body, large(&format!("evt_{n}")).into_bytes());
    }
    site.receiver.arrived("/billing", 3).await;
    // What the log lost, its sender may send again: it is nobody's duplicate.
    app.accept(&stripe(large("evt_3"))).await;
    site.receiver.arrived("/billing", 4).await;
    app.finish().await;
    observed("F40", &site, "200", Some(Duration::ZERO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f63_a_reader_that_holds_the_log_back_delays_nobody() {
    const LIMIT: u64 = 64 << 20;
    let mut site = Site::sqlite().await;
    let storm = Storm::start(&mut site).await;
    let mut reader = site.sqlite_connection().await;
    reader.execute("begin").await.unwrap();
    reader.execute("select count(*) from event").await.unwrap();
    // What a day of events would write, at once.
    site.raw("create table ballast (bytes blob)").await;
    site.raw("insert into ballast values (zeroblob(90 * 1024 * 1024))")
        .await;
    let size = || fs::metadata(file_of(&site, "-wal")).unwrap().len();
    assert!(size() > LIMIT, "the reader held nothing back");
    let n_faults = storm.load.n_own_faults();
    let mut slowest = Duration::ZERO;
    for n in 0..50 {
        let asked_at = Instant::now();
        storm.api.accept(&event(&format!("evt_beside_{n}"))).await;
        slowest = slowest.max(asked_at.elapsed());
    }
    assert!(slowest < BUSY, "{slowest:?}");
    assert_eq!(storm.load.n_own_faults(), n_faults);
    // When it lets go, the log is copied back, begun anew, and cut to what it may keep.
    reader.execute("rollback").await.unwrap();
    let let_go_at = Instant::now();
    eventually("the log is small again", || async {
        (size() <= LIMIT).then_some(())
    })
    .await;
    let took = let_go_at.elapsed();
    reader.close().await.unwrap();
    storm.end("F63", &site, Some(took)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f64_a_file_that_is_moved_away_is_503_until_it_is_back() {
    let mut site = Site::sqlite().await;
    let storm = Storm::start(&mut site).await;
    let (file, moved) = (file_of(&site, ""), file_of(&site, ".moved"));
    fs::rename(&file, &moved).unwrap();
    storm.own_fault().await;
    until_ready(&storm.api, false).await;
    // Another one in its place is not it.
    fs::write(&file, b"").unwrap();
    storm.is_refused_within(Duration::from_secs(4)).await;
    fs::rename(&moved, &file).unwrap();
    let recovery = storm.recovery(Duration::from_secs(2)).await;
    storm.end("F64", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f64_a_file_that_is_removed_takes_no_more_events() {
    let site = Site::sqlite().await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    app.until_open(0).await;
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(file_of(&site, suffix)).unwrap();
    }
    for n in 2..5 {
        let answer = app.post(&event(&format!("evt_{n}"))).await;
        assert!(answer.is_own_fault(), "{answer:?}");
    }
    until_ready(&app, false).await;
    app.stop().await;
    observed("F64", &site, "503", None);
}
