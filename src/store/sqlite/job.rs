//! Bulk work: making jobs, looking for what they are about, and doing a step of one.

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::JobId},
    store::{
        error::StoreError,
        filter,
        job::{
            Action, Bounds, DeliveryTally, EventTally, Filter, FoundDelivery, Job, JobQuery, Look, NewJob,
            Pace, Reach, State, Step, Work,
        },
        look,
        pool::on,
        query::{EventSummary, Page},
        rows,
        sqlite::{
            Engine,
            record::insert_delivery,
            reject::{Counts, add_counts},
        },
        value::{Time, clean, signed},
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
        on!(&self.writer, |conn| {
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
        on!(&self.readers, |conn| {
            let row = sqlx::query(include_str!("sql/job.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::job(&row.ok_or_else(|| not_found(id))?)
        })
    }

    pub(in crate::store) async fn jobs(&self, query: JobQuery) -> Result<Page<Job, JobId>, StoreError> {
        on!(&self.readers, |conn| {
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
        on!(&self.writer, |conn| {
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
        on!(&self.readers, |conn| {
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
        on!(&self.readers, |conn| {
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
        on!(&self.readers, |conn| {
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
        on!(&self.readers, |conn| {
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
        on!(&self.readers, |conn| {
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
        on!(&self.readers, |conn| {
            let rows = sqlx::query(include_str!("sql/paces.sql")).fetch_all(conn).await?;
            rows.iter().map(rows::pace).collect()
        })
    }

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

fn not_found(id: JobId) -> StoreError {
    StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    }
}
