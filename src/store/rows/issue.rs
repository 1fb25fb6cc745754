//! What is wrong, and the numbers that tell.

use std::time::Duration;

use crate::{
    base::ids::{IssueId, NoticeId},
    store::{
        error::StoreError,
        issue::{self, Backlog, Change, DeadLetters, Issue, Notice, Place, Refusals, Severity},
        rhythm::Rhythm,
        value::{Time, unsigned},
    },
};

use super::{StoreRow, count, get, parsed};

pub(in crate::store) fn issue(row: &impl StoreRow) -> Result<Issue, StoreError> {
    const TABLE: &str = "issue";
    let time = |name| Ok::<_, StoreError>(get::<Time>(row, TABLE, name)?.0);
    Ok(Issue {
        id: IssueId::from_uuid(get(row, TABLE, "id")?),
        key: get(row, TABLE, "key")?,
        rule: get(row, TABLE, "rule")?,
        severity: parsed(row, TABLE, "severity", Severity::parse)?,
        place: Place {
            source: get(row, TABLE, "source")?,
            destination: get(row, TABLE, "destination")?,
            route: get(row, TABLE, "route")?,
            cause: get(row, TABLE, "cause")?,
        },
        state: parsed(row, TABLE, "state", issue::State::parse)?,
        summary: get(row, TABLE, "summary")?,
        count: unsigned(get(row, TABLE, "count")?),
        n_opened: count(row, TABLE, "n_opened")?,
        first_seen_at: time("first_seen_at")?,
        last_seen_at: time("last_seen_at")?,
        holds_at: time("holds_at")?,
        changed_at: time("changed_at")?,
        changed_by: get(row, TABLE, "changed_by")?,
        reason: get(row, TABLE, "reason")?,
    })
}

/// Its columns have names of their own where it is joined with its issue.
pub(in crate::store) fn notice(row: &impl StoreRow) -> Result<Notice, StoreError> {
    const TABLE: &str = "notice";
    let time = |name| Ok::<_, StoreError>(get::<Option<Time>>(row, TABLE, name)?.map(|it| it.0));
    Ok(Notice {
        id: NoticeId::from_uuid(get(row, TABLE, "notice_id")?),
        notification: get(row, TABLE, "notification")?,
        change: parsed(row, TABLE, "change", Change::parse)?,
        changed_by: get(row, TABLE, "notice_by")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
        due_at: time("due_at")?,
        n_tries: count(row, TABLE, "n_tries")?,
        last_error: get(row, TABLE, "last_error")?,
        sent_at: time("sent_at")?,
    })
}

pub(in crate::store) fn dead_letters(row: &impl StoreRow) -> Result<DeadLetters, StoreError> {
    Ok(DeadLetters {
        destination: get(row, "delivery", "destination")?,
        count: unsigned(get(row, "delivery", "n_rows")?),
    })
}

pub(in crate::store) fn refusals(row: &impl StoreRow) -> Result<Refusals, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(Refusals {
        source: get(row, TABLE, "source")?,
        cause: get(row, TABLE, "cause")?,
        count: unsigned(get(row, TABLE, "n_rows")?),
        last_at: get::<Time>(row, TABLE, "last_at")?.0,
    })
}

/// `None`: nothing waits.
pub(in crate::store) fn backlog(row: &impl StoreRow) -> Result<Option<Backlog>, StoreError> {
    let count = unsigned(get(row, "delivery", "n_rows")?);
    let oldest: Option<Time> = get(row, "delivery", "oldest_due")?;
    Ok(oldest.map(|Time(oldest_due)| Backlog { count, oldest_due }))
}

/// `today`: in days since 1970.
pub(in crate::store) fn rhythm(row: &impl StoreRow, today: i32) -> Result<Rhythm, StoreError> {
    const TABLE: &str = "rhythm";
    let first_day: i32 = get(row, TABLE, "first_day")?;
    Ok(Rhythm {
        source: get(row, TABLE, "source")?,
        last_at: get::<Time>(row, TABLE, "last_at")?.0,
        longest_gap: Duration::from_micros(unsigned(get(row, TABLE, "longest_gap_us")?)),
        n_days: u32::try_from(today.saturating_sub(first_day)).map_or(1, |it| it + 1),
    })
}
