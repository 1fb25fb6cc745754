//! Recording events, their deliveries and their tally.

use std::{borrow::Cow, collections::HashSet};

use sqlx::{PgConnection, Row};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    base::{
        ids::RequestId,
        trial::{self, Point},
    },
    event::{Hash, order::Position},
    store::{
        error::StoreError,
        fold::{Answers, Known, Repeats},
        pool::on,
        postgres::{
            Engine, commit_so_far,
            once::record_once,
            open::INGEST_LIMIT,
            order::firsts,
            reject::{Counts, insert_requests},
            warnings,
        },
        record::{NewDelivery, NewEvent, Recorded, query},
        value::{Time, clean, signed},
    },
};

/// How often rows are offered again because what they repeated was removed meanwhile.
const MAX_ROUNDS: usize = 4;

impl Engine {
    pub(in crate::store) async fn record(&self, batch: Vec<NewEvent>) -> Result<Vec<Recorded>, StoreError> {
        let slot = self.slots.take();
        on!(&self.ingest, |conn| record_in_time(conn, slot.number(), &batch)
            .await)
    }
}

/// A commit that waits for a standby and is cancelled answers as if all were well: the row is here, but not there. The
/// server warns of it; and an answer that took as long as the time limit is none either. The sender's next try finds the
/// row and counts a duplicate, a commit that waits for the standby as well, and so for all that came before it.
async fn record_in_time(
    conn: &mut PgConnection,
    slot: i32,
    batch: &[NewEvent],
) -> Result<Vec<Recorded>, StoreError> {
    let started_at = Instant::now();
    // One statement is its own transaction: its rows and its commit are sent together. Where the call is one, it is committed
    // here, so that a warning of that is heard.
    let committed = async {
        let answers = record_once(&mut *conn, slot, batch).await?;
        commit_so_far(conn).await?;
        Ok::<_, StoreError>(answers)
    };
    let sent = trial::during(Point::CommitSent, committed);
    let sent = trial::during(Point::RowsSent, sent);
    let (answers, is_warned) = warnings::listen(sent).await;
    let answers = answers?;
    let reason = if is_warned {
        "the server warned of something, so a standby may not have it".to_owned()
    } else if started_at.elapsed() >= INGEST_LIMIT {
        format!("a commit took longer than {INGEST_LIMIT:?}, so a standby may not have it")
    } else {
        return Ok(answers);
    };
    Err(StoreError::Unavailable { reason, source: None })
}

/// Two statements at most where nothing is removed under our hands, and one where nothing repeats. The tally of
/// repeats is a commit of its own, before the answer: an error there is an error for the whole batch, and the sender's
/// next try finds what was stored.
///
/// `kept_as`: a conflict is the rejected request of that id already, so that no second one is kept.
pub(super) async fn record(
    conn: &mut PgConnection,
    slot: i32,
    batch: &[NewEvent],
    kept_as: Option<RequestId>,
) -> Result<Vec<Recorded>, StoreError> {
    let mut answers = Answers::new(batch.len());
    let mut offered = firsts(batch, 0..batch.len());
    for _ in 0..MAX_ROUNDS {
        let inserted = insert_events(conn, slot, batch, &offered).await?;
        let went_in = |idx: usize| {
            let id = batch[idx].event.id.uuid();
            inserted.as_ref().is_none_or(|it| it.contains(&id))
        };
        for &idx in offered.iter().filter(|&&idx| went_in(idx)) {
            answers.set(idx, Recorded::Accepted);
        }
        let open = answers.open();
        if open.is_empty() {
            break;
        }
        let known = known_events(conn, batch, &open).await?;
        let repeats = Repeats::of(batch, &known);
        let counts = Counts::of_repeats(&repeats);
        if counts.received > 0 {
            let kept = if kept_as.is_some() {
                &[][..]
            } else {
                &repeats.conflicts
            };
            insert_requests(conn, slot, kept, counts).await?;
        }
        for (idx, answer) in repeats.answers {
            answers.set(idx, answer);
        }
        offered = firsts(batch, answers.open());
        if offered.is_empty() {
            break;
        }
    }
    answers.finish()
}

