//! Bulk work: what a job is, and one step of it.
//!
//! A job goes through deliveries (or, for a replay, through events) in the order of their ids, from the first to the last that
//! there was when it was made. Its cursor moves in the transaction that does a step's work, and only from where the
//! step began: a step that is done twice, by a replica that was thought dead, changes nothing the second time.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId, JobId},
    },
    event::delivery::Status,
    store::{
        Engine, Store, detached,
        error::StoreError,
        query::{DeliveryQuery, EventQuery, EventSummary, Page},
        record::NewDelivery,
        run,
    },
};

/// What a job does to all that it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The same deliveries again.
    Retry,
    /// New deliveries of stored events.
    Replay,
    /// Gives open deliveries up.
    Cancel,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Retry, Self::Replay, Self::Cancel];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Replay => "replay",
            Self::Cancel => "cancel",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The statuses of deliveries that it can change, the ones that it takes where nobody names one first.
    pub const fn takes(self) -> &'static [Status] {
        match self {
            Self::Retry => &[
                Status::Dead,
                Status::Cancelled,
                Status::Retrying,
                Status::Pending,
                Status::Delivered,
            ],
            Self::Cancel => &[
                Status::Pending,
                Status::Delivering,
                Status::Retrying,
                Status::Held,
            ],
            Self::Replay => &[],
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Paused,
    Cancelled,
    Done,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Cancelled, Self::Done];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// By which config a replay goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Config {
    /// By today's routes.
    #[default]
    Current,
    /// To where each event went when it came in, as its routes were then.
    Original,
}

impl Config {
    pub const ALL: [Self; 2] = [Self::Current, Self::Original];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Original => "original",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// What the store calls a job that does this. A replay by the config of then has a word of its own: a replica of an older version,
/// which would do it by today's, does not know the word and leaves the job alone.
pub(super) const fn stored_action(action: Action, config: Config) -> &'static str {
    match (action, config) {
        (Action::Replay, Config::Original) => "replay_original",
        _ => action.as_str(),
    }
}

pub(super) fn parse_stored_action(text: &str) -> Option<(Action, Config)> {
    let original = (Action::Replay, Config::Original);
    let all = Action::ALL.map(|it| (it, Config::Current));
    all.into_iter()
        .chain([original])
        .find(|(action, config)| stored_action(*action, *config) == text)
}

/// Which deliveries, or for a replay which events, a job is about: the conditions of the lists. All that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// An event type, or a prefix that ends in `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// At or after, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
    /// Before, in microseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

impl Filter {
    pub(super) fn as_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }

    pub fn status(&self) -> Option<Status> {
        self.status.as_deref().and_then(Status::parse)
    }

    /// The same as the list of deliveries asks it.
    pub(super) fn of_deliveries(&self) -> DeliveryQuery {
        DeliveryQuery {
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            event_id: self.event_id.as_deref().and_then(|it| it.parse().ok()),
            route: self.route.clone(),
            destination: self.destination.clone(),
            status: self.status(),
            cause: self.cause.clone(),
            after: self.after.map(Timestamp::from_micros),
            before: self.before.map(Timestamp::from_micros),
            q: self.q.clone(),
            ..DeliveryQuery::default()
        }
    }

    /// The same as the list of events asks it.
    pub(super) fn of_events(&self) -> EventQuery {
        EventQuery {
            source: self.source.clone(),
            event_type: self.event_type.clone(),
            after: self.after.map(Timestamp::from_micros),
            before: self.before.map(Timestamp::from_micros),
            status: self.status(),
            destination: self.destination.clone(),
            q: self.q.clone(),
            ..EventQuery::default()
        }
    }
}

/// What a replay sends to; nothing named: all of today's routes that take an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    pub route: Option<String>,
    pub destination: Option<String>,
    /// One that is in no config.
    pub url: Option<String>,
}

/// A job to be stored.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub action: Action,
    /// Of a replay; of what else it is today's.
    pub config: Config,
    pub filter: Filter,
    pub target: Target,
    /// At most so many deliveries or events a second.
    pub per_second: Option<u32>,
    /// The name of the token that asked for it.
    pub made_by: String,
    pub reason: Option<String>,
    /// What the plan counted.
    pub n_planned: u64,
}

/// A job as it is stored.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: JobId,
    pub action: Action,
    /// Of a replay; of what else it is today's.
    pub config: Config,
    pub state: State,
    pub filter: Filter,
    pub target: Target,
    pub per_second: Option<u32>,
    pub made_by: String,
    pub reason: Option<String>,
    pub reach: Reach,
    pub n_planned: u64,
    /// Found and worked off so far.
    pub n_matched: u64,
    /// Deliveries that were put back, made or given up.
    pub n_changed: u64,
    /// Of what was found, those with which nothing was to be done.
    pub n_skipped: u64,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// What is still to be looked at: all ids after the first up to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub after: Option<Uuid>,
    pub last: Uuid,
}

impl Reach {
    /// From the first row to whatever is last.
    pub const ALL: Self = Self {
        after: None,
        last: Uuid::max(),
    };

    /// As far as that row, where there is one.
    #[must_use]
    pub(super) fn up_to(self, edge: Option<Uuid>) -> Self {
        Self {
            last: edge.unwrap_or(self.last),
            ..self
        }
    }
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    pub state: Option<State>,
    /// Only replays to a URL.
    pub has_url: bool,
    pub limit: u32,
    pub cursor: Option<JobId>,
}

/// How much one look may take: rows that are looked at, and rows that are found.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub n_scanned: u32,
    pub n_found: u32,
}

