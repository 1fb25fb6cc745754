//! `gatepost providers`: who can call, how they sign, and how to register a URL there.

use serde_json::{Value, json};

use crate::{
    base::clock::wall_now,
    cli::{
        Output,
        output::{self, Ended, Failure, Result, Table},
    },
    event::Binding,
    provider::{self, Confidence, Provider, place::Reading, scheme::Hash},
};

/// Show the catalog: who can call, how they sign, and how to register there
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Lists the providers that gatepost knows, or explains one: how its requests are verified, where the \
                  event's id and type stand, how to register your URL there, and the lines for your config.",
    after_help = "Examples:\n  gatepost providers\n  gatepost providers stripe\n  gatepost providers discord --sample\n  gatepost providers --search pay\n  \
                  gatepost providers --output json"
)]
pub(crate) struct Args {
    /// One provider, explained
    name: Option<String>,
    /// Only those with this text in their name
    #[arg(long, value_name = "TEXT", conflicts_with = "name")]
    search: Option<String>,
    /// Only the body of one of its events, made up and signed by nobody
    #[arg(long, requires = "name", conflicts_with = "output")]
    sample: bool,
    /// How to print it
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) fn run(args: &Args) -> Result {
    match (&args.name, args.output) {
        (None, Output::Table) => {
            let mut table = Table::new(["PROVIDER", "VERIFIED BY", "FACTS", "NAME"]);
            for row in rows(args) {
                table.row([
                    row.name.to_string(),
                    strength(row),
                    row.confidence.as_str().to_owned(),
                    row.title.to_string(),
                ]);
            }
            output::data(&table)?;
            output::note(
                "`gatepost providers NAME` explains one; `unconfirmed` ones are known from one second-hand place: try them \
                 first; any other sender: provider = \"hmac\"",
            );
        }
        (None, Output::Json) => output::json(&rows(args).map(shown).collect::<Vec<_>>())?,
        (Some(name), how) => {
            let row = provider::find(name).ok_or_else(|| unknown(name))?;
            if args.sample {
                let body = row.sample_body(wall_now());
                let body = body.ok_or_else(|| {
                    Failure::text(format_args!("no body of `{name}` is known")).hint(
                        row.docs
                            .as_ref()
                            .map_or_else(String::new, |it| format!("see {it}")),
                    )
                })?;
                output::data(body)?;
                return Ok(Ended::Fine);
            }
            match how {
                Output::Json => output::json(&shown(row))?,
                Output::Table => explain(row)?,
            }
        }
    }
    Ok(Ended::Fine)
}

fn rows(args: &Args) -> impl Iterator<Item = &'static Provider> {
    let wanted = args.search.as_deref().unwrap_or_default().to_lowercase();
    provider::all()
        .iter()
        .filter(move |it| it.name.contains(&wanted) || it.title.to_lowercase().contains(&wanted))
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

/// What a verified request is bound by, and the weak hash that this rests on.
fn strength(row: &Provider) -> String {
    let binding = match row.binding() {
        Binding::Body => "signature",
        Binding::Partial => "signature of parts",
        Binding::Origin => "credentials",
        Binding::None | Binding::Newer(_) => "nothing",
    };
    match row.weak_hash() {
        Some(hash) => format!("{binding} ({})", hash.as_str()),
        None => binding.to_owned(),
    }
}

/// What nobody but the sender can have made: the word of `gatepost-verified`, and what it means.
fn covered(row: &Provider) -> String {
    let meaning = match row.binding() {
        Binding::Body => "nobody changed a byte of it",
        Binding::Partial => "of the body only what is named above; the rest of it rests on TLS",
        Binding::Origin => "who sent it; the body rests on TLS",
        Binding::None | Binding::Newer(_) => "anybody could have sent it",
    };
    format!("{}: {meaning}", row.binding().as_str())
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
        "slug": row.name,
        "name": row.title,
        "scheme": row.kind(),
        "confidence": row.confidence,
        "handshake": row.handshakes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "docs": row.docs,
        "facts": row.facts,
        "register": row.register,
        "note": row.note,
        "verification": row.summary(),
        "keys": row.published.as_ref().map(ToString::to_string),
        "binding": row.binding().as_str(),
        "weak_hash": row.weak_hash().map(Hash::as_str),
        "event_id": places(&row.event_id),
        "event_type": places(&row.event_type),
        "event_time": places(&row.event_time),
    })
}

/// How sure it is, and where it was read.
fn facts(row: &Provider) -> Vec<String> {
    if row.facts.is_empty() {
        return Vec::new();
    }
    let read = row.facts.iter().map(ToString::to_string);
    let how_sure = match row.confidence {
        Confidence::Unconfirmed => {
            "unconfirmed: known from one second-hand place, so try it first".to_owned()
        }
        sure => format!("from {}", sure.as_str()),
    };
    std::iter::once(how_sure).chain(read).collect()
}

fn explain(row: &Provider) -> Result<()> {
    let name = &row.name;
    let mut lines = vec![format!("{name}: {}", row.title), String::new()];
    let parts = [
        ("verified by", row.summary()),
        ("key", row.published.iter().map(ToString::to_string).collect()),
        ("covers", vec![covered(row)]),
        ("event id", places(&row.event_id)),
        ("event type", places(&row.event_type)),
        ("event time", places(&row.event_time)),
        ("resource", places(&row.resource)),
        (
            "handshake",
            row.handshakes.iter().map(ToString::to_string).collect(),
        ),
        ("register", vec![row.register.to_string()]),
        ("note", row.note.iter().map(ToString::to_string).collect()),
        ("docs", row.docs.iter().map(ToString::to_string).collect()),
        ("facts", facts(row)),
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
    if row.is_unverified() {
        if row.name != "unverified" {
            lines.push("unverified = true".to_owned());
        }
    } else {
        let variable = name.to_uppercase().replace('-', "_");
        let key = match row.key_option.as_ref() {
            "secrets" => format!("secrets = [{{ env = \"{variable}_WEBHOOK_SECRET\" }}]"),
            "certificate" => format!("certificate = {{ file = \"{name}.pem\" }}"),
            other => format!("{other} = \"...\""),
        };
        lines.push(match &row.published {
            Some(_) => format!("# {key}  # only where it may not be fetched"),
            None => key,
        });
        if row.hands_over_secret() {
            lines.push("# leave that line out until the sender has handed over its secret".to_owned());
        }
    }
    for option in row.options() {
        lines.push(format!("{option} = \"...\""));
    }
    if row.has_verify_token() {
        let variable = name.to_uppercase().replace('-', "_");
        lines.push(format!("verify_token = {{ env = \"{variable}_VERIFY_TOKEN\" }}"));
    }
    if row.name == "hmac" {
        lines.push(
            "hmac = { hash = \"sha256\", header = \"x-signature\", prefix = \"sha256=\", encoding = \"hex\", signed = \"{body}\" }"
                .to_owned(),
        );
    }
    lines
}
