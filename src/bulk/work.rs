//! Works jobs off: one replica at a time, a batch of each running job in turn.
//!
//! A batch is small and is followed by a rest, so that what comes in hardly waits for it. It puts no more into the queue of a
//! destination than that takes in a while: what arrives meanwhile does not wait behind a million, and a job that is paused
//! or cancelled has little left on its way.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    base::ids::JobId,
    bulk::{
        Context, guests,
        replay::{self, NotOriginal},
    },
    event::{Event, headers::Headers},
    registry::Snapshot,
    store::{
        error::StoreError,
        job::{Action, Bounds, Config, FoundDelivery, Job, JobQuery, State, Step, Work},
        query::{EventSummary, MAX_LIMIT},
        record::{NewDelivery, Start},
    },
};

/// How soon a job that was made, or let go on, is seen.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A replica that dies is followed by another after that.
const LEASE: Duration = Duration::from_secs(5);
/// Deliveries or events of one step, at most.
const BATCH: u32 = 200;
/// Of a job that has a rate.
const STEPS_A_SECOND: u32 = 20;
/// Rows that one step goes over to find them.
const SCAN: u32 = 5_000;
/// After a step, so many times as long as it took nothing is done for the job.
const REST: u32 = 2;
/// So many deliveries to one destination wait at most, for the work of jobs.
const MAX_WAITING: u32 = 1_000;
/// How soon a destination with a full queue is looked at again.
const FULL_FOR: Duration = Duration::from_millis(50);
/// After a fault.
const FAULT_FOR: Duration = Duration::from_secs(1);

/// Works off whatever runs, until stopped.
pub async fn run(context: Context, stop: CancellationToken) {
    let mut worker = Worker {
        context,
        leased_until: None,
        next_at: HashMap::new(),
    };
    loop {
        let wait = worker.turn().await.unwrap_or_else(|error| {
            worker.note(&error);
            FAULT_FOR
        });
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => (),
        }
    }
}

struct Worker {
    context: Context,
    /// Until when jobs are this process's work.
    leased_until: Option<Instant>,
    /// When each job's next step may begin.
    next_at: HashMap<JobId, Instant>,
}

/// What became of a step.
enum Stepped {
    /// So much was found.
    Found(u64),
    /// All that it found goes to destinations that have enough to do.
    Full,
    /// The job was paused, cancelled, or worked on by another.
    Lost,
}

impl Worker {
    /// A step of each job that is due. Says when to come back.
    async fn turn(&mut self) -> Result<Duration, StoreError> {
        let running = JobQuery {
            state: Some(State::Running),
            limit: MAX_LIMIT,
            ..JobQuery::default()
        };
        let jobs = self.context.store.jobs(&running).await?.rows;
        self.next_at.retain(|id, _| jobs.iter().any(|it| it.id == *id));
        if jobs.is_empty() || !self.is_ours().await? {
            return Ok(LOOK_EVERY);
        }
        let mut wait = LOOK_EVERY;
        // The oldest first.
        for job in jobs.iter().rev() {
            let now = Instant::now();
            let next_at = self.next_at.get(&job.id).copied().unwrap_or(now);
            if next_at <= now {
                let rest = match self.step(job).await {
                    Ok(stepped) => rest(job, &stepped, now.elapsed()),
                    Err(error) => {
                        self.note(&error);
                        FAULT_FOR
                    }
                };
                self.next_at.insert(job.id, Instant::now() + rest);
                wait = wait.min(rest);
            } else {
                wait = wait.min(next_at - now);
            }
        }
        Ok(wait)
    }

    /// Whether jobs are this process's work for now. The lease is renewed when half of it is over.
    async fn is_ours(&mut self) -> Result<bool, StoreError> {
        let now = Instant::now();
        if self.leased_until.is_some_and(|until| now + LEASE / 2 < until) {
            return Ok(true);
        }
        let store_now = self.context.clock.now();
        let is_ours = self
            .context
            .store
            .lease("jobs", self.context.worker, store_now, store_now.plus(LEASE))
            .await?;
        self.leased_until = is_ours.then(|| now + LEASE);
        Ok(is_ours)
    }

    async fn step(&self, job: &Job) -> Result<Stepped, StoreError> {
        // A slow job is done in small bites, so that its rate is even, and who writes meanwhile waits for few rows.
        let n_found = job
            .per_second
            .map_or(BATCH, |it| (it / STEPS_A_SECOND).clamp(1, BATCH));
        let bounds = Bounds {
            n_scanned: SCAN,
            n_found,
        };
        let (step, destinations) = match job.action {
            Action::Retry | Action::Cancel => self.change(job, bounds).await?,
            Action::Replay => self.replay(job, bounds).await?,
        };
        if self.are_full(&destinations).await? {
            return Ok(Stepped::Full);
        }
        let (n_matched, is_last) = (step.n_matched, step.to.is_none());
        let is_done = self
            .context
            .store
            .advance_job(step, self.context.clock.now())
            .await?;
        if !is_done {
            return Ok(Stepped::Lost);
        }
        self.context.wake.now();
        if is_last {
            tracing::info!(job.id = %job.id, "job {} ({}) is done", job.id, job.action.as_str());
        }
        Ok(Stepped::Found(n_matched))
    }

