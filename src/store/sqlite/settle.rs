//! Recording attempts and what became of their deliveries.

use rusqlite::{Transaction, params};

use crate::{
    base::{
        clock::Timestamp,
        trial::{self, Flaw},
    },
    store::{
        claim::{Settled, Settlement},
        error::StoreError,
        fold::next,
        sqlite::Engine,
        value::{Time, clean},
    },
};

impl Engine {
    pub(in crate::store) async fn settle(
        &self,
        batch: Vec<Settlement>,
        _now: Timestamp,
    ) -> Result<Vec<Settled>, StoreError> {
        self.transact(move |transaction| batch.iter().map(|it| settle(transaction, it)).collect())
            .await
    }
}

fn settle(transaction: &Transaction<'_>, it: &Settlement) -> Result<Settled, StoreError> {
    if !insert_attempt(transaction, it)? {
        // It came with an earlier try whose answer was lost, and its delivery was settled then.
        return Ok(Settled::Recorded);
    }
    if trial::has(Flaw::SettleWithoutFence) {
        // Whoever comes late takes the claim back first.
        transaction.execute(
            "update delivery set status = 'delivering', fence = ?2 where id = ?1",
            params![it.delivery_id.uuid().as_bytes(), it.fence.0],
        )?;
    }
    let (status, due_at) = next(&it.outcome);
    let mut update = transaction.prepare_cached(include_str!("sql/settle.sql"))?;
    let n_rows = update.execute(params![
        it.delivery_id.uuid().as_bytes(),
        it.fence.0,
        status,
        due_at,
        it.attempt.error.as_deref().map(clean),
    ])?;
    if n_rows == 1 {
        return Ok(Settled::Recorded);
    }
    // Only the attempt counts.
    transaction
        .prepare_cached("update delivery set n_attempts = n_attempts + 1 where id = ?1")?
        .execute([it.delivery_id.uuid().as_bytes()])?;
    Ok(Settled::LostClaim)
}

/// Whether it went in: otherwise it is there already.
fn insert_attempt(transaction: &Transaction<'_>, it: &Settlement) -> Result<bool, StoreError> {
    let attempt = &it.attempt;
    let mut insert = transaction.prepare_cached(include_str!("sql/insert_attempt.sql"))?;
    let n_rows = insert.execute(params![
        it.delivery_id.uuid().as_bytes(),
        attempt.id.uuid().as_bytes(),
        i32::try_from(attempt.number).unwrap_or(i32::MAX),
        attempt.trigger.as_str(),
        Time(attempt.started_at),
        i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX),
        attempt.status_code.map(i32::from),
        attempt.error.as_deref().map(clean),
        &attempt.response_headers.as_encoded()[..],
        &attempt.response_body[..],
    ])?;
    Ok(n_rows == 1)
}
