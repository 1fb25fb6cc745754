//! `gatepost retry`: the same delivery again, or many of them.

use std::path::Path;

use serde_json::json;

use crate::cli::{
    Output,
    bulk::{self, JobArgs, WHICH, Which},
    client::{AdminArgs, Client, text},
    output::{self, Ended, Result},
};

/// Try one delivery, or all that a filter finds, again now
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Puts a delivery that is dead, cancelled or waiting for its next try back in the queue, due now. Its \
                  attempts so far are kept and listed.\n\nWith filters (those of `gatepost deliveries list`) in place of an id it \
                  is a job: it shows the plan and asks. Without `--status` it takes dead letters. \
                  Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost retry dlv_01jd...\n  gatepost retry --destination billing --plan\n  gatepost retry --destination billing --after 2026-01-31T12:00:00Z --rate 50\n  gatepost retry --status cancelled --route to-billing --yes --reason 'billing is back'",
    group = clap::ArgGroup::new("which").args(WHICH).multiple(true)
)]
pub(crate) struct Args {
    /// The delivery's id (dlv_...)
    #[arg(required_unless_present = "which", conflicts_with_all = ["which", "plan", "yes", "rate", "reason", "wait"])]
    delivery: Option<String>,
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
    let Some(delivery) = args.delivery else {
        let request = json!({ "action": "retry", "filter": args.which.filter() });
        return bulk::run(&client, request, &args.job, args.output).await;
    };
    let reply = client
        .post(&["v1", "deliveries", &delivery, "retry"], &json!({}))
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
    } else {
        output::data(format_args!(
            "delivery `{delivery}` is {} and due now",
            text(&reply.value, "status")
        ))?;
    }
    Ok(Ended::Fine)
}
