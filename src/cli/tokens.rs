//! `gatepost tokens`: who may use the admin side.

use std::path::Path;

use serde_json::json;

use crate::{
    base::clock::wall_now,
    cli::{
        Output,
        client::{AdminArgs, Client, Query, ago, text},
        output::{self, Ended, Failure, Result, Table, note},
    },
    config::units,
};

/// Make, list and revoke tokens of the admin side
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Tokens that are made while gatepost runs, beside those of the config. A new one is shown once: the store keeps \
                  a hash of it. A revoked one opens nothing from that moment on, on every replica, nor does a browser that \
                  logged in with it. For tokens with the role `admin` alone. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost tokens create deploy --role operator --expires-in 90d\n  gatepost tokens list\n  gatepost tokens revoke tok_01jd..."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and show it, once
    Create(Create),
    /// List tokens: those of the config, then the others, newest first
    List(List),
    /// End a token, and every session that was opened with it
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// What the audit log will call its holder
    name: String,
    /// consumer (queues alone), viewer, operator or admin
    #[arg(long)]
    role: String,
    /// For how long it is good, as in `90d` or `12h`; `never`: it does not expire
    #[arg(long, value_name = "TIME", default_value = "365d")]
    expires_in: String,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
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
struct Revoke {
    /// The token's id (tok_...), as `list` shows it
    id: String,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::Create(args) => create(file, args).await,
        Action::List(args) => list(file, args).await,
        Action::Revoke(args) => revoke(file, args).await,
    }
}

async fn create(file: Option<&Path>, args: Create) -> Result {
    let expires_at = match args.expires_in.as_str() {
        "never" => None,
        text => {
            let within = units::duration(text).ok_or_else(|| {
                Failure::usage(format_args!("`{text}` is no time to expire in"))
                    .hint("expected a number and a unit, as in `90d` or `12h`, or `never`")
            })?;
            Some(wall_now().plus(within).to_string())
        }
    };
    let client = Client::new(file, &args.admin)?;
    let body = json!({ "name": args.name, "role": args.role, "expires_at": expires_at });
    let reply = client.post(&["v1", "tokens"], &body).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    output::data(text(&reply.value, "token"))?;
    let until = match text(&reply.value, "expires_at").as_str() {
        "-" => "does not expire".to_owned(),
        at => format!("expires at {at}"),
    };
    note(format_args!(
        "token `{}` ({}) has the role {} and {until}; it is not shown again",
        output::printable(&text(&reply.value, "name")),
        text(&reply.value, "id"),
        text(&reply.value, "role"),
    ));
    Ok(Ended::Fine)
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "tokens"], &Query::default()).await?;
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(Ended::Fine);
    }
    let mut table = Table::new([
        "ID", "NAME", "ROLE", "FROM", "STATUS", "BY", "CREATED", "USED", "EXPIRES",
    ]);
    let rows = reply.value.get("data").and_then(serde_json::Value::as_array);
    for row in rows.into_iter().flatten() {
        table.row([
            text(row, "id"),
            text(row, "name"),
            text(row, "role"),
            text(row, "origin"),
            text(row, "status"),
            text(row, "made_by"),
            ago(row, "created_at"),
            ago(row, "used_at"),
            ago(row, "expires_at"),
        ]);
    }
    if table.is_empty() {
        note("there is no token");
    } else {
        output::data(&table)?;
    }
    Ok(Ended::Fine)
}

async fn revoke(file: Option<&Path>, args: Revoke) -> Result {
    let client = Client::new(file, &args.admin)?;
    let path = ["v1", "tokens", &args.id, "revoke"];
    let reply = client.post(&path, &json!({})).await?;
    output::data(format_args!(
        "token `{}` ({}) is {}",
        output::printable(&text(&reply.value, "name")),
        args.id,
        text(&reply.value, "status")
    ))?;
    Ok(Ended::Fine)
}
