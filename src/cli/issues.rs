//! `gatepost issues`: what is wrong, and what somebody does about it.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    client::{AdminArgs, Client, ListArgs, Query, ago, print_fields, print_list, text},
    output::{self, Ended, Result, Table},
};

/// List what is wrong; acknowledge, resolve, ignore and reopen it
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Issues are what gatepost finds wrong by the rules of `[issues]`, grouped by where it is: dead letters, a destination \
                  that fails or is held, many refused requests, a backlog, a ledger that does not add up, a source gone silent, a store under \
                  strain, a certificate or token near its end. An issue is resolved by itself \
                  when it is gone, and opens again when it comes back. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost issues list\n  gatepost issues list --state resolved --destination billing\n  gatepost issues show iss_01jd...\n  gatepost issues acknowledge iss_01jd... --reason \"handler is being mended\""
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List issues, newest first
    List(List),
    /// Show one issue, and who was told of it
    Show(Show),
    /// Say that somebody knows: it stays open until it is gone
    Acknowledge(One),
    /// Say that it is over; it opens again when it happens again
    Resolve(One),
    /// Say that nobody wants to hear of it, until it is reopened
    Ignore(One),
    /// Open it again
    Reopen(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// open, acknowledged, resolved, ignored; live: open or acknowledged; all
    #[arg(long, default_value = "live")]
    state: String,
    /// Found by this rule: dead_letters, failing, held, refusals, backlog, ledger, silence, store, expiry
    #[arg(long)]
    rule: Option<String>,
    /// warning or critical
    #[arg(long)]
    severity: Option<String>,
    /// About this source
    #[arg(long)]
    source: Option<String>,
    /// About this destination
    #[arg(long)]
    destination: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The id (iss_...)
    id: String,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id (iss_...)
    id: String,
    /// Why; kept with the issue
    #[arg(long)]
    reason: Option<String>,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Show(args) => show(file, args).await,
        Action::Acknowledge(args) => set(file, args, "acknowledge").await,
        Action::Resolve(args) => set(file, args, "resolve").await,
        Action::Ignore(args) => set(file, args, "ignore").await,
        Action::Reopen(args) => set(file, args, "reopen").await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    query.push("state", Some(args.state.as_str()).filter(|it| *it != "all"));
    query.push("rule", args.rule.as_deref());
    query.push("severity", args.severity.as_deref());
    query.push("source", args.source.as_deref());
    query.push("destination", args.destination.as_deref());
    let reply = client.get(&["v1", "issues"], &query).await?;
    print_list(&reply, &args.page, "there is no such issue", |rows| {
        let mut table = Table::new([
            "ID",
            "SEVERITY",
            "STATE",
            "COUNT",
            "FIRST SEEN",
            "LAST SEEN",
            "WHAT",
        ]);
        for row in rows {
            table.row([
                text(row, "id"),
                text(row, "severity"),
                text(row, "state"),
                text(row, "count"),
                ago(row, "first_seen_at"),
                ago(row, "last_seen_at"),
                text(row, "summary"),
            ]);
        }
        table
    })?;
    Ok(Ended::Fine)
}

async fn show(file: Option<&Path>, args: Show) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "issues", &args.id], &Query::default()).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let fields = [
        "id",
        "summary",
        "rule",
        "severity",
        "state",
        "source",
        "destination",
        "route",
        "cause",
        "count",
        "n_opened",
        "first_seen_at",
        "last_seen_at",
        "changed_at",
        "changed_by",
        "reason",
    ];
    print_fields(&reply.value, &fields)?;
    let mut told = Table::new(["TOLD", "CHANGE", "WHEN", "STATUS", "TRIES", "LAST ERROR"]);
    let notices = reply.value.get("notices").and_then(Value::as_array);
    for row in notices.into_iter().flatten() {
        told.row([
            text(row, "notification"),
            text(row, "change"),
            ago(row, "created_at"),
            text(row, "status"),
            text(row, "tries"),
            text(row, "last_error"),
        ]);
    }
    if !told.is_empty() {
        output::data("")?;
        output::data(&told)?;
    }
    Ok(Ended::Fine)
}

async fn set(file: Option<&Path>, args: One, verb: &str) -> Result {
    let client = Client::new(file, &args.admin)?;
    let body = json!({ "reason": args.reason });
    let reply = client.post(&["v1", "issues", &args.id, verb], &body).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    output::data(format_args!(
        "issue `{}` is {}: {}",
        args.id,
        text(&reply.value, "state"),
        output::printable(&text(&reply.value, "summary"))
    ))?;
    Ok(Ended::Fine)
}
