//! `/v1/ledger` and `/v1/stats`.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::clock::Timestamp,
    store::query::{Ledger, Stats},
    web::{
        error::{Problem, ProblemJson},
        extract::{Json, Params},
        state::AdminState,
    },
};

/// How far back the numbers of recent things go where the client does not say.
const RECENT: Duration = Duration::from_hours(1);

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
    /// Deliveries in the store, by destination and status.
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
                    count: *count,
                })
                .collect(),
            recent_rejected: rejected
                .map(|((source, cause), count)| RejectedCountJson {
                    source: source.to_string(),
                    cause: cause.clone(),
                    count: *count,
                })
                .collect(),
        }
    }
}

/// Numbers for the overview.
#[utoipa::path(get, path = "/v1/stats", tag = "numbers", operation_id = "get_stats",
    params(("after" = Option<String>, Query, description = "Since when recent things count (RFC 3339); an hour ago where absent")),
    responses((status = 200, body = StatsJson), (status = 400, body = ProblemJson<'_>)))]
async fn stats(State(state): State<AdminState>, mut params: Params) -> Result<Json<StatsJson>, Problem> {
    let after = params.time("after")?;
    params.finish()?;
    let store = &state.0.store;
    let since = match after {
        Some(it) => it,
        None => store.now().await?.minus(RECENT),
    };
    let stats = store.stats(since).await?;
    Ok(Json(StatsJson::new(&stats, since)))
}
