//! Taking deliveries in hand, holding on, putting back.

use sqlx::{Connection, Executor, PgConnection, Row};
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, WorkerId},
    },
    event::delivery::Fence,
    store::{
        claim::{Claim, MAX_STALE_ROUNDS, STALE, STALE_ROWS, Wanted, still_wanted},
        error::StoreError,
        pool::on,
        postgres::Engine,
        rows,
        value::{Time, clean},
    },
};
use std::sync::Arc;

impl Engine {
    pub(in crate::store) async fn claim(
        &self,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        on!(&self.delivery, |conn| claim(conn, &wanted, now).await)
    }

    pub(in crate::store) async fn renew(
        &self,
        worker: WorkerId,
        held: Vec<(DeliveryId, Fence)>,
        lease_until: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let (ids, fences) = columns(held);
        on!(&self.delivery, |conn| {
            let lost: Vec<Uuid> = sqlx::query_scalar(include_str!("sql/renew.sql"))
                .bind(&ids)
                .bind(&fences)
                .bind(worker.uuid())
                .bind(Time(lease_until))
                .fetch_all(conn)
                .await?;
            Ok(lost.into_iter().map(DeliveryId::from_uuid).collect())
        })
    }

    pub(in crate::store) async fn release(
        &self,
        held: Vec<(DeliveryId, Fence)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let (ids, fences) = columns(held);
        on!(&self.delivery, |conn| {
            let done = sqlx::query(include_str!("sql/release.sql"))
                .bind(&ids)
                .bind(&fences)
                .bind(Time(now))
                .execute(conn)
                .await?;
            Ok(done.rows_affected())
        })
    }

    pub(in crate::store) async fn rescue(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        on!(&self.delivery, |conn| {
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
        on!(&self.delivery, |conn| {
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
        on!(&self.delivery, |conn| {
            let due_at: Option<Time> = sqlx::query_scalar(include_str!("sql/next_due.sql"))
                .bind(&names)
                .fetch_one(conn)
                .await?;
            Ok(due_at.map(|it| it.0))
        })
    }
}

/// Looks again for what it passed over as stale: a burst of one key must not take the places of others.
async fn claim(conn: &mut PgConnection, wanted: &Wanted, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
    let mut claims = Vec::new();
    for _ in 0..MAX_STALE_ROUNDS {
        let wanted = still_wanted(wanted, &claims);
        if wanted.per_destination.is_empty() || take(conn, &wanted, now, &mut claims).await? == 0 {
            break;
        }
        skip_stale(conn, &wanted, now).await?;
    }
    Ok(claims)
}

async fn skip_stale(conn: &mut PgConnection, wanted: &Wanted, now: Timestamp) -> Result<(), StoreError> {
    let names: Vec<_> = wanted
        .per_destination
        .iter()
        .map(|it| clean(&it.destination))
        .collect();
    for _ in 0..MAX_STALE_ROUNDS {
        let done = sqlx::query(include_str!("sql/skip_stale.sql"))
            .bind(&names)
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

/// How many it skipped.
async fn take(
    conn: &mut PgConnection,
    wanted: &Wanted,
    now: Timestamp,
    claims: &mut Vec<Claim>,
) -> Result<usize, StoreError> {
    let lease_until = Time(now.plus(wanted.lease));
    let all = || {
        let all = wanted.per_destination.iter().flat_map(|share| {
            let name = clean(&share.destination);
            share
                .by_status()
                .map(|(status, n_rows)| (name.clone(), status, n_rows))
        });
        all.filter(|(.., n)| *n > 0)
    };
    // A refusal would be the end of a transaction, of which this is one statement where the call is one.
    let is_one_of_several = conn.is_in_transaction();
    if is_one_of_several {
        conn.execute("savepoint taken").await?;
    }
    let rows = sqlx::query(include_str!("sql/claim.sql"))
        .bind(all().map(|(name, ..)| name).collect::<Vec<_>>())
        .bind(
            all()
                .map(|(.., n)| i64::try_from(n).unwrap_or(i64::MAX))
                .collect::<Vec<_>>(),
        )
        .bind(Time(now))
        .bind(wanted.worker.uuid())
        .bind(lease_until)
        .bind(STALE)
        .bind(all().map(|(_, status, _)| status.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut *conn)
        .await;
    let rows = match rows {
        // Another worker took one of the same key in this instant: it is first, and the next look sees it.
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("delivery_lane") => {
            if is_one_of_several {
                conn.execute("rollback to savepoint taken").await?;
            }
            return Ok(0);
        }
        rows => rows?,
    };
    let mut n_skipped = 0;
    for row in &rows {
        if row.try_get::<&str, _>("status")? == "skipped" {
            n_skipped += 1;
            continue;
        }
        let id: Uuid = row.try_get("id")?;
        let fence: i64 = row.try_get("fence")?;
        match rows::claim(row, Fence(fence), lease_until) {
            Ok(claim) => claims.push(claim),
            Err(error) => quarantine(conn, id, fence, &error).await?,
        }
    }
    Ok(n_skipped)
}

/// A delivery that cannot be read back becomes a visible dead letter, and the others go on.
async fn quarantine(
    conn: &mut PgConnection,
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

/// In the order of the ids, in which whoever changes many deliveries locks them.
fn columns(mut held: Vec<(DeliveryId, Fence)>) -> (Vec<Uuid>, Vec<i64>) {
    held.sort_unstable_by_key(|&(id, _)| id);
    held.into_iter().map(|(id, fence)| (id.uuid(), fence.0)).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e06_deliveries_are_locked_in_the_order_of_their_ids() {
        let mut held: Vec<_> = (0..9).map(|it| (DeliveryId::new(), Fence(it))).collect();
        let in_order = columns(held.clone());
        assert!(in_order.0.is_sorted());
        held.reverse();
        assert_eq!(columns(held), in_order);
    }
}
