//! Rows read back into our own words, the same for both engines. A row that cannot be read is `Damaged`, never a panic.

mod access;
mod delivery;
mod event;
mod issue;
mod job;

use bytes::Bytes;
use sqlx::{Decode, Postgres, Row, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    event::headers::Headers,
    store::{
        error::StoreError,
        filter,
        query::{Ledger, Page, Stuck},
        value::unsigned,
    },
};

pub(super) use self::{
    access::{audit_entry, audit_head, audit_page, session, token},
    delivery::{attempt, claim, delivery, holds, program, target_columns},
    event::{event, event_summary, request, request_summary, request_tally},
    issue::{backlog, dead_letters, issue, notice, refusals, rhythm},
    job::{delivery_tally, event_tally, found_delivery, job, look, original_tally, pace},
};

/// What both engines can read from a column.
pub(super) trait Value:
    Type<Postgres> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite>
{
}

impl<T> Value for T where
    T: Type<Postgres> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite>
{
}

/// A row of either engine.
pub(super) trait StoreRow {
    fn column<T: Value>(&self, name: &'static str) -> Result<T, sqlx::Error>;
}

impl StoreRow for PgRow {
    fn column<T: Value>(&self, name: &'static str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

impl StoreRow for SqliteRow {
    fn column<T: Value>(&self, name: &'static str) -> Result<T, sqlx::Error> {
        self.try_get(name)
    }
}

/// One column, or the fault with the table's name. The fault never shows the value.
pub(super) fn get<T: Value>(
    row: &impl StoreRow,
    table: &'static str,
    name: &'static str,
) -> Result<T, StoreError> {
    row.column(name).map_err(|_shows_the_value| StoreError::Damaged {
        table,
        reason: format!("column `{name}` does not hold what it should"),
    })
}

pub(super) fn parsed<T>(
    row: &impl StoreRow,
    table: &'static str,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text: String = get(row, table, name)?;
    parse(&text).ok_or_else(|| StoreError::Damaged {
        table,
        reason: format!("column `{name}` holds a word that is not known here"),
    })
}

fn headers(row: &impl StoreRow, table: &'static str, name: &'static str) -> Result<Headers, StoreError> {
    let encoded: Vec<u8> = get(row, table, name)?;
    Headers::from_encoded(Bytes::from(encoded)).map_err(|fault| StoreError::Damaged {
        table,
        reason: format!("column `{name}`: {fault}"),
    })
}

fn content_type(headers: &Headers) -> Option<String> {
    let value = headers.first("content-type")?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The numbers in a row are `int4` or `int8` on Postgres, as the column says.
fn count(row: &impl StoreRow, table: &'static str, name: &'static str) -> Result<u32, StoreError> {
    let number: i32 = get(row, table, name)?;
    Ok(u32::try_from(number).unwrap_or(0))
}

pub(super) fn ledger(row: &impl StoreRow) -> Result<Ledger, StoreError> {
    let number = |name| Ok::<u64, StoreError>(unsigned(get(row, "tally", name)?));
    Ok(Ledger {
        received: number("received")?,
        rejected: number("rejected")?,
        duplicates: number("duplicates")?,
        conflicts: number("conflicts")?,
        stored: number("stored")?,
        deliveries: number("deliveries")?,
        delivered: number("delivered")?,
        open: number("open")?,
        dead: number("dead")?,
        cancelled: number("cancelled")?,
        skipped: number("skipped")?,
        stuck: Stuck {
            delivering: number("stuck_delivering")?,
            waiting: number("stuck_waiting")?,
            held: number("stuck_held")?,
        },
    })
}

/// A page from the rows of a list, which hold one row more than fits where there is another page. Rows that cannot be
/// read are left out and logged: one of them must not hide the others.
pub(super) fn page<R: StoreRow, T, I>(
    rows: &[R],
    limit: u32,
    read: impl Fn(&R) -> Result<T, StoreError>,
    id: impl Fn(Uuid) -> I,
) -> Result<Page<T, I>, StoreError> {
    let fits = filter::n_rows(limit) - 1;
    let next = match rows.get(fits) {
        Some(_) => Some(id(get(&rows[fits - 1], "list", "id")?)),
        None => None,
    };
    let read = |row| match read(row) {
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::warn!("a list leaves out a row: {error}");
            None
        }
        other => Some(other),
    };
    let rows = rows
        .iter()
        .take(fits)
        .filter_map(read)
        .collect::<Result<_, _>>()?;
    Ok(Page {
        rows,
        next,
        looked: None,
    })
}
