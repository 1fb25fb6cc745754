//! Rejected requests: keeping, counting, and accepting one after all.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
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
        record::{NewEvent, Recorded},
        rejected::{RejectedCount, RejectedRequest},
        sqlite::{Engine, begin, chunk::chunks, record::record},
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

pub(super) async fn add_counts(conn: &mut SqliteConnection, counts: Counts) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/add_counts.sql"))
        .bind(counts.received)
        .bind(counts.rejected)
        .bind(counts.duplicates)
        .bind(counts.conflicts)
        .bind(counts.deliveries)
        .execute(conn)
        .await?;
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
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            insert_requests(&mut transaction, &batch).await?;
            add_counts(&mut transaction, counts).await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn accept_rejected(
        &self,
        request: RequestId,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let batch = [event];
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let accepted_as: Option<Option<Uuid>> =
                sqlx::query_scalar("select accepted_as from rejected_request where id = ?1")
                    .bind(request.uuid())
                    .fetch_optional(&mut *transaction)
                    .await?;
            match accepted_as {
                None => return Err(not_found(request)),
                // Done before: the answer is the same as then, and nothing is counted twice.
                Some(Some(id)) if id == batch[0].event.id.uuid() => return Ok(Recorded::Accepted),
                Some(Some(id)) => return Ok(Recorded::Duplicate(EventId::from_uuid(id))),
                Some(None) => (),
            }
            let answer = record(&mut transaction, &batch, Some(request), now).await?[0];
            let accepted_as = match answer {
                Recorded::Accepted => Some(batch[0].event.id),
                Recorded::Duplicate(id) => Some(id),
                Recorded::Conflict(_) => None,
            };
            sqlx::query("update rejected_request set accepted_as = ?2 where id = ?1")
                .bind(request.uuid())
                .bind(accepted_as.map(EventId::uuid))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(answer)
        })
    }

    pub(in crate::store) async fn request(&self, id: RequestId) -> Result<RejectedRequest, StoreError> {
        on!(&self.readers, |conn| {
            let row = sqlx::query(include_str!("sql/request.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            crate::store::rows::request(&row.ok_or_else(|| not_found(id))?)
        })
    }
}

fn not_found(id: RequestId) -> StoreError {
    StoreError::NotFound {
        what: "request",
        id: id.to_string(),
    }
}

pub(super) async fn insert_requests(
    conn: &mut SqliteConnection,
    batch: &[RejectedRequest],
) -> Result<(), StoreError> {
    for range in chunks(batch.len()) {
        let mut builder = QueryBuilder::<Sqlite>::new(
            "insert into rejected_request (id, source, cause, explanation, received_at, method, target, client, \
             headers, body, size) ",
        );
        builder.push_values(&batch[range], |mut row, it| {
            row.push_bind(it.id.uuid())
                .push_bind(clean(&it.source))
                .push_bind(clean(&it.cause))
                .push_bind(clean(&it.explanation))
                .push_bind(Time(it.received_at))
                .push_bind(clean(&it.method))
                .push_bind(clean(&it.target))
                .push_bind(it.client.as_deref().map(clean))
                .push_bind(&it.headers.as_encoded()[..])
                .push_bind(it.body.as_deref())
                .push_bind(signed(it.size));
        });
        builder.push(" on conflict do nothing");
        builder.build().execute(&mut *conn).await?;
    }
    Ok(())
}
