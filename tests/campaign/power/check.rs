//! What must hold of the store after a loss.

use std::{collections::HashSet, fmt, path::Path, time::Duration};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{book::Book, rows::block_on};

#[derive(Debug)]
pub(crate) enum Fault {
    /// Acknowledged, and not there, or not as it was sent.
    Lost(String),
    /// There, and never sent so.
    Foreign(String),
    /// SQLite finds its own file broken.
    Damaged(String),
    DoesNotStart(String),
    /// The first 200 came that long after the start.
    Late(Duration),
    Ledger(String),
    /// An answer that no sender should get.
    Wrong(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(id) => write!(f, "{id} was acknowledged and is lost"),
            Self::Foreign(id) => write!(f, "{id} is in the store and was not sent so"),
            Self::Damaged(text) => write!(f, "the file is damaged: {text}"),
            Self::DoesNotStart(text) => write!(f, "gatepost does not start: {text}"),
            Self::Late(time) => write!(f, "the first 200 came after {} ms", time.as_millis()),
            Self::Ledger(text) => write!(f, "the ledger does not add up: {text}"),
            Self::Wrong(text) => write!(f, "a wrong answer: {text}"),
        }
    }
}

/// Reads the file beside the gatepost that runs on it; a reader alone copies nothing back when it closes.
pub(crate) fn store(database: &Path, book: &Book) -> Vec<Fault> {
    match block_on(look(database, book)) {
        Ok(faults) => faults,
        Err(error) => vec![Fault::Damaged(error.to_string())],
    }
}

async fn look(database: &Path, book: &Book) -> sqlx::Result<Vec<Fault>> {
    let mut conn = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        .connect()
        .await?;
    let mut faults = Vec::new();
    let verdict: String = sqlx::query_scalar("pragma integrity_check")
        .fetch_one(&mut conn)
        .await?;
    if verdict != "ok" {
        faults.push(Fault::Damaged(verdict));
    }
    let rows: Vec<(Option<String>, String, Vec<u8>)> =
        sqlx::query_as("select external_id, verified, body from event order by id")
            .fetch_all(&mut conn)
            .await?;
    conn.close().await?;
    let mut kept = HashSet::new();
    for (id, verified, body) in rows {
        let id = id.unwrap_or_default();
        let is_sent = book.sent.get(&id).is_some_and(|it| *it == body);
        if !is_sent || verified != "body" || !kept.insert(id.clone()) {
            faults.push(Fault::Foreign(id));
        }
    }
    let lost = book.acknowledged.difference(&kept).cloned();
    faults.extend(lost.map(Fault::Lost));
    Ok(faults)
}
