//! What an operator does to deliveries.

use sqlx::SqliteConnection;
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
        record::NewDelivery,
        rows,
        sqlite::{
            Engine,
            record::insert_delivery,
            reject::{Counts, add_counts},
        },
        value::Time,
    },
};

impl Engine {
    pub(in crate::store) async fn requeue(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        on!(&self.writer, |conn| {
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
        on!(&self.writer, |conn| {
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
        self.transact(move |transaction| {
            let n_events: i64 = transaction.query_row(
                "select count(*) from event where id = ?1",
                [event.uuid().as_bytes()],
                |row| row.get(0),
            )?;
            if n_events == 0 {
                return Err(StoreError::NotFound {
                    what: "event",
                    id: event.to_string(),
                });
            }
            let mut counts = Counts::default();
            for it in &deliveries {
                counts.deliveries += insert_delivery(transaction, event, now, it)?;
            }
            add_counts(transaction, counts)
        })
        .await
    }
}

/// Why nothing was changed: no such delivery, or its status allows no such move.
async fn refusal(
    conn: &mut SqliteConnection,
    id: DeliveryId,
    wanted: &'static str,
) -> Result<StoreError, StoreError> {
    let status: Option<String> = sqlx::query_scalar("select status from delivery where id = ?1")
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