/// What one look found, and where the next one begins.
#[derive(Debug, Clone)]
pub struct Look<T> {
    pub found: Vec<T>,
    /// Rows that were found and cannot be read. They are logged.
    pub n_damaged: u64,
    /// Everything up to here was looked at; `None`: there is nothing more.
    pub next: Option<Uuid>,
}

/// A delivery that a job found.
#[derive(Debug, Clone)]
pub struct FoundDelivery {
    pub id: DeliveryId,
    pub destination: Arc<str>,
    /// As it was then: a step changes nothing that has another one by now.
    pub status: Status,
}

/// So many deliveries of one kind.
#[derive(Debug, Clone)]
pub struct DeliveryTally {
    pub route: Arc<str>,
    pub destination: Arc<str>,
    pub status: Status,
    pub n_deliveries: u64,
}

/// So many events of one kind.
#[derive(Debug, Clone)]
pub struct EventTally {
    pub source: Arc<str>,
    pub event_type: Option<String>,
    pub n_events: u64,
}

/// So many events, by what became of them when they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalTally {
    /// All that the filter finds.
    Found(u64),
    /// They went that way.
    Went {
        route: Arc<str>,
        destination: Arc<str>,
        n_events: u64,
    },
    /// They went no way, or none that is asked for.
    Nowhere(u64),
    /// What some route of theirs did then is not known.
    NotKept(u64),
}

/// How long the last attempts at one destination took.
#[derive(Debug, Clone)]
pub struct Pace {
    pub destination: Arc<str>,
    /// The mean.
    pub duration: Duration,
    pub n_attempts: u64,
}

/// What one step of a job does.
#[derive(Debug, Clone)]
pub enum Work {
    Retry(Vec<FoundDelivery>),
    Cancel(Vec<FoundDelivery>),
    Replay(Vec<(EventId, NewDelivery)>),
}

/// One step: all of it, and the cursor on, or nothing.
#[derive(Debug, Clone)]
pub struct Step {
    pub job: JobId,
    /// Where the job's cursor is now: elsewhere by then, and the step is another's.
    pub from: Option<Uuid>,
    /// Where it goes; `None`: the job is done.
    pub to: Option<Uuid>,
    pub n_matched: u64,
    /// Of these, with how many nothing is to be done.
    pub n_skipped: u64,
    pub work: Work,
}

impl Store {
    /// A job over all that its filter finds among what there is now.
    pub async fn create_job(&self, new: NewJob, now: Timestamp) -> Result<Job, StoreError> {
        let id = JobId::new();
        run!(self, create_job(id, new, now))
    }

    pub async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        run!(self, job(id))
    }

    pub async fn jobs(&self, query: &JobQuery) -> Result<Page<Job, JobId>, StoreError> {
        let query = query.clone();
        run!(self, jobs(query))
    }

    /// Pauses a job, lets it go on, or cancels it: no step of it begins after the answer. `Conflict` for one that has ended.
    pub async fn move_job(&self, id: JobId, state: State, now: Timestamp) -> Result<Job, StoreError> {
        if let Some(job) = run!(self, move_job(id, state, now))? {
            return Ok(job);
        }
        let job = self.job(id).await?;
        Err(StoreError::Conflict {
            what: "job",
            id: id.to_string(),
            status: job.state.as_str().to_owned(),
            wanted: state.as_str(),
        })
    }

    /// The next deliveries that a retry or a cancel would change, in the order of their ids.
    pub async fn look_for_deliveries(
        &self,
        action: Action,
        filter: &Filter,
        reach: Reach,
        bounds: Bounds,
    ) -> Result<Look<FoundDelivery>, StoreError> {
        let filter = filter.clone();
        run!(self, look_for_deliveries(action, filter, reach, bounds))
    }

    /// The next events that a replay would deliver, in the order of their ids.
    pub async fn look_for_events(
        &self,
        filter: &Filter,
        reach: Reach,
        bounds: Bounds,
    ) -> Result<Look<EventSummary>, StoreError> {
        let filter = filter.clone();
        run!(self, look_for_events(filter, reach, bounds))
    }

    /// Counts what a retry or a cancel would change among the next `n_scanned` deliveries.
    pub async fn count_deliveries(
        &self,
        action: Action,
        filter: &Filter,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<DeliveryTally>, StoreError> {
        let filter = filter.clone();
        run!(self, count_deliveries(action, filter, reach, n_scanned))
    }

    /// Counts what a replay would deliver among the next `n_scanned` events.
    pub async fn count_events(
        &self,
        filter: &Filter,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<EventTally>, StoreError> {
        let filter = filter.clone();
        run!(self, count_events(filter, reach, n_scanned))
    }

    /// Counts what a replay by the config of then would deliver among the next `n_scanned` events.
    pub async fn count_originals(
        &self,
        filter: &Filter,
        target: &Target,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<OriginalTally>, StoreError> {
        let (filter, target) = (filter.clone(), target.clone());
        run!(self, count_originals(filter, target, reach, n_scanned))
    }

    /// How many deliveries to this destination are due and in nobody's hands; counted no further than `at_most`.
    pub async fn n_waiting(
        &self,
        destination: &str,
        now: Timestamp,
        at_most: u32,
    ) -> Result<u32, StoreError> {
        let destination = destination.to_owned();
        run!(self, n_waiting(destination, now, at_most))
    }

    /// How long the last attempts took, by destination.
    pub async fn paces(&self) -> Result<Vec<Pace>, StoreError> {
        run!(self, paces())
    }

    /// Does one step of a running job and moves its cursor on, both or neither. False: the job does not run any more, or
    /// its cursor is elsewhere, and nothing was done.
    pub async fn advance_job(&self, step: Step, now: Timestamp) -> Result<bool, StoreError> {
        run!(self, advance_job(step, now))
    }
}
