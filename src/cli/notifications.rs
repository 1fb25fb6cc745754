//! `gatepost notifications`: who is told of issues, and trying it.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    client::{AdminArgs, Client, Query, text},
    output::{self, Ended, Failure, Result, Table, note},
};

/// List who is told of issues, and send a test message
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Notifications are who is told of issues: the tables `[notifications.NAME]` of the config. Lists them; sends one of them \
                  a message that says that it is a test. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost notifications list\n  gatepost notifications test ops"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the notifications of the config
    List(List),
    /// Send a message that says that it is a test
    Test(Test),
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
struct Test {
    /// The notification's name in the config
    name: String,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Test(args) => test(file, args).await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "notifications"], &Query::default()).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let mut table = Table::new(["NAME", "KIND", "TARGET", "AN HOUR", "SEVERITY", "RULES"]);
    let rows = reply.value.get("data").and_then(Value::as_array);
    for row in rows.into_iter().flatten() {
        let rules = row.get("rules").and_then(Value::as_array);
        let rules: Vec<_> = rules.into_iter().flatten().filter_map(Value::as_str).collect();
        let rules = if rules.is_empty() {
            "all".to_owned()
        } else {
            rules.join(", ")
        };
        table.row([
            text(row, "name"),
            text(row, "kind"),
            text(row, "target"),
            text(row, "max_per_hour"),
            text(row, "severity"),
            rules,
        ]);
    }
    if table.is_empty() {
        note("the config has no notification: nobody is told of issues");
    } else {
        output::data(&table)?;
    }
    Ok(Ended::Fine)
}

async fn test(file: Option<&Path>, args: Test) -> Result {
    let client = Client::new(file, &args.admin)?;
    let path = ["v1", "notifications", &args.name, "test"];
    let reply = client.post(&path, &json!({})).await?;
    let is_taken = reply.value.get("taken").and_then(Value::as_bool) == Some(true);
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(if is_taken { Ended::Fine } else { Ended::Failed });
    }
    if !is_taken {
        let why = output::printable(&text(&reply.value, "error"));
        return Err(Failure::text(format_args!(
            "the notification `{}` was not taken: {why}",
            args.name
        )));
    }
    output::data(format_args!("`{}` took the test message", args.name))?;
    Ok(Ended::Fine)
}
