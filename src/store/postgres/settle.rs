//! Recording attempts and what became of their deliveries.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

#[cfg(feature = "trial")]
use crate::base::trial::{self, Flaw};
use crate::{
    base::clock::Timestamp,
    store::{
        claim::{Settled, Settlement},
        error::StoreError,
        fold::next,
        pool::on,
        postgres::{Engine, order::rounds},
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn settle(
        &self,
        batch: Vec<Settlement>,
        _now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        #[cfg(feature = "trial")]
        on!(&self.delivery, |conn| take_back(conn, &batch).await)?;
        let mut answers = vec![Settled::Recorded; batch.len()];
        for round in rounds(&batch) {
            let lost = on!(&self.delivery, |conn| settle(conn, &batch, &round).await)?;
            for idx in round {
                if lost.contains(&batch[idx].delivery_id.uuid()) {
                    answers[idx] = Settled::LostClaim;
                }
            }
        }
        Ok(answers)
    }
}

async fn settle(
    conn: &mut PgConnection,
    batch: &[Settlement],
    round: &[usize],
) -> Result<HashSet<Uuid>, StoreError> {
    let rows = || round.iter().map(|&idx| &batch[idx]);
    let attempts = || rows().map(|it| &it.attempt);
    let (given, moved): (Vec<Uuid>, Vec<Uuid>) = sqlx::query_as(include_str!("sql/settle.sql"))
        .bind(rows().map(|it| it.delivery_id.uuid()).collect::<Vec<_>>())
        .bind(rows().map(|it| it.fence.0).collect::<Vec<_>>())
        .bind(rows().map(|it| next(&it.outcome).0).collect::<Vec<_>>())
        .bind(rows().map(|it| next(&it.outcome).1).collect::<Vec<_>>())
        .bind(attempts().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(
            attempts()
                .map(|it| i32::try_from(it.number).unwrap_or(i32::MAX))
                .collect::<Vec<_>>(),
        )
        .bind(attempts().map(|it| it.trigger.as_str()).collect::<Vec<_>>())
        .bind(attempts().map(|it| Time(it.started_at)).collect::<Vec<_>>())
        .bind(
            attempts()
                .map(|it| i64::try_from(it.duration.as_micros()).unwrap_or(i64::MAX))
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts()
                .map(|it| it.status_code.map(i32::from))
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts()
                .map(|it| it.error.as_deref().map(clean))
                .collect::<Vec<_>>(),
        )
        .bind(
            attempts()
                .map(|it| &it.response_headers.as_encoded()[..])
                .collect::<Vec<_>>(),
        )
        .bind(attempts().map(|it| &it.response_body[..]).collect::<Vec<_>>())
        .fetch_one(conn)
        .await?;
    let mut lost: HashSet<_> = given.into_iter().collect();
    for id in &moved {
        lost.remove(id);
    }
    Ok(lost)
}

/// The flaw `SettleWithoutFence`: whoever comes late takes the claim back first.
#[cfg(feature = "trial")]
async fn take_back(conn: &mut PgConnection, batch: &[Settlement]) -> Result<(), StoreError> {
    if !trial::has(Flaw::SettleWithoutFence) {
        return Ok(());
    }
    for it in batch {
        sqlx::query("update delivery set status = 'delivering', fence = $2 where id = $1")
            .bind(it.delivery_id.uuid())
            .bind(it.fence.0)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
