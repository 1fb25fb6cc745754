//! Recording attempts and what became of their deliveries.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use uuid::Uuid;

#[cfg(feature = "trial")]
use crate::base::trial::{self, Flaw};
use crate::{
    base::clock::Timestamp,
    store::{
        claim::{Settled, Settlement},
        error::StoreError,
        fold::{next, rounds},
        pool::on,
        sqlite::{Engine, begin, chunk::chunks},
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn settle(
        &self,
        batch: Vec<Settlement>,
        _now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let mut answers = vec![Settled::Recorded; batch.len()];
            #[cfg(feature = "trial")]
            take_back(&mut transaction, &batch).await?;
            for round in rounds(&batch) {
                for range in chunks(round.len()) {
                    settle(&mut transaction, &batch, &round[range], &mut answers).await?;
                }
            }
            transaction.commit().await?;
            Ok(answers)
        })
    }
}

/// Three statements: whose claim is lost (mostly nobody's, so that no row comes back), then the attempts, then the
/// deliveries. An attempt that is there already came with an earlier try and is left out.
async fn settle(
    conn: &mut SqliteConnection,
    batch: &[Settlement],
    rows: &[usize],
    answers: &mut [Settled],
) -> Result<(), StoreError> {
    let mut builder = given(batch, rows);
    builder.push(include_str!("sql/settle_exceptions.sql"));
    let exceptions: Vec<(Uuid, bool)> = builder.build_query_as().fetch_all(&mut *conn).await?;
    let mut fresh = rows.to_vec();
    if !exceptions.is_empty() {
        fresh.retain(|&idx| {
            let id = batch[idx].delivery_id.uuid();
            let exception = exceptions.iter().find(|it| it.0 == id);
            let is_known = exception.is_some_and(|it| it.1);
            if exception.is_some() && !is_known {
                answers[idx] = Settled::LostClaim;
            }
            !is_known
        });
    }
    // All of them, unless some were known: then the pieces are cut anew.
    for range in chunks(fresh.len()) {
        let rows = &fresh[range];
        let mut builder = given(batch, rows);
        builder.push(include_str!("sql/settle.sql"));
        builder.build().execute(&mut *conn).await?;
        insert_attempts(conn, batch, rows).await?;
    }
    Ok(())
}

/// The settlements as a table at the beginning of a statement.
fn given(batch: &[Settlement], rows: &[usize]) -> QueryBuilder<Sqlite> {
    let mut builder =
        QueryBuilder::<Sqlite>::new("with given (delivery_id, fence, status, due_at, id, error) as (");
    builder.push_values(rows, |mut row, &idx| {
        let it = &batch[idx];
        let (status, due_at) = next(&it.outcome);
        row.push_bind(it.delivery_id.uuid())
            .push_bind(it.fence.0)
            .push_bind(status)
            .push_bind(due_at)
            .push_bind(it.attempt.id.uuid())
            .push_bind(it.attempt.error.as_deref().map(clean));
    });
    builder
}

async fn insert_attempts(
    conn: &mut SqliteConnection,
    batch: &[Settlement],
    rows: &[usize],
) -> Result<(), StoreError> {
    let mut builder = QueryBuilder::<Sqlite>::new(
        "insert into attempt (delivery_id, id, number, trigger, started_at, duration_us, status_code, error, \
         response_headers, response_body) ",
    );
    builder.push_values(rows, |mut row, &idx| {
        let Settlement {
            delivery_id, attempt, ..
        } = &batch[idx];
        row.push_bind(delivery_id.uuid())
            .push_bind(attempt.id.uuid())
            .push_bind(i32::try_from(attempt.number).unwrap_or(i32::MAX))
            .push_bind(attempt.trigger.as_str())
            .push_bind(Time(attempt.started_at))
            .push_bind(i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX))
            .push_bind(attempt.status_code.map(i32::from))
            .push_bind(attempt.error.as_deref().map(clean))
            .push_bind(&attempt.response_headers.as_encoded()[..])
            .push_bind(&attempt.response_body[..]);
    });
    builder.push(" on conflict do nothing");
    builder.build().execute(conn).await?;
    Ok(())
}

/// The flaw `SettleWithoutFence`: whoever comes late takes the claim back first.
#[cfg(feature = "trial")]
async fn take_back(conn: &mut SqliteConnection, batch: &[Settlement]) -> Result<(), StoreError> {
    if !trial::has(Flaw::SettleWithoutFence) {
        return Ok(());
    }
    for it in batch {
        sqlx::query("update delivery set status = 'delivering', fence = ?2 where id = ?1")
            .bind(it.delivery_id.uuid())
            .bind(it.fence.0)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
