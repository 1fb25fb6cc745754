//! `/v1/stream`: new events as they are stored, as server-sent events.
//!
//! The store is asked at most once a second, however many listen, and not at all while nobody does. Replicas commit out
//! of the order of their ids, so each look goes back over the last seconds; a stream remembers what it sent, and one
//! that resumes may send an event twice, never skip one.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event as Message, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    base::ids::EventId,
    store::{
        Store,
        error::StoreError,
        query::{EventQuery, EventSummary, MAX_LIMIT},
    },
    web::{
        api::shape::EventSummaryJson,
        error::{Problem, ProblemJson},
        extract::{Params, parse_id},
        state::AdminState,
    },
};

/// Between two looks at the store.
const PERIOD: Duration = Duration::from_secs(1);
/// How much later than its id says an event may become visible.
const OVERLAP: Duration = Duration::from_secs(10);
/// Pages that one look goes back. More new events than that in one go are skipped with a `gap` message.
const MAX_PAGES: usize = 10;
const MAX_STREAMS: usize = 64;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(open))
}

/// The newest page of events, shared by all who listen. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    store: Store,
    page: Arc<Mutex<Option<Seen>>>,
    places: Arc<Semaphore>,
}

/// A page, and when it was read.
type Seen = (Instant, Arc<[EventSummary]>);

impl Newest {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            page: Arc::default(),
            places: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// Newest first; at most a second old.
    async fn page(&self) -> Result<Arc<[EventSummary]>, StoreError> {
        // Held while the store answers: all who ask meanwhile share the one answer.
        let mut page = self.page.lock().await;
        if let Some((at, rows)) = &*page
            && at.elapsed() < PERIOD
        {
            return Ok(Arc::clone(rows));
        }
        let rows: Arc<[_]> = self.page_before(None).await?.into();
        *page = Some((Instant::now(), Arc::clone(&rows)));
        Ok(rows)
    }

    async fn page_before(&self, cursor: Option<EventId>) -> Result<Vec<EventSummary>, StoreError> {
        let query = EventQuery {
            limit: MAX_LIMIT,
            cursor,
            ..EventQuery::default()
        };
        Ok(self.store.events(&query).await?.rows)
    }
}

/// One client's place in the events.
struct Listener {
    newest: Newest,
    source: Option<String>,
    /// Everything before it was sent, or was stored before the client came.
    floor: EventId,
    /// What was sent since `floor`.
    sent: BTreeSet<EventId>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// What is new, oldest first, and whether some of it was skipped.
    async fn look(&mut self) -> Result<(Vec<EventSummary>, bool), StoreError> {
        let mut page: Vec<_> = self.newest.page().await?.to_vec();
        let mut fresh = Vec::new();
        let mut has_gap = true;
        for _ in 0..MAX_PAGES {
            let n_rows = page.len();
            let last = page.last().map(|it| it.id);
            let is_new = |it: &EventSummary| it.id > self.floor && !self.sent.contains(&it.id);
            fresh.extend(page.into_iter().filter(is_new));
            let is_end = n_rows < MAX_LIMIT as usize || last.is_none_or(|it| it <= self.floor);
            if is_end {
                has_gap = false;
                break;
            }
            page = self.newest.page_before(last).await?;
        }
        fresh.reverse();
        self.sent.extend(fresh.iter().map(|it| it.id));
        if let Some(newest) = self.sent.last() {
            self.floor = self.floor.max(earlier(*newest));
            let floor = self.floor;
            self.sent.retain(|it| *it > floor);
        }
        fresh.retain(|it| self.source.as_deref().is_none_or(|source| *it.source == *source));
        Ok((fresh, has_gap))
    }
}

/// The least id of `OVERLAP` before this one: the first 48 bits are milliseconds.
fn earlier(id: EventId) -> EventId {
    let bits = id.uuid().as_u128();
    let ms = (bits >> 80).saturating_sub(OVERLAP.as_millis());
    EventId::from_uuid(Uuid::from_u128(ms << 80))
}

