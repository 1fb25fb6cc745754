//! Rejected requests: keeping, counting, and accepting one after all.

use std::ops::Add;

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, RequestId},
        trial::{self, Flaw},
    },
    store::{
        error::StoreError,
        fold::Repeats,
        record::{NewEvent, Recorded},
        rejected::{RejectedCount, RejectedRequest},
        sqlite::{Engine, record::record},
        value::{Time, clean, signed},
    },
};

/// What is added to the tally.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) received: i64,
    pub(super) rejected: i64,
    pub(super) duplicates: i64,
    pub(super) conflicts: i64,
    pub(super) deliveries: i64,
}

impl Counts {
    pub(super) fn of_repeats(repeats: &Repeats) -> Self {
        let n_duplicates = signed(repeats.n_duplicates() as u64);
        Self {
            received: n_duplicates,
            duplicates: if trial::has(Flaw::DuplicatesUncounted) {
                0
            } else {
                n_duplicates
            },
            conflicts: signed(repeats.n_conflicts as u64),
            ..Self::default()
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            rejected: self.rejected + other.rejected,
            duplicates: self.duplicates + other.duplicates,
            conflicts: self.conflicts + other.conflicts,
            deliveries: self.deliveries + other.deliveries,
        }
    }
}

pub(super) fn add_counts(transaction: &Transaction<'_>, counts: Counts) -> Result<(), StoreError> {
    let mut update = transaction.prepare_cached(include_str!("sql/add_counts.sql"))?;
    update.execute(params![
        counts.received,
        counts.rejected,
        counts.duplicates,
        counts.conflicts,
        counts.deliveries,
    ])?;
    Ok(())
}

impl Engine {
    pub(in crate::store) async fn reject(
        &self,
        batch: Vec<RejectedRequest>,
        only_counted: Vec<RejectedCount>,
    ) -> Result<(), StoreError> {
        let n_counted: u64 = only_counted.iter().map(|it| it.n_requests).sum();
        let n_requests = signed(n_counted.saturating_add(batch.len() as u64));
        if n_requests == 0 {
            return Ok(());
        }
        let counts = Counts {
            received: n_requests,
            rejected: n_requests,
            ..Counts::default()
        };
        self.transact(move |transaction| {
            insert_requests(transaction, &batch)?;
            add_counts(transaction, counts)
        })
        .await
    }

    pub(in crate::store) async fn accept_rejected(
        &self,
        request: RequestId,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let batch = [event];
        self.transact(move |transaction| {
            let accepted_as: Option<Option<[u8; 16]>> = transaction
                .query_row(
                    "select accepted_as from rejected_request where id = ?1",
                    [request.uuid().as_bytes()],
                    |row| row.get(0),
                )
                .optional()?;
            match accepted_as.map(|it| it.map(Uuid::from_bytes)) {
                None => return Err(StoreError::not_found("request", request)),
                // Done before: the answer is the same as then, and nothing is counted twice.
                Some(Some(id)) if id == batch[0].event.id.uuid() => return Ok(Recorded::Accepted),
                Some(Some(id)) => return Ok(Recorded::Duplicate(EventId::from_uuid(id))),
                Some(None) => (),
            }
            let answer = record(transaction, &batch, Some(request), now)?[0];
            let accepted_as = match answer {
                Recorded::Accepted => Some(batch[0].event.id),
                Recorded::Duplicate(id) => Some(id),
                Recorded::Conflict(_) => None,
            };
            transaction.execute(
                "update rejected_request set accepted_as = ?2 where id = ?1",
                params![
                    request.uuid().as_bytes(),
                    accepted_as.map(|it| *it.uuid().as_bytes())
                ],
            )?;
            Ok(answer)
        })
        .await
    }
}

pub(super) fn insert_requests(
    transaction: &Transaction<'_>,
    batch: &[RejectedRequest],
) -> Result<(), StoreError> {
    for it in batch {
        let mut insert = transaction.prepare_cached(include_str!("sql/insert_request.sql"))?;
        insert.execute(params![
            it.id.uuid().as_bytes(),
            clean(&it.source),
            clean(&it.cause),
            clean(&it.explanation),
            Time(it.received_at),
            clean(&it.method),
            clean(&it.target),
            it.client.as_deref().map(clean),
            &it.headers.as_encoded()[..],
            it.body.as_deref(),
            signed(it.size),
        ])?;
    }
    Ok(())
}
