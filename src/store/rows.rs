//! Rows read back into our own words, the same for both engines. A row that cannot be read is `Damaged`, never a panic.

use bytes::Bytes;
use sqlx::{Decode, Postgres, Row, Sqlite, Type, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    base::ids::{
        AttemptId, AuditId, DeliveryId, EventId, IssueId, JobId, NoticeId, ProgramId, RequestId, TokenId,
    },
    event::{
        Binding, Event, Origin,
        attempt::{Attempt, Trigger},
        body_hash,
        delivery::{Delivery, Fence, Status},
        headers::Headers,
    },
    store::{
        access::{Person, Session, StoredToken},
        audit::{Deed, Entry, Head},
        claim::{Claim, HeldBy, Hold, HoldTarget},
        error::StoreError,
        filter,
        issue::{self, Backlog, Change, DeadLetters, Issue, Notice, Place, Refusals, Severity},
        job::{Action, DeliveryTally, EventTally, FoundDelivery, Job, Look, Pace, Reach, State, Target},
        program::Program,
        query::{EventSummary, Ledger, Page, RequestSummary, RequestTally, Stuck},
        rejected::RejectedRequest,
        rhythm::Rhythm,
        value::{Time, unsigned},
    },
};
use std::{sync::Arc, time::Duration};

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

pub(super) fn event(row: &impl StoreRow) -> Result<Event, StoreError> {
    const TABLE: &str = "event";
    let body: Vec<u8> = get(row, TABLE, "body")?;
    // A disk may change a bit without a word: what the sender did not sign is neither delivered nor shown.
    if get::<Vec<u8>>(row, TABLE, "body_hash")? != body_hash(&body).0 {
        return Err(StoreError::Damaged {
            table: TABLE,
            reason: "column `body` does not hold what its hash says".to_owned(),
        });
    }
    Ok(Event {
        id: EventId::from_uuid(get(row, TABLE, "event_id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        external_id: get(row, TABLE, "external_id")?,
        event_type: get(row, TABLE, "type")?,
        origin: parsed(row, TABLE, "event_origin", Origin::parse)?,
        binding: parsed(row, TABLE, "verified", Binding::parse)?,
        occurred_at: get::<Option<Time>>(row, TABLE, "occurred_at")?.map(|it| it.0),
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        query: get::<Option<String>>(row, TABLE, "query")?.unwrap_or_default(),
        headers: headers(row, TABLE, "headers")?,
        body: body.into(),
    })
}

pub(super) fn event_summary(row: &impl StoreRow) -> Result<EventSummary, StoreError> {
    const TABLE: &str = "event";
    Ok(EventSummary {
        id: EventId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        external_id: get(row, TABLE, "external_id")?,
        event_type: get(row, TABLE, "type")?,
        origin: parsed(row, TABLE, "origin", Origin::parse)?,
        binding: parsed(row, TABLE, "verified", Binding::parse)?,
        occurred_at: get::<Option<Time>>(row, TABLE, "occurred_at")?.map(|it| it.0),
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        content_type: content_type(&headers(row, TABLE, "headers")?),
        size: u64::from(count(row, TABLE, "size")?),
    })
}

pub(super) fn delivery(row: &impl StoreRow) -> Result<Delivery, StoreError> {
    const TABLE: &str = "delivery";
    let status = parsed(row, TABLE, "status", Status::parse_stored)?;
    Ok(Delivery {
        id: DeliveryId::from_uuid(get(row, TABLE, "id")?),
        event_id: EventId::from_uuid(get(row, TABLE, "event_id")?),
        route: get::<String>(row, TABLE, "route")?.into(),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        origin: parsed(row, TABLE, "origin", Origin::parse)?,
        status,
        n_attempts: count(row, TABLE, "n_attempts")?,
        next_attempt_at: get::<Option<Time>>(row, TABLE, "due_at")?
            .filter(|_| status.is_open())
            .map(|it| it.0),
        last_error: get(row, TABLE, "last_error")?,
        cause: get(row, TABLE, "cause")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
    })
}

/// A claim from a delivery joined with its event; the row may show the delivery as it was before or after.
pub(super) fn claim(row: &impl StoreRow, fence: Fence, lease_until: Time) -> Result<Claim, StoreError> {
    let mut delivery = delivery(row)?;
    delivery.status = Status::Delivering;
    delivery.next_attempt_at = None;
    Ok(Claim {
        delivery,
        event: Arc::new(event(row)?),
        fence,
        lease_until: lease_until.0,
        program: get::<Option<Uuid>>(row, "delivery", "program_id")?.map(ProgramId::from_uuid),
        is_retry: get(row, "delivery", "is_retry")?,
        is_manual: get(row, "delivery", "is_manual")?,
        is_stale: get(row, "delivery", "is_stale")?,
    })
}

/// `None`: nothing was made of events.
pub(super) fn program(row: &impl StoreRow) -> Result<Option<Program>, StoreError> {
    const TABLE: &str = "program";
    let (name, code) = (get(row, TABLE, "name")?, get(row, TABLE, "code")?);
    Ok(Option::zip(name, code).map(|(name, code)| Program { name, code }))
}

pub(super) fn attempt(row: &impl StoreRow) -> Result<Attempt, StoreError> {
    const TABLE: &str = "attempt";
    let status_code: Option<i32> = get(row, TABLE, "status_code")?;
    Ok(Attempt {
        id: AttemptId::from_uuid(get(row, TABLE, "id")?),
        number: count(row, TABLE, "number")?,
        started_at: get::<Time>(row, TABLE, "started_at")?.0,
        duration: Duration::from_micros(unsigned(get(row, TABLE, "duration_us")?)),
        trigger: parsed(row, TABLE, "trigger", Trigger::parse)?,
        status_code: status_code.and_then(|it| u16::try_from(it).ok()),
        error: get(row, TABLE, "error")?,
        response_headers: headers(row, TABLE, "response_headers")?,
        response_body: get::<Vec<u8>>(row, TABLE, "response_body")?.into(),
    })
}

pub(super) fn request(row: &impl StoreRow) -> Result<RejectedRequest, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RejectedRequest {
        id: RequestId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        explanation: get(row, TABLE, "explanation")?,
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        method: get(row, TABLE, "method")?,
        target: get(row, TABLE, "target")?,
        client: get(row, TABLE, "client")?,
        headers: headers(row, TABLE, "headers")?,
        body: get::<Option<Vec<u8>>>(row, TABLE, "body")?.map(Bytes::from),
        size: unsigned(get(row, TABLE, "size")?),
        accepted_as: get::<Option<Uuid>>(row, TABLE, "accepted_as")?.map(EventId::from_uuid),
    })
}

