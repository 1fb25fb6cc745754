//! New deliveries of a stored event.

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, ProgramId},
    },
    store::{
        error::StoreError,
        pool::on,
        postgres::{
            Engine,
            record::{due_after, order_at, order_key, order_mode, skip_cause, skip_reason},
        },
        record::NewDelivery,
        value::{Time, clean},
    },
};

impl Engine {
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
                .bind(
                    all()
                        .map(|it| it.program.map(ProgramId::uuid))
                        .collect::<Vec<_>>(),
                )
                .fetch_one(conn)
                .await?;
            Ok(n_events)
        })?;
        if n_events == 0 {
            return Err(StoreError::not_found("event", event));
        }
        Ok(())
    }
}
