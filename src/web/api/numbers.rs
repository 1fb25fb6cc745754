//! `/v1/ledger` and `/v1/stats`, and the same numbers as they were a moment ago, for whoever looks often.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::extract::State;
use serde::Serialize;
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::clock::Timestamp,
    store::{
        Store,
        claim::Hold,
        error::StoreError,
        issue::Issue,
        query::{Audit, Ledger, Stats},
    },
    web::{
        api::texts::TimeText,
        error::{Problem, ProblemJson},
        extract::{Json, Params},
        state::AdminState,
    },
};

/// How far back the numbers of recent things go where the client does not say.
const RECENT: Duration = Duration::from_hours(1);
/// How long a count holds, however often somebody looks.
const FRESH: Duration = Duration::from_secs(5);
/// For so many times as long as it took, at least: counting a very large store must not become its main work.
const REST: u32 = 50;
/// A page shows the last count while a count that takes longer is made behind it.
const QUICK: Duration = Duration::from_millis(200);
/// Not one that is older.
const OLD: Duration = Duration::from_mins(2);
/// The longest that somebody who looks waits for a count of every row.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events among which the last one of a source is looked for that sent nothing lately.
const LOOKED_AT: u32 = 20_000;

/// What only a count can tell.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// When, by the store's clock.
    pub(crate) at: Timestamp,
    /// None: it takes too long to be waited for, and no chore has done it yet.
    pub(crate) audit: Option<Audit>,
    /// Recent things are those of the last hour.
    pub(crate) stats: Stats,
    pub(crate) holds: Vec<Hold>,
    /// When the last event of each source came. None of one that sent nothing for long.
    pub(crate) last_seen: BTreeMap<Arc<str>, Timestamp>,
    ended: Instant,
    took: Duration,
}

impl Counted {
    fn is_fresh(&self) -> bool {
        self.ended.elapsed() < FRESH.max(self.took * REST)
    }

    /// Whether a page shows it rather than wait for the next.
    fn stands_in(&self) -> bool {
        self.is_fresh() || (self.took > QUICK && self.ended.elapsed() < OLD)
    }
}

/// The last count, shared by all who look. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    store: Store,
    /// The last count of the ledger by the chore of it.
    audited: watch::Receiver<Option<Audit>>,
    last: Arc<ArcSwapOption<Counted>>,
    /// Held by whoever counts.
    counting: Arc<Mutex<()>>,
    /// Tells whoever counts behind the pages, if anybody does.
    asked: watch::Sender<()>,
}

impl Numbers {
    pub(crate) fn new(store: Store, audited: watch::Receiver<Option<Audit>>) -> Self {
        Self {
            store,
            audited,
            last: Arc::default(),
            counting: Arc::default(),
            asked: watch::Sender::default(),
        }
    }

    /// One that still holds. Whoever asks while another counts waits for that.
    pub(crate) async fn fresh(&self) -> Result<Arc<Counted>, StoreError> {
        let turn = self.counting.lock().await;
        self.counted(turn).await
    }

    /// The last one, however old, while another counts: a page must not wait for a count that is under way. Nor does it wait for one
    /// that takes long, if somebody looked lately: whoever looks next sees that.
    pub(crate) async fn recent(&self) -> Result<Arc<Counted>, StoreError> {
        match (self.counting.try_lock(), self.last.load_full()) {
            (Ok(_), Some(last)) if last.stands_in() && self.asked.receiver_count() > 0 => {
                self.asked.send_replace(());
                Ok(last)
            }
            (Ok(turn), _) => self.counted(turn).await,
            (Err(_), Some(last)) => Ok(last),
            (Err(_), None) => self.fresh().await,
        }
    }

    /// What is wrong now: few rows, whatever the store holds.
    pub(crate) async fn issues(&self) -> Result<Vec<Issue>, StoreError> {
        self.store.live_issues().await
    }

    /// Counts what pages ask for without waiting for it, until it is stopped.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut asked = self.asked.subscribe();
        while let Some(Ok(())) = stop.run_until_cancelled(asked.changed()).await {
            if let Err(error) = self.fresh().await {
                tracing::warn!(%error, "cannot count what the pages show");
            }
        }
    }

    async fn counted(&self, _turn: MutexGuard<'_, ()>) -> Result<Arc<Counted>, StoreError> {
        let asked_at = Instant::now();
        let last = self.last.load_full();
        if let Some(last) = last.as_ref().filter(|it| it.is_fresh()) {
            return Ok(Arc::clone(last));
        }
        let at = self.store.now().await?;
        let since = at.minus(RECENT);
        let stats = self.store.stats(since, at).await?;
        let mut last_seen = match last.filter(|it| it.at > since) {
            Some(last) => last.last_seen.clone(),
            // What came between the two was never counted.
            None => self.store.last_seen(LOOKED_AT).await?,
        };
        last_seen.extend(stats.last_event.clone());
        let counted = Arc::new(Counted {
            at,
            audit: self.audit(at).await,
            stats,
            holds: self.store.holds().await?,
            last_seen,
            ended: Instant::now(),
            took: asked_at.elapsed(),
        });
        self.last.store(Some(Arc::clone(&counted)));
        Ok(counted)
    }

    /// The ledger as it is now where that is counted soon, else as the chore counted it last.
    async fn audit(&self, at: Timestamp) -> Option<Audit> {
        let last = self.audited.borrow().clone();
        if last.as_ref().is_some_and(|it| it.took * REST > FRESH) {
            return last;
        }
        let began = Instant::now();
        match timeout(PATIENCE, self.store.ledger(at)).await {
            Ok(Ok(ledger)) => Some(Audit {
                at,
                took: began.elapsed(),
                ledger,
            }),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot count the ledger");
                last
            }
            Err(_) => last,
        }
    }
}

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(ledger))
        .routes(routes!(stats))
}