    /// The next step of a retry or a cancel, and where its deliveries will wait.
    async fn change(&self, job: &Job, bounds: Bounds) -> Result<(Step, BTreeSet<Arc<str>>), StoreError> {
        let look = self
            .context
            .store
            .look_for_deliveries(job.action, &job.filter, job.reach, bounds)
            .await?;
        let is_retry = job.action == Action::Retry;
        let snapshot = self.context.registry.current();
        // What goes to one that left the config waits in any case, and must not hold up the rest.
        let is_there = |it: &&FoundDelivery| is_retry && snapshot.destinations.contains_key(&it.destination);
        let destinations = look.found.iter().filter(is_there);
        let destinations = destinations.map(|it| Arc::clone(&it.destination)).collect();
        let step = Step {
            job: job.id,
            from: job.reach.after,
            to: look.next,
            n_matched: look.found.len() as u64 + look.n_damaged,
            n_skipped: look.n_damaged,
            work: if is_retry {
                Work::Retry(look.found)
            } else {
                Work::Cancel(look.found)
            },
        };
        Ok((step, destinations))
    }

    /// The next step of a replay, and where its deliveries will wait.
    async fn replay(&self, job: &Job, bounds: Bounds) -> Result<(Step, BTreeSet<Arc<str>>), StoreError> {
        let store = &self.context.store;
        let look = store.look_for_events(&job.filter, job.reach, bounds).await?;
        let snapshot = Arc::clone(&self.context.registry.current());
        let mut made = Vec::new();
        let mut n_skipped = look.n_damaged;
        let n_matched = look.found.len() as u64 + look.n_damaged;
        for found in look.found {
            let id = found.id;
            let Some(event) = self.event(&snapshot, job, found).await? else {
                n_skipped += 1;
                continue;
            };
            let mut deliveries = match job.config {
                Config::Current => replay::deliveries(&snapshot, &event, &job.target),
                Config::Original => self.originals(&snapshot, job, &event).await?,
            };
            if job.target.url.is_some() {
                let guest = guests::name(job.id);
                for it in &mut deliveries {
                    it.destination = Arc::clone(&guest);
                }
            }
            n_skipped += u64::from(deliveries.is_empty());
            made.extend(deliveries.into_iter().map(|it| (id, it)));
        }
        // What went to one that left the config waits in any case, as a retry's does.
        let is_there = |it: &NewDelivery| {
            job.target.url.is_some() || snapshot.destinations.contains_key(&it.destination)
        };
        let is_sent = |start: &Start| !matches!(start, Start::Skipped(_));
        let destinations = made
            .iter()
            .filter(|(_, it)| is_sent(&it.start) && is_there(it))
            .map(|(_, it)| Arc::clone(&it.destination))
            .collect();
        let step = Step {
            job: job.id,
            from: job.reach.after,
            to: look.next,
            n_matched,
            n_skipped,
            work: Work::Replay(made),
        };
        Ok((step, destinations))
    }

    /// None for an event that a single replay would refuse.
    async fn originals(
        &self,
        snapshot: &Snapshot,
        job: &Job,
        event: &Event,
    ) -> Result<Vec<NewDelivery>, StoreError> {
        match replay::originals(&self.context.store, snapshot, event, &job.target).await {
            Ok(deliveries) => Ok(deliveries),
            Err(NotOriginal::Store(error)) => Err(error),
            Err(why) => {
                tracing::debug!(event.id = %event.id, job.id = %job.id, "job {} leaves out event {}: {why}", job.id, event.id);
                Ok(Vec::new())
            }
        }
    }

    /// What is known of an event to say where it goes; with its body, only where a route reads that. `None`: it is gone, or
    /// cannot be read.
    async fn event(
        &self,
        snapshot: &Snapshot,
        job: &Job,
        found: EventSummary,
    ) -> Result<Option<Event>, StoreError> {
        let reads_body = match job.config {
            Config::Current => replay::reads_body(snapshot, &found.source, &job.target),
            // A route of then may be one of another source today.
            Config::Original => snapshot.routes.iter().any(|it| it.reads_body()),
        };
        if !reads_body {
            return Ok(Some(without_body(found)));
        }
        match self.context.store.event(found.id).await {
            Ok(event) => Ok(Some(event)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::warn!(event.id = %found.id, "a job leaves out event {}: {error}", found.id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether every one of these has as much to do as jobs may give it.
    async fn are_full(&self, destinations: &BTreeSet<Arc<str>>) -> Result<bool, StoreError> {
        let now = self.context.clock.now();
        for it in destinations {
            let n_waiting = self.context.store.n_waiting(it, now, MAX_WAITING).await?;
            if n_waiting < MAX_WAITING {
                return Ok(false);
            }
        }
        Ok(!destinations.is_empty())
    }

    fn note(&self, error: &StoreError) {
        self.context.metrics.store_error(error.kind());
        tracing::warn!("could not go on with a job: {error}");
    }
}

/// How long nothing is done for the job after a step.
fn rest(job: &Job, stepped: &Stepped, took: Duration) -> Duration {
    match stepped {
        Stepped::Full => FULL_FOR,
        Stepped::Lost => LOOK_EVERY,
        Stepped::Found(n) => {
            let n = u32::try_from(*n).unwrap_or(u32::MAX);
            let by_rate = job.per_second.map(|it| Duration::from_secs(n.into()) / it.max(1));
            // The step itself was part of the time that its rate gives it.
            by_rate.unwrap_or_default().saturating_sub(took).max(took * REST)
        }
    }
}

fn without_body(found: EventSummary) -> Event {
    Event {
        id: found.id,
        source: found.source,
        external_id: found.external_id,
        event_type: found.event_type,
        origin: found.origin,
        binding: found.binding,
        occurred_at: found.occurred_at,
        received_at: found.received_at,
        query: String::new(),
        headers: Headers::default(),
        body: Bytes::new(),
    }
}
