//! `gatepost doctor`: tests the surroundings of a config, one line each.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    base::{clock::wall_now, metrics::Metrics},
    cli::{
        check,
        client::{Client, Query, text},
        destinations::breaker,
        output::{self, Ended, Paint, Result, note},
        serve::store_shown,
        settings::{self, count},
    },
    config::{self, Loaded},
    destination::{self, Kind, exec::Program},
    egress::{guard::Reach, stream::Remote},
    source::{
        self, Source,
        asking::Asking,
        keys::{Keys, Moment},
    },
    store::{
        Store,
        error::StoreError,
        query::{Ledger, Stuck},
    },
    telemetry,
    web::oidc,
};

/// Test the surroundings: config, store, listeners, destinations, clock
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Tests what a config depends on and says what to do about each fault: the config and its secrets, the \
                  store and its durability, pending migrations, the ledger, the listeners, whether the keys that sources fetch \
                  are there and destinations accept connections, the provider of single sign-on, the collector of traces, and the clock. Changes nothing, and posts \
                  nothing but an export of no spans. Where a running gatepost holds an \
                  SQLite store, that one is asked instead.",
    after_help = "Examples:\n  gatepost doctor\n  gatepost doctor --config /etc/gatepost/gatepost.toml\n\nExit codes: 0 nothing failed, 1 something did, 2 the config is faulty."
)]
pub(crate) struct Args {}

/// More than this between the store's clock and ours makes leases and signatures hard to reason about.
const MAX_SKEW: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What was found, printed as it is found.
struct Report {
    paint: Paint,
    n_failed: usize,
    n_warned: usize,
}

impl Report {
    fn ok(&self, text: impl std::fmt::Display) -> Result<()> {
        output::data(format_args!("{}    {text}", self.paint.green("ok")))
    }

    fn warn(&mut self, text: impl std::fmt::Display, hint: &str) -> Result<()> {
        self.n_warned += 1;
        output::data(format_args!(
            "{}  {text}\n      hint: {hint}",
            self.paint.cyan("warn")
        ))
    }

    fn fail(&mut self, text: impl std::fmt::Display, hint: &str) -> Result<()> {
        self.n_failed += 1;
        output::data(format_args!(
            "{}  {text}\n      hint: {hint}",
            self.paint.red("FAIL")
        ))
    }
}

pub(crate) async fn run(file: Option<&Path>, _args: &Args) -> Result {
    let inputs = settings::inputs(file);
    let mut report = Report {
        paint: settings::paint(&inputs),
        n_failed: 0,
        n_warned: 0,
    };
    let loaded = match config::load(&inputs) {
        Ok(loaded) => loaded,
        Err(faults) => {
            note(faults.rendered.trim_end());
            report.fail(
                format_args!("config: {}", count(faults.n_faults, "fault")),
                "mend what is listed above; nothing else was tested",
            )?;
            return Ok(Ended::Refused);
        }
    };
    of_config(&loaded, &mut report)?;
    let client = running(&loaded).await;
    of_store(&loaded, client.as_ref(), &mut report).await?;
    of_listeners(&loaded, client.is_some(), &mut report).await?;
    of_keys(&loaded.settings.registry.sources, &mut report).await?;
    for it in &loaded.settings.registry.destinations {
        of_destination(it, &mut report).await?;
    }
    if let Some(settings) = &loaded.settings.admin.oidc {
        of_sign_on(settings, &mut report).await?;
    }
    if let Some(settings) = &loaded.settings.telemetry {
        of_traces(settings, &mut report).await?;
    }
    if let Some(client) = &client {
        of_breakers(client, &mut report).await?;
    }
    let Report {
        n_failed, n_warned, ..
    } = report;
    note(format_args!("{n_failed} failed, {}", count(n_warned, "warning")));
    Ok(if n_failed == 0 { Ended::Fine } else { Ended::Failed })
}

fn of_config(loaded: &Loaded, report: &mut Report) -> Result<()> {
    report.ok(format_args!("config: {}", check::summary(loaded)))?;
    for warning in &loaded.warnings {
        report.warn(
            format_args!("config: {warning}"),
            "see config/default.toml, the reference",
        )?;
    }
    let sources = &loaded.settings.registry.sources;
    let n_secrets: usize = sources.iter().map(|it| it.secrets.len()).sum();
    if n_secrets != 0 {
        report.ok(format_args!("secrets: all {n_secrets} are there and long enough"))?;
    }
    Ok(())
}

