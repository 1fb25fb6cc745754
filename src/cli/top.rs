//! `gatepost top`: all that matters at a glance, again and again.

use std::{io::IsTerminal, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    base::clock::{Timestamp, wall_now},
    cli::{
        Output,
        client::{AdminArgs, Client, Query, text},
        destinations::breaker,
        output::{self, Ended, Result, Table},
    },
};

/// Watch what comes in, what goes out, and what is wrong
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Shows a running gatepost at a glance, and again every two seconds: whether the ledger adds up, what came in and went \
                  out, each source's events and refusals of the last minute, each destination with its breaker, what waits for it \
                  and since when. On a terminal the picture is drawn anew; elsewhere, and with `--once`, each is printed. Asks \
                  the admin API.",
    after_help = "Examples:\n  gatepost top\n  gatepost top --every 10\n  gatepost top --once\n  gatepost top --once --output json | jq .ledger.dead"
)]
pub(crate) struct Args {
    /// Seconds between two looks, or more where a look takes long
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    every: u32,
    /// Look once, print, and end
    #[arg(long)]
    once: bool,
    /// How to print it; `json` is a line for each look
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Recent events and refusals are of so long.
const RECENT: Duration = Duration::from_mins(1);
/// Between two looks lies at least so many times what one took: counting a large store must not become its main work.
const REST: u32 = 10;
/// The cursor to the top left corner, and nothing below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// What one look saw.
struct Look {
    at: Timestamp,
    began: Instant,
    took: Duration,
    ledger: Value,
    stats: Value,
    sources: Value,
    destinations: Value,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let client = Client::new(file, &args.admin)?;
    let is_drawn = args.output == Output::Table && !args.once && std::io::stdout().is_terminal();
    // Only the first look may end it: a gateway that restarts is watched on.
    let mut before = look(&client).await?;
    print(&before, None, args.output, is_drawn)?;
    if args.once {
        return Ok(Ended::Fine);
    }
    let every = Duration::from_secs(args.every.into());
    loop {
        tokio::time::sleep(every.max(before.took * REST)).await;
        match look(&client).await {
            Ok(seen) => {
                print(&seen, Some(&before), args.output, is_drawn)?;
                before = seen;
            }
            Err(failure) => {
                failure.report();
            }
        }
    }
}

async fn look(client: &Client) -> Result<Look> {
    let at = wall_now();
    let began = Instant::now();
    let mut recent = Query::default();
    recent.push("after", Some(&at.minus(RECENT).to_string()));
    let none = Query::default();
    let ledger = client.get(&["v1", "ledger"], &none).await?.value;
    let stats = client.get(&["v1", "stats"], &recent).await?.value;
    let sources = client.get(&["v1", "sources"], &none).await?.value;
    let destinations = client.get(&["v1", "destinations"], &none).await?.value;
    Ok(Look {
        at,
        began,
        took: began.elapsed(),
        ledger,
        stats,
        sources,
        destinations,
    })
}

fn print(seen: &Look, before: Option<&Look>, output: Output, is_drawn: bool) -> Result<()> {
    if output == Output::Json {
        return output::json(&json!({
            "at": seen.at.to_string(),
            "ledger": seen.ledger,
            "stats": seen.stats,
            "destinations": seen.destinations["data"],
        }));
    }
    let clear = if is_drawn { CLEAR } else { "" };
    output::data(format_args!(
        "{clear}{}\n{}\n\n{}\n\n{}\n",
        verdict(seen),
        counts(seen, before),
        sources(seen),
        destinations(seen)
    ))
}

/// What is wrong, in one line; or that nothing is.
fn verdict(seen: &Look) -> String {
    let ledger = &seen.ledger;
    let mut wrong = Vec::new();
    if ledger["balanced"] != true {
        wrong.push("the ledger does not add up".to_owned());
    }
    for (field, what) in [("dead", "dead letters"), ("stuck", "stuck")] {
        match number(ledger, field) {
            0 => {}
            n => wrong.push(format!("{n} {what}")),
        }
    }
    for row in rows(&seen.destinations) {
        let is_held = row.get("held").is_some_and(|it| !it.is_null());
        let state = breaker(row);
        if is_held {
            wrong.push(format!("`{}` is held", text(row, "name")));
        } else if state.starts_with("open") || state.starts_with("probing") {
            wrong.push(format!("`{}` is left alone", text(row, "name")));
        }
    }
    let wrong = if wrong.is_empty() {
        "all is well".to_owned()
    } else {
        wrong.join(", ")
    };
    format!("{}  {}", seen.at, output::printable(&wrong))
}

/// The counts of the ledger, and how fast they grow.
fn counts(seen: &Look, before: Option<&Look>) -> String {
    let counted = |field: &str| {
        let n = number(&seen.ledger, field);
        let grown = before.map(|it| n.saturating_sub(number(&it.ledger, field)));
        let took_ms = before.map_or(0, |it| (seen.began - it.began).as_millis());
        let per_second = grown
            .map(|it| u128::from(it) * 1_000)
            .and_then(|it| it.checked_div(took_ms));
        match per_second {
            Some(rate) => format!("{field} {n} ({rate}/s)"),
            None => format!("{field} {n}"),
        }
    };
    let growing = ["received", "rejected", "duplicates", "delivered"].map(counted);
    let standing = ["open", "dead", "stuck"].map(|it| format!("{it} {}", number(&seen.ledger, it)));
    [growing.join("  "), standing.join("  ")].join("  ")
}

fn sources(seen: &Look) -> Table {
    let mut table = Table::new(["SOURCE", "EVENTS/MIN", "REFUSED/MIN", "MOST OFTEN"]);
    for row in rows(&seen.sources) {
        let name = text(row, "name");
        let of_it = |list: &'static str| {
            let list = seen.stats[list].as_array().map_or(&[][..], Vec::as_slice);
            list.iter().filter(|it| it["source"] == name.as_str())
        };
        let n_events: u64 = of_it("recent_events").map(|it| number(it, "count")).sum();
        let n_refused: u64 = of_it("recent_rejected").map(|it| number(it, "count")).sum();
        let most = of_it("recent_rejected").max_by_key(|it| number(it, "count"));
        let most = most.map_or_else(|| "-".to_owned(), |it| text(it, "cause"));
        table.row([name, n_events.to_string(), n_refused.to_string(), most]);
    }
    table
}

