//! Doing a step of a job.

use sqlx::{Connection, PgConnection};

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, ProgramId},
    },
    store::{
        error::StoreError,
        job::{FoundDelivery, Step, Work},
        pool::on,
        postgres::{
            Engine,
            record::{due_after, order_at, order_key, order_mode, skip_cause, skip_reason},
        },
        record::NewDelivery,
        value::{Time, clean, signed, unsigned},
    },
};

impl Engine {
    pub(in crate::store) async fn advance_job(&self, step: Step, now: Timestamp) -> Result<bool, StoreError> {
        let slot = self.slots.take();
        on!(&self.chores, |conn| advance(conn, slot.number(), &step, now)
            .await)
    }
}

/// Whether the step was this one's to do. The job's row is locked meanwhile, so that nobody pauses it in the middle.
async fn advance(
    conn: &mut PgConnection,
    slot: i32,
    step: &Step,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let is_at_start: Option<bool> = sqlx::query_scalar(
        "select cursor is not distinct from $2 from job where id = $1 and state = 'running' for update",
    )
    .bind(step.job.uuid())
    .bind(step.from)
    .fetch_optional(&mut *transaction)
    .await?;
    if is_at_start != Some(true) {
        transaction.rollback().await?;
        return Ok(false);
    }
    let mut n_skipped = step.n_skipped;
    let n_changed = match &step.work {
        Work::Retry(found) => {
            change(
                &mut transaction,
                include_str!("sql/requeue_found.sql"),
                found,
                Some(now),
            )
            .await?
        }
        Work::Cancel(found) => {
            change(
                &mut transaction,
                include_str!("sql/cancel_found.sql"),
                found,
                None,
            )
            .await?
        }
        Work::Replay(deliveries) => replay(&mut transaction, slot, deliveries, now).await?,
    };
    if let Work::Retry(found) | Work::Cancel(found) = &step.work {
        n_skipped += (found.len() as u64).saturating_sub(n_changed);
    }
    sqlx::query(include_str!("sql/advance_job.sql"))
        .bind(step.job.uuid())
        .bind(step.to)
        .bind(signed(step.n_matched))
        .bind(signed(n_changed))
        .bind(signed(n_skipped))
        .bind(Time(now))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(true)
}

/// How many of them were still as they were found.
async fn change(
    conn: &mut PgConnection,
    sql: &'static str,
    found: &[FoundDelivery],
    due_at: Option<Timestamp>,
) -> Result<u64, StoreError> {
    if found.is_empty() {
        return Ok(0);
    }
    let mut query = sqlx::query(sql)
        .bind(found.iter().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(found.iter().map(|it| it.status.as_str()).collect::<Vec<_>>());
    if let Some(due_at) = due_at {
        query = query.bind(Time(due_at));
    }
    Ok(query.execute(conn).await?.rows_affected())
}

async fn replay(
    conn: &mut PgConnection,
    slot: i32,
    deliveries: &[(EventId, NewDelivery)],
    now: Timestamp,
) -> Result<u64, StoreError> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let all = || deliveries.iter().map(|(_, it)| it);
    let n_deliveries: i64 = sqlx::query_scalar(include_str!("sql/replay_found.sql"))
        .bind(all().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(
            deliveries
                .iter()
                .map(|(event, _)| event.uuid())
                .collect::<Vec<_>>(),
        )
        .bind(all().map(|it| clean(&it.route)).collect::<Vec<_>>())
        .bind(all().map(|it| clean(&it.destination)).collect::<Vec<_>>())
        .bind(all().map(|it| it.origin.as_str()).collect::<Vec<_>>())
        .bind(all().map(due_after).collect::<Vec<_>>())
        .bind(all().map(skip_cause).collect::<Vec<_>>())
        .bind(all().map(skip_reason).collect::<Vec<_>>())
        .bind(all().map(|it| it.position).map(order_mode).collect::<Vec<_>>())
        .bind(all().map(|it| order_key(it)).collect::<Vec<_>>())
        .bind(all().map(|it| it.position).map(order_at).collect::<Vec<_>>())
        .bind(Time(now))
        .bind(slot)
        .bind(
            all()
                .map(|it| it.program.map(ProgramId::uuid))
                .collect::<Vec<_>>(),
        )
        .fetch_one(conn)
        .await?;
    Ok(unsigned(n_deliveries))
}
