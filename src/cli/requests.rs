//! `gatepost requests`: what was rejected, why, and taking it after all.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    client::{AdminArgs, Client, ListArgs, Query, Reply, ago, print_fields, print_list, text},
    output::{self, Ended, Result, Table},
};

/// List and read rejected requests, and accept them after all
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists the requests that were rejected, newest first, with the cause that the sender is not told; shows \
                  one; and accepts them: they are verified again with today's secrets, and those that pass become \
                  events. Use that after mending a wrong secret. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost requests list --cause signature_mismatch\n  gatepost requests get req_01jd...\n  gatepost requests accept req_01jd... req_01je...\n  gatepost requests accept --source stripe --cause signature_mismatch"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List rejected requests, newest first
    List(List),
    /// Show one rejected request
    Get(Get),
    /// Verify rejected requests again and take those that pass
    Accept(Accept),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Only this source's
    #[arg(long)]
    source: Option<String>,
    /// Only rejected for this cause
    #[arg(long)]
    cause: Option<String>,
    /// Received at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Received before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Part of the explanation
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Get {
    /// The request's id (req_...)
    id: String,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Accept {
    /// The requests' ids (req_...)
    #[arg(conflicts_with_all = ["source", "cause", "after", "before"], required_unless_present_any = ["source", "cause", "after", "before"])]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
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
        Action::Accept(args) => accept(file, args).await,
    }
}

impl Which {
    fn add_to(&self, query: &mut Query) {
        query.push("source", self.source.as_deref());
        query.push("cause", self.cause.as_deref());
        query.push("after", self.after.as_deref());
        query.push("before", self.before.as_deref());
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    args.which.add_to(&mut query);
    query.push("q", args.q.as_deref());
    let reply = client.get(&["v1", "requests"], &query).await?;
    print_list(&reply, &args.page, "no rejected request matches", |rows| {
        let mut table = Table::new(["ID", "SOURCE", "CAUSE", "RECEIVED", "CLIENT", "EXPLANATION"]);
        for row in rows {
            table.row([
                text(row, "id"),
                text(row, "source"),
                text(row, "cause"),
                ago(row, "received_at"),
                text(row, "client"),
                text(row, "explanation"),
            ]);
        }
        table
    })?;
    Ok(Ended::Fine)
}

async fn get(file: Option<&Path>, args: Get) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client
        .get(&["v1", "requests", &args.id], &Query::default())
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let fields = [
        "id",
        "source",
        "cause",
        "explanation",
        "received_at",
        "method",
        "target",
        "client",
        "size",
        "accepted_as",
    ];
    print_fields(&reply.value, &fields)?;
    Ok(Ended::Fine)
}

async fn accept(file: Option<&Path>, args: Accept) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut n_refused = 0;
    if args.ids.is_empty() {
        let mut cursor = Value::Null;
        loop {
            let body = json!({
                "source": args.which.source,
                "cause": args.which.cause,
                "after": args.which.after,
                "before": args.which.before,
                "cursor": cursor,
            });
            let reply = client.post(&["v1", "requests", "accept"], &body).await?;
            n_refused += print_results(&reply, args.output)?;
            cursor = reply.value.get("next").cloned().unwrap_or(Value::Null);
            if cursor.is_null() {
                break;
            }
        }
    }
    for ids in args.ids.chunks(MAX_IDS) {
        let reply = client
            .post(&["v1", "requests", "accept"], &json!({ "ids": ids }))
            .await?;
        n_refused += print_results(&reply, args.output)?;
    }
    Ok(if n_refused == 0 {
        Ended::Fine
    } else {
        Ended::Failed
    })
}

/// The most ids of one call, as many as a page holds.
const MAX_IDS: usize = 200;

/// Prints what became of each; answers how many are still rejected.
fn print_results(reply: &Reply, output: Output) -> Result<usize> {
    if output == Output::Json {
        output::data(&reply.text)?;
    }
    let rows = reply
        .value
        .get("data")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let mut table = Table::new(["REQUEST", "RESULT", "EVENT", "EXPLANATION"]);
    let mut n_refused = 0;
    for row in rows {
        let result = text(row, "result");
        let is_there = ["accepted", "duplicate", "already_accepted", "handshake"].contains(&result.as_str());
        n_refused += usize::from(!is_there);
        table.row(["id", "result", "event_id", "explanation"].map(|it| text(row, it)));
    }
    if output == Output::Table && table.is_empty() {
        output::note("no rejected request matches");
    } else if output == Output::Table {
        output::data(&table)?;
    }
    Ok(n_refused)
}