pub(super) fn request_summary(row: &impl StoreRow) -> Result<RequestSummary, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RequestSummary {
        id: RequestId::from_uuid(get(row, TABLE, "id")?),
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        explanation: get(row, TABLE, "explanation")?,
        received_at: get::<Time>(row, TABLE, "received_at")?.0,
        method: get(row, TABLE, "method")?,
        target: get(row, TABLE, "target")?,
        client: get(row, TABLE, "client")?,
        headers: headers(row, TABLE, "headers")?,
        size: unsigned(get(row, TABLE, "size")?),
        has_body: get(row, TABLE, "has_body")?,
        accepted_as: get::<Option<Uuid>>(row, TABLE, "accepted_as")?.map(EventId::from_uuid),
    })
}

pub(super) fn request_tally(row: &impl StoreRow) -> Result<RequestTally, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(RequestTally {
        source: get::<String>(row, TABLE, "source")?.into(),
        cause: get(row, TABLE, "cause")?,
        n_found: unsigned(get(row, TABLE, "n_found")?),
        n_acceptable: unsigned(get(row, TABLE, "n_acceptable")?),
    })
}

fn hold(row: &impl StoreRow) -> Result<Hold, StoreError> {
    const TABLE: &str = "hold";
    let name: String = get(row, TABLE, "name")?;
    Ok(Hold {
        target: parsed(row, TABLE, "kind", |kind| match kind {
            "route" => Some(HoldTarget::Route(name.as_str().into())),
            "destination" => Some(HoldTarget::Destination(name.as_str().into())),
            _ => None,
        })?,
        held_by: parsed(row, TABLE, "held_by", HeldBy::parse)?,
        reason: get(row, TABLE, "reason")?,
        since: get::<Time>(row, TABLE, "since")?.0,
    })
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

pub(super) fn job(row: &impl StoreRow) -> Result<Job, StoreError> {
    const TABLE: &str = "job";
    let number = |name| Ok::<u64, StoreError>(unsigned(get(row, TABLE, name)?));
    let per_second: Option<i32> = get(row, TABLE, "per_second")?;
    Ok(Job {
        id: JobId::from_uuid(get(row, TABLE, "id")?),
        action: parsed(row, TABLE, "action", Action::parse)?,
        state: parsed(row, TABLE, "state", State::parse)?,
        filter: parsed(row, TABLE, "filter", |text| serde_json::from_str(text).ok())?,
        target: Target {
            route: get(row, TABLE, "to_route")?,
            destination: get(row, TABLE, "to_destination")?,
            url: get(row, TABLE, "to_url")?,
        },
        per_second: per_second.and_then(|it| u32::try_from(it).ok()),
        made_by: get(row, TABLE, "made_by")?,
        reason: get(row, TABLE, "reason")?,
        reach: Reach {
            after: get(row, TABLE, "cursor")?,
            last: get(row, TABLE, "last")?,
        },
        n_planned: number("n_planned")?,
        n_matched: number("n_matched")?,
        n_changed: number("n_changed")?,
        n_skipped: number("n_skipped")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
        ended_at: get::<Option<Time>>(row, TABLE, "ended_at")?.map(|it| it.0),
    })
}

pub(super) fn found_delivery(row: &impl StoreRow) -> Result<FoundDelivery, StoreError> {
    const TABLE: &str = "delivery";
    Ok(FoundDelivery {
        id: DeliveryId::from_uuid(get(row, TABLE, "id")?),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        status: parsed(row, TABLE, "status", Status::parse_stored)?,
    })
}

pub(super) fn delivery_tally(row: &impl StoreRow) -> Result<DeliveryTally, StoreError> {
    const TABLE: &str = "delivery";
    Ok(DeliveryTally {
        route: get::<String>(row, TABLE, "route")?.into(),
        destination: get::<String>(row, TABLE, "destination")?.into(),
        status: parsed(row, TABLE, "status", Status::parse_stored)?,
        n_deliveries: unsigned(get(row, TABLE, "n_deliveries")?),
    })
}

pub(super) fn event_tally(row: &impl StoreRow) -> Result<EventTally, StoreError> {
    const TABLE: &str = "event";
    Ok(EventTally {
        source: get::<String>(row, TABLE, "source")?.into(),
        event_type: get(row, TABLE, "type")?,
        n_events: unsigned(get(row, TABLE, "n_events")?),
    })
}

pub(super) fn pace(row: &impl StoreRow) -> Result<Pace, StoreError> {
    const TABLE: &str = "attempt";
    Ok(Pace {
        destination: get::<String>(row, TABLE, "destination")?.into(),
        duration: Duration::from_micros(unsigned(get(row, TABLE, "duration_us")?)),
        n_attempts: unsigned(get(row, TABLE, "n_attempts")?),
    })
}

pub(super) fn token(row: &impl StoreRow) -> Result<StoredToken, StoreError> {
    const TABLE: &str = "token";
    let time = |name| Ok::<_, StoreError>(get::<Option<Time>>(row, TABLE, name)?.map(|it| it.0));
    Ok(StoredToken {
        id: TokenId::from_uuid(get(row, TABLE, "id")?),
        name: get(row, TABLE, "name")?,
        role: get(row, TABLE, "role")?,
        made_by: get(row, TABLE, "made_by")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
        expires_at: time("expires_at")?,
        used_at: time("used_at")?,
        revoked_at: time("revoked_at")?,
    })
}

/// A session joined with its token, whose columns are null where it has none.
pub(super) fn session(row: &impl StoreRow) -> Result<Session, StoreError> {
    const TABLE: &str = "session";
    let has_token = get::<Option<Uuid>>(row, TABLE, "id")?.is_some();
    Ok(Session {
        token_id: get::<Option<Uuid>>(row, TABLE, "token_id")?.map(TokenId::from_uuid),
        token: has_token.then(|| token(row)).transpose()?,
        person: match (get(row, TABLE, "person")?, get(row, TABLE, "person_role")?) {
            (Some(name), Some(role)) => Some(Person { name, role }),
            _ => None,
        },
        proof: get(row, TABLE, "proof")?,
        created_at: get::<Time>(row, TABLE, "opened_at")?.0,
        seen_at: get::<Time>(row, TABLE, "seen_at")?.0,
    })
}

pub(super) fn audit_entry(row: &impl StoreRow) -> Result<Entry, StoreError> {
    const TABLE: &str = "audit";
    let status: i32 = get(row, TABLE, "status")?;
    Ok(Entry {
        seq: unsigned(get(row, TABLE, "seq")?),
        at: get::<Time>(row, TABLE, "at")?.0,
        deed: Deed {
            id: AuditId::from_uuid(get(row, TABLE, "id")?),
            actor: get(row, TABLE, "actor")?,
            role: get(row, TABLE, "role")?,
            action: get(row, TABLE, "action")?,
            target: get(row, TABLE, "target")?,
            status: u16::try_from(status).unwrap_or(0),
            detail: get(row, TABLE, "detail")?,
            client: get(row, TABLE, "client")?,
        },
        hash: audit_hash(row)?,
    })
}

pub(super) fn audit_head(row: &impl StoreRow) -> Result<Head, StoreError> {
    Ok(Head {
        seq: unsigned(get(row, "audit_head", "seq")?),
        hash: audit_hash(row)?,
    })
}

/// A hash of another length fits nothing, which is what a check then says.
fn audit_hash(row: &impl StoreRow) -> Result<[u8; 32], StoreError> {
    let hash: Vec<u8> = get(row, "audit", "hash")?;
    Ok(hash.try_into().unwrap_or([0xff; 32]))
}

/// A page of the audit log, whose rows are numbered.
pub(super) fn audit_page<R: StoreRow>(rows: &[R], limit: u32) -> Result<Page<Entry, u64>, StoreError> {
    let fits = filter::n_rows(limit) - 1;
    let next = match rows.get(fits) {
        Some(_) => Some(unsigned(get(&rows[fits - 1], "audit", "seq")?)),
        None => None,
    };
    let rows = rows
        .iter()
        .take(fits)
        .map(audit_entry)
        .collect::<Result<_, _>>()?;
    Ok(Page { rows, next })
}

pub(super) fn issue(row: &impl StoreRow) -> Result<Issue, StoreError> {
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
pub(super) fn notice(row: &impl StoreRow) -> Result<Notice, StoreError> {
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

pub(super) fn dead_letters(row: &impl StoreRow) -> Result<DeadLetters, StoreError> {
    Ok(DeadLetters {
        destination: get(row, "delivery", "destination")?,
        count: unsigned(get(row, "delivery", "n_rows")?),
    })
}

pub(super) fn refusals(row: &impl StoreRow) -> Result<Refusals, StoreError> {
    const TABLE: &str = "rejected_request";
    Ok(Refusals {
        source: get(row, TABLE, "source")?,
        cause: get(row, TABLE, "cause")?,
        count: unsigned(get(row, TABLE, "n_rows")?),
        last_at: get::<Time>(row, TABLE, "last_at")?.0,
    })
}

/// `None`: nothing waits.
pub(super) fn backlog(row: &impl StoreRow) -> Result<Option<Backlog>, StoreError> {
    let count = unsigned(get(row, "delivery", "n_rows")?);
    let oldest: Option<Time> = get(row, "delivery", "oldest_due")?;
    Ok(oldest.map(|Time(oldest_due)| Backlog { count, oldest_due }))
}

/// `today`: in days since 1970.
pub(super) fn rhythm(row: &impl StoreRow, today: i32) -> Result<Rhythm, StoreError> {
    const TABLE: &str = "rhythm";
    let first_day: i32 = get(row, TABLE, "first_day")?;
    Ok(Rhythm {
        source: get(row, TABLE, "source")?,
        last_at: get::<Time>(row, TABLE, "last_at")?.0,
        longest_gap: Duration::from_micros(unsigned(get(row, TABLE, "longest_gap_us")?)),
        n_days: u32::try_from(today.saturating_sub(first_day)).map_or(1, |it| it + 1),
    })
}

/// All but those of a kind that only a newer version knows, and that it minds itself.
pub(super) fn holds<R: StoreRow>(rows: &[R]) -> Result<Vec<Hold>, StoreError> {
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        match hold(row) {
            Ok(it) => holds.push(it),
            Err(error @ StoreError::Damaged { .. }) => tracing::warn!("a hold is left out: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(holds)
}

/// What a look brought. Rows that cannot be read are counted and logged: one of them must not stop a job.
///
/// `edge`: the last row that was looked at, where there are more behind it.
pub(super) fn look<R: StoreRow, T>(
    rows: &[R],
    n_wanted: u32,
    edge: Option<Uuid>,
    read: impl Fn(&R) -> Result<T, StoreError>,
) -> Result<Look<T>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    let mut n_damaged = 0;
    for row in rows {
        match read(row) {
            Ok(it) => found.push(it),
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::warn!("a job leaves out a row: {error}");
                n_damaged += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let is_full = rows.len() >= n_wanted as usize;
    let next = match rows.last() {
        Some(last) if is_full => Some(get(last, "look", "id")?),
        _ => edge,
    };
    Ok(Look {
        found,
        n_damaged,
        next,
    })
}

/// A hold's two columns.
pub(super) fn target_columns(target: &HoldTarget) -> (&'static str, &str) {
    match target {
        HoldTarget::Route(name) => ("route", name),
        HoldTarget::Destination(name) => ("destination", name),
    }
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
    Ok(Page { rows, next })
}
