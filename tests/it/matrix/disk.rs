//! Disks that are full, slow, read-only, or fail to sync.

use std::{
    fs::{self, File},
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use gatepost::{
    base::secret::Secret,
    store::{PoolMode, Settings, Store},
};
use sqlx::SqliteConnection;

use crate::{
    app::{load::assert_kept, process::Process, site::Site},
    matrix::{
        cluster::Cluster,
        observed,
        shim::Shim,
        storm::{Storm, until_ready},
    },
};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EROFS: i32 = 30;

/// From the end of a disk's fault to the next acknowledgement.
const LIMIT: Duration = Duration::from_secs(5);

/// The file is whole, and what gatepost did to it ends well.
async fn end(storm: Storm, row: &str, site: &Site, process: Process, recovery: Duration) {
    storm.end(row, site, Some(recovery)).await;
    let verdict: String = {
        let mut conn: SqliteConnection = site.sqlite_connection().await;
        let ask = sqlx::query_scalar("pragma integrity_check");
        ask.fetch_one(&mut conn).await.unwrap()
    };
    assert_eq!(verdict, "ok");
    process.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f34_what_was_acknowledged_is_there_after_a_loss_of_power() {
    let cluster = Cluster::start_on_forgetful_disk("").await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    let mut recovery = Duration::ZERO;
    for _ in 0..3 {
        storm.load.progress(60).await;
        cluster.run("lose_power").await;
        storm.own_fault().await;
        cluster.run("control primary start").await;
        recovery = recovery.max(storm.recovery(Duration::from_secs(2)).await);
    }
    storm.end("F34", &site, Some(recovery)).await;
}

/// The other way round: what this machine's loss of power takes, so that the test above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f34_a_server_that_does_not_sync_loses_what_it_committed() {
    let cluster = Cluster::start_on_forgetful_disk("-c fsync=off").await;
    cluster
        .execute(
            5432,
            "create table lost (id int); insert into lost select generate_series(1, 1000)",
        )
        .await;
    let url = cluster.url(5432);
    let settings = Settings {
        url: Secret::new(url),
        max_connections: 1,
        pool_mode: PoolMode::Session,
    };
    let refusal = Store::open(&settings).await.unwrap_err().to_string();
    assert!(refusal.contains("fsync"), "{refusal}");
    cluster.run("lose_power").await;
    cluster.run("control primary start").await;
    cluster.until(5432, "select to_regclass('lost') is null").await;
}

/// How to start a process that may mount for itself alone, as whoever runs the tests.
const OWN_MOUNTS: &[&str] = &["unshare", "--mount", "--map-root-user", "--user"];

/// A file system of 64 MiB for this process, gone with it. False where this machine does not allow that.
fn give_small_disk(site: &mut Site) -> bool {
    let disk = site.directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64m none {} && exec \"$@\"",
        disk.display()
    );
    let words = OWN_MOUNTS
        .iter()
        .copied()
        .chain(["sh", "-c", script.as_str(), "sh"]);
    site.wrapper = words.map(str::to_owned).collect();
    let (program, arguments) = site.wrapper.split_first().unwrap();
    let tried = Command::new(program).args(arguments).arg("true").output();
    let is_allowed = tried.is_ok_and(|it| it.status.success());
    if is_allowed {
        let url = format!("sqlite:{}/gatepost.db", disk.display());
        site.set("GATEPOST__STORE__URL", &url);
    } else {
        site.wrapper.clear();
    }
    is_allowed
}

