//! Recording events, their deliveries and their tally.

use std::sync::atomic::Ordering;

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteQueryResult};

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, RequestId},
        trial::{self, Point},
    },
    store::{
        error::StoreError,
        fold::{Answers, Known, Repeats, firsts},
        pool::on,
        record::{NewDelivery, NewEvent, Recorded},
        sqlite::{
            Engine, begin,
            chunk::chunks,
            reject::{Counts, add_counts, insert_requests},
        },
        value::{Time, clean, signed},
    },
};

impl Engine {
    pub(in crate::store) async fn record(&self, batch: Vec<NewEvent>) -> Result<Vec<Recorded>, StoreError> {
        let recorded = self.commit_events(&batch).await;
        let is_suspect = recorded.as_ref().is_err_and(|it| !it.is_row_fault());
        self.is_suspect.store(is_suspect, Ordering::Relaxed);
        recorded
    }

    async fn commit_events(&self, batch: &[NewEvent]) -> Result<Vec<Recorded>, StoreError> {
        let now = self.clock.now();
        on!(&self.writer, |conn| {
            let mut transaction = begin(conn).await?;
            let answers = record(&mut transaction, batch, None, now).await?;
            trial::point(Point::RowsSent);
            trial::during(Point::CommitSent, transaction.commit()).await?;
            // Only now, because it may have happened meanwhile: what nobody will find must not be acknowledged.
            self.assert_same_file()?;
            Ok(answers)
        })
    }
}

/// `kept_as`: a conflict is the rejected request of that id already, so that no second one is kept.
pub(super) async fn record(
    conn: &mut SqliteConnection,
    batch: &[NewEvent],
    kept_as: Option<RequestId>,
    now: Timestamp,
) -> Result<Vec<Recorded>, StoreError> {
    let mut answers = Answers::new(batch.len());
    let offered = firsts(batch, 0..batch.len());
    let mut fresh = Vec::with_capacity(offered.len());
    // Rows of this transaction have higher numbers than this one; without any, none has.
    let mut last_row_before = i64::MAX;
    for range in chunks(offered.len()) {
        let chunk = &offered[range];
        let done = insert_events(conn, batch, chunk).await?;
        let n_rows = done.rows_affected();
        if n_rows == chunk.len() as u64 {
            fresh.extend_from_slice(chunk);
        }
        if n_rows > 0 {
            last_row_before = last_row_before.min(done.last_insert_rowid() - signed(n_rows));
        }
    }
    for &idx in &fresh {
        answers.set(idx, Recorded::Accepted);
    }
    let mut counts = Counts::default();
    let open = answers.open();
    if !open.is_empty() {
        let (known, row_numbers) = known_events(conn, batch, &open).await?;
        let repeats = Repeats::of(batch, &known);
        counts = Counts::of_repeats(&repeats);
        if kept_as.is_none() {
            insert_requests(conn, &repeats.conflicts).await?;
        }
        for (&(idx, answer), row_number) in repeats.answers.iter().zip(row_numbers) {
            answers.set(idx, answer);
            // Under its own id, but from an earlier try whose answer was lost: it has its deliveries already.
            if answer == Recorded::Accepted && row_number > last_row_before {
                fresh.push(idx);
            }
        }
    }
    let deliveries: Vec<_> = fresh
        .iter()
        .flat_map(|&idx| {
            batch[idx]
                .deliveries
                .iter()
                .map(move |it| (batch[idx].event.id, batch[idx].event.received_at, it))
        })
        .collect();
    counts.deliveries += signed(insert_deliveries(conn, &deliveries, now).await?);
    counts.received += signed(fresh.len() as u64);
    add_counts(conn, counts).await?;
    answers.finish()
}

