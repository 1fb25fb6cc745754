//! What routes make of events, and since when.

use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::ProgramId},
    store::{
        error::StoreError,
        pool::on,
        program::{Program, RouteProgram},
        rows,
        value::{Time, clean},
    },
};

use super::{Engine, begin};

impl Engine {
    /// Of two processes that note the same change at one time, both may: the later row says nothing new.
    pub(in crate::store) async fn keep_programs(
        &self,
        routes: Vec<RouteProgram>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on!(self.admin_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            for it in &routes {
                let last = sqlx::query(include_str!("sql/last_program.sql"))
                    .bind(clean(&it.route))
                    .fetch_optional(&mut *transaction)
                    .await?;
                let last = last.as_ref().map(rows::program).transpose()?;
                if last.is_some_and(|last| last == it.program) {
                    continue;
                }
                sqlx::query(include_str!("sql/insert_program.sql"))
                    .bind(ProgramId::new().uuid())
                    .bind(clean(&it.route))
                    .bind(Time(now))
                    .bind(it.program.as_ref().map(|it| clean(&it.name)))
                    .bind(it.program.as_ref().map(|it| clean(&it.code)))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn program_at(
        &self,
        route: String,
        at: Timestamp,
    ) -> Result<Option<ProgramId>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let id: Option<Uuid> = sqlx::query_scalar(include_str!("sql/program_at.sql"))
                .bind(clean(&route))
                .bind(Time(at))
                .fetch_optional(conn)
                .await?;
            Ok(id.map(ProgramId::from_uuid))
        })
    }

    pub(in crate::store) async fn program(&self, id: ProgramId) -> Result<Option<Program>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/program.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            match row {
                Some(row) => rows::program(&row),
                None => Err(StoreError::not_found("program", id)),
            }
        })
    }

    pub(in crate::store) async fn prune_programs(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            let done = sqlx::query(include_str!("sql/prune_programs.sql"))
                .bind(Time(before))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }
}