/// Fills what is left of a file system.
fn fill(filler: &Path) {
    let mut file = File::create(filler).unwrap();
    let mut piece = vec![0; 1 << 20];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f35_a_full_disk_is_503_until_there_is_room() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let shim = Shim::of(&mut site);
    let is_real = give_small_disk(&mut site);
    let process = Process::start(&site, "all").await;
    let disk = format!(
        "/proc/{}/root{}/disk",
        process.id(),
        site.directory.path().display()
    );
    // Its own view of the directory, held open past its end.
    let disk = is_real.then(|| File::open(disk).unwrap());
    let file = |name: &str| {
        let held = disk.as_ref().map(AsRawFd::as_raw_fd);
        PathBuf::from(format!("/proc/self/fd/{}/{name}", held.unwrap_or(-1)))
    };
    let storm = Storm::over(&process.api).await;
    if is_real {
        fill(&file("filler"));
    } else {
        // Where nobody may mount, the calls that would need room say that there is none.
        shim.fail("write", ENOSPC);
    }
    for _ in 0..5 {
        storm.own_fault().await;
    }
    until_ready(&storm.api, false).await;
    if is_real {
        fs::remove_file(file("filler")).unwrap();
    } else {
        shim.heal();
    }
    let recovery = storm.recovery(LIMIT).await;
    until_ready(&storm.api, true).await;
    if !is_real {
        return end(storm, "F35", &site, process, recovery).await;
    }
    storm.load.progress(20).await;
    let book = storm.finish_load().await;
    let ledger = process.until_open(0).await;
    assert_eq!(
        (&ledger["balanced"], &ledger["dead"]),
        (&true.into(), &0.into()),
        "{ledger}"
    );
    process.terminate().await;
    fs::copy(file("gatepost.db"), site.directory.path().join("gatepost.db")).unwrap();
    assert_kept(&site, &book).await;
    observed("F35", &site, "503, 200", Some(recovery));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_a_full_disk_of_postgres_is_503_until_there_is_room() {
    let cluster = Cluster::start_on_small_disk().await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    cluster.run("fill").await;
    for _ in 0..5 {
        storm.own_fault().await;
    }
    cluster.run("spill").await;
    // It ends itself where its own log finds no room, and somebody starts it again.
    cluster
        .run("control primary status || control primary start")
        .await;
    let recovery = storm.recovery(LIMIT).await;
    storm.end("F36", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_sync_that_fails_is_no_commit_on_sqlite() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let shim = Shim::of(&mut site);
    let process = Process::start(&site, "all").await;
    let storm = Storm::over(&process.api).await;
    let mut recovery = Duration::ZERO;
    // Most of them are a commit's; those of the copy into the file are nobody's answer.
    for _ in 0..10 {
        shim.fail_once("sync", EIO).await;
        recovery = recovery.max(storm.recovery(LIMIT).await);
    }
    assert!(storm.load.n_own_faults() > 0, "none of them was a commit's");
    end(storm, "F37", &site, process, recovery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f37_a_sync_that_fails_is_no_commit_on_postgres() {
    let cluster = Cluster::new();
    let shim = Shim::new(cluster.directory(), &cluster.directory().join("primary"));
    cluster.run("make").await;
    let pairs: Vec<_> = shim
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    cluster.run(&format!("shim='env {}'", pairs.join(" "))).await;
    cluster.run("control primary start").await;
    let mut site = Site::on(&cluster.url(5432)).await;
    let storm = Storm::start(&mut site).await;
    // The server panics over it, and reads its log again.
    let n_faults = storm.load.n_own_faults();
    shim.fail_once("sync", EIO).await;
    storm.own_fault_after(n_faults).await;
    let recovery = storm.recovery(LIMIT).await;
    storm.end("F37", &site, Some(recovery)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f38_a_slow_sync_is_slow_and_then_503() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let shim = Shim::of(&mut site);
    let process = Process::start(&site, "all").await;
    let storm = Storm::over(&process.api).await;
    shim.delay("sync", 500);
    storm.load.progress(5).await;
    shim.delay("sync", 5000);
    // The acknowledgement's limit, not the disk's time.
    storm.own_fault().await;
    storm.is_refused_within(Duration::from_secs(4)).await;
    shim.heal();
    // The one that waits has to end first.
    let recovery = storm.recovery(Duration::from_secs(5) + LIMIT).await;
    end(storm, "F38", &site, process, recovery).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f39_a_file_system_that_becomes_read_only_is_503() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let shim = Shim::of(&mut site);
    let process = Process::start(&site, "all").await;
    let storm = Storm::over(&process.api).await;
    shim.fail("write", EROFS);
    storm.own_fault().await;
    until_ready(&storm.api, false).await;
    shim.heal();
    let recovery = storm.recovery(LIMIT).await;
    until_ready(&storm.api, true).await;
    end(storm, "F39", &site, process, recovery).await;
}
