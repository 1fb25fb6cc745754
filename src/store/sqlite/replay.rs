//! New deliveries of a stored event.

use crate::{
    base::{clock::Timestamp, ids::EventId},
    store::{
        error::StoreError,
        record::NewDelivery,
        sqlite::{
            Engine,
            record::insert_delivery,
            reject::{Counts, add_counts},
        },
    },
};

impl Engine {
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
                return Err(StoreError::not_found("event", event));
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
