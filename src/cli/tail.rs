//! `gatepost events tail`: events as they come.

use std::{collections::BTreeSet, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    base::{clock::Timestamp, ids::EventId},
    cli::{
        Output,
        client::{AdminArgs, Client, Query, text},
        output::{self, Result},
    },
};

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// Only this source's
    #[arg(long)]
    source: Option<String>,
    /// Only this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Part of the sender's id or of the type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Begin with so many that are there already, at most 200
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=200))]
    last: u32,
    /// How to print it; `json` is a line for each event
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// Rows of one page: the most that the API gives.
const PAGE: usize = 200;
/// Pages that one look goes back.
const MAX_PAGES: usize = 50;
/// How much later than its id says an event may become visible: replicas commit out of the order of their ids.
const OVERLAP_MS: u128 = 10_000;

/// What was printed, as far back as something new may still appear.
#[derive(Debug, Default)]
struct Shown {
    ids: BTreeSet<EventId>,
}

impl Shown {
    /// Whether it is the first time that this one is met, and not from before all that is remembered.
    fn is_new(&self, id: EventId) -> bool {
        !self.ids.contains(&id) && self.ids.first().is_none_or(|first| id > *first)
    }

    fn add(&mut self, id: EventId) {
        self.ids.insert(id);
        let ms = |it: &EventId| it.uuid().as_u128() >> 80;
        let newest = self.ids.last().map_or(0, ms);
        // One from before the overlap stays, so that what is older is known to be.
        while self
            .ids
            .iter()
            .nth(1)
            .is_some_and(|it| ms(it) + OVERLAP_MS < newest)
        {
            self.ids.pop_first();
        }
    }
}

pub(crate) async fn run(file: Option<&Path>, args: Tail) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut shown = Shown::default();
    let mut fresh = page(&client, &args, None).await?.0;
    for row in &fresh {
        shown.ids.extend(id_of(row));
    }
    if let Some(newest) = shown.ids.last().copied() {
        shown.add(newest);
    }
    fresh.truncate(args.last as usize);
    print(&fresh, args.output)?;
    let mut is_away = false;
    loop {
        tokio::time::sleep(PERIOD).await;
        match look(&client, &args, &shown).await {
            Ok(fresh) => {
                is_away = false;
                fresh.iter().filter_map(id_of).for_each(|it| shown.add(it));
                print(&fresh, args.output)?;
            }
            // A gateway that restarts is waited for; what came meanwhile follows.
            Err(failure) if !is_away => {
                is_away = true;
                failure.report();
                output::note("asking again every second");
            }
            Err(_) => {}
        }
    }
}

/// What is new, newest first.
async fn look(client: &Client, args: &Tail, shown: &Shown) -> Result<Vec<Value>> {
    let mut fresh = Vec::new();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let (rows, next) = page(client, args, cursor.as_deref()).await?;
        let oldest = rows.last().and_then(id_of);
        let is_new = |row: &Value| id_of(row).is_some_and(|it| shown.is_new(it));
        fresh.extend(rows.into_iter().filter(is_new));
        cursor = next;
        let is_known = oldest
            .zip(shown.ids.first())
            .is_some_and(|(it, first)| it <= *first);
        if is_known || cursor.is_none() {
            return Ok(fresh);
        }
    }
    output::note(format_args!(
        "more came than {} at once: `gatepost events list` shows the rest",
        MAX_PAGES * PAGE
    ));
    Ok(fresh)
}

/// A page of events, newest first, and where the next one starts.
async fn page(client: &Client, args: &Tail, cursor: Option<&str>) -> Result<(Vec<Value>, Option<String>)> {
    let mut query = Query::default();
    query.push("limit", Some(&PAGE.to_string()));
    query.push("source", args.source.as_deref());
    query.push("type", args.event_type.as_deref());
    query.push("q", args.q.as_deref());
    query.push("cursor", cursor);
    let mut reply = client.get(&["v1", "events"], &query).await?.value;
    let next = reply["next"].as_str().map(str::to_owned);
    let rows = match reply["data"].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    };
    Ok((rows, next))
}

fn id_of(row: &Value) -> Option<EventId> {
    row["id"].as_str()?.parse().ok()
}

/// Oldest first, a line each.
fn print(newest_first: &[Value], output: Output) -> Result<()> {
    for row in newest_first.iter().rev() {
        match output {
            Output::Json => output::json(row)?,
            Output::Table => output::data(line(row))?,
        }
    }
    Ok(())
}

fn line(row: &Value) -> String {
    let at = text(row, "received_at");
    let at = Timestamp::parse_rfc3339(&at).map_or(at, |it| it.to_string());
    let cells = ["id", "source", "type", "external_id", "verified"].map(|it| text(row, it));
    output::printable(&format!(
        "{at}  {}  {} bytes",
        cells.join("  "),
        text(row, "size")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(ms: u128, number: u128) -> EventId {
        EventId::from_uuid(Uuid::from_u128(ms << 80 | 0x7000 << 64 | 2 << 62 | number))
    }

    #[test]
    fn each_event_is_new_once_though_it_comes_late() {
        let mut shown = Shown::default();
        assert!(shown.is_new(id(50_000, 1)));
        for it in [id(50_000, 1), id(52_000, 2), id(61_000, 3)] {
            shown.add(it);
            assert!(!shown.is_new(it));
        }
        assert!(shown.is_new(id(60_000, 4)), "committed late by another replica");
        assert!(!shown.is_new(id(49_000, 5)), "from before it began");
        shown.add(id(90_000, 6));
        assert_eq!(shown.ids.len(), 2, "{shown:?}");
        assert!(!shown.is_new(id(55_000, 7)));
        assert!(shown.is_new(id(85_000, 8)));
    }

    #[test]
    fn a_line_says_what_came_and_cannot_drive_the_terminal() {
        let row = json!({
            "id": "evt_1", "source": "stripe", "type": "a\u{1b}[31m", "external_id": null, "verified": "body", "size": 12,
            "received_at": "2026-01-01T00:00:00Z",
        });
        assert_eq!(
            line(&row),
            "2026-01-01T00:00:00Z  evt_1  stripe  a\u{fffd}[31m  -  body  12 bytes"
        );
    }
}
