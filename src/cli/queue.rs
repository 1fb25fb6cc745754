//! `gatepost queue`: fetching the deliveries of a queue, by hand, from a script, or with a command for each.

use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    base::secret::Secret,
    cli::{
        Output,
        client::{AdminArgs, Client, text},
        output::{self, Ended, Failure, Result, Table, note},
        settings,
    },
    destination::{
        Fate, SendError,
        exec::{self, Program, run::Job, variables},
    },
};

/// Fetch the deliveries of a queue, and say what became of them
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Fetches the deliveries of a destination with `queue = {}` from the admin API of a running gatepost, so that \
                  a handler needs no address of its own; says what became of them; or runs a command for each, which gets the \
                  body on stdin and all else in GATEPOST_ variables, and whose exit code decides (0 done, 65 never, any other \
                  later). What is not acknowledged before its lease ends goes to the next consumer.",
    after_help = "Examples:\n  gatepost queue run jobs -- ./import.sh\n  gatepost queue receive jobs --max 10 --output json\n  gatepost queue ack jobs RECEIPT\n  gatepost queue nack jobs RECEIPT --delay-s 60 --reason 'the disk is full'"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Run a command for each delivery, until stopped
    Run(Run),
    /// Take what is due
    Receive(Receive),
    /// Say that it is done
    Ack(Ack),
    /// Say that it is not done
    Nack(Nack),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The destination's name
    name: String,
    /// For how long a delivery may take; then the command is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=43_200))]
    timeout_s: u32,
    /// End when nothing is due any more
    #[arg(long)]
    once: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Receive {
    /// The destination's name
    name: String,
    /// At most so many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32))]
    max: u32,
    /// How long to wait where nothing is due
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20))]
    wait_s: u32,
    /// For how long they are ours [default: the queue's `lease`]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=43_200))]
    lease_s: Option<u32>,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Ack {
    /// The destination's name
    name: String,
    /// As `receive` gave it
    receipt: String,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Nack {
    /// The destination's name
    name: String,
    /// As `receive` gave it
    receipt: String,
    /// Not before so long from now [default: as the destination's `retry` says]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    delay_s: Option<u32>,
    /// Why, for the operator
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// It will never be done: a dead letter
    #[arg(long)]
    never: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::Run(args) => run_each(file, args).await,
        Action::Receive(args) => receive(file, args).await,
        Action::Ack(args) => {
            let client = Client::new(file, &args.admin)?;
            finish(&client, &args.name, "ack", &json!({ "receipt": args.receipt })).await
        }
        Action::Nack(args) => {
            let client = Client::new(file, &args.admin)?;
            let body = json!({
                "receipt": args.receipt, "delay_s": args.delay_s, "reason": args.reason, "never": args.never,
            });
            finish(&client, &args.name, "nack", &body).await
        }
    }
}

async fn receive(file: Option<&Path>, args: Receive) -> Result {
    let client = Client::new(file, &args.admin)?;
    let body = json!({ "max": args.max, "wait_s": args.wait_s, "lease_s": args.lease_s });
    let reply = client
        .post(&["v1", "queues", &args.name, "receive"], &body)
        .await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let mut table = Table::new(["EVENT", "SOURCE", "TYPE", "ATTEMPT", "LEASE UNTIL", "RECEIPT"]);
    for row in rows(&reply.value) {
        let fields = ["event_id", "source", "type", "attempt", "lease_until", "receipt"];
        table.row(fields.map(|it| text(row, it)));
    }
    if table.is_empty() {
        note("nothing is due");
    } else {
        output::data(&table)?;
    }
    Ok(Ended::Fine)
}

async fn finish(client: &Client, name: &str, verb: &str, body: &Value) -> Result {
    let reply = client.post(&["v1", "queues", name, verb], body).await?;
    let status = text(&reply.value, "status");
    match reply.value.get("next_attempt_at").and_then(Value::as_str) {
        Some(at) => output::data(format_args!("{status}, again at {at}"))?,
        None => output::data(status)?,
    }
    Ok(Ended::Fine)
}

/// Ends at once when interrupted while it waits; what is under way is finished first.
async fn run_each(file: Option<&Path>, args: Run) -> Result {
    let client = Client::new(file, &args.admin)?;
    let environment = settings::inputs(file).environment;
    let program = Program {
        command: args.command,
        directory: None,
        environment: environment
            .into_iter()
            .filter(|(name, _)| !name.starts_with(variables::PREFIX))
            .map(|(name, value)| (name, Secret::new(value.into_bytes())))
            .collect(),
    };
    let timeout = Duration::from_secs(args.timeout_s.into());
    let wanted = json!({
        "max": 1,
        "wait_s": if args.once { 0 } else { 20 },
        // So much longer that the answer still comes in time.
        "lease_s": args.timeout_s.saturating_add(15).min(43_200),
    });
    let path = ["v1", "queues", args.name.as_str(), "receive"];
    loop {
        let reply = tokio::select! {
            reply = client.post(&path, &wanted) => reply?,
            _ = tokio::signal::ctrl_c() => return Ok(Ended::Fine),
        };
        let Some(handed) = rows(&reply.value).first() else {
            if args.once {
                return Ok(Ended::Fine);
            }
            continue;
        };
        let ended = run_one(&program, handed, timeout).await?;
        let receipt = text(handed, "receipt");
        let (verb, body) = match &ended {
            Ok(()) => ("ack", json!({ "receipt": receipt })),
            Err(error) => {
                let never = error.fate == Fate::Permanent;
                let body = json!({ "receipt": receipt, "reason": error.explanation, "never": never });
                ("nack", body)
            }
        };
        let reply = client.post(&["v1", "queues", &args.name, verb], &body).await?;
        output::data(format_args!(
            "{} {}",
            text(handed, "event_id"),
            text(&reply.value, "status")
        ))?;
        if let Err(error) = ended {
            note(format_args!("{}: {error}", text(handed, "event_id")));
            note(output::printable(&String::from_utf8_lossy(&error.output)));
        }
    }
}

async fn run_one(
    program: &Program,
    handed: &Value,
    timeout: Duration,
) -> Result<std::result::Result<(), SendError>> {
    let job = Job {
        program,
        variables: variables::of(&headers(handed), &text(handed, "delivery_id")),
        input: body(handed)?,
        timeout,
    };
    let ended = exec::run::run(job).await;
    Ok(ended.and_then(exec::judge).map(drop))
}

fn rows(value: &Value) -> &[Value] {
    value
        .get("data")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn headers(handed: &Value) -> HeaderMap {
    let object = handed.get("headers").and_then(Value::as_object);
    let pair = |(name, value): (&String, &Value)| {
        Some((
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value.as_str()?).ok()?,
        ))
    };
    object.into_iter().flatten().filter_map(pair).collect()
}

fn body(handed: &Value) -> Result<Bytes> {
    let body = text(handed, "body");
    if handed.get("body_encoding").is_none() {
        return Ok(Bytes::from(body));
    }
    let decoded = STANDARD.decode(body);
    decoded
        .map(Bytes::from)
        .map_err(|_bad| Failure::text("the admin API's answer holds a body that is not base64"))
}