/// The counts that must add up: received = rejected + duplicates + stored, and deliveries = delivered + open + dead +
/// cancelled + skipped.
#[derive(Debug, Serialize, ToSchema)]
struct LedgerJson {
    /// Whether both sums hold.
    balanced: bool,
    received: u64,
    rejected: u64,
    duplicates: u64,
    /// Same id, other body: part of `duplicates`.
    conflicts: u64,
    stored: u64,
    deliveries: u64,
    delivered: u64,
    open: u64,
    dead: u64,
    cancelled: u64,
    skipped: u64,
    /// Open deliveries that nobody moves though they are past their time by more than a minute: the sum of the next three.
    stuck: u64,
    /// In the hands of a worker whose lease has ended.
    stuck_delivering: u64,
    /// Pending or retrying, due, and held back by nothing.
    stuck_waiting: u64,
    /// Held, though nothing holds them any more.
    stuck_held: u64,
}

impl From<Ledger> for LedgerJson {
    fn from(it: Ledger) -> Self {
        Self {
            balanced: it.is_balanced(),
            received: it.received,
            rejected: it.rejected,
            duplicates: it.duplicates,
            conflicts: it.conflicts,
            stored: it.stored,
            deliveries: it.deliveries,
            delivered: it.delivered,
            open: it.open,
            dead: it.dead,
            cancelled: it.cancelled,
            skipped: it.skipped,
            stuck: it.stuck.total(),
            stuck_delivering: it.stuck.delivering,
            stuck_waiting: it.stuck.waiting,
            stuck_held: it.stuck.held,
        }
    }
}

/// The ledger, counted now.
#[utoipa::path(get, path = "/v1/ledger", tag = "numbers", operation_id = "get_ledger",
    responses((status = 200, body = LedgerJson), (status = 503, body = ProblemJson<'_>)))]
async fn ledger(State(state): State<AdminState>, params: Params) -> Result<Json<LedgerJson>, Problem> {
    params.finish()?;
    let store = &state.0.store;
    let ledger = store.ledger(store.now().await?).await?;
    Ok(Json(LedgerJson::from(ledger)))
}

/// Numbers of now and of the time since `since`.
#[derive(Debug, Serialize, ToSchema)]
struct StatsJson {
    since: String,
    /// Open and dead deliveries, by destination and status. Those that are over otherwise are in the ledger.
    deliveries: Vec<DeliveryCountJson>,
    /// Since when the oldest open and due delivery of a destination waits.
    oldest_due: Vec<OldestDueJson>,
    /// Events received since `since`.
    recent_events: Vec<EventCountJson>,
    /// Rejected requests kept since `since`.
    recent_rejected: Vec<RejectedCountJson>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DeliveryCountJson {
    destination: String,
    status: &'static str,
    count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct OldestDueJson {
    destination: String,
    due_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct EventCountJson {
    source: String,
    count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct RejectedCountJson {
    source: String,
    cause: String,
    count: u64,
}

impl StatsJson {
    fn new(stats: &Stats, since: Timestamp) -> Self {
        let deliveries = stats.deliveries.iter();
        let oldest_due = stats.oldest_due.iter();
        let events = stats.recent_events.iter();
        let rejected = stats.recent_rejected.iter();
        Self {
            since: since.to_string(),
            deliveries: deliveries
                .map(|((destination, status), count)| DeliveryCountJson {
                    destination: destination.to_string(),
                    status: status.as_str(),
                    count: *count,
                })
                .collect(),
            oldest_due: oldest_due
                .map(|(destination, at)| OldestDueJson {
                    destination: destination.to_string(),
                    due_at: at.to_string(),
                })
                .collect(),
            recent_events: events
                .map(|(source, count)| EventCountJson {
                    source: source.to_string(),
                    count: count.total(),
                })
                .collect(),
            recent_rejected: rejected
                .map(|((source, cause), count)| RejectedCountJson {
                    source: source.to_string(),
                    cause: cause.clone(),
                    count: count.total(),
                })
                .collect(),
        }
    }
}

/// Numbers for the overview.
#[utoipa::path(get, path = "/v1/stats", tag = "numbers", operation_id = "get_stats",
    params(("after" = inline(Option<TimeText>), Query, description = "Since when recent things count (RFC 3339); an hour ago where absent")),
    responses((status = 200, body = StatsJson), (status = 400, body = ProblemJson<'_>)))]
async fn stats(State(state): State<AdminState>, mut params: Params) -> Result<Json<StatsJson>, Problem> {
    let after = params.time("after")?;
    params.finish()?;
    let store = &state.0.store;
    let now = store.now().await?;
    let since = after.unwrap_or_else(|| now.minus(RECENT));
    let stats = store.stats(since, now).await?;
    Ok(Json(StatsJson::new(&stats, since)))
}
