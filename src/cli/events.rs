//! `gatepost events`: what came in.

use std::path::Path;

use serde_json::Value;

use crate::cli::{
    Output,
    client::{AdminArgs, Client, ListArgs, Query, ago, print_fields, print_list, text},
    deliveries,
    output::{self, Ended, Result, Table},
    tail, transfer,
};

/// List, read, follow, export and import events
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists the events in the store, newest first, and shows one of them with its headers, body and \
                  deliveries; writes many out whole, and takes them in again. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost events list --source stripe --type 'payment_intent.*'\n  gatepost events list --status dead --output json | jq -r '.data[].id'\n  gatepost events list --source stripe --text in_1Sk2\n  gatepost events get evt_01jd...\n  gatepost events get evt_01jd... --body > body.json\n  gatepost events tail --source stripe\n  gatepost events export --source stripe --from 2026-01-31T00:00:00Z --output stripe.jsonl\n  gatepost events import stripe.jsonl"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List events, newest first
    List(List),
    /// Show one event with its body and deliveries
    Get(Get),
    /// Print events as they come
    #[command(
        long_about = "Prints each event as it is stored, a line each, until it is stopped; begins with the last ten. A gateway that \
                      restarts is waited for."
    )]
    Tail(tail::Tail),
    /// Write events out whole, as JSON lines
    #[command(
        long_about = "Writes events out whole, the oldest first, a JSON line each: headers as they came (credentials too), body in base64, \
                      times, ids, what was verified. A file is made for this user alone. Needs a token with the role `operator`."
    )]
    Export(transfer::Export),
    /// Store events that were exported
    #[command(
        long_about = "Stores events that `export` wrote, under their own ids. Each is verified again with today's secrets, as of when it was \
                      received; what does not verify is refused. What is there already counts as such. Nothing is delivered: \
                      `gatepost replay` does that. Retention counts from when an event was received."
    )]
    Import(transfer::Import),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only this source's
    #[arg(long)]
    source: Option<String>,
    /// Only this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events with a delivery in this status
    #[arg(long)]
    status: Option<String>,
    /// Only events with a delivery to this destination
    #[arg(long)]
    destination: Option<String>,
    /// Received at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Received before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Part of the sender's id or of the type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// A text in the body, byte for byte. No index knows bodies: it looks at some thousand events at a time, and says how far it came
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Get {
    /// The event's id (evt_...)
    id: String,
    /// Print the raw body and nothing else
    #[arg(long, conflicts_with = "output")]
    body: bool,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Get(args) => get(file, args).await,
        Action::Tail(args) => tail::run(file, args).await,
        Action::Export(args) => transfer::export(file, args).await,
        Action::Import(args) => transfer::import(file, args).await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    query.push("source", args.source.as_deref());
    query.push("type", args.event_type.as_deref());
    query.push("status", args.status.as_deref());
    query.push("destination", args.destination.as_deref());
    query.push("after", args.after.as_deref());
    query.push("before", args.before.as_deref());
    query.push("q", args.q.as_deref());
    query.push("text", args.text.as_deref());
    let reply = client.get(&["v1", "events"], &query).await?;
    if let Some(searched) = reply.value.get("searched") {
        output::note(reach(searched));
    }
    print_list(&reply, &args.page, "no event matches", table)?;
    Ok(Ended::Fine)
}

/// How far a search for a text came.
fn reach(searched: &Value) -> String {
    let n_events = searched["n_events"].as_u64();
    let n_events = n_events.map_or_else(String::new, |it| format!(" of {it} events"));
    let back_to = searched["back_to"].as_str();
    let back_to = back_to.map_or_else(String::new, |it| format!(", back to {it}"));
    format!("looked into the bodies{n_events}{back_to}")
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new([
        "ID",
        "SOURCE",
        "TYPE",
        "EXTERNAL ID",
        "VERIFIED",
        "RECEIVED",
        "BYTES",
    ]);
    for row in rows {
        table.row([
            text(row, "id"),
            text(row, "source"),
            text(row, "type"),
            text(row, "external_id"),
            text(row, "verified"),
            ago(row, "received_at"),
            text(row, "size"),
        ]);
    }
    table
}

async fn get(file: Option<&Path>, args: Get) -> Result {
    let client = Client::new(file, &args.admin)?;
    if args.body {
        let path = ["v1", "events", args.id.as_str(), "body"];
        output::raw(&client.get_bytes(&path).await?)?;
        return Ok(Ended::Fine);
    }
    let reply = client.get(&["v1", "events", &args.id], &Query::default()).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let event = &reply.value;
    print_fields(
        event,
        &[
            "id",
            "source",
            "external_id",
            "type",
            "origin",
            "verified",
            "occurred_at",
            "received_at",
            "content_type",
            "size",
        ],
    )?;
    output::data("\nheaders")?;
    for (name, value) in headers_of(event) {
        output::data(format_args!("  {name}: {}", output::printable(value)))?;
    }
    if let Some(rows) = event.get("deliveries").and_then(Value::as_array) {
        output::data(format_args!("\ndeliveries\n{}", deliveries::table(rows)))?;
    }
    output::data("\nbody")?;
    match event.get("body_encoding").and_then(Value::as_str) {
        Some(encoding) => output::data(format_args!(
            "  {} bytes that are not text ({encoding} in --output json); `--body` writes them out",
            text(event, "size")
        ))?,
        None => output::data(body_shown(&text(event, "body")))?,
    }
    Ok(Ended::Fine)
}

/// Headers come as a list of names with their values.
fn headers_of(event: &Value) -> Vec<(&str, &str)> {
    let list = event.get("headers").and_then(Value::as_array);
    let rows = list.map_or(&[][..], Vec::as_slice);
    let pairs = rows
        .iter()
        .map(|it| Some((it.get(0)?.as_str()?, it.get(1)?.as_str()?)));
    pairs.flatten().collect()
}

/// The body's text with its line breaks and without what could drive a terminal.
fn body_shown(body: &str) -> String {
    body.lines().map(output::printable).collect::<Vec<_>>().join("\n")
}
