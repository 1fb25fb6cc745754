//! Finds what is wrong, again and again, and ends the issues of what is not any more.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    alert::{
        Context, Setup,
        rule::{
            After, OlderThan, Rule, Within,
            find::{
                destination,
                gateway::{self, Ending},
                source,
            },
        },
    },
    base::clock::Timestamp,
    egress::pem,
    registry::Snapshot,
    store::{
        access::StoredToken,
        error::StoreError,
        issue::{Change, Finding, Place},
    },
};

/// The name of the lease of whoever looks for all.
const LEASE: &str = "issues";
/// So many times the pause between two looks, and a bit, another replica leaves it to the one that looks.
const LEASE_FOR: u32 = 2;
/// Rows that a look at refused requests goes over at most: the newest.
const MAX_ROWS: u32 = 10_000;
/// What waits for a destination, and what was given up, is counted up to this. The limits of the rules are not higher.
const MAX_COUNTED: u32 = 10_000;
/// Rows that are removed after one look.
const PRUNE: u32 = 500;
/// So many writes in a row have to be slow.
const N_WRITES: usize = 3;

/// What one process remembers from look to look.
#[derive(Debug)]
struct Watch {
    started_at: Instant,
    /// Since when a breaker here was not closed.
    failing_since: HashMap<Arc<str>, Instant>,
    /// Since when this process looks for all, without a gap. Who does not know what was there cannot say that it is gone.
    looks_since: Option<Instant>,
    /// How many requests of each source this process had taken at the look before.
    n_heard: HashMap<Arc<str>, u64>,
    /// How long the last writes took, the newest at the end.
    writes: VecDeque<Duration>,
}

impl Watch {
    fn new() -> Self {
        Self {
            started_at: Instant::now(),
            failing_since: HashMap::new(),
            looks_since: None,
            n_heard: HashMap::new(),
            writes: VecDeque::with_capacity(N_WRITES),
        }
    }
}

pub(super) async fn run(context: &Context, stop: &CancellationToken) {
    let mut watch = Watch::new();
    loop {
        let setup = context.alerts.current();
        if let Err(error) = watch.look(context, &setup).await {
            watch.looks_since = None;
            watch.writes.clear();
            context.metrics.store_error(error.kind());
            tracing::warn!("could not look for issues: {error}");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(setup.settings.every) => (),
        }
    }
    if watch.looks_since.is_some() {
        let now = context.clock.now();
        // Where it fails the lease ends by itself.
        let _ = context.store.lease(LEASE, context.worker, now, now).await;
    }
}

impl Watch {
    async fn look(&mut self, context: &Context, setup: &Setup) -> Result<(), StoreError> {
        let mut looker = Looker {
            context,
            setup,
            is_news: false,
        };
        for finding in self.failing(context, setup) {
            looker.keep(finding).await?;
        }
        let heard = self.heard(context);
        let listened_for = self.started_at.elapsed();
        let now = context.clock.now();
        context.store.hear(heard, listened_for, now).await?;
        let until = now.plus(setup.settings.every * LEASE_FOR + Duration::from_secs(5));
        if context.store.lease(LEASE, context.worker, now, until).await? {
            let since = *self.looks_since.get_or_insert_with(Instant::now);
            let took = self.time_a_write(context).await?;
            let not_known = looker.look_for_all(since, took).await?;
            if resolve_after(setup) <= since.elapsed() {
                looker.end(&not_known).await?;
            }
            let before = now.minus(setup.settings.keep);
            context.store.prune_issues(before, PRUNE, now).await?;
        } else {
            self.looks_since = None;
        }
        if looker.is_news {
            context.alerts.wake();
        }
        Ok(())
    }

    /// Sources that said something to this process since the look before.
    fn heard(&mut self, context: &Context) -> Vec<Arc<str>> {
        let snapshot = Arc::clone(&context.registry.current());
        let mut heard = Vec::new();
        for name in snapshot.sources.keys() {
            let n_heard = context.metrics.n_heard(name);
            if self.n_heard.insert(Arc::clone(name), n_heard).unwrap_or(0) < n_heard {
                heard.push(Arc::clone(name));
            }
        }
        heard
    }

    /// The shortest of the last few, once there are so many: a single slow one is none yet.
    async fn time_a_write(&mut self, context: &Context) -> Result<Option<Duration>, StoreError> {
        let begun_at = Instant::now();
        context.store.ping().await?;
        if self.writes.len() == N_WRITES {
            self.writes.pop_front();
        }
        self.writes.push_back(begun_at.elapsed());
        let is_enough = self.writes.len() == N_WRITES;
        Ok(self.writes.iter().min().copied().filter(|_| is_enough))
    }

    /// Destinations whose breaker in this process has not been closed for a while.
    fn failing(&mut self, context: &Context, setup: &Setup) -> Vec<Finding> {
        let rules = &setup.settings.rules;
        let (common, After(after)) = rules.failing;
        let open: Vec<_> = context
            .lanes
            .all()
            .into_iter()
            .filter(|(_, lane)| lane.gate.is_open())
            .collect();
        self.failing_since
            .retain(|name, _| open.iter().any(|(it, _)| it == name));
        let now = context.clock.now();
        let mut found = Vec::new();
        for (name, lane) in open {
            let since = *self
                .failing_since
                .entry(Arc::clone(&name))
                .or_insert_with(Instant::now);
            if common.is_enabled && after <= since.elapsed() {
                let reason = lane.gate.shown().reason;
                found.push(destination::failing(rules, &name, reason.as_deref(), now));
            }
        }
        found
    }
}

/// Not before two looks: another process may have found it at the end of the one before.
fn resolve_after(setup: &Setup) -> Duration {
    setup.settings.resolve_after.max(setup.settings.every * 2)
}