/// The ids that went in; `None` where all did. One bound array for each column. Bodies and headers are bound as slices:
/// nothing is copied but onto the wire.
async fn insert_events(
    conn: &mut PgConnection,
    slot: i32,
    batch: &[NewEvent],
    offered: &[usize],
) -> Result<Option<HashSet<Uuid>>, StoreError> {
    let rows = || offered.iter().map(|&idx| &batch[idx]);
    let events = || rows().map(|it| &it.event);
    let deliveries = || rows().flat_map(|it| it.deliveries.iter().map(move |delivery| (&it.event, delivery)));
    let optional = |text: &Option<String>| text.as_deref().map(|it| clean(it).into_owned());

    let row = sqlx::query(include_str!("sql/insert_events.sql"))
        .bind(events().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(events().map(|it| clean(&it.source)).collect::<Vec<_>>())
        .bind(rows().map(|it| key_slice(it.key.as_ref())).collect::<Vec<_>>())
        .bind(rows().map(|it| &it.body_hash.0[..]).collect::<Vec<_>>())
        .bind(events().map(|it| optional(&it.external_id)).collect::<Vec<_>>())
        .bind(events().map(|it| optional(&it.event_type)).collect::<Vec<_>>())
        .bind(events().map(|it| it.origin.as_str()).collect::<Vec<_>>())
        .bind(events().map(|it| it.binding.as_str()).collect::<Vec<_>>())
        .bind(events().map(|it| it.occurred_at.map(Time)).collect::<Vec<_>>())
        .bind(events().map(|it| Time(it.received_at)).collect::<Vec<_>>())
        .bind(
            events()
                .map(|it| &it.headers.as_encoded()[..])
                .collect::<Vec<_>>(),
        )
        .bind(events().map(|it| &it.body[..]).collect::<Vec<_>>())
        .bind(events().map(|it| query(it)).collect::<Vec<_>>())
        .bind(deliveries().map(|(_, it)| it.id.uuid()).collect::<Vec<_>>())
        .bind(deliveries().map(|(event, _)| event.id.uuid()).collect::<Vec<_>>())
        .bind(deliveries().map(|(_, it)| clean(&it.route)).collect::<Vec<_>>())
        .bind(
            deliveries()
                .map(|(_, it)| clean(&it.destination))
                .collect::<Vec<_>>(),
        )
        .bind(deliveries().map(|(_, it)| it.origin.as_str()).collect::<Vec<_>>())
        .bind(
            deliveries()
                .map(|(_, it)| it.start.claimed().map(|it| it.worker.uuid()))
                .collect::<Vec<_>>(),
        )
        .bind(
            deliveries()
                .map(|(_, it)| it.start.claimed().map(|it| Time(it.lease_until)))
                .collect::<Vec<_>>(),
        )
        .bind(deliveries().map(|(_, it)| due_after(it)).collect::<Vec<_>>())
        .bind(deliveries().map(|(_, it)| skip_cause(it)).collect::<Vec<_>>())
        .bind(deliveries().map(|(_, it)| skip_reason(it)).collect::<Vec<_>>())
        .bind(
            deliveries()
                .map(|(_, it)| it.position)
                .map(order_mode)
                .collect::<Vec<_>>(),
        )
        .bind(deliveries().map(|it| order_key(it.1)).collect::<Vec<_>>())
        .bind(
            deliveries()
                .map(|(_, it)| it.position)
                .map(order_at)
                .collect::<Vec<_>>(),
        )
        .bind(slot)
        .fetch_one(conn)
        .await?;
    let inserted: Option<Vec<Uuid>> = row.try_get("inserted")?;
    Ok(inserted.map(HashSet::from_iter))
}

async fn known_events(
    conn: &mut PgConnection,
    batch: &[NewEvent],
    open: &[usize],
) -> Result<Vec<Known>, StoreError> {
    let rows = || open.iter().map(|&idx| &batch[idx]);
    let rows = sqlx::query(include_str!("sql/known_events.sql"))
        .bind(open.iter().map(|&idx| signed(idx as u64)).collect::<Vec<_>>())
        .bind(rows().map(|it| it.event.id.uuid()).collect::<Vec<_>>())
        .bind(rows().map(|it| key_slice(it.key.as_ref())).collect::<Vec<_>>())
        .bind(rows().map(|it| &it.body_hash.0[..]).collect::<Vec<_>>())
        .bind(
            rows()
                .map(|it| it.event.external_id.as_deref().map(clean))
                .collect::<Vec<_>>(),
        )
        .fetch_all(conn)
        .await?;
    let mut known = Vec::with_capacity(rows.len());
    for row in &rows {
        let idx: i64 = row.try_get("idx")?;
        known.push(Known {
            idx: usize::try_from(idx).unwrap_or(0),
            id: row.try_get("id")?,
            is_same_body: row.try_get("is_same_body")?,
        });
    }
    Ok(known)
}

/// Microseconds.
pub(super) fn due_after(new: &NewDelivery) -> Option<i64> {
    new.start
        .due_after()
        .map(|it| signed(it.as_micros().try_into().unwrap_or(u64::MAX)))
}

pub(super) fn skip_cause(new: &NewDelivery) -> Option<&'static str> {
    new.start.skip().map(|it| it.cause.as_str())
}

pub(super) fn skip_reason(new: &NewDelivery) -> Option<Cow<'_, str>> {
    new.start.skip().map(|it| clean(&it.reason))
}

pub(super) fn order_mode(position: Option<Position>) -> Option<&'static str> {
    position.map(|it| it.mode.as_str())
}

pub(super) fn order_key(new: &NewDelivery) -> Option<&[u8]> {
    new.position.as_ref().map(|it| &it.key.0[..])
}

pub(super) fn order_at(position: Option<Position>) -> Option<Time> {
    position.map(|it| Time(it.at))
}

fn key_slice(key: Option<&Hash>) -> Option<&[u8]> {
    key.map(|it| &it.0[..])
}
