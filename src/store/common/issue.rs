//! Issues, the notices of their changes, and what the rules look at.

use std::sync::Arc;

use crate::{
    base::{
        clock::Timestamp,
        ids::{IssueId, NoticeId},
    },
    store::{
        error::StoreError,
        filter,
        issue::{
            Backlog, Change, DeadLetters, Finding, Issue, IssueQuery, MAX_LIVE, MAX_NOTICES, Move, NotTaken,
            Notice, Refusals, step,
        },
        pool::on,
        query::Page,
        rhythm::{DAYS, day_of},
        rows,
        value::{Time, clean, signed, unsigned},
    },
};

use super::{Connection, Engine, begin, dialect};

impl Engine {
    pub(in crate::store) async fn see_issue(
        &self,
        finding: Finding,
        now: Timestamp,
    ) -> Result<Option<Change>, StoreError> {
        on!(self.chore_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            let row = sqlx::query(dialect::LOCK_ISSUE_OF_KEY)
                .bind(clean(&finding.key))
                .fetch_optional(&mut *transaction)
                .await?;
            let known = row.as_ref().map(rows::issue).transpose()?;
            let is_known = known.is_some();
            let (issue, change) = step::seen(known, &finding, now);
            if is_known {
                update(&mut transaction, &issue).await?;
            } else if !insert(&mut transaction, &issue).await? {
                // Another process has just found the same, and tells of it.
                transaction.rollback().await?;
                return Ok(None);
            }
            tell(&mut transaction, &issue, change, &finding.tell).await?;
            transaction.commit().await?;
            Ok(change)
        })
    }

    pub(in crate::store) async fn end_issue(
        &self,
        id: IssueId,
        not_since: Timestamp,
        names: Vec<Arc<str>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        on!(self.chore_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            let known = locked(&mut transaction, id).await?;
            let Some(issue) = known.and_then(|it| step::gone(it, not_since, now)) else {
                transaction.rollback().await?;
                return Ok(false);
            };
            update(&mut transaction, &issue).await?;
            tell(&mut transaction, &issue, Some(Change::Resolved), &names).await?;
            transaction.commit().await?;
            Ok(true)
        })
    }

    pub(in crate::store) async fn move_issue(
        &self,
        id: IssueId,
        to: Move,
        now: Timestamp,
    ) -> Result<(Issue, Option<Change>), StoreError> {
        on!(self.admin_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            // Ended before it is refused: a transaction that is only dropped keeps its lock until the connection is used again.
            let known = locked(&mut transaction, id).await?;
            let (issue, change) = match known
                .ok_or_else(|| StoreError::not_found("issue", id))
                .and_then(|it| step::moved(it, &to, now))
            {
                Ok(it) => it,
                Err(error) => {
                    transaction.rollback().await?;
                    return Err(error);
                }
            };
            update(&mut transaction, &issue).await?;
            tell(&mut transaction, &issue, change, &to.tell).await?;
            transaction.commit().await?;
            Ok((issue, change))
        })
    }

    pub(in crate::store) async fn issue(&self, id: IssueId) -> Result<Option<Issue>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/issue.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::issue).transpose()
        })
    }

    pub(in crate::store) async fn issues(
        &self,
        query: IssueQuery,
    ) -> Result<Page<Issue, IssueId>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = filter::issues(&query).build().fetch_all(conn).await?;
            rows::page(&rows, query.limit, rows::issue, IssueId::from_uuid)
        })
    }

    pub(in crate::store) async fn live_issues(&self) -> Result<Vec<Issue>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/live_issues.sql"))
                .bind(i64::from(MAX_LIVE))
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::issue).collect()
        })
    }

    pub(in crate::store) async fn notices(&self, issue: IssueId) -> Result<Vec<Notice>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/notices.sql"))
                .bind(issue.uuid())
                .bind(i64::from(MAX_NOTICES))
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::notice).collect()
        })
    }

    pub(in crate::store) async fn due_notices(
        &self,
        notification: String,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Notice, Issue)>, StoreError> {
        on!(self.chore_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/due_notices.sql"))
                .bind(clean(&notification))
                .bind(Time(now))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            let both = |row| Ok((rows::notice(row)?, rows::issue(row)?));
            rows.iter().map(both).collect()
        })
    }

    pub(in crate::store) async fn n_messages(
        &self,
        notification: String,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self.chore_reader(), |conn| {
            let n_messages: i64 = sqlx::query_scalar(
                "select count(distinct sent_at) from notice where notification = $1 and sent_at > $2",
            )
            .bind(clean(&notification))
            .bind(Time(since))
            .fetch_one(conn)
            .await?;
            Ok(unsigned(n_messages))
        })
    }

    pub(in crate::store) async fn notices_taken(
        &self,
        ids: Vec<NoticeId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on!(self.chore_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            for id in &ids {
                sqlx::query(
                    "update notice set sent_at = $2, due_at = null, n_tries = n_tries + 1 \
                     where id = $1 and sent_at is null",
                )
                .bind(id.uuid())
                .bind(Time(now))
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn notices_not_taken(
        &self,
        ids: Vec<NoticeId>,
        why: NotTaken,
    ) -> Result<(), StoreError> {
        on!(self.chore_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            for id in &ids {
                sqlx::query(
                    "update notice set last_error = $2, due_at = $3, n_tries = n_tries + 1 \
                     where id = $1 and sent_at is null",
                )
                .bind(id.uuid())
                .bind(clean(&why.reason))
                .bind(why.due_at.map(Time))
                .execute(&mut *transaction)
                .await?;
            }
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn prune_issues(
        &self,
        before: Timestamp,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        on!(self.chore_writer(), |conn| {
            sqlx::query(include_str!("sql/prune_notices.sql"))
                .bind(NoticeId::least_at(before).uuid())
                .bind(i64::from(limit))
                .execute(&mut *conn)
                .await?;
            sqlx::query("delete from rhythm where day <= $1")
                .bind(day_of(now).saturating_sub(DAYS))
                .execute(&mut *conn)
                .await?;
            let done = sqlx::query(include_str!("sql/prune_issues.sql"))
                .bind(Time(before))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetters>, StoreError> {
        on!(self.chore_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/dead_letters.sql"))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::dead_letters).collect()
        })
    }

    pub(in crate::store) async fn refusals(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Refusals>, StoreError> {
        on!(self.chore_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/refusals.sql"))
                .bind(Time(since))
                .bind(i64::from(limit))
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::refusals).collect()
        })
    }

    pub(in crate::store) async fn backlog(
        &self,
        destination: String,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<Backlog>, StoreError> {
        on!(self.chore_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/backlog.sql"))
                .bind(clean(&destination))
                .bind(Time(before))
                .bind(i64::from(limit))
                .fetch_one(conn)
                .await?;
            rows::backlog(&row)
        })
    }
}

/// It, and nobody else changes it until the transaction ends.
async fn locked(conn: &mut Connection, id: IssueId) -> Result<Option<Issue>, StoreError> {
    let row = sqlx::query(dialect::LOCK_ISSUE)
        .bind(id.uuid())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(rows::issue).transpose()
}

/// Whether it was new.
async fn insert(conn: &mut Connection, issue: &Issue) -> Result<bool, StoreError> {
    let place = &issue.place;
    let done = sqlx::query(include_str!("sql/insert_issue.sql"))
        .bind(issue.id.uuid())
        .bind(clean(&issue.key))
        .bind(clean(&issue.rule))
        .bind(issue.severity.as_str())
        .bind(place.source.as_deref().map(clean))
        .bind(place.destination.as_deref().map(clean))
        .bind(place.route.as_deref().map(clean))
        .bind(place.cause.as_deref().map(clean))
        .bind(issue.state.as_str())
        .bind(clean(&issue.summary))
        .bind(signed(issue.count))
        .bind(i32::try_from(issue.n_opened).unwrap_or(i32::MAX))
        .bind(Time(issue.first_seen_at))
        .bind(Time(issue.last_seen_at))
        .bind(Time(issue.holds_at))
        .bind(Time(issue.changed_at))
        .bind(issue.changed_by.as_deref().map(clean))
        .bind(issue.reason.as_deref().map(clean))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

async fn update(conn: &mut Connection, issue: &Issue) -> Result<(), StoreError> {
    sqlx::query(include_str!("sql/update_issue.sql"))
        .bind(issue.id.uuid())
        .bind(issue.severity.as_str())
        .bind(issue.state.as_str())
        .bind(clean(&issue.summary))
        .bind(signed(issue.count))
        .bind(i32::try_from(issue.n_opened).unwrap_or(i32::MAX))
        .bind(Time(issue.last_seen_at))
        .bind(Time(issue.holds_at))
        .bind(Time(issue.changed_at))
        .bind(issue.changed_by.as_deref().map(clean))
        .bind(issue.reason.as_deref().map(clean))
        .execute(conn)
        .await?;
    Ok(())
}

/// A notice for each, due now.
async fn tell(
    conn: &mut Connection,
    issue: &Issue,
    change: Option<Change>,
    names: &[Arc<str>],
) -> Result<(), StoreError> {
    let Some(change) = change else { return Ok(()) };
    for name in names {
        sqlx::query(include_str!("sql/insert_notice.sql"))
            .bind(NoticeId::new().uuid())
            .bind(issue.id.uuid())
            .bind(clean(name))
            .bind(change.as_str())
            .bind(issue.changed_by.as_deref().map(clean))
            .bind(Time(issue.changed_at))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