/// The keys that sources fetch, where no request has to say which.
async fn of_keys(sources: &[source::Settings], report: &mut Report) -> Result<()> {
    let keys = Keys::new(Asking::new(Metrics::new()).context("could not set up calls to senders")?);
    // The config is sound, so is every source.
    for source in sources.iter().filter_map(|it| Source::new(it.clone()).ok()) {
        let source = Arc::new(source);
        match keys.count(&source, Moment::now()).await {
            None => {}
            Some(Ok(n)) => report.ok(format_args!(
                "source `{}`: fetched {}",
                source.name(),
                count(n, "key")
            ))?,
            Some(Err(problem)) => report.fail(
                format_args!("source `{}`: {problem}", source.name()),
                "let this machine reach it (`gatepost check` shows where), or give the source its `jwks`",
            )?,
        }
    }
    Ok(())
}

/// The gatepost that runs on this config, if one answers.
async fn running(loaded: &Loaded) -> Option<Client> {
    let admin = &loaded.settings.admin;
    let base = format!("http://{}", crate::cli::client::dialled(admin.listen));
    let client = Client::at(&base, admin.tokens.first().map(|it| it.token.clone())).ok()?;
    let answer = client
        .call(http::Method::GET, &["livez"], &Query::default(), None)
        .await
        .ok()?;
    answer.status.is_success().then_some(client)
}

async fn of_store(loaded: &Loaded, client: Option<&Client>, report: &mut Report) -> Result<()> {
    let url = loaded.settings.store.url.expose_str();
    let shown = store_shown(url);
    // Opening an SQLite store makes its file: a doctor must not.
    let path = url
        .and_then(|it| it.strip_prefix("sqlite:"))
        .map(|it| it.trim_start_matches("//"));
    if let Some(path) = path
        && !Path::new(path.split('?').next().unwrap_or(path)).exists()
    {
        return report.warn(
            format_args!("store: `{path}` is not there yet"),
            "`gatepost serve` or `gatepost migrate` makes it",
        );
    }
    let store = match Store::open(&loaded.settings.store).await {
        Ok(store) => store,
        Err(error) => return of_closed_store(&shown, &error, client, report).await,
    };
    let res = of_open_store(&shown, &store, report).await;
    store.close().await;
    res
}

/// A store that cannot be opened is fine if the gatepost that holds it says so itself.
async fn of_closed_store(
    shown: &str,
    error: &StoreError,
    client: Option<&Client>,
    report: &mut Report,
) -> Result<()> {
    let hint = match error {
        StoreError::Unusable { hint, .. } => hint.as_str(),
        _ => "is it running, and does `store.url` name it?",
    };
    let Some(client) = client else {
        let causes = chain(error);
        return report.fail(format_args!("store: {shown}: {causes}"), hint);
    };
    let ready = client
        .call(http::Method::GET, &["readyz"], &Query::default(), None)
        .await?;
    if !ready.status.is_success() {
        return report.fail(
            format_args!("store: {shown}: the running gatepost says that it is not ready"),
            "its log says why",
        );
    }
    report.ok(format_args!(
        "store: {shown} is in use by the running gatepost, which says that it is ready"
    ))?;
    match client.get(&["v1", "ledger"], &Query::default()).await {
        Ok(reply) => {
            let number = |name: &str| {
                let value = reply.value.get(name);
                value.and_then(serde_json::Value::as_u64).unwrap_or(0)
            };
            of_ledger(&ledger_of(number), report)
        }
        Err(_) => report.warn(
            "ledger: the running gatepost did not let us read it",
            "the config's first token needs at least the role `viewer`",
        ),
    }
}

