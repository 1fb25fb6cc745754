//! `gatepost retry`: the same delivery again.

use std::path::Path;

use serde_json::json;

use crate::cli::{
    Output,
    client::{AdminArgs, Client, text},
    output::{self, Ended, Result},
};

/// Try one delivery again, now
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Puts a delivery that is dead, cancelled or waiting for its next try back in the queue, due now. Its \
                  attempts so far are kept and listed. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost retry dlv_01jd...\n  gatepost deliveries list --status dead --output json |\n    jq -r '.data[].id' | xargs -n1 gatepost retry"
)]
pub(crate) struct Args {
    /// The delivery's id (dlv_...)
    delivery: String,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client
        .post(&["v1", "deliveries", &args.delivery, "retry"], &json!({}))
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
    } else {
        output::data(format_args!(
            "delivery `{}` is {} and due now",
            args.delivery,
            text(&reply.value, "status")
        ))?;
    }
    Ok(Ended::Fine)
}
