//! `gatepost try`: what a route would make of an event, and what it would not deliver.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::Value;

use crate::{
    base::clock::wall_now,
    cli::{
        TextOutput,
        client::{AdminArgs, Client, Query, text},
        output::{self, Ended, Failure, Result},
        settings,
        trial::{self, Trial},
        verify::{headers, read_body},
    },
    event::{Binding, Event, Origin, headers::Headers},
    source,
};

/// Show what a route would deliver of an event, or why it would not
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Runs the types, the filter and the transform of one route of the config over an event, and shows what its \
                  destination would get. Nothing is sent and nothing is stored. The event is a body from a file, read as \
                  its source's provider reads it but not verified, or a stored one, asked of a running gatepost.",
    after_help = "Examples:
  gatepost try big-payments --file body.json
  gatepost try big-payments --file body.json --type payment_intent.succeeded --output json
  gatepost try stripe-to-billing --event evt_01jd...

Exit codes: 0 it would be delivered, 1 it would not, 2 wrong usage or config."
)]
pub(crate) struct Args {
    /// The route: its `name`, or source-to-destination
    route: String,
    /// A stored event (evt_...)
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "headers", "query", "event_type"], required_unless_present = "file")]
    event: Option<String>,
    /// A body, byte for byte; `-` reads stdin
    #[arg(long, value_name = "BODY")]
    file: Option<PathBuf>,
    /// A header beside the body; give it once for each
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<OsString>,
    /// What stood behind the `?` of its URL
    #[arg(long, value_name = "NAME=VALUE&...")]
    query: Option<String>,
    /// The event's type, where the body does not say it
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "text")]
    output: TextOutput,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let loaded = match settings::load(&settings::inputs(file)) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(ended),
    };
    let route = trial::find_route(&loaded.settings.registry, &args.route)?;
    let of_source = settings::find_source(&loaded.settings.registry, &route.source)?;
    let event = match (&args.event, &args.file) {
        (Some(id), _) => stored(file, &args, id).await?,
        (None, Some(body)) => {
            let event_type = args.event_type.clone();
            let query = args.query.as_deref();
            trial::event(
                of_source,
                event_type,
                query,
                headers(&args.headers)?,
                read_body(body)?,
            )
        }
        (None, None) => {
            return Err(Failure::usage(
                "name an event with `--event` or a body with `--file`",
            ));
        }
    };
    let further_types = source::further_types(&of_source.provider, &event);
    let trial = Trial::of(&route, &event, &further_types);
    match args.output {
        TextOutput::Json => output::json(&trial)?,
        TextOutput::Text => output::data(trial.to_text())?,
    }
    Ok(if trial.delivered {
        Ended::Fine
    } else {
        Ended::Failed
    })
}

async fn stored(file: Option<&Path>, args: &Args, id: &str) -> Result<Event> {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "events", id], &Query::default()).await?;
    let body = client.get_bytes(&["v1", "events", id, "body"]).await?;
    event_of(&reply.value, body).ok_or_else(|| Failure::text("the admin API's answer is no event"))
}

fn event_of(value: &Value, body: Bytes) -> Option<Event> {
    let pair = |it: &Value| Some((it.get(0)?.as_str()?.to_owned(), it.get(1)?.as_str()?.to_owned()));
    let pairs: Vec<_> = value
        .get("headers")?
        .as_array()?
        .iter()
        .filter_map(pair)
        .collect();
    let optional = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    Some(Event {
        id: text(value, "id").parse().ok()?,
        source: text(value, "source").into(),
        external_id: optional("external_id"),
        event_type: optional("type"),
        origin: Origin::parse(&text(value, "origin"))?,
        binding: Binding::parse(&text(value, "verified"))?,
        occurred_at: None,
        received_at: wall_now(),
        query: optional("query").unwrap_or_default(),
        headers: Headers::from_pairs(
            pairs
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        ),
        body,
    })
}