async fn of_open_store(shown: &str, store: &Store, report: &mut Report) -> Result<()> {
    match store.ping().await {
        Ok(()) => report.ok(format_args!("store: {shown} is up and takes writes"))?,
        Err(error) => {
            let text = chain(&error);
            return report.fail(format_args!("store: {shown}: {text}"), "see the store's own log");
        }
    }
    let described = store.describe().await?;
    let told = described.iter().filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> = told.map(|(name, value)| format!("{name} {value}")).collect();
    report.ok(format_args!("store: {}", lines.join(", ")))?;
    let pending = store.pending_migrations().await?;
    if pending.is_empty() {
        report.ok("schema: up to date")?;
    } else {
        // Without its tables there is no ledger to read.
        return report.warn(
            format_args!("schema: {} pending", count(pending.len(), "migration")),
            "`gatepost serve` applies them at its start, `gatepost migrate` earlier",
        );
    }
    let now = store.now().await?;
    let here = wall_now();
    let skew = now.since(here).max(here.since(now));
    if skew <= MAX_SKEW {
        report.ok("clock: the store's and this machine's agree")?;
    } else {
        report.warn(
            format_args!("clock: this machine and the store are {} s apart", skew.as_secs()),
            "run NTP on both: signatures are judged by this machine's clock, schedules by the store's",
        )?;
    }
    of_ledger(&store.ledger(now).await?, report)
}

/// From the running gatepost's own numbers.
fn ledger_of(number: impl Fn(&str) -> u64) -> Ledger {
    Ledger {
        received: number("received"),
        rejected: number("rejected"),
        duplicates: number("duplicates"),
        conflicts: number("conflicts"),
        stored: number("stored"),
        deliveries: number("deliveries"),
        delivered: number("delivered"),
        open: number("open"),
        dead: number("dead"),
        cancelled: number("cancelled"),
        skipped: number("skipped"),
        stuck: Stuck {
            delivering: number("stuck_delivering"),
            waiting: number("stuck_waiting"),
            held: number("stuck_held"),
        },
    }
}

fn of_ledger(ledger: &Ledger, report: &mut Report) -> Result<()> {
    let Ledger {
        received,
        rejected,
        duplicates,
        stored,
        deliveries,
        delivered,
        open,
        dead,
        cancelled,
        skipped,
        stuck,
        ..
    } = ledger;
    let sums = [
        (
            received == &(rejected + duplicates + stored),
            format!("received {received} = rejected {rejected} + duplicates {duplicates} + stored {stored}"),
        ),
        (
            deliveries == &(delivered + open + dead + cancelled + skipped),
            format!(
                "deliveries {deliveries} = delivered {delivered} + open {open} + dead {dead} + cancelled {cancelled} + skipped {skipped}"
            ),
        ),
    ];
    for (is_right, sum) in sums {
        if is_right {
            report.ok(format_args!("ledger: {sum}"))?;
        } else {
            report.fail(
                format_args!("ledger: does not add up: {sum}"),
                "rows were changed by something else, or this is a bug: please report it",
            )?;
        }
    }
    let stuck_in = [
        (stuck.waiting, "due for more than a minute, and nobody takes them"),
        (
            stuck.delivering,
            "in the hands of workers whose leases ended more than a minute ago",
        ),
        (stuck.held, "held though nothing holds them"),
    ];
    for (n_stuck, how) in stuck_in.into_iter().filter(|it| it.0 != 0) {
        report.warn(
            format_args!("deliveries: {n_stuck} {how}"),
            "is a gatepost with `--role all` or `--role deliver` running?",
        )?;
    }
    if stuck.total() == 0 {
        report.ok("deliveries: none is stuck past its time")?;
    }
    if *dead != 0 {
        report.warn(
            format_args!("deliveries: {dead} dead"),
            "`gatepost deliveries list --status dead` lists them, `gatepost retry` tries one again",
        )?;
    }
    Ok(())
}

async fn of_listeners(loaded: &Loaded, is_running: bool, report: &mut Report) -> Result<()> {
    let settings = &loaded.settings;
    for (name, address) in [
        ("server.listen", settings.server.listen),
        ("admin.listen", settings.admin.listen),
    ] {
        match tokio::net::TcpListener::bind(address).await {
            Ok(_) if is_running => report.warn(
                format_args!("{name}: {address} is free though a gatepost runs here"),
                "a gatepost with `--role deliver` opens no public listener; else it runs with another config",
            )?,
            Ok(_) => report.ok(format_args!("{name}: {address} is free"))?,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_running => {
                report.ok(format_args!(
                    "{name}: {address} is served by the running gatepost"
                ))?;
            }
            Err(error) => report.fail(
                format_args!("{name}: {address}: {error}"),
                "choose another address, or stop what holds it",
            )?,
        }
    }
    Ok(())
}

