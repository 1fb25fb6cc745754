//! Taking deliveries in hand, holding on, putting back.

use std::sync::Arc;

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
    /// A reader looks first which destinations have anything due, so that polling does not keep the writer from its
    /// work.
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
        let due: Vec<String> = on!(&self.readers, |conn| {
            let due = sqlx::query_scalar(include_str!("sql/due_destinations.sql"))
                .bind(&names)
                .bind(Time(now))
                .fetch_all(conn)
                .await?;
            Ok(due)
        })?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let mut claims = Vec::new();
            for share in &wanted.per_destination {
                let name = clean(&share.destination);
                if !due.iter().any(|it| *it == name) {
                    continue;
                }
                for (status, limit) in share.by_status() {
                    let n_before = claims.len();
                    for _ in 0..MAX_STALE_ROUNDS {
                        let limit = limit.saturating_sub(claims.len() - n_before);
                        let n_stale = take(
                            &mut transaction,
                            (&name, status, limit),
                            &wanted,
                            now,
                            &mut claims,
                        )
                        .await?;
                        if n_stale == 0 {
                            break;
                        }
                        skip_stale(&mut transaction, &name, now).await?;
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

/// How many it passed over as stale.
async fn take(
    conn: &mut SqliteConnection,
    (destination, status, limit): (&str, Status, usize),
    wanted: &Wanted,
    now: Timestamp,
    claims: &mut Vec<Claim>,
) -> Result<usize, StoreError> {
    if limit == 0 {
        return Ok(0);
    }
    let lease_until = Time(now.plus(wanted.lease));
    let rows: Vec<SqliteRow> = sqlx::query(include_str!("sql/due.sql"))
        .bind(destination)
        .bind(Time(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(status.as_str())
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
    Ok(n_stale)
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
