//! `gatepost cancel`: many open deliveries given up at once.

use std::path::Path;

use serde_json::json;

use crate::cli::{
    Output,
    bulk::{self, JobArgs, WHICH, Which},
    client::{AdminArgs, Client},
    output::Result,
};

/// Give up all open deliveries that a filter finds
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Gives up open deliveries (pending, delivering, retrying, held) by the filters of `gatepost deliveries list`, as a \
                  job. Shows the plan first and asks. What is under way may still arrive. For a single one: `gatepost deliveries \
                  cancel`. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost cancel --destination billing --status retrying --plan\n  gatepost cancel --source stripe --type 'customer.*' --yes --reason 'sent by mistake'",
    group = clap::ArgGroup::new("which").args(WHICH).multiple(true).required(true)
)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    job: JobArgs,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let client = Client::new(file, &args.admin)?;
    let request = json!({ "action": "cancel", "filter": args.which.filter() });
    bulk::run(&client, request, &args.job, args.output).await
}
