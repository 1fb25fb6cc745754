//! Bulk work: making jobs, and looking for what they are about.

use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::JobId},
    store::{
        error::StoreError,
        filter,
        job::{
            self, Action, Bounds, DeliveryTally, EventTally, Filter, FoundDelivery, Job, JobQuery, Look,
            NewJob, OriginalTally, Pace, Reach, State, Target,
        },
        look,
        pool::on,
        query::{EventSummary, Page},
        rows,
        value::{Time, clean, signed, unsigned},
    },
};

use super::Engine;

impl Engine {
    pub(in crate::store) async fn create_job(
        &self,
        id: JobId,
        new: NewJob,
        now: Timestamp,
    ) -> Result<Job, StoreError> {
        let filter = new.filter.as_text();
        on!(self.admin_writer(), |conn| {
            let row = sqlx::query(include_str!("sql/create_job.sql"))
                .bind(id.uuid())
                .bind(job::stored_action(new.action, new.config))
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
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/job.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::job(&row.ok_or_else(|| StoreError::not_found("job", id))?)
        })
    }

    pub(in crate::store) async fn jobs(&self, query: JobQuery) -> Result<Page<Job, JobId>, StoreError> {
        on!(self.admin_reader(), |conn| {
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
        on!(self.admin_writer(), |conn| {
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
        on!(self.admin_reader(), |conn| {
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
        on!(self.admin_reader(), |conn| {
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
        on!(self.admin_reader(), |conn| {
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
        on!(self.admin_reader(), |conn| {
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

    pub(in crate::store) async fn count_originals(
        &self,
        filter: Filter,
        target: Target,
        reach: Reach,
        n_scanned: u32,
    ) -> Result<Look<OriginalTally>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let edge: Option<Uuid> = look::edge(Action::Replay, &filter, reach, n_scanned)
                .build_query_scalar()
                .fetch_optional(&mut *conn)
                .await?;
            let window = reach.up_to(edge);
            let n_events: i64 = look::n_events(&filter, window)
                .build_query_scalar()
                .fetch_one(&mut *conn)
                .await?;
            let rows = look::original_tallies(&filter, &target, window)
                .build()
                .fetch_all(conn)
                .await?;
            let mut look = rows::look(&rows, u32::MAX, edge, rows::original_tally)?;
            look.found.push(OriginalTally::Found(unsigned(n_events)));
            Ok(look)
        })
    }

    pub(in crate::store) async fn n_waiting(
        &self,
        destination: String,
        now: Timestamp,
        at_most: u32,
    ) -> Result<u32, StoreError> {
        on!(self.admin_reader(), |conn| {
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
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/paces.sql")).fetch_all(conn).await?;
            rows.iter().map(rows::pace).collect()
        })
    }
}
