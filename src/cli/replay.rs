//! `gatepost replay`: new deliveries from one stored event, or from many.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::{
    Output,
    bulk::{self, JobArgs, given},
    client::{AdminArgs, Client, text},
    output::{self, Ended, Result, Table},
    settings,
};

/// Deliver a stored event, or all that a filter finds, again
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Makes new deliveries from a stored event, by the routes that the config has today. The handler gets the \
                  same body, the same `webhook-id` and `gatepost-origin: replayed`. `--config original` (or `--original`) sends \
                  events to where they went when they came in, with the transforms that their routes had then. To try one \
                  failed delivery again, use `gatepost retry`.\n\nWith filters (those of `gatepost events list`) in place of an id it is a job: it shows the \
                  plan and asks. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost replay evt_01jd...\n  gatepost replay evt_01jd... --destination billing\n  gatepost replay evt_01jd... --config original\n  gatepost replay --source stripe --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z --plan\n  gatepost replay --source stripe --type 'invoice.*' --destination billing --rate 100\n  gatepost replay --source stripe --after 2026-01-31T00:00:00Z --config original --plan\n  gatepost replay --source stripe --destination billing --to-url https://staging.example.com/hooks",
    group = clap::ArgGroup::new("which").args(["source", "event_type", "status", "after", "before", "q"]).multiple(true)
)]
pub(crate) struct Args {
    /// The event's id (evt_...)
    #[arg(required_unless_present = "which", conflicts_with_all = ["which", "plan", "yes", "rate", "reason", "wait"])]
    event: Option<String>,
    /// Only to this destination of its source, whatever the routes' types and filters say
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// To this URL in place of the destination's own: with its timeout, rate, retries and signing secret, without its headers
    #[arg(long, value_name = "URL", requires = "destination", conflicts_with = "event")]
    to_url: Option<String>,
    /// Only by this route, whatever its types and filter say
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// To where the events went when they came in, as their routes were then
    #[arg(long)]
    original: bool,
    /// Events of this source
    #[arg(long, help_heading = "Which events")]
    source: Option<String>,
    /// Events of this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE", help_heading = "Which events")]
    event_type: Option<String>,
    /// Events with a delivery in this status
    #[arg(long, help_heading = "Which events")]
    status: Option<String>,
    /// Received at this time (RFC 3339) or later
    #[arg(
        long,
        visible_alias = "from",
        value_name = "TIME",
        help_heading = "Which events"
    )]
    after: Option<String>,
    /// Received before this time (RFC 3339)
    #[arg(
        long,
        visible_alias = "to",
        value_name = "TIME",
        help_heading = "Which events"
    )]
    before: Option<String>,
    /// Part of the sender's id or of the type
    #[arg(long, value_name = "TEXT", help_heading = "Which events")]
    q: Option<String>,
    #[command(flatten)]
    job: JobArgs,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    // The word that the option of all commands has here. A file of that name is `./original`.
    let is_word = file == Some(Path::new(settings::ORIGINAL));
    let is_original = is_word || args.original;
    let client = Client::new(file.filter(|_| !is_word), &args.admin)?;
    let mut to = given([
        ("destination", &args.destination),
        ("route", &args.route),
        ("url", &args.to_url),
    ]);
    if let Some(event) = &args.event {
        if is_original {
            to["config"] = "original".into();
        }
        return one(&client, event, &to, args.output).await;
    }
    let filter = given([
        ("source", &args.source),
        ("type", &args.event_type),
        ("status", &args.status),
        ("after", &args.after),
        ("before", &args.before),
        ("q", &args.q),
    ]);
    let mut request = json!({ "action": "replay", "filter": filter, "to": to });
    // An older gateway knows no such field.
    if is_original {
        request["config"] = "original".into();
    }
    bulk::run(&client, request, &args.job, args.output).await
}

async fn one(client: &Client, event: &str, to: &Value, output: Output) -> Result {
    let reply = client.post(&["v1", "events", event, "replay"], to).await?;
    if output == Output::Json {
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
