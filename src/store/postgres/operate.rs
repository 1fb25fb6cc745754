//! What an operator does to deliveries.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    base::{
        clock::Timestamp,
        ids::{DeliveryId, EventId},
    },
    event::delivery::Delivery,
    store::{
        error::StoreError,
        pool::on,
        postgres::{
            Engine,
            record::{due_after, order_at, order_key, order_mode, skip_cause, skip_reason},
        },
        record::NewDelivery,
        rows,
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn requeue(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        on!(&self.admin, |conn| {
            let row = sqlx::query(include_str!("sql/requeue.sql"))
                .bind(id.uuid())
                .bind(Time(now))
                .fetch_optional(&mut *conn)
                .await?;
            match row {
                Some(row) => rows::delivery(&row),
                None => Err(refusal(conn, id, "retried").await?),
            }
        })
    }

    pub(in crate::store) async fn cancel(
        &self,
        id: DeliveryId,
        _now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        on!(&self.admin, |conn| {
            let row = sqlx::query(include_str!("sql/cancel.sql"))
                .bind(id.uuid())
                .fetch_optional(&mut *conn)
                .await?;
            match row {
                Some(row) => rows::delivery(&row),
                None => Err(refusal(conn, id, "cancelled").await?),
            }
        })
    }

    pub(in crate::store) async fn replay(
        &self,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let slot = self.slots.take();
        let n_events = on!(&self.admin, |conn| {
            let all = || deliveries.iter();
            let n_events: i64 = sqlx::query_scalar(include_str!("sql/replay.sql"))
                .bind(event.uuid())
                .bind(all().map(|it| it.id.uuid()).collect::<Vec<_>>())
                .bind(all().map(|it| clean(&it.route)).collect::<Vec<_>>())
                .bind(all().map(|it| clean(&it.destination)).collect::<Vec<_>>())
                .bind(all().map(|it| it.origin.as_str()).collect::<Vec<_>>())
                .bind(
                    all()
                        .map(|it| it.start.claimed().map(|it| it.worker.uuid()))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    all()
                        .map(|it| it.start.claimed().map(|it| Time(it.lease_until)))
                        .collect::<Vec<_>>(),
                )
                .bind(all().map(due_after).collect::<Vec<_>>())
                .bind(all().map(skip_cause).collect::<Vec<_>>())
                .bind(all().map(skip_reason).collect::<Vec<_>>())
                .bind(all().map(|it| it.position).map(order_mode).collect::<Vec<_>>())
                .bind(all().map(|it| order_key(it)).collect::<Vec<_>>())
                .bind(all().map(|it| it.position).map(order_at).collect::<Vec<_>>())
                .bind(Time(now))
                .bind(slot.number())
                .fetch_one(conn)
                .await?;
            Ok(n_events)
        })?;
        if n_events == 0 {
            return Err(StoreError::NotFound {
                what: "event",
                id: event.to_string(),
            });
        }
        Ok(())
    }
}

/// Why nothing was changed: no such delivery, or its status allows no such move.
async fn refusal(
    conn: &mut PgConnection,
    id: DeliveryId,
    wanted: &'static str,
) -> Result<StoreError, StoreError> {
    let status: Option<String> = sqlx::query_scalar("select status from delivery where id = $1")
        .bind::<Uuid>(id.uuid())
        .fetch_optional(conn)
        .await?;
    Ok(match status {
        None => StoreError::NotFound {
            what: "delivery",
            id: id.to_string(),
        },
        Some(status) => StoreError::Conflict {
            what: "delivery",
            id: id.to_string(),
            status,
            wanted,
        },
    })
}