/// Streams summaries of new events (`event: event`, `id` is the event's id). With `Last-Event-ID` it goes on from there;
/// an event may then come twice. It ends when the caller's token or session does. `event: gap` says that more came than could be streamed: list them.
#[utoipa::path(get, path = "/v1/stream", tag = "events", operation_id = "stream_events",
    params(
        ("source" = Option<String>, Query, description = "Of this source"),
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that the client has"),
    ),
    responses((status = 200, content_type = "text/event-stream", body = EventSummaryJson), (status = 503, body = ProblemJson<'_>)))]
async fn open(
    State(state): State<AdminState>,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let source = params.text("source")?;
    params.finish()?;
    let newest = state.0.newest.clone();
    let place = Arc::clone(&newest.places).try_acquire_owned().map_err(|err| {
        tracing::debug!(error = %err, "no place for another stream");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_streams",
            "as many streams are open as may be",
        )
        .retry_after(Duration::from_secs(10))
    })?;
    let listener = match last_event_id(&headers)? {
        Some(last) => Listener {
            floor: earlier(last),
            sent: BTreeSet::from([last]),
            newest,
            source,
            _place: place,
        },
        None => from_now(newest, source, place).await?,
    };
    let watch = (state.clone(), headers);
    let looks = stream::unfold(
        (listener, watch, true),
        |(mut listener, watch, is_first)| async move {
            if !is_first {
                tokio::time::sleep(PERIOD).await;
                // Whoever logged out, or whose token was revoked, is not told more.
                if watch.0.0.auth.is_over(&watch.1).await {
                    return None;
                }
            }
            let messages = messages(&mut listener).await;
            Some((stream::iter(messages), (listener, watch, false)))
        },
    );
    let stop = state.0.stop.clone();
    let messages = looks.flatten().take_until(stop.cancelled_owned());
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(10));
    let mut response = Sse::new(messages).keep_alive(keep_alive).into_response();
    let unbuffered = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", unbuffered);
    Ok(response)
}

/// A client that names no place gets what is stored from now on.
async fn from_now(
    newest: Newest,
    source: Option<String>,
    place: OwnedSemaphorePermit,
) -> Result<Listener, Problem> {
    let page = newest.page_before(None).await?;
    let sent: BTreeSet<_> = page.iter().map(|it| it.id).collect();
    let recent = sent
        .last()
        .map_or(EventId::from_uuid(Uuid::nil()), |it| earlier(*it));
    // A full page may end within the overlap: nothing before it is new.
    let floor = match sent.first() {
        Some(first) if page.len() == MAX_LIMIT as usize => recent.max(*first),
        _ => recent,
    };
    Ok(Listener {
        floor,
        sent,
        newest,
        source,
        _place: place,
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    parse_id("last-event-id", &text).map(Some)
}

async fn messages(listener: &mut Listener) -> Vec<Result<Message, Infallible>> {
    let (fresh, has_gap) = match listener.look().await {
        Ok(it) => it,
        Err(err) => {
            // The stream stays open and goes on where it was once the store is back.
            tracing::warn!(error = %err, "cannot look for new events to stream");
            return Vec::new();
        }
    };
    let gap = has_gap.then(|| Message::default().event("gap").data("{}"));
    let events = fresh.iter().filter_map(|it| {
        let message = Message::default().event("event").id(it.id.to_string());
        message.json_data(EventSummaryJson::from(it)).ok()
    });
    gap.into_iter().chain(events).map(Ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_goes_back_by_the_overlap() {
        let id = EventId::new();
        let ms = |it: EventId| u64::try_from(it.uuid().as_u128() >> 80).unwrap();
        assert_eq!(ms(id) - ms(earlier(id)), 10_000);
        assert!(earlier(id) < id);
        let nil = EventId::from_uuid(Uuid::nil());
        assert_eq!(earlier(nil), nil);
    }
}
