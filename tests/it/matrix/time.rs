//! A wall clock that jumps, a machine that sleeps, a sender whose clock is just right or just wrong.

use std::{
    io::{Seek, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    app::{
        app_case, eventually,
        process::{Process, signal},
        receiver::Reply,
        sender::{STRIPE_SECRET, Signed, event, event_body, mac, now},
        site::Site,
    },
    matrix::observed,
};

/// The wall clock of the processes of a site.
struct Clock {
    setting: PathBuf,
}

impl Clock {
    /// For every process that is started from now on.
    fn install(site: &mut Site) -> Self {
        let library = site.directory.path().join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/matrix/clock.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .status();
        assert!(
            built.unwrap().success(),
            "the C compiler that SQLite is built with"
        );
        let setting = site.directory.path().join("clock");
        std::fs::write(&setting, [0; 16]).unwrap();
        site.set("LD_PRELOAD", library.to_str().unwrap());
        site.set("TEST_CLOCK", setting.to_str().unwrap());
        Self { setting }
    }

    fn write(&self, ahead: i64, frozen: i64) {
        // In place: the processes have the file mapped.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open(&self.setting)
            .unwrap();
        file.rewind().unwrap();
        let bytes = [ahead.to_ne_bytes(), frozen.to_ne_bytes()].concat();
        file.write_all(&bytes).unwrap();
    }

    fn jump(&self, ahead: i64) {
        self.write(ahead, 0);
    }

    fn freeze(&self, at: i64) {
        self.write(0, at);
    }
}

const CONFIG: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]
[sources.github]
provider = "github"
secrets = [{ file = "stripe.secret" }]

[destinations.billing]
url = "http://{}/billing"
timeout = "1m"
retry = { max_attempts = 50, max_age = "30m", first = "20ms", cap = "100ms" }
[destinations.later]
url = "http://{}/later"
# It would leave a destination alone that asks for later again and again; what counts here is each delivery's own schedule.
breaker = { enabled = false }

[[routes]]
source = "stripe"
destination = "billing"
[[routes]]
source = "github"
destination = "billing"
[[routes]]
source = "stripe"
destination = "later"
"#;

/// As GitHub signs: without a time.
fn timeless(id: &str) -> Signed {
    let body = event_body(id, "push");
    let signature = hex::encode(mac(STRIPE_SECRET.as_bytes(), &[body.as_bytes()]));
    Signed::new("github", body)
        .header("content-type", "application/json")
        .header("x-hub-signature-256", format!("sha256={signature}"))
        .header("x-github-delivery", id)
        .header("x-github-event", "push")
}

/// Posts events whose retries are half an hour away, and one whose attempt goes on until the gate opens.
async fn prepare(site: &Site, process: &Process) -> String {
    let half_an_hour = Reply::With(503, "retry-after", "1800".to_owned());
    site.receiver.always("/later", half_an_hour);
    for n in 0..10 {
        process.accept(&event(&format!("evt_{n}"))).await;
    }
    site.receiver.arrived("/billing", 10).await;
    process.until_open(10).await;
    site.receiver.script("/billing", [Reply::Gate]);
    let in_flight = process.accept(&event("evt_in_flight")).await;
    site.receiver.arrived("/billing", 11).await;
    process.until_open(12).await;
    site.receiver.arrived("/later", 11).await;
    in_flight
}

const HOUR: i64 = 3600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