/// One look.
struct Looker<'a> {
    context: &'a Context,
    setup: &'a Setup,
    is_news: bool,
}

impl Looker<'_> {
    /// Everything that the store, the config and this process' last count tell. Says of which rules nobody can tell now
    /// whether something is gone.
    ///
    /// `since`: this process looks since then. `took`: how long a write takes, where that is known.
    async fn look_for_all(
        &mut self,
        since: Instant,
        took: Option<Duration>,
    ) -> Result<BTreeSet<&'static str>, StoreError> {
        let (store, setup) = (&self.context.store, self.setup);
        let rules = &setup.settings.rules;
        let now = self.context.clock.now();
        let snapshot = Arc::clone(&self.context.registry.current());
        let is_on = |rule| rules.common(rule).is_enabled;
        let mut not_known = BTreeSet::new();
        let mut found = Vec::new();
        if is_on(Rule::DeadLetters) {
            found.extend(destination::dead_letters(
                rules,
                &store.dead_letters(MAX_COUNTED).await?,
            ));
        }
        if is_on(Rule::Held) {
            found.extend(destination::held(rules, &store.holds().await?, now));
        }
        if is_on(Rule::Refusals) {
            let (_, _, Within(within)) = rules.refusals;
            let all = store.refusals(now.minus(within), MAX_ROWS).await?;
            found.extend(source::refusals(rules, &all));
        }
        if is_on(Rule::Backlog) {
            let (_, OlderThan(older_than)) = rules.backlog;
            for name in snapshot.destinations.keys() {
                let before = now.minus(older_than);
                if let Some(it) = store.backlog(name, before, MAX_COUNTED).await? {
                    found.push(destination::backlog(rules, name, it, now));
                }
            }
        }
        if is_on(Rule::Ledger) {
            match &*self.context.ledger.borrow() {
                Some(audit) => found.extend(gateway::ledger(rules, &audit.ledger)),
                None => {
                    not_known.insert(Rule::Ledger.as_str());
                }
            }
        }
        if is_on(Rule::Silence) {
            let mut all = store.rhythms(now).await?;
            all.retain(|it| snapshot.source(&it.source).is_some());
            let watched_since = now.minus(since.elapsed());
            found.extend(source::silence(rules, &all, watched_since, now));
        }
        if is_on(Rule::Store) {
            found.extend(gateway::store(rules, took, store.free_space(), now));
        }
        if is_on(Rule::Expiry) {
            let (_, Within(within)) = rules.expiry;
            let mut all = certificates(&snapshot);
            let tokens = store.tokens().await?;
            all.extend(tokens.iter().filter_map(|it| end_of(it, within, now)));
            found.extend(gateway::expiry(rules, all, now));
        }
        for it in found {
            self.keep(it).await?;
        }
        Ok(not_known)
    }

    async fn keep(&mut self, mut finding: Finding) -> Result<(), StoreError> {
        finding.tell = self.setup.wanting(finding.rule, finding.severity);
        let (rule, summary) = (finding.rule, finding.summary.clone());
        let change = self
            .context
            .store
            .see_issue(finding, self.context.clock.now())
            .await?;
        if let Some(change @ (Change::Opened | Change::Reopened)) = change {
            self.is_news = true;
            tracing::warn!(rule, "an issue is {}: {summary}", change.as_str());
        }
        Ok(())
    }

    /// Resolves what was not found for a while.
    async fn end(&mut self, not_known: &BTreeSet<&'static str>) -> Result<(), StoreError> {
        let store = &self.context.store;
        let now = self.context.clock.now();
        let not_since = now.minus(resolve_after(self.setup));
        for issue in store.live_issues().await? {
            if not_since <= issue.holds_at || not_known.contains(issue.rule.as_str()) {
                continue;
            }
            let tell = self.setup.wanting(&issue.rule, issue.severity);
            if store.end_issue(issue.id, not_since, tell, now).await? {
                self.is_news = true;
                tracing::info!(
                    issue.id = %issue.id,
                    rule = issue.rule,
                    "an issue is resolved: {}", issue.summary
                );
            }
        }
        Ok(())
    }
}

/// Of a token that opens something now, and was made for longer than that: what was made for a few hours is no surprise.
fn end_of(token: &StoredToken, longer_than: Duration, now: Timestamp) -> Option<Ending> {
    let ends_at = token.expires_at.filter(|_| token.is_live(now))?;
    (longer_than < ends_at.since(token.created_at)).then(|| Ending {
        what: format!("the token `{}`", token.name),
        place: Place {
            cause: Some(format!("token {}", token.id)),
            ..Place::default()
        },
        ends_at,
    })
}

/// The certificates of the config, with their ends.
fn certificates(snapshot: &Snapshot) -> Vec<Ending> {
    let mut all = Vec::new();
    for source in snapshot.sources.values() {
        let ends = source
            .settings()
            .secrets
            .iter()
            .filter_map(|it| pem::ends_at(it.expose()));
        all.extend(ends.min().map(|ends_at| Ending {
            what: format!("the certificate of the source `{}`", source.name()),
            place: Place {
                source: Some(source.name().to_string()),
                cause: Some("certificate".to_owned()),
                ..Place::default()
            },
            ends_at,
        }));
    }
    for outlet in snapshot.destinations.values() {
        let certificate = outlet.settings.tls.client_certificate.as_ref();
        let ends_at = certificate.and_then(|it| pem::ends_at(it.expose()));
        all.extend(ends_at.map(|ends_at| Ending {
            what: format!("the client certificate of `{}`", outlet.name),
            place: Place {
                destination: Some(outlet.name.to_string()),
                cause: Some("client_certificate".to_owned()),
                ..Place::default()
            },
            ends_at,
        }));
    }
    all
}
