//! What people and monitors look at, on a store that is full: how soon it is there, and what that costs the senders.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    gatepost::{Gatepost, Setup},
    load::Load,
    plan::{Measured, events_of, nowhere, run_load},
    process::get,
    report::Wanted,
    rows::fill::Fill,
    samples::{Latencies, grouped},
};

pub const EXPLANATION: &str = "`serve --role ingest` on a store that was filled past gatepost: delivered events over ten days, and a \
    tenth as many that are still to be delivered. Every page that the overview leads to, one of each kind (a link with other \
    filters is another kind), `/metrics` and `/v1/ledger`, fetched one after the other, again and again; p95 of each. The \
    ledger is no page, and not among the slowest: it counts every row, so that it proves something. Beside \
    requests: they come at a fixed rate in an open loop, in each turn once alone and once while somebody opens the next page \
    every half second.";

/// How far back the stored events go.
const SPAN: Duration = Duration::from_hours(240);
/// Requests a second.
const RATE: f64 = 200.0;
/// What a person does.
const BETWEEN_PAGES: Duration = Duration::from_millis(500);
/// Asked for of every page.
const MOST_MS: f64 = 300.0;
/// Kinds of pages that are looked at, at most.
const MOST_KINDS: usize = 60;
/// No page: it counts every row, which is what it is for.
const LEDGER: &str = "/v1/ledger";
/// Beside those that the overview leads to. Of the filters, those that find nothing are the hardest to be quick with.
const OTHERS: [&str; 6] = [
    "/metrics",
    LEDGER,
    "/events?type=none.such",
    "/events?q=none-such",
    "/deliveries?limit=50&status=delivered",
    "/deliveries?source=none-such&status=delivering",
];

impl Measured<'_> {
    pub fn pages(&mut self) -> anyhow::Result<()> {
        let is_quick = self.bench.options.is_quick;
        let most = if is_quick { 20_000 } else { 10_000_000 };
        let most = self.bench.options.n_stored.unwrap_or(most);
        let n_open = most / 10;
        let store = self.stores.fresh()?;
        self.say(&format!("fill to {}", grouped((most + n_open) as f64)));
        Fill::over(Duration::from_hours(24), n_open, false).run(&store, 0, n_open)?;
        let n_stored = Fill::over(SPAN, most + n_open, true).run(&store, n_open, most + n_open)?;
        self.report.add("stored", "events", n_stored as f64);
        self.report.add("open deliveries", "", n_open as f64);
        let setup = Setup::one(nowhere());
        let gatepost = Gatepost::start(&self.bench.options.gatepost, "ingest", &store, &setup)?;
        gatepost.settle_down(self.postgres_pid())?;
        let pages = find(gatepost.admin)?;
        self.report
            .add("pages of different kinds", "", pages.len() as f64);
        self.fetch(gatepost.admin, &pages)?;
        self.beside_requests_of_people(&gatepost, &pages)?;
        gatepost.process.stop()
    }

    fn fetch(&mut self, admin: SocketAddr, pages: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let n_rounds = if self.bench.options.is_quick { 3 } else { 20 };
        let mut took_us: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        let mut largest = 0;
        for round in 1..=n_rounds {
            self.say(&format!("every page, round {round} of {n_rounds}"));
            for (kind, path) in pages {
                let began = Instant::now();
                let (status, body) = get(admin, path)?;
                let us = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
                anyhow::ensure!(status == 200, "`{path}` answered {status}: {body}");
                took_us.entry(kind).or_default().push(us);
                largest = largest.max(body.len());
            }
        }
        let mut slowest = 0.0_f64;
        for (kind, us) in took_us {
            let p95 = Latencies::new(us).quantile_ms(0.95);
            self.report.add(&format!("`{kind}`, p95"), "ms", p95);
            if kind != LEDGER {
                slowest = slowest.max(p95);
            }
        }
        self.report.add("the slowest page, p95", "ms", slowest);
        self.report.want("the slowest page, p95", Wanted::AtMost(MOST_MS));
        self.report.add("the largest page", "KB", largest as f64 / 1e3);
        self.report.want("the largest page", Wanted::AtMost(200.0));
        Ok(())
    }

    fn beside_requests_of_people(
        &mut self,
        gatepost: &Gatepost,
        pages: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        for turn in 1..=self.bench.n_turns {
            self.say(&format!("beside requests, turn {turn} of {}", self.bench.n_turns));
            let alone_ms = self.acknowledged_beside(gatepost)?;
            let is_over = AtomicBool::new(false);
            let beside_ms = std::thread::scope(|scope| {
                let reader = scope.spawn(|| read_on(gatepost.admin, pages, &is_over));
                let measured = self.acknowledged_beside(gatepost);
                is_over.store(true, Ordering::Relaxed);
                let n_read = reader.join().expect("a reader does not panic")?;
                anyhow::ensure!(n_read > 0, "no page was read meanwhile");
                measured
            })?;
            let report = &mut self.report;
            report.add("acknowledgement p99 without readers", "ms", alone_ms);
            report.add("acknowledgement p99 with a reader", "ms", beside_ms);
            report.ratio(
                "acknowledgement p99, with a reader / without",
                beside_ms / alone_ms,
            );
        }
        let share = "acknowledgement p99, with a reader / without";
        self.report.want(share, Wanted::AtMost(1.1));
        Ok(())
    }

    fn acknowledged_beside(&self, gatepost: &Gatepost) -> anyhow::Result<f64> {
        let load = Load {
            rate: Some(RATE),
            window: self.bench.window * 5,
            ..self.plain(gatepost.public, vec!["/webhooks/stripe".to_owned()], 64)
        };
        let outcome = run_load(&load, events_of(&load))?;
        Ok(outcome.latencies.quantile_ms(0.99))
    }
}

