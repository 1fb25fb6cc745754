//! What the answers of the database mean for the rows of a batch; the same for both engines.

use uuid::Uuid;

use crate::{
    base::ids::{EventId, RequestId},
    event::attempt::Outcome,
    store::{
        error::StoreError,
        record::{NewEvent, Recorded},
        rejected::RejectedRequest,
    },
};

/// The cause of a newcomer whose key is known with another body.
const CONFLICT: &str = "conflict";

/// What the store holds under a key that a row of the batch asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) idx: usize,
    pub(super) id: Uuid,
    pub(super) is_same_body: bool,
}

/// The answers to the rows that were not inserted, to be counted before they are given.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    pub(super) answers: Vec<(usize, Recorded)>,
    pub(super) n_conflicts: usize,
    pub(super) conflicts: Vec<RejectedRequest>,
}

impl Repeats {
    /// A row that the store holds under its own id was committed by an earlier try whose answer was lost: it is no
    /// repeat. It and its tally are in the store already.
    pub(super) fn of(batch: &[NewEvent], known: &[Known]) -> Self {
        let mut res = Self::default();
        for it in known {
            let new = &batch[it.idx];
            let stored = EventId::from_uuid(it.id);
            let answer = if stored == new.event.id {
                Recorded::Accepted
            } else if it.is_same_body {
                Recorded::Duplicate(stored)
            } else {
                res.n_conflicts += 1;
                res.conflicts.push(conflict(new, stored));
                Recorded::Conflict(stored)
            };
            res.answers.push((it.idx, answer));
        }
        res
    }

    /// Conflicts included.
    pub(super) fn n_duplicates(&self) -> usize {
        let is_repeat = |it: &&(usize, Recorded)| it.1 != Recorded::Accepted;
        self.answers.iter().filter(is_repeat).count()
    }
}

fn conflict(new: &NewEvent, stored: EventId) -> RejectedRequest {
    let event = &new.event;
    RejectedRequest {
        id: RequestId::new(),
        source: event.source.clone(),
        cause: CONFLICT.to_owned(),
        explanation: format!("`{stored}` has the same id but another body"),
        received_at: event.received_at,
        method: "POST".to_owned(),
        target: event.target(),
        client: None,
        headers: event.headers.clone(),
        body: Some(event.body.clone()),
        size: event.body.len() as u64,
        accepted_as: None,
    }
}

/// The answers in the order of the batch.
#[derive(Debug)]
pub(super) struct Answers(Vec<Option<Recorded>>);

impl Answers {
    pub(super) fn new(len: usize) -> Self {
        Self(vec![None; len])
    }

    pub(super) fn set(&mut self, idx: usize, answer: Recorded) {
        self.0[idx] = Some(answer);
    }

    /// The rows that have none yet.
    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|&idx| self.0[idx].is_none()).collect()
    }

    pub(super) fn finish(self) -> Result<Vec<Recorded>, StoreError> {
        self.0
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| StoreError::Unavailable {
                reason: "events that repeat others were removed while they were looked up".to_owned(),
                source: None,
            })
    }
}

/// What an outcome makes of a delivery: status and time of the next attempt.
pub(super) fn next(outcome: &Outcome) -> (&'static str, Option<crate::store::value::Time>) {
    use crate::{event::delivery::Status, store::value::Time};
    match outcome {
        Outcome::Delivered => (Status::Delivered.as_str(), None),
        Outcome::Retry { at } => (Status::Retrying.as_str(), Some(Time(*at))),
        Outcome::Dead => (Status::Dead.as_str(), None),
    }
}