async fn of_sign_on(settings: &oidc::Settings, report: &mut Report) -> Result<()> {
    let issuer = &settings.issuer;
    match oidc::examine(settings).await {
        Ok(n_keys) => report.ok(format_args!(
            "single sign-on: `{issuer}` answers, and has {}",
            count(n_keys, "key")
        )),
        Err(problem) => report.fail(
            format_args!("single sign-on: `{issuer}`: {problem}"),
            "nobody logs in by it meanwhile, tokens still do; is `admin.oidc.issuer` right, and does this machine reach it?",
        ),
    }
}

async fn of_traces(settings: &telemetry::Settings, report: &mut Report) -> Result<()> {
    match telemetry::export::examine(settings).await {
        Ok(()) => report.ok(format_args!("traces: `{}` takes them", settings.endpoint)),
        Err(failure) => report.warn(
            format_args!("traces: they are not taken: {failure}"),
            "they are dropped meanwhile, and nothing else waits; are `telemetry.endpoint` and `telemetry.headers` right?",
        ),
    }
}

/// What the running gatepost leaves alone.
async fn of_breakers(client: &Client, report: &mut Report) -> Result<()> {
    // Without a token that may read there is nothing to say; the ledger said so above.
    let Ok(reply) = client.get(&["v1", "destinations"], &Query::default()).await else {
        return Ok(());
    };
    let rows = reply.value.get("data").and_then(serde_json::Value::as_array);
    for row in rows.map_or(&[][..], Vec::as_slice) {
        let state = row.get("breaker").and_then(|it| it.get("state"));
        if matches!(
            state.and_then(serde_json::Value::as_str),
            Some("open" | "half_open")
        ) {
            report.warn(
                format_args!("destination `{}`: breaker {}", text(row, "name"), breaker(row)),
                "its deliveries wait, and no attempt is counted; mend the handler, and `gatepost destinations resume` probes it at once",
            )?;
        }
    }
    Ok(())
}

async fn of_destination(settings: &destination::Settings, report: &mut Report) -> Result<()> {
    let name = &settings.name;
    let (found, advice) = match (&settings.kind, settings.kind.url()) {
        (Kind::Exec(program), _) => (
            executable(program),
            "events wait in the store until it is there; is `exec.command` right, and may gatepost's user run it?",
        ),
        (_, Some(url)) => (
            reach(url.expose())
                .await
                .map(|it| format!("{it} accepts connections")),
            "events wait in the store until it is back; is its URL right, and is it running?",
        ),
        (_, None) => return report.ok(format_args!("destination `{name}`: consumers fetch from it")),
    };
    match found {
        Ok(good) => report.ok(format_args!("destination `{name}`: {good}")),
        Err(error) => report.warn(format_args!("destination `{name}`: {error:#}"), advice),
    }
}

/// A file that somebody may run; whether this user may, its first run will say.
fn executable(program: &Program) -> anyhow::Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let name = program.command.first().context("it names no program")?;
    let metadata = std::fs::metadata(name).with_context(|| format!("`{name}`"))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        anyhow::bail!("`{name}` is not a program");
    }
    Ok(format!("`{name}` is a program"))
}

/// Connects, where a delivery may, and hangs up: no byte is sent.
async fn reach(url: &url::Url) -> anyhow::Result<SocketAddr> {
    let host = url.host_str().context("its URL names no host")?;
    let port = url
        .port_or_known_default()
        .or_else(|| default_port(url.scheme()))
        .context("its URL names no port")?;
    let stream = Remote::new(host, port, Reach::Private, &[])?
        .connect(CONNECT_TIMEOUT)
        .await?;
    Ok(stream.peer_addr()?)
}

/// Of the schemes that are no browser's.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "redis" | "rediss" => Some(6379),
        "nats" | "tls" => Some(4222),
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        "kafka" => Some(9092),
        _ => None,
    }
}

fn chain(error: &StoreError) -> String {
    let error: &(dyn std::error::Error + 'static) = error;
    let chain = std::iter::successors(Some(error), |it| it.source());
    output::causes(chain).join(": ")
}
