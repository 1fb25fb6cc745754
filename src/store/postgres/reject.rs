//! Rejected requests: keeping, counting, and accepting one after all.

use sqlx::{Connection, PgConnection};
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
        pool::on,
        postgres::{Engine, record::record},
        record::{NewEvent, Recorded},
        rejected::{RejectedCount, RejectedRequest},
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
            rejected: 0,
        }
    }
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
        let slot = self.slots.take();
        on!(&self.ingest, |conn| insert_requests(
            conn,
            slot.number(),
            &batch,
            counts
        )
        .await)
    }

    pub(in crate::store) async fn accept_rejected(
        &self,
        request: RequestId,
        event: NewEvent,
        _now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let slot = self.slots.take();
        let batch = [event];
        on!(&self.admin, |conn| {
            let mut transaction = conn.begin().await?;
            let accepted_as: Option<Option<Uuid>> =
                sqlx::query_scalar("select accepted_as from rejected_request where id = $1 for update")
                    .bind(request.uuid())
                    .fetch_optional(&mut *transaction)
                    .await?;
            match accepted_as {
                None => return Err(StoreError::not_found("request", request)),
                // Done before: the answer is the same as then, and nothing is counted twice.
                Some(Some(id)) if id == batch[0].event.id.uuid() => return Ok(Recorded::Accepted),
                Some(Some(id)) => return Ok(Recorded::Duplicate(EventId::from_uuid(id))),
                Some(None) => (),
            }
            let answer = record(&mut transaction, slot.number(), &batch, Some(request)).await?[0];
            let accepted_as = match answer {
                Recorded::Accepted => Some(batch[0].event.id),
                Recorded::Duplicate(id) => Some(id),
                Recorded::Conflict(_) => None,
            };
            sqlx::query("update rejected_request set accepted_as = $2 where id = $1")
                .bind(request.uuid())
                .bind(accepted_as.map(EventId::uuid))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(answer)
        })
    }
}

pub(super) async fn insert_requests(
    conn: &mut PgConnection,
    slot: i32,
    batch: &[RejectedRequest],
    counts: Counts,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/insert_requests.sql"))
        .bind(batch.iter().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| clean(&it.source)).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| clean(&it.cause)).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| clean(&it.explanation)).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| Time(it.received_at)).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| clean(&it.method)).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| clean(&it.target)).collect::<Vec<_>>())
        .bind(
            batch
                .iter()
                .map(|it| it.client.as_deref().map(clean))
                .collect::<Vec<_>>(),
        )
        .bind(
            batch
                .iter()
                .map(|it| &it.headers.as_encoded()[..])
                .collect::<Vec<_>>(),
        )
        .bind(batch.iter().map(|it| it.body.as_deref()).collect::<Vec<_>>())
        .bind(batch.iter().map(|it| signed(it.size)).collect::<Vec<_>>())
        .bind(slot)
        .bind(counts.received)
        .bind(counts.rejected)
        .bind(counts.duplicates)
        .bind(counts.conflicts)
        .execute(conn)
        .await?;
    Ok(())
}