app_case!(
    f77_a_jump_of_the_clock_fires_no_schedule_and_harms_no_lease,
    |site| {
        let clock = Clock::install(&mut site);
        site.set("GATEPOST__DELIVERY__LEASE", "5s");
        site.configure(CONFIG);
        let process = Process::start(&site, "all").await;
        let in_flight = prepare(&site, &process).await;
        let jumps = [HOUR, -HOUR, 1000 - now(), TEN_YEARS];
        for (n, jump) in jumps.into_iter().enumerate() {
            clock.jump(jump);
            // Genuine, but not by this clock: 401, which every sender tries again, and kept for the operator.
            let answer = process.post(&event(&format!("evt_stale_{n}"))).await;
            assert_eq!(answer.status, 401, "{jump}: {answer:?}");
            // Without a time in it nothing is wrong; a first failure is no reason to give it up.
            site.receiver.script("/billing", [Reply::Status(500)]);
            process.accept(&timeless(&format!("push_{n}"))).await;
            site.receiver.arrived("/billing", 11 + 2 * (n + 1)).await;
        }
        // Longer than any lease, and than it takes to ask the store for its time again.
        process.live_for(Duration::from_millis(10_500)).await;
        process.logged("this machine's clock says", 1).await;
        assert_eq!(site.receiver.hits("/later").len(), 11, "nothing became due");
        assert_eq!(
            site.receiver.hits("/billing").len(),
            19,
            "nobody took the attempt in flight over"
        );
        site.receiver.open();
        process.until_status_at(&in_flight, "billing", "delivered").await;
        let ledger = process.until_open(11).await;
        assert_eq!(ledger["dead"], 0, "{ledger}");
        assert_eq!(ledger["balanced"], true, "{ledger}");
        assert_eq!(site.events().await.len(), 15, "retention took nothing");

        clock.jump(0);
        let right_at = Instant::now();
        process.accept(&event("evt_after")).await;
        let took = right_at.elapsed();
        eventually("the rejected ones are kept", || async {
            let kept = process.list("/v1/requests?source=stripe").await;
            (kept.len() == jumps.len()).then_some(())
        })
        .await;
        let answer = process
            .command("/v1/requests/accept", r#"{"source":"stripe"}"#)
            .await
            .json();
        let results = answer["data"].as_array().unwrap();
        let n_accepted = results.iter().filter(|it| it["result"] == "accepted").count();
        assert_eq!(n_accepted, jumps.len(), "{answer}");
        site.receiver.arrived("/billing", 19 + 1 + jumps.len()).await;
        let ledger = process.until_open(11 + 1 + 4).await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
        observed(
            "F77",
            &site,
            "401, kept and accepted by the operator afterwards",
            Some(took),
        );
        process.terminate().await;
    }
);

app_case!(f78_after_a_sleep_and_a_leap_second_all_goes_on, |site| {
    let clock = Clock::install(&mut site);
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    site.configure(CONFIG);
    let process = Process::start(&site, "all").await;
    let in_flight = prepare(&site, &process).await;
    for (n, second) in [1, 0, -1, 0].into_iter().enumerate() {
        clock.jump(second);
        process.accept(&event(&format!("evt_leap_{n}"))).await;
    }
    site.receiver.arrived("/later", 15).await;
    process.until_open(16).await;
    // Past its lease, and it wakes an hour later by the wall.
    signal(process.id(), "STOP");
    process.live_for(Duration::from_millis(5500)).await;
    clock.jump(HOUR);
    signal(process.id(), "CONT");
    let woken_at = Instant::now();
    process.accept(&timeless("push_awake")).await;
    let took = woken_at.elapsed();
    site.receiver.open();
    process.until_status_at(&in_flight, "billing", "delivered").await;
    let ledger = process.until_open(15).await;
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["dead"], 0, "{ledger}");
    assert_eq!(site.receiver.hits("/later").len(), 15, "nothing became due");
    let n_billing = site.receiver.hits("/billing").len();
    // The attempt in flight may have been taken for lost.
    assert!((16..=17).contains(&n_billing), "{n_billing}");
    observed("F78", &site, "200", Some(took));
    process.terminate().await;
});

fn signed_at(at: i64, id: &str) -> Signed {
    let body = event_body(id, "invoice.paid");
    let signature = hex::encode(mac(
        STRIPE_SECRET.as_bytes(),
        &[at.to_string().as_bytes(), b".", body.as_bytes()],
    ));
    Signed::new("stripe", body).header("stripe-signature", format!("t={at},v1={signature}"))
}

app_case!(f79_the_tolerance_is_five_minutes_to_the_second, |site| {
    let clock = Clock::install(&mut site);
    let process = Process::start(&site, "all").await;
    let frozen = now();
    clock.freeze(frozen);
    for (skew, status) in [(299, 200), (300, 200), (301, 401)] {
        for at in [frozen - skew, frozen + skew] {
            let answer = process.post(&signed_at(at, &format!("evt_{at}"))).await;
            assert_eq!(answer.status, status, "{}: {answer:?}", at - frozen);
        }
    }
    clock.jump(0);
    process.until_rejected("timestamp_stale", 1).await;
    process.until_rejected("timestamp_ahead", 1).await;
    let ledger = process.until_open(0).await;
    assert_eq!(ledger["delivered"], 4, "{ledger}");
    assert_eq!(ledger["balanced"], true, "{ledger}");
    observed("F79", &site, "200 up to 5 min, 401 beyond", None);
    process.terminate().await;
});
