//! `gatepost providers`: who can call, how they sign, and how to register a URL there.

use serde_json::{Value, json};

use crate::{
    cli::{
        Output,
        output::{self, Ended, Failure, Result, Table},
    },
    provider::{self, Provider, place::Reading},
};

/// Show the catalog: who can call, how they sign, and how to register there
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists the providers that gatepost knows, or explains one: how its requests are verified, where the \
                  event's id and type stand, how to register your URL there, and the lines for your config.",
    after_help = "Examples:\n  gatepost providers\n  gatepost providers stripe\n  gatepost providers --output json"
)]
pub(crate) struct Args {
    /// One provider, explained
    name: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: &Args) -> Result {
    match (&args.name, args.output) {
        (None, Output::Table) => {
            let mut table = Table::new(["NAME", "VERIFIED BY", "TITLE"]);
            for row in provider::all() {
                table.row([
                    row.name.to_string(),
                    binding(row).to_owned(),
                    row.title.to_string(),
                ]);
            }
            output::data(&table)?;
            output::note("`gatepost providers NAME` explains one; any other sender: provider = \"hmac\"");
        }
        (None, Output::Json) => {
            output::json(&provider::all().iter().map(shown).collect::<Vec<_>>())?;
        }
        (Some(name), how) => {
            let row = provider::find(name).ok_or_else(|| unknown(name))?;
            match how {
                Output::Json => output::json(&shown(row))?,
                Output::Table => explain(row)?,
            }
        }
    }
    Ok(Ended::Fine)
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::usage(format_args!("no provider `{name}`"));
    match provider::nearest(name) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(
            "`gatepost providers` lists them; any sender that signs with a shared key works with `provider = \"hmac\"`",
        ),
    }
}

fn binding(row: &Provider) -> &'static str {
    match row.binding() {
        crate::event::Binding::Body => "signature",
        crate::event::Binding::Origin => "credentials",
        crate::event::Binding::None => "nothing",
    }
}

/// As the config writes them; a name made of several places joins them with ` + `.
fn places(readings: &[Reading]) -> Vec<String> {
    let shown = |it: &Reading| {
        let places = it.places().iter().map(ToString::to_string);
        places.collect::<Vec<_>>().join(" + ")
    };
    readings.iter().map(shown).collect()
}

fn shown(row: &Provider) -> Value {
    json!({
        "name": row.name,
        "title": row.title,
        "docs": row.docs,
        "register": row.register,
        "verification": row.summary(),
        "binding": row.binding().as_str(),
        "event_id": places(&row.event_id),
        "event_type": places(&row.event_type),
        "event_time": places(&row.event_time),
    })
}

fn explain(row: &Provider) -> Result<()> {
    let name = &row.name;
    let mut lines = vec![format!("{name}: {}", row.title), String::new()];
    let parts = [
        ("verified by", row.summary()),
        ("event id", places(&row.event_id)),
        ("event type", places(&row.event_type)),
        ("event time", places(&row.event_time)),
        ("register", vec![row.register.to_string()]),
        ("docs", row.docs.iter().map(ToString::to_string).collect()),
    ];
    for (label, values) in parts {
        for (idx, value) in values.iter().enumerate() {
            let label = if idx == 0 { label } else { "" };
            lines.push(format!("{label:<12} {value}"));
        }
    }
    lines.push(String::new());
    lines.push("in your config:".to_owned());
    lines.extend(config_lines(row).into_iter().map(|it| format!("  {it}")));
    lines.push(String::new());
    lines.push(format!("its URL is then https://YOUR-HOST/webhooks/{name}"));
    output::data(lines.join("\n"))
}

fn config_lines(row: &Provider) -> Vec<String> {
    let name = &row.name;
    let mut lines = vec![format!("[sources.{name}]"), format!("provider = \"{name}\"")];
    if !row.is_unverified() {
        let variable = name.to_uppercase().replace('-', "_");
        lines.push(format!("secrets = [{{ env = \"{variable}_WEBHOOK_SECRET\" }}]"));
    }
    if row.name == "hmac" {
        lines.push(
            "hmac = { hash = \"sha256\", header = \"x-signature\", prefix = \"sha256=\", encoding = \"hex\", signed = \"{body}\" }"
                .to_owned(),
        );
    }
    lines
}
