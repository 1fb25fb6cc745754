//! Leaving out what a sender says again under another id.

use rusqlite::{Transaction, params};

use crate::{
    base::clock::Timestamp,
    store::{
        error::StoreError,
        record::{NewDelivery, REPEAT, Skip, SkipCause, Start},
        value::{Time, clean},
    },
};

/// Why a delivery that was made then is to be skipped as a repeat; `None` where it is the first of its key, or not compared.
pub(super) fn repeat(
    transaction: &Transaction<'_>,
    new: &NewDelivery,
    created_at: Timestamp,
) -> Result<Option<Start>, StoreError> {
    let (Some(once), Start::Due { .. }) = (&new.once, &new.start) else {
        return Ok(None);
    };
    let mut claim = transaction.prepare_cached(include_str!("sql/claim_once.sql"))?;
    let n_rows = claim.execute(params![
        clean(&new.route),
        &once.key.0[..],
        Time(created_at),
        Time(created_at.plus(once.within)),
        new.id.uuid().as_bytes(),
    ])?;
    Ok((n_rows == 0).then(|| {
        Start::Skipped(Skip {
            cause: SkipCause::Repeated,
            reason: REPEAT.to_owned(),
        })
    }))
}