fn destinations(seen: &Look) -> Table {
    let mut table = Table::new(["DESTINATION", "STATE", "WAITING", "IN HAND", "OLDEST DUE", "DEAD"]);
    for row in rows(&seen.destinations) {
        let name = text(row, "name");
        let list = |list: &str| seen.stats[list].as_array().cloned().unwrap_or_default();
        let counts = list("deliveries");
        let in_status = |statuses: &[&str]| {
            let is_it = |it: &&Value| {
                it["destination"] == name.as_str() && statuses.iter().any(|status| it["status"] == *status)
            };
            let n: u64 = counts.iter().filter(is_it).map(|it| number(it, "count")).sum();
            n.to_string()
        };
        let due = list("oldest_due");
        let due = due.iter().find(|it| it["destination"] == name.as_str());
        let due = due.and_then(|it| Timestamp::parse_rfc3339(it["due_at"].as_str()?));
        let due = due.map_or_else(|| "-".to_owned(), |it| output::rough(seen.at.since(it).as_secs()));
        let held = row["held"]["reason"].as_str().map(|it| format!("held: {it}"));
        table.row([
            name.clone(),
            held.unwrap_or_else(|| breaker(row)),
            in_status(&["pending", "retrying", "held"]),
            in_status(&["delivering"]),
            due,
            in_status(&["dead"]),
        ]);
    }
    table
}

fn rows(list: &Value) -> &[Value] {
    list["data"].as_array().map_or(&[], Vec::as_slice)
}

fn number(row: &Value, field: &str) -> u64 {
    row[field].as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(dead: u64, breaker: &Value, held: &Value) -> Look {
        Look {
            at: Timestamp::from_unix_seconds(1_767_225_600),
            began: Instant::now(),
            took: Duration::ZERO,
            ledger: json!({ "balanced": true, "received": 100, "delivered": 90, "dead": dead }),
            stats: json!({
                "deliveries": [
                    { "destination": "billing", "status": "retrying", "count": 3 },
                    { "destination": "billing", "status": "held", "count": 4 },
                    { "destination": "search", "status": "dead", "count": 9 },
                ],
                "oldest_due": [{ "destination": "billing", "due_at": "2025-12-31T23:58:00Z" }],
                "recent_events": [{ "source": "stripe", "count": 12 }],
                "recent_rejected": [
                    { "source": "stripe", "cause": "timestamp_stale", "count": 1 },
                    { "source": "stripe", "cause": "signature_mismatch", "count": 5 },
                ],
            }),
            sources: json!({ "data": [{ "name": "stripe" }, { "name": "github" }] }),
            destinations: json!({ "data": [{ "name": "billing", "breaker": breaker, "held": held }] }),
        }
    }

    #[test]
    fn what_is_wrong_is_said_first() {
        let closed = json!({ "state": "closed" });
        let verdict = |dead, breaker: &Value, held: &Value| verdict(&look(dead, breaker, held));
        assert!(verdict(0, &closed, &Value::Null).ends_with("  all is well"));
        let open = json!({ "state": "open", "reason": "10 attempts in a row failed" });
        assert!(verdict(2, &open, &Value::Null).ends_with("  2 dead letters, `billing` is left alone"));
        assert!(verdict(0, &open, &json!({ "reason": "by ops" })).ends_with("  `billing` is held"));
    }

    #[test]
    fn each_source_and_destination_has_its_line() {
        let seen = look(0, &json!({ "state": "closed" }), &Value::Null);
        assert_eq!(
            sources(&seen).to_string(),
            "SOURCE  EVENTS/MIN  REFUSED/MIN  MOST OFTEN\n\
             stripe  12          6            signature_mismatch\n\
             github  0           0            -"
        );
        assert_eq!(
            destinations(&seen).to_string(),
            "DESTINATION  STATE   WAITING  IN HAND  OLDEST DUE  DEAD\n\
             billing      closed  7        0        2m          0"
        );
    }

    #[test]
    fn rates_are_of_the_time_between_two_looks() {
        let closed = json!({ "state": "closed" });
        let before = look(0, &closed, &Value::Null);
        let mut seen = look(0, &closed, &Value::Null);
        seen.began = before.began + Duration::from_secs(2);
        seen.ledger["received"] = 140.into();
        let line = counts(&seen, Some(&before));
        assert!(
            line.starts_with("received 140 (20/s)  rejected 0 (0/s)"),
            "{line}"
        );
        assert!(counts(&seen, None).starts_with("received 140  "));
    }
}
