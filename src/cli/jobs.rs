//! `gatepost jobs`: bulk work, how far it is, and holding it.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    bulk::{self, count},
    client::{AdminArgs, Client, ListArgs, ago, print_fields, print_list, text},
    output::{self, Ended, Result, Table},
};

/// List, watch, pause, resume and cancel bulk work
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Jobs are bulk work: made by `gatepost retry`, `replay` and `cancel` with filters. Lists them, newest first; shows \
                  one and how far it is; pauses it, lets it go on, ends it. Each takes effect at once: no step of the job begins \
                  after the answer. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost jobs list\n  gatepost jobs show job_01jd... --follow\n  gatepost jobs pause job_01jd...\n  gatepost jobs resume job_01jd...\n  gatepost jobs cancel job_01jd..."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List jobs, newest first
    List(List),
    /// Show one job and how far it is
    Show(Show),
    /// Pause a job
    Pause(One),
    /// Let a paused job go on where it stood
    Resume(One),
    /// End a job where it stands; what it did stays done
    Cancel(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// running, paused, cancelled or done
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The job's id (job_...)
    id: String,
    /// Stay until it has ended, and show how far it is
    #[arg(long)]
    follow: bool,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The job's id (job_...)
    id: String,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Show(args) => show(file, args).await,
        Action::Pause(args) => set(file, args, "pause").await,
        Action::Resume(args) => set(file, args, "resume").await,
        Action::Cancel(args) => set(file, args, "cancel").await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    query.push("state", args.state.as_deref());
    let reply = client.get(&["v1", "jobs"], &query).await?;
    print_list(&reply, &args.page, "there is no job", |rows| {
        let mut table = Table::new(["ID", "ACTION", "STATE", "DONE", "BY", "CREATED", "REASON"]);
        for row in rows {
            let (n, n_planned) = (count(row, "n_matched"), count(row, "n_planned"));
            table.row([
                text(row, "id"),
                text(row, "action"),
                text(row, "state"),
                format!("{n} of {n_planned}"),
                text(row, "made_by"),
                ago(row, "created_at"),
                text(row, "reason"),
            ]);
        }
        table
    })?;
    Ok(Ended::Fine)
}

async fn show(file: Option<&Path>, args: Show) -> Result {
    let client = Client::new(file, &args.admin)?;
    if args.follow {
        return bulk::follow(&client, &args.id, args.output).await;
    }
    let reply = client
        .get(&["v1", "jobs", &args.id], &crate::cli::client::Query::default())
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let fields = [
        "id",
        "action",
        "state",
        "filter",
        "to",
        "config",
        "rate",
        "made_by",
        "reason",
        "n_planned",
        "n_matched",
        "n_changed",
        "n_skipped",
        "created_at",
        "ended_at",
    ];
    print_fields(&reply.value, &fields)?;
    Ok(Ended::Fine)
}

async fn set(file: Option<&Path>, args: One, verb: &str) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.post(&["v1", "jobs", &args.id, verb], &json!({})).await?;
    let n = text(&reply.value, "n_matched");
    let of: &Value = reply.value.get("n_planned").unwrap_or(&Value::Null);
    output::data(format_args!(
        "job `{}` is {}, {n} of {of} worked off",
        args.id,
        text(&reply.value, "state")
    ))?;
    Ok(Ended::Fine)
}
