//! Leaving out what a sender says again under another id.

use std::collections::HashMap;

use sqlx::{Connection as _, PgConnection};

use crate::{
    event::once::Once,
    store::{
        error::StoreError,
        postgres::record::record,
        record::{NewDelivery, NewEvent, REPEAT, Recorded, SkipCause},
        value::signed,
    },
};

/// A delivery that is compared.
type Compared<'b> = (&'b NewDelivery, &'b Once);

/// Records a batch: one statement, which is its own transaction. Only where something is compared is it one of several, so
/// that nothing is claimed before it is known to be no repeat.
pub(super) async fn record_once(
    conn: &mut PgConnection,
    slot: i32,
    batch: &[NewEvent],
) -> Result<Vec<Recorded>, StoreError> {
    let rounds = rounds(batch.iter().flat_map(|it| &it.deliveries));
    if rounds.is_empty() {
        return record(conn, slot, batch, None).await;
    }
    let mut transaction = conn.begin().await?;
    let answers = record(&mut transaction, slot, batch, None).await?;
    for round in rounds {
        sqlx::query(include_str!("sql/skip_repeats.sql"))
            .bind(round.iter().map(|(new, _)| new.id.uuid()).collect::<Vec<_>>())
            .bind(round.iter().map(|(_, once)| &once.key.0[..]).collect::<Vec<_>>())
            .bind(round.iter().map(|(_, once)| micros(once)).collect::<Vec<_>>())
            .bind(SkipCause::Repeated.as_str())
            .bind(REPEAT)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(answers)
}

/// In rounds that name each key of a route once, in the batch's order: one statement changes one row only once.
fn rounds<'b>(deliveries: impl Iterator<Item = &'b NewDelivery>) -> Vec<Vec<Compared<'b>>> {
    let mut rounds: Vec<Vec<Compared<'b>>> = Vec::new();
    let mut n_seen: HashMap<_, usize> = HashMap::new();
    for new in deliveries {
        let Some(once) = &new.once else { continue };
        let round = n_seen.entry((&new.route, once.key)).or_default();
        if rounds.len() == *round {
            rounds.push(Vec::new());
        }
        rounds[*round].push((new, once));
        *round += 1;
    }
    rounds
}

fn micros(once: &Once) -> i64 {
    signed(once.within.as_micros().try_into().unwrap_or(u64::MAX))
}
