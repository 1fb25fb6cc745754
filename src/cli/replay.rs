//! `gatepost replay`: new deliveries from a stored event.

use std::path::Path;

use serde_json::Value;

use crate::cli::{
    Output,
    client::{AdminArgs, Client, text},
    output::{self, Ended, Result, Table},
};

/// Deliver a stored event again, by the routes of today
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Makes new deliveries from a stored event, by the routes that the config has today. The handler gets the \
                  same body, the same `webhook-id` and `gatepost-origin: replayed`. To try one failed delivery again, use \
                  `gatepost retry`. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost replay evt_01jd...\n  gatepost replay evt_01jd... --destination billing"
)]
pub(crate) struct Args {
    /// The event's id (evt_...)
    event: String,
    /// Only to this destination of its source, whatever the routes' types say
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// Only by this route, whatever its types say
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let client = Client::new(file, &args.admin)?;
    let named = [("destination", args.destination), ("route", args.route)];
    let named = named
        .into_iter()
        .filter_map(|(key, name)| Some((key.to_owned(), Value::from(name?))));
    let reply = client
        .post(
            &["v1", "events", &args.event, "replay"],
            &Value::Object(named.collect()),
        )
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let made = reply.value.get("deliveries").and_then(Value::as_array);
    let mut table = Table::new(["DELIVERY", "ROUTE", "DESTINATION"]);
    for row in made.map_or(&[][..], Vec::as_slice) {
        table.row(["id", "route", "destination"].map(|it| text(row, it)));
    }
    output::data(&table)?;
    Ok(Ended::Fine)
}
