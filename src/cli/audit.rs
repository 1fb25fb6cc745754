//! `gatepost audit`: what was done on the admin side, and whether the log of it is whole.

use std::path::Path;

use crate::cli::{
    Output,
    client::{AdminArgs, Client, ListArgs, Query, ago, print_list, text},
    output::{self, Ended, Failure, Result, Table},
};

/// List what was done on the admin side, and check that the log of it is whole
#[derive(Debug, clap::Args)]
#[command(
    long_about = "The audit log says who did what to what, when, from where and with which outcome: every call of the admin side \
                  that changes something, every login, and what was refused. It is appended to and never changed or pruned; each \
                  entry holds a hash over the one before, so that `verify` finds what was changed behind its back. For the roles \
                  `operator` and `admin`. Asks the admin API of a running gatepost.",
    after_help = "Examples:\n  gatepost audit list\n  gatepost audit list --actor deploy --action retry_delivery\n  gatepost audit list --target dlv_01jd... --output json\n  gatepost audit verify"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List entries, newest first
    List(List),
    /// Check that no entry was changed, removed or added behind gatepost's back; exit code 1 if one was
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct List {
    /// By the token of this name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// This operation, as in `retry_delivery`, `login`, `create_token`
    #[arg(long)]
    action: Option<String>,
    /// To this id or name
    #[arg(long)]
    target: Option<String>,
    /// At or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    #[command(flatten)]
    page: ListArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    match args.action {
        Action::List(args) => list(file, args).await,
        Action::Verify(args) => verify(file, args).await,
    }
}

async fn list(file: Option<&Path>, args: List) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = args.page.query();
    query.push("actor", args.actor.as_deref());
    query.push("action", args.action.as_deref());
    query.push("target", args.target.as_deref());
    query.push("after", args.after.as_deref());
    query.push("before", args.before.as_deref());
    let reply = client.get(&["v1", "audit"], &query).await?;
    print_list(&reply, &args.page, "nothing was done yet", |rows| {
        let mut table = Table::new([
            "SEQ", "AT", "ACTOR", "ROLE", "ACTION", "TARGET", "OUTCOME", "FROM", "DETAIL",
        ]);
        for row in rows {
            table.row([
                text(row, "seq"),
                ago(row, "at"),
                text(row, "actor"),
                text(row, "role"),
                text(row, "action"),
                text(row, "target"),
                format!("{} ({})", text(row, "outcome"), text(row, "status")),
                text(row, "client"),
                text(row, "detail"),
            ]);
        }
        table
    })?;
    Ok(Ended::Fine)
}

async fn verify(file: Option<&Path>, args: Verify) -> Result {
    let client = Client::new(file, &args.admin)?;
    let reply = client.get(&["v1", "audit", "verify"], &Query::default()).await?;
    let value = &reply.value;
    let is_intact = value.get("intact").and_then(serde_json::Value::as_bool) == Some(true);
    if args.output == Output::Json {
        output::data(&reply.text)?;
        return Ok(if is_intact { Ended::Fine } else { Ended::Failed });
    }
    let (n_entries, last_hash) = (text(value, "n_entries"), text(value, "last_hash"));
    if is_intact {
        output::data(format_args!(
            "the audit log is whole: {n_entries} entries, the last one's hash is {last_hash}"
        ))?;
        return Ok(Ended::Fine);
    }
    Err(Failure::text(format_args!(
        "the audit log is broken at entry {}: {}",
        text(value, "broken_at"),
        text(value, "explanation")
    ))
    .hint(format!(
        "the {n_entries} entries before it fit together (up to hash {last_hash}); compare with the lines `audit:` in the log of the process"
    )))
}
