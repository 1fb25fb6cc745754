//! `gatepost deliveries`: where each event went, and how it went.

use std::path::Path;

use serde_json::Value;

use crate::cli::{
    Output,
    client::{AdminArgs, Client, ListArgs, Query, ago, print_fields, print_list, text},
    output::{self, Ended, Result, Table},
};

/// List, read and cancel deliveries
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists deliveries (one event for one route), newest first; shows one with its attempts; cancels one. \
                  A dead delivery is a dead letter: kept, and tried again with `gatepost retry`. Asks the admin API of a \
                  running gatepost.",
    after_help = "Examples:\n  gatepost deliveries list --status dead\n  gatepost deliveries list --destination billing --status retrying\n  gatepost deliveries get dlv_01jd...\n  gatepost deliveries cancel dlv_01jd..."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List deliveries, newest first
    List(List),
    /// Show one delivery with its attempts
    Get(One),
    /// Give an open delivery up, by hand
    Cancel(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only of this source's events
    #[arg(long)]
    source: Option<String>,
    /// Only of events of this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// pending, delivering, retrying, held, delivered, dead, cancelled or skipped
    #[arg(long)]
    status: Option<String>,
    /// Only to this destination
    #[arg(long)]
    destination: Option<String>,
    /// Only of this event
    #[arg(long = "event", value_name = "EVENT")]
    event_id: Option<String>,
    /// Created at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Created before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Part of the last error, of the sender's id or of the type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The delivery's id (dlv_...)
    id: String,
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
        Action::Cancel(args) => cancel(file, args).await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    query.push("source", args.source.as_deref());
    query.push("type", args.event_type.as_deref());
    query.push("status", args.status.as_deref());
    query.push("destination", args.destination.as_deref());
    query.push("event_id", args.event_id.as_deref());
    query.push("after", args.after.as_deref());
    query.push("before", args.before.as_deref());
    query.push("q", args.q.as_deref());
    let reply = client.get(&["v1", "deliveries"], &query).await?;
    print_list(&reply, &args.page, "no delivery matches", table)?;
    Ok(Ended::Fine)
}

/// Deliveries as rows, wherever they are shown.
pub(crate) fn table(rows: &[Value]) -> Table {
    let mut table = Table::new([
        "ID",
        "EVENT",
        "DESTINATION",
        "STATUS",
        "ATTEMPTS",
        "NEXT",
        "LAST ERROR",
    ]);
    for row in rows {
        table.row([
            text(row, "id"),
            text(row, "event_id"),
            text(row, "destination"),
            text(row, "status"),
            text(row, "attempts"),
            ago(row, "next_attempt_at"),
            text(row, "last_error"),
        ]);
    }
    table
}

async fn get(file: Option<&Path>, args: One) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client
        .get(&["v1", "deliveries", &args.id], &Query::default())
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
    } else {
        print_one(&reply.value)?;
    }
    Ok(Ended::Fine)
}

async fn cancel(file: Option<&Path>, args: One) -> Result {
    let client = Client::new(file, &args.admin)?;
    let path = ["v1", "deliveries", args.id.as_str(), "cancel"];
    let reply = client.post(&path, &Value::Object(serde_json::Map::new())).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
    } else {
        output::data(format_args!("delivery `{}` is cancelled", args.id))?;
    }
    Ok(Ended::Fine)
}

/// One delivery, and each attempt on a line.
pub(crate) fn print_one(delivery: &Value) -> Result<()> {
    let fields = [
        "id",
        "event_id",
        "route",
        "destination",
        "origin",
        "status",
        "next_attempt_at",
        "last_error",
    ];
    print_fields(delivery, &fields)?;
    let Some(attempts) = delivery.get("attempts").and_then(Value::as_array) else {
        return Ok(());
    };
    let mut table = Table::new(["ATTEMPT", "STARTED", "TOOK", "TRIGGER", "ANSWER", "ERROR"]);
    for attempt in attempts {
        table.row([
            text(attempt, "number"),
            text(attempt, "started_at"),
            format!("{} ms", text(attempt, "duration_ms")),
            text(attempt, "trigger"),
            text(attempt, "status_code"),
            text(attempt, "error"),
        ]);
    }
    if table.is_empty() {
        return output::data("\nno attempt yet");
    }
    output::data(format_args!("\n{table}"))
}
