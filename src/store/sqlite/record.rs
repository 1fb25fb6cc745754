//! Recording events, their deliveries and their tally.

use std::sync::atomic::Ordering;

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, RequestId},
        trial::{self, Point},
    },
    store::{
        error::StoreError,
        fold::{Answers, Known, Repeats},
        record::{NewDelivery, NewEvent, Recorded, Start, query},
        sqlite::{
            Engine,
            once::repeat,
            reject::{Counts, add_counts, insert_requests},
        },
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn record(&self, batch: Vec<NewEvent>) -> Result<Vec<Recorded>, StoreError> {
        let recorded = self.commit_events(batch).await;
        let is_suspect = recorded.as_ref().is_err_and(|it| !it.is_row_fault());
        self.is_suspect.store(is_suspect, Ordering::Relaxed);
        recorded
    }

    async fn commit_events(&self, batch: Vec<NewEvent>) -> Result<Vec<Recorded>, StoreError> {
        let now = self.clock.now();
        let answers = self
            .transact(move |transaction| {
                let answers = record(transaction, &batch, None, now)?;
                trial::point(Point::RowsSent);
                trial::shortly_after(Point::CommitSent);
                Ok(answers)
            })
            .await?;
        // Only now, because it may have happened meanwhile: what nobody will find must not be acknowledged.
        self.assert_same_file()?;
        Ok(answers)
    }
}

/// `kept_as`: a conflict is the rejected request of that id already, so that no second one is kept.
pub(super) fn record(
    transaction: &Transaction<'_>,
    batch: &[NewEvent],
    kept_as: Option<RequestId>,
    now: Timestamp,
) -> Result<Vec<Recorded>, StoreError> {
    let mut answers = Answers::new(batch.len());
    let mut known = Vec::new();
    let mut fresh = Counts::default();
    for (idx, new) in batch.iter().enumerate() {
        if insert_event(transaction, new)? {
            answers.set(idx, Recorded::Accepted);
            fresh.received += 1;
            let event = &new.event;
            for delivery in &new.deliveries {
                let created_at = event.received_at.min(now);
                fresh.deliveries += match repeat(transaction, delivery, created_at)? {
                    None => insert_delivery(transaction, event.id, created_at, delivery)?,
                    Some(start) => {
                        let skipped = NewDelivery {
                            start,
                            ..delivery.clone()
                        };
                        insert_delivery(transaction, event.id, created_at, &skipped)?
                    }
                };
            }
        } else {
            known.extend(known_event(transaction, idx, new)?);
        }
    }
    let repeats = Repeats::of(batch, &known);
    if kept_as.is_none() {
        insert_requests(transaction, &repeats.conflicts)?;
    }
    for &(idx, answer) in &repeats.answers {
        answers.set(idx, answer);
    }
    add_counts(transaction, fresh + Counts::of_repeats(&repeats))?;
    answers.finish()
}

/// Whether it went in: otherwise its key, or without a key its id, is there already.
fn insert_event(transaction: &Transaction<'_>, new: &NewEvent) -> Result<bool, StoreError> {
    let event = &new.event;
    let mut insert = transaction.prepare_cached(include_str!("sql/insert_event.sql"))?;
    let n_rows = insert.execute(params![
        event.id.uuid().as_bytes(),
        clean(&event.source),
        new.key.as_ref().map(|it| &it.0[..]),
        &new.body_hash.0[..],
        event.external_id.as_deref().map(clean),
        event.event_type.as_deref().map(clean),
        event.origin.as_str(),
        event.binding.as_str(),
        event.occurred_at.map(Time),
        Time(event.received_at),
        &event.headers.as_encoded()[..],
        &event.body[..],
        query(event),
    ])?;
    Ok(n_rows == 1)
}

/// How many rows that were: none, where it is there already.
pub(super) fn insert_delivery(
    transaction: &Transaction<'_>,
    event: EventId,
    created_at: Timestamp,
    delivery: &NewDelivery,
) -> Result<i64, StoreError> {
    let claimed = delivery.start.claimed();
    let skip = delivery.start.skip();
    let status = match delivery.start {
        Start::Due { .. } => "pending",
        Start::Claimed(_) => "delivering",
        Start::Skipped(_) => "skipped",
    };
    let mut insert = transaction.prepare_cached(include_str!("sql/insert_delivery.sql"))?;
    let n_rows = insert.execute(params![
        delivery.id.uuid().as_bytes(),
        event.uuid().as_bytes(),
        clean(&delivery.route),
        clean(&delivery.destination),
        delivery.origin.as_str(),
        status,
        i64::from(claimed.is_some()),
        claimed.map(|it| *it.worker.uuid().as_bytes()),
        claimed.map(|it| Time(it.lease_until)),
        delivery.start.due_after().map(|it| Time(created_at.plus(it))),
        skip.map(|it| it.cause.as_str()),
        skip.map(|it| clean(&it.reason)),
        delivery.position.map(|it| it.mode.as_str()),
        delivery.position.as_ref().map(|it| &it.key.0[..]),
        delivery.position.map(|it| Time(it.at)),
        Time(created_at),
        delivery.program.map(|it| *it.uuid().as_bytes()),
    ])?;
    Ok(i64::from(n_rows == 1))
}

/// What is stored under the key, or without a key under the id, of an event that was not inserted.
fn known_event(
    transaction: &Transaction<'_>,
    idx: usize,
    new: &NewEvent,
) -> Result<Option<Known>, StoreError> {
    let mut select = transaction.prepare_cached(include_str!("sql/known_event.sql"))?;
    let id = new.event.id.uuid();
    let asked = params![
        new.key.as_ref().map(|it| &it.0[..]),
        new.event.external_id.as_deref().map(clean),
        &new.body_hash.0[..],
        id.as_bytes(),
    ];
    let known = select.query_row(asked, |row| {
        Ok(Known {
            idx,
            id: Uuid::from_bytes(row.get(0)?),
            is_same_body: row.get(1)?,
        })
    });
    Ok(known.optional()?)
}
