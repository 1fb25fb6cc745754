//! What an operator does to deliveries.

use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, ids::DeliveryId},
    event::delivery::Delivery,
    store::{error::StoreError, pool::on, rows, value::Time},
};

use super::{Connection, Engine};

impl Engine {
    pub(in crate::store) async fn requeue(
        &self,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery, StoreError> {
        on!(self.admin_writer(), |conn| {
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
        on!(self.admin_writer(), |conn| {
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
}

/// Why nothing was changed: no such delivery, or its status allows no such move.
async fn refusal(
    conn: &mut Connection,
    id: DeliveryId,
    wanted: &'static str,
) -> Result<StoreError, StoreError> {
    let status: Option<String> = sqlx::query_scalar("select status from delivery where id = $1")
        .bind::<Uuid>(id.uuid())
        .fetch_optional(conn)
        .await?;
    Ok(match status {
        None => StoreError::not_found("delivery", id),
        Some(status) => StoreError::Conflict {
            what: "delivery",
            id: id.to_string(),
            status,
            wanted,
        },
    })
}