fn read_on(
    admin: SocketAddr,
    pages: &BTreeMap<String, String>,
    is_over: &AtomicBool,
) -> anyhow::Result<usize> {
    let mut n_read = 0;
    for path in pages.values().cycle() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        get(admin, path)?;
        n_read += 1;
        std::thread::sleep(BETWEEN_PAGES);
    }
    Ok(n_read)
}

/// A path for each kind of page.
fn find(admin: SocketAddr) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found: BTreeMap<_, _> = OTHERS.map(|it| (kind(it), it.to_owned())).into();
    let mut next = VecDeque::from(["/".to_owned()]);
    while let Some(path) = next.pop_front() {
        if found.contains_key(&kind(&path)) || found.len() >= MOST_KINDS {
            continue;
        }
        let (status, body) = get(admin, &path)?;
        anyhow::ensure!(status == 200, "`{path}` answered {status}: {body}");
        next.extend(links(&body));
        found.insert(kind(&path), path);
    }
    Ok(found)
}

fn links(page: &str) -> Vec<String> {
    let is_page = |it: &&str| {
        it.starts_with('/')
            && !["/assets", "/login", "/logout"]
                .iter()
                .any(|no| it.starts_with(no))
    };
    page.split("href=\"")
        .skip(1)
        .filter_map(|it| it.split('"').next())
        .filter(is_page)
        .map(|it| it.replace("&amp;", "&").replace("&#38;", "&"))
        .collect()
}

/// `/events/{}?source&type`: a path without what is different on each page of its kind.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |it: &str| it.len() >= 16 && it.contains(|it: char| it.is_ascii_digit());
    let parts: Vec<_> = path
        .split('/')
        .map(|it| if is_id(it) { "{}" } else { it })
        .collect();
    let mut keys: Vec<_> = query.split('&').filter_map(|it| it.split('=').next()).collect();
    keys.sort_unstable();
    match keys.join("&") {
        none if none.is_empty() => parts.join("/"),
        keys => format!("{}?{keys}", parts.join("/")),
    }
}
