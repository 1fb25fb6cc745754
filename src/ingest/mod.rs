//! Accepting one request: verify, fan out, commit, answer.
//!
//! `Ingest::accept` is the hot path. What it answers with 2xx is in the store; its own faults are 503, never 4xx. It knows
//! nothing of HTTP servers (`web` reads the request) and nothing of the pool: they meet in the store, or in a place that
//! the pool offered there.
//!
//! Imports: `base`, `event`, `provider`, `store`, `route`, `telemetry`, `source`, `registry`.

pub mod batch;
pub mod fanout;
#[cfg(feature = "trial")]
mod flawed;
pub mod import;
pub mod limits;
pub mod reaccept;
pub mod rejections;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;

use crate::{
    base::{
        clock::{Timestamp, wall_now},
        ids::EventId,
        metrics::Metrics,
        trial::{self, Flaw, Point},
    },
    ingest::{
        batch::{Batcher, NotRecorded},
        fanout::{Fanned, Fanout},
        limits::{ByteBudget, Rates},
        rejections::Rejections,
    },
    provider::Answer,
    registry::Registry,
    source::{
        Received, Request, Source, Verified,
        asking::Asking,
        keys::{Keys, Moment},
        receive,
    },
    store::{Store, clock::StoreClock, handover::Handover, record::Recorded, wake::Wake},
    telemetry::{Tracer, arrival::Arrival},
};

#[derive(Debug, Clone)]
pub struct Settings {
    /// The most rows of one commit.
    pub max_batch: usize,
    /// The most bytes of bodies that are being read or wait for their commit, over all requests.
    pub max_bytes_in_flight: u64,
    /// How long a request waits for its commit before it gets 503.
    pub ack_timeout: Duration,
    /// The most bytes of a rejected request's body that are kept.
    pub max_rejected_body: u64,
}

/// What the sender is told.
#[derive(Debug)]
pub enum Reply {
    Accepted(EventId),
    Duplicate(EventId),
    /// Answered as a duplicate: the source has an event of this id with another body.
    Conflict(EventId),
    /// A handshake, answered as the provider wants it.
    Answer(Answer),
    /// 401. The cause is for the operator, never for the sender.
    Rejected {
        cause: &'static str,
    },
    /// 503: our own fault.
    Unavailable {
        retry_after: Duration,
        reason: &'static str,
    },
}

/// What a sender is asked to wait after one of our own faults.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A body of at least this many bytes is verified and filtered off the runtime's threads, so that it holds up nobody else.
const LARGE_BODY: usize = 256 * 1024;

/// The hot path. Clones share everything.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Store,
    registry: Registry,
    keys: Keys,
    batcher: Batcher,
    rejections: Rejections,
    fanout: Fanout,
    budget: ByteBudget,
    rates: Rates,
    clock: StoreClock,
    tracer: Tracer,
    ack_timeout: Duration,
}

/// What `Ingest` is built from.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub registry: Registry,
    pub asking: Asking,
    pub metrics: Metrics,
    pub clock: StoreClock,
    /// Absent where this process delivers nothing.
    pub handover: Option<Handover>,
    pub wake: Wake,
    pub tracer: Tracer,
    /// How long a handed-over delivery is this process's.
    pub lease: Duration,
}

impl Ingest {
    pub fn new(settings: &Settings, parts: Parts) -> Self {
        let batcher = Batcher::new(
            parts.store.clone(),
            parts.metrics.clone(),
            parts.wake,
            settings.max_batch,
        );
        let rejections = Rejections::new(
            parts.store.clone(),
            parts.metrics.clone(),
            settings.max_rejected_body,
        );
        Self {
            fanout: Fanout::new(parts.clock.clone(), parts.handover, parts.lease),
            budget: ByteBudget::new(settings.max_bytes_in_flight),
            rates: Rates::default(),
            clock: parts.clock,
            tracer: parts.tracer,
            ack_timeout: settings.ack_timeout,
            store: parts.store,
            registry: parts.registry,
            keys: Keys::new(parts.asking),
            batcher,
            rejections,
        }
    }

    /// The commits, to be run as critical tasks by the supervisor.
    pub const fn batcher(&self) -> &Batcher {
        &self.batcher
    }

    /// The writer of rejected requests, to be run as a critical task by the supervisor.
    pub const fn rejections(&self) -> &Rejections {
        &self.rejections
    }

    /// The time by which events are kept and given up: the store's, which no wrong clock of this machine changes.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The span of a request whose head was in by then.
    pub fn arrival(&self, started_at: Instant) -> Arrival {
        self.tracer.arrival(started_at)
    }

    /// Room for a body of so many bytes, under `max_bytes_in_flight`. `None`: answer 503. Taken before the body is read.
    pub fn admit(&self, n_bytes: u64) -> Option<OwnedSemaphorePermit> {
        self.budget.admit(n_bytes)
    }

    /// How long to wait, where the source is over its own rate. Counts this request.
    pub fn is_over_rate(&self, source: &Source) -> Option<Duration> {
        self.rates.is_over(source)
    }