async fn insert_events(
    conn: &mut SqliteConnection,
    batch: &[NewEvent],
    chunk: &[usize],
) -> Result<SqliteQueryResult, StoreError> {
    let mut builder = QueryBuilder::<Sqlite>::new(
        "insert into event (id, source, key, body_hash, external_id, type, origin, verified, \
         occurred_at, received_at, headers, body) ",
    );
    builder.push_values(chunk, |mut row, &idx| {
        let NewEvent {
            event,
            key,
            body_hash,
            ..
        } = &batch[idx];
        row.push_bind(event.id.uuid())
            .push_bind(clean(&event.source))
            .push_bind(key.map(|it| it.0.to_vec()))
            .push_bind(&body_hash.0[..])
            .push_bind(event.external_id.as_deref().map(clean))
            .push_bind(event.event_type.as_deref().map(clean))
            .push_bind(event.origin.as_str())
            .push_bind(event.binding.as_str())
            .push_bind(event.occurred_at.map(Time))
            .push_bind(Time(event.received_at))
            .push_bind(&event.headers.as_encoded()[..])
            .push_bind(&event.body[..]);
    });
    builder.push(" on conflict do nothing");
    Ok(builder.build().execute(conn).await?)
}

/// Each with its event and the time that it is made, which is `now` if that lies ahead.
pub(super) async fn insert_deliveries(
    conn: &mut SqliteConnection,
    deliveries: &[(EventId, Timestamp, &NewDelivery)],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut n_inserted = 0;
    for range in chunks(deliveries.len()) {
        let mut builder = QueryBuilder::<Sqlite>::new(
            "insert into delivery (id, event_id, route, destination, origin, status, fence, worker, \
             lease_until, due_at, created_at) ",
        );
        builder.push_values(&deliveries[range], |mut row, (event, created_at, delivery)| {
            let created_at = Time((*created_at).min(now));
            let claimed = delivery.claimed;
            row.push_bind(delivery.id.uuid())
                .push_bind(event.uuid())
                .push_bind(clean(&delivery.route))
                .push_bind(clean(&delivery.destination))
                .push_bind(delivery.origin.as_str())
                .push_bind(if claimed.is_some() {
                    "delivering"
                } else {
                    "pending"
                })
                .push_bind(i64::from(claimed.is_some()))
                .push_bind(claimed.map(|it| it.worker.uuid()))
                .push_bind(claimed.map(|it| Time(it.lease_until)))
                .push_bind(if claimed.is_some() { None } else { Some(created_at) })
                .push_bind(created_at);
        });
        // Known ids came with an earlier try whose answer was lost.
        builder.push(" on conflict do nothing");
        n_inserted += builder.build().execute(&mut *conn).await?.rows_affected();
    }
    Ok(n_inserted)
}

/// What is stored under the keys (or, without a key, under the ids) of events that were not inserted, and the number of
/// the row.
async fn known_events(
    conn: &mut SqliteConnection,
    batch: &[NewEvent],
    open: &[usize],
) -> Result<(Vec<Known>, Vec<i64>), StoreError> {
    let mut row_numbers = Vec::with_capacity(open.len());
    let mut known = Vec::with_capacity(open.len());
    for range in chunks(open.len()) {
        let mut builder =
            QueryBuilder::<Sqlite>::new("with asked (idx, id, key, body_hash, external_id) as (");
        builder.push_values(&open[range], |mut row, &idx| {
            let new = &batch[idx];
            row.push_bind(signed(idx as u64))
                .push_bind(new.event.id.uuid())
                .push_bind(new.key.map(|it| it.0.to_vec()))
                .push_bind(&new.body_hash.0[..])
                .push_bind(new.event.external_id.as_deref().map(clean));
        });
        builder.push(include_str!("sql/known_events.sql"));
        for row in &builder.build().fetch_all(&mut *conn).await? {
            let idx: i64 = row.try_get("idx")?;
            known.push(Known {
                idx: usize::try_from(idx).unwrap_or(0),
                id: row.try_get("id")?,
                is_same_body: row.try_get("is_same_body")?,
            });
            row_numbers.push(row.try_get("row_number")?);
        }
    }
    Ok((known, row_numbers))
}
