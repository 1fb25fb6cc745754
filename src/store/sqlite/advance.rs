//! Doing a step of a job.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        job::{FoundDelivery, Step, Work},
        sqlite::{
            Engine,
            record::insert_delivery,
            reject::{Counts, add_counts},
        },
        value::{Time, signed},
    },
};

impl Engine {
    pub(in crate::store) async fn advance_job(&self, step: Step, now: Timestamp) -> Result<bool, StoreError> {
        self.transact(move |transaction| advance(transaction, &step, now))
            .await
    }
}

/// Whether the step was this one's to do.
fn advance(transaction: &Transaction<'_>, step: &Step, now: Timestamp) -> Result<bool, StoreError> {
    let id = step.job.uuid();
    let is_at_start: Option<bool> = transaction
        .query_row(
            "select cursor is ?2 from job where id = ?1 and state = 'running'",
            params![id.as_bytes(), step.from.map(|it| *it.as_bytes())],
            |row| row.get(0),
        )
        .optional()?;
    if is_at_start != Some(true) {
        return Ok(false);
    }
    let mut n_skipped = step.n_skipped;
    let n_changed = match &step.work {
        Work::Retry(found) => change(
            transaction,
            include_str!("sql/requeue_found.sql"),
            found,
            Some(now),
        )?,
        Work::Cancel(found) => change(transaction, include_str!("sql/cancel_found.sql"), found, None)?,
        Work::Replay(deliveries) => {
            let mut counts = Counts::default();
            for (event, delivery) in deliveries {
                let is_there = transaction
                    .prepare_cached("select 1 from event where id = ?1")?
                    .exists([event.uuid().as_bytes()])?;
                // Retention may have taken it since it was looked at.
                if is_there {
                    counts.deliveries += insert_delivery(transaction, *event, now, delivery)?;
                }
            }
            add_counts(transaction, counts)?;
            u64::try_from(counts.deliveries).unwrap_or(0)
        }
    };
    if let Work::Retry(found) | Work::Cancel(found) = &step.work {
        n_skipped += (found.len() as u64).saturating_sub(n_changed);
    }
    transaction
        .prepare_cached(include_str!("sql/advance_job.sql"))?
        .execute(params![
            id.as_bytes(),
            step.to.map(|it| *it.as_bytes()),
            signed(step.n_matched),
            signed(n_changed),
            signed(n_skipped),
            Time(now),
        ])?;
    Ok(true)
}

/// How many of them were still as they were found.
fn change(
    transaction: &Transaction<'_>,
    sql: &str,
    found: &[FoundDelivery],
    due_at: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let mut update = transaction.prepare_cached(sql)?;
    let mut n_changed = 0;
    for it in found {
        let (id, status) = (it.id.uuid(), it.status.as_str());
        n_changed += match due_at {
            Some(at) => update.execute(params![id.as_bytes(), status, Time(at)])?,
            None => update.execute(params![id.as_bytes(), status])?,
        };
    }
    Ok(n_changed as u64)
}