    /// One request, from its bytes to its answer. `room` is held until the commit, also when the caller goes away.
    pub async fn accept(
        &self,
        source: &Arc<Source>,
        request: Request,
        room: OwnedSemaphorePermit,
        arrival: &mut Arrival,
    ) -> Reply {
        arrival.read(&request.headers);
        #[cfg(feature = "trial")]
        if flawed::is_seen_before_verified(source, &request) {
            return Reply::Duplicate(EventId::new());
        }
        let verified = self.verify(source, request).await;
        arrival.verified();
        let (request, received) = match verified {
            Ok(it) => it,
            Err(reason) => return unavailable(reason),
        };
        let verified = match received {
            Received::Verified(verified) => verified,
            Received::Answer(answer) => return Reply::Answer(answer),
            Received::HandedOver(answer, rejection) => {
                tracing::warn!(source = %source.name(), "{rejection}; `gatepost requests list --source {}` finds it", source.name());
                self.rejections.push(source, request, &rejection);
                return Reply::Answer(answer);
            }
            Received::Noted(answer, rejection) => {
                self.rejections.push(source, request, &rejection);
                return Reply::Answer(answer);
            }
            Received::Confirm { url, answer } => return self.confirm(source, &url, answer).await,
            Received::NeedsKey(_) => return unavailable("a key that was fetched is missing"),
            Received::Rejected(rejection) => {
                self.rejections.push(source, request, &rejection);
                return Reply::Rejected {
                    cause: rejection.code,
                };
            }
        };

        trial::point(Point::Verified);
        #[cfg_attr(
            not(feature = "trial"),
            expect(unused_mut, reason = "changed by a flaw alone")
        )]
        let Some(mut fanned) = self.fan_out(source, request, verified).await else {
            return unavailable("a filter failed to run");
        };
        let id = fanned.event.event.id;
        #[cfg(feature = "trial")]
        if flawed::is_found_by_check(&self.store, &mut fanned.event).await {
            return Reply::Duplicate(id);
        }

        let waiter = self.batcher.push(fanned, room);
        if trial::has(Flaw::AcknowledgeBeforeCommit) {
            return Reply::Accepted(id);
        }
        let recorded = tokio::time::timeout(self.ack_timeout, waiter).await;
        arrival.stored();
        match recorded {
            Ok(Ok(Recorded::Accepted)) => Reply::Accepted(id),
            Ok(Ok(Recorded::Duplicate(first))) => Reply::Duplicate(first),
            Ok(Ok(Recorded::Conflict(first))) => {
                let source = source.name();
                tracing::warn!(%source, event.id = %first, "`{source}` sent {first} again with another body");
                Reply::Conflict(first)
            }
            Ok(Err(NotRecorded { reason })) => unavailable(reason),
            // The commit goes on; if it succeeds, the sender's retry is answered as a duplicate.
            Err(_elapsed) if trial::has(Flaw::TimeoutIsAcknowledged) => Reply::Accepted(id),
            Err(_elapsed) => unavailable("the store is slow"),
        }
    }

    /// `None` only if it panicked: a fault of ours.
    async fn fan_out(&self, source: &Arc<Source>, request: Request, verified: Verified) -> Option<Fanned> {
        let is_short = request.body.len() < LARGE_BODY || {
            let snapshot = self.registry.current();
            !snapshot.routes_of(source.name()).iter().any(|it| it.reads_body())
        };
        if is_short {
            return Some(
                self.fanout
                    .fan_out(&self.registry.current(), source, request, &verified),
            );
        }
        let snapshot = Arc::clone(&self.registry.current());
        let (fanout, source) = (self.fanout.clone(), Arc::clone(source));
        let work = move || fanout.fan_out(&snapshot, &source, request, &verified);
        tokio::task::spawn_blocking(work).await.ok()
    }
}

const fn unavailable(reason: &'static str) -> Reply {
    Reply::Unavailable {
        retry_after: RETRY_AFTER,
        reason,
    }
}

impl Ingest {
    /// Errors are faults of ours: nothing is known of the request.
    async fn verify(
        &self,
        source: &Arc<Source>,
        request: Request,
    ) -> Result<(Request, Received), &'static str> {
        let verified = verify(source, request).await;
        let (request, received) = verified.ok_or("verification failed to run")?;
        let Received::NeedsKey(name) = received else {
            return Ok((request, received));
        };
        let now = Moment::now();
        let named = self.keys.receive_named(source, &name, &request, now.wall, now);
        match named.await {
            Ok(received) => Ok((request, received)),
            Err(_unavailable) => Err("the sender's key cannot be had"),
        }
    }

    /// The sender tries again until the confirmation was taken.
    async fn confirm(&self, source: &Source, url: &str, answer: Answer) -> Reply {
        let source_name = source.name();
        match self.keys.asking().confirm(source, url).await {
            Ok(()) => {
                tracing::info!(source = %source_name, "confirmed the subscription of `{source_name}`");
                Reply::Answer(answer)
            }
            Err(no_answer) => {
                tracing::warn!(source = %source_name, "the subscription of `{source_name}` is not confirmed: {no_answer}");
                unavailable("the sender did not take the confirmation")
            }
        }
    }
}

/// `None` only if the verifier panicked: a fault of ours, so never taken for verified.
async fn verify(source: &Arc<Source>, request: Request) -> Option<(Request, Received)> {
    if request.body.len() < LARGE_BODY {
        let received = receive(source, &request, wall_now());
        return Some((request, received));
    }
    let source = Arc::clone(source);
    let work = move || {
        let received = receive(&source, &request, wall_now());
        (request, received)
    };
    tokio::task::spawn_blocking(work).await.ok()
}
