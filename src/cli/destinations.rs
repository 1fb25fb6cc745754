//! `gatepost destinations`: where events go, and stopping the flow for a while.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    client::{AdminArgs, Client, Query, text},
    output::{self, Ended, Result, Table},
};

/// List, pause and resume destinations
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists the destinations of a running gatepost; pauses one, so that its deliveries wait as `held` while \
                  events are still taken and stored; resumes it. BREAKER says whether a destination is left alone because it fails, as \
                  the asked process sees it: `resume` probes it at once. Asks the admin API.",
    after_help = "Examples:\n  gatepost destinations list\n  gatepost destinations pause billing\n  gatepost destinations resume billing"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List destinations
    List(List),
    /// Hold a destination's deliveries until it is resumed
    Pause(One),
    /// Let a paused destination's deliveries go
    Resume(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The destination's name
    name: String,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Pause(args) => set(file, args, "pause", "paused: its deliveries are held").await,
        Action::Resume(args) => set(file, args, "resume", "resumed: its deliveries go on").await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "destinations"], &Query::default()).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let mut table = Table::new(["NAME", "KIND", "TARGET", "BREAKER", "HELD"]);
    let rows = reply.value.get("data").and_then(Value::as_array);
    for row in rows.map_or(&[][..], Vec::as_slice) {
        let held = row
            .get("held")
            .and_then(|it| it.get("reason"))
            .and_then(Value::as_str);
        let held = held.unwrap_or("-").to_owned();
        table.row([
            text(row, "name"),
            text(row, "kind"),
            text(row, "target"),
            breaker(row),
            held,
        ]);
    }
    if table.is_empty() {
        output::note("no destination is configured");
    } else {
        output::data(&table)?;
    }
    Ok(Ended::Fine)
}

/// `closed`, or what it waits for.
pub(crate) fn breaker(row: &Value) -> String {
    let breaker = row.get("breaker").unwrap_or(&Value::Null);
    let state = text(breaker, "state");
    let reason = breaker.get("reason").and_then(Value::as_str);
    let probes_in = breaker.get("probes_in_ms").and_then(Value::as_u64);
    match (reason, probes_in) {
        (Some(reason), Some(ms)) => format!("{state}, probes in {} s: {reason}", ms.div_ceil(1_000)),
        (Some(reason), None) => format!("{state}: {reason}"),
        (None, _) => state,
    }
}

async fn set(file: Option<&Path>, args: One, verb: &str, done: &str) -> Result {
    let client = Client::new(file, &args.admin)?;
    client
        .post(&["v1", "destinations", &args.name, verb], &json!({}))
        .await?;
    output::data(format_args!("destination `{}` is {done}", args.name))?;
    Ok(Ended::Fine)
}
