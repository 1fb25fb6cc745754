//! Bulk work: making jobs, looking for what they are about, and doing a step of one.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, JobId},
    },
    store::{
        error::StoreError,
        filter,
        job::{
            Action, Bounds, DeliveryTally, EventTally, Filter, FoundDelivery, Job, JobQuery, Look, NewJob,
            Pace, Reach, State, Step, Work,
        },
        look,
        pool::on,
        postgres::{
            Engine,
            record::{due_after, order_at, order_key, order_mode, skip_cause, skip_reason},
        },
        query::{EventSummary, Page},
        record::NewDelivery,
        rows,
        value::{Time, clean, signed, unsigned},
    },
};

impl Engine {
    pub(in crate::store) async fn create_job(
        &self,
        id: JobId,
        new: NewJob,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        let filter = new.filter.as_text();
        on!(&self.admin, |conn| {
            let row = sqlx::query(include_str!("sql/create_job.sql"))
                .bind(id.uuid())
                .bind(new.action.as_str())
                .bind(&filter)
                .bind(new.target.route.as_deref().map(clean))
                .bind(new.target.destination.as_deref().map(clean))
                .bind(new.target.url.as_deref().map(clean))
                .bind(new.per_second.map(|it| i32::try_from(it).unwrap_or(i32::MAX)))
                .bind(clean(&new.made_by))
                .bind(new.reason.as_deref().map(clean))
                .bind(signed(new.n_planned))
                .bind(Time(now))
                .fetch_one(conn)
                .await?;
            rows::job(&row)
        })
    }

    pub(in crate::store) async fn job(&self, id: JobId) -> Result<Job, StoreError> {
        on!(&self.admin, |conn| {
            let row = sqlx::query(include_str!("sql/job.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::job(&row.ok_or_else(|| not_found(id))?)
        })
    }

    pub(in crate::store) async fn jobs(&self, query: JobQuery) -> Result<Page<Job, JobId>, StoreError> {
        on!(&self.admin, |conn| {
            let rows = filter::jobs(&query).build().fetch_all(conn).await?;
            rows::page(&rows, query.limit, rows::job, JobId::from_uuid)
        })
    }

    pub(in crate::store) async fn move_job(
        &self,
        id: JobId,
        state: State,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        on!(&self.admin, |conn| {
            let row = sqlx::query(include_str!("sql/move_job.sql"))
                .bind(id.uuid())
                .bind(state.as_str())
                .bind(Time(now))
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::job).transpose()
        })
    }

    pub(in crate::store) async fn look_for_deliveries(
        &self,
        action: Action,
        filter: Filter,
        reach: Reach,
        bounds: Bounds,
    ) -> Result<Look<FoundDelivery>, StoreError> {
        on!(&self.admin, |conn| {
            let edge: Option<Uuid> = look::edge(action, &filter, reach, bounds.n_scanned)
                .build_query_scalar()
                .fetch_optional(&mut *conn)
                .await?;
            let window = reach.up_to(edge);
            let rows = look::deliveries(action, &filter, window, bounds.n_found)
                .build()
                .fetch_all(conn)
                .await?;
            rows::look(&rows, bounds.n_found, edge, rows::found_delivery)
        })
    }

    pub(in crate::store) async fn look_for_events(
        &self,
        filter: Filter,
        reach: Reach,
        bounds: Bounds,
    ) -> Result<Look<EventSummary>, StoreError> {
        on!(&self.admin, |conn| {
            let edge: Option<Uuid> = look::edge(Action::Replay, &filter, reach, bounds.n_scanned)
                .build_query_scalar()
                .fetch_optional(&mut *conn)
                .await?;
            let window = reach.up_to(edge);
            let rows = look::events(&filter, window, bounds.n_found)
                .build()
                .fetch_all(conn)
                .await?;
            rows::look(&rows, bounds.n_found, edge, rows::event_summary)
        })
    }

    pub(in crate::store) async fn count_deliveries(
        &self,
        action: Action,
        filter: Filter,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<DeliveryTally>, StoreError> {
        on!(&self.admin, |conn| {
            let edge: Option<Uuid> = look::edge(action, &filter, reach, n_scanned)
                .build_query_scalar()
                .fetch_optional(&mut *conn)
                .await?;
            let rows = look::delivery_tallies(action, &filter, reach.up_to(edge))
                .build()
                .fetch_all(conn)
                .await?;
            rows::look(&rows, u32::MAX, edge, rows::delivery_tally)
        })
    }

    pub(in crate::store) async fn count_events(
        &self,
        filter: Filter,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<EventTally>, StoreError> {
        on!(&self.admin, |conn| {
            let edge: Option<Uuid> = look::edge(Action::Replay, &filter, reach, n_scanned)
                .build_query_scalar()
                .fetch_optional(&mut *conn)
                .await?;
            let rows = look::event_tallies(&filter, reach.up_to(edge))
                .build()
                .fetch_all(conn)
                .await?;
            rows::look(&rows, u32::MAX, edge, rows::event_tally)
        })
    }

    pub(in crate::store) async fn n_waiting(
        &self,
        destination: String,
        now: Timestamp,
        at_most: u32,
    ) -> Result<u32, StoreError> {
        on!(&self.admin, |conn| {
            let n: i64 = sqlx::query_scalar(include_str!("sql/n_waiting.sql"))
                .bind(clean(&destination))
                .bind(Time(now))
                .bind(i64::from(at_most))
                .fetch_one(conn)
                .await?;
            Ok(u32::try_from(n).unwrap_or(at_most))
        })
    }

    pub(in crate::store) async fn paces(&self) -> Result<Vec<Pace>, StoreError> {
        on!(&self.admin, |conn| {
            let rows = sqlx::query(include_str!("sql/paces.sql")).fetch_all(conn).await?;
            rows.iter().map(rows::pace).collect()
        })
    }

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
        .fetch_one(conn)
        .await?;
    Ok(unsigned(n_deliveries))
}

fn not_found(id: JobId) -> StoreError {
    StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    }
}
