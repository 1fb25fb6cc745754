//! Taking deliveries in hand, holding on, putting back.

use std::{borrow::Cow, sync::Arc};

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, WorkerId},
    },
    event::delivery::{Fence, Status},
    store::{
        claim::{Claim, MAX_STALE_ROUNDS, STALE, STALE_ROWS, Wanted},
        error::StoreError,
        pool::on,
        rows,
        sqlite::{Engine, begin, ids::json_rows},
        value::{Time, clean},
    },
};

impl Engine {
    /// A reader looks for what may be taken, so that neither polling nor a backlog that waits for one key keeps the writer from
    /// its work: that one is asked for where something was found, and goes to it by its id.
    pub(in crate::store) async fn claim(
        &self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        let names: Vec<_> = wanted
            .per_destination
            .iter()
            .map(|it| clean(&it.destination))
            .collect();
        let names = serde_json::json!(names).to_string();
        let found: Vec<(Line<'_>, Vec<Uuid>)> = on!(&self.readers, |conn| {
            let due: Vec<String> = sqlx::query_scalar(include_str!("sql/due_destinations.sql"))
                .bind(&names)
                .bind(Time(now))
                .fetch_all(&mut *conn)
                .await?;
            let mut found = Vec::new();
            for line in lines(&wanted).filter(|it| due.iter().any(|name| *name == it.destination)) {
                let ids = look(conn, &line, line.limit, now).await?;
                if !ids.is_empty() {
                    found.push((line, ids));
                }
            }
            Ok(found)
        })?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let mut claims = Vec::new();
            for (line, ids) in &found {
                let n_before = claims.len();
                let mut ids = Cow::Borrowed(ids.as_slice());
                for _ in 0..MAX_STALE_ROUNDS {
                    let passed = take(&mut transaction, &ids, &wanted, now, &mut claims).await?;
                    if passed.n_stale + passed.n_gone == 0 {
                        break;
                    }
                    if passed.n_stale > 0 {
                        skip_stale(&mut transaction, &line.destination, now).await?;
                    }
                    let left = line.limit.saturating_sub(claims.len() - n_before);
                    ids = Cow::Owned(look(&mut transaction, line, left, now).await?);
                    if ids.is_empty() {
                        break;
                    }
                }
            }
            transaction.commit().await?;
            Ok(claims)
        })
    }

    pub(in crate::store) async fn renew(
        &self,
        worker: WorkerId,
        held: Vec<(DeliveryId, Fence)>,
        lease_until: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let json = held_json(&held);
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let lost: Vec<Uuid> = sqlx::query_scalar(include_str!("sql/lost.sql"))
                .bind(&json)
                .bind(worker.uuid())
                .fetch_all(&mut *transaction)
                .await?;
            sqlx::query(include_str!("sql/renew.sql"))
                .bind(&json)
                .bind(worker.uuid())
                .bind(Time(lease_until))
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(lost.into_iter().map(DeliveryId::from_uuid).collect())
        })
    }

    pub(in crate::store) async fn release(
        &self,
        held: Vec<(DeliveryId, Fence)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let json = held_json(&held);
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/release.sql"))
                .bind(&json)
                .bind(Time(now))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn rescue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/rescue.sql"))
                .bind(Time(now))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn give_up(
        &self,
        destination: Arc<str>,
        created_before: Timestamp,
        reason: String,
        limit: u32,
    ) -> Result<u64, StoreError> {
        on!(&self.writer, |conn| {
            let done = sqlx::query(include_str!("sql/give_up.sql"))
                .bind(clean(&destination))
                .bind(Time(created_before))
                .bind(clean(&reason))
                .bind(i64::from(limit))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn next_due(
        &self,
        destinations: Vec<Arc<str>>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let names: Vec<_> = destinations.iter().map(|it| clean(it)).collect();
        let names = serde_json::json!(names).to_string();
        on!(&self.readers, |conn| {
            let due_at: Option<Time> = sqlx::query_scalar(include_str!("sql/next_due.sql"))
                .bind(&names)
                .fetch_one(conn)
                .await?;
            Ok(due_at.map(|it| it.0))
        })
    }
}

async fn skip_stale(
    conn: &mut SqliteConnection,
    destination: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for _ in 0..MAX_STALE_ROUNDS {
        let done = sqlx::query(include_str!("sql/skip_stale.sql"))
            .bind(destination)
            .bind(Time(now))
            .bind(STALE)
            .execute(&mut *conn)
            .await?;
        if done.rows_affected() < STALE_ROWS {
            break;
        }
    }
    Ok(())
}

/// What waits for one destination in one status, and how many of it are wanted.
struct Line<'a> {
    destination: Cow<'a, str>,
    status: Status,
    limit: usize,
}

fn lines(wanted: &Wanted) -> impl Iterator<Item = Line<'_>> {
    wanted.per_destination.iter().flat_map(|share| {
        share.by_status().map(|(status, limit)| Line {
            destination: clean(&share.destination),
            status,
            limit,
        })
    })
}

/// The ids of what may be taken, the oldest first.
async fn look(
    conn: &mut SqliteConnection,
    line: &Line<'_>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar(include_str!("sql/due.sql"))
        .bind(&*line.destination)
        .bind(Time(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(line.status.as_str())
        .fetch_all(conn)
        .await?)
}

/// Of those that a look found, how many were not taken.
struct Passed {
    n_stale: usize,
    /// Somebody else has them, or they wait by now.
    n_gone: usize,
}

async fn take(
    conn: &mut SqliteConnection,
    ids: &[Uuid],
    wanted: &Wanted,
    now: Timestamp,
    claims: &mut Vec<Claim>,
) -> Result<Passed, StoreError> {
    let lease_until = Time(now.plus(wanted.lease));
    let rows: Vec<SqliteRow> = sqlx::query(include_str!("sql/take.sql"))
        .bind(json_rows(ids.iter().map(|id| (id, 0))))
        .bind(Time(now))
        .fetch_all(&mut *conn)
        .await?;
    let mut taken = Vec::with_capacity(rows.len());
    let mut damaged = Vec::new();
    let mut n_stale = 0;
    for row in &rows {
        let id: Uuid = row.try_get("id")?;
        let is_latest = row.try_get::<&str, _>("order_mode")? == "latest";
        if is_latest && row.try_get("is_stale")? && !row.try_get::<bool, _>("is_manual")? {
            n_stale += 1;
            continue;
        }
        // What is no number counts as 0 in the statement below as well: one row's fence must not stop the others.
        let fence = row.try_get::<i64, _>("fence").unwrap_or(0).saturating_add(1);
        taken.push(id);
        match rows::claim(row, Fence(fence), lease_until) {
            Ok(claim) => claims.push(claim),
            Err(error) => damaged.push((id, fence, error)),
        }
    }
    sqlx::query(include_str!("sql/claim.sql"))
        .bind(json_rows(taken.iter().map(|id| (id, 0))))
        .bind(wanted.worker.uuid())
        .bind(lease_until)
        .execute(&mut *conn)
        .await?;
    for (id, fence, error) in damaged {
        quarantine(conn, id, fence, &error).await?;
    }
    Ok(Passed {
        n_stale,
        n_gone: ids.len() - rows.len(),
    })
}

/// A delivery that cannot be read back becomes a visible dead letter, and the others go on.
async fn quarantine(
    conn: &mut SqliteConnection,
    id: Uuid,
    fence: i64,
    error: &StoreError,
) -> Result<(), StoreError> {
    let id_text = DeliveryId::from_uuid(id).to_string();
    tracing::error!(delivery.id = id_text, "gave up delivery {id_text}: {error}");
    sqlx::query(include_str!("sql/quarantine.sql"))
        .bind(id)
        .bind(fence)
        .bind(error.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

fn held_json(held: &[(DeliveryId, Fence)]) -> String {
    let rows: Vec<_> = held.iter().map(|(id, fence)| (id.uuid(), fence.0)).collect();
    json_rows(rows.iter().map(|(id, fence)| (id, *fence)))
}
