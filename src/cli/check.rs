//! `gatepost check`: reads the config and reports all of its faults.

use std::path::Path;

use crate::{
    cli::{
        TextOutput,
        output::{self, Ended, Result, note},
        settings::{self, count},
    },
    config::{self, Faults, Loaded},
};

/// Read the config and report every fault in it
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Reads the config as `serve` would, secrets included, and reports every fault at once: file, line, what \
                  was expected and a hint. Connects to nothing; `gatepost doctor` does.",
    after_help = "Examples:\n  gatepost check\n  gatepost check --config /etc/gatepost/gatepost.toml\n  gatepost check --output json | jq .report -r"
)]
pub(crate) struct Args {
    /// How to print the verdict
    #[arg(long, value_enum, default_value = "text")]
    output: TextOutput,
}

#[derive(serde::Serialize)]
struct Verdict<'a> {
    fine: bool,
    file: Option<String>,
    n_faults: usize,
    /// The faults as a person reads them.
    report: Option<&'a str>,
    warnings: &'a [String],
    sources: usize,
    destinations: usize,
    routes: usize,
    /// What will be fetched from senders: a line for each source.
    fetches: Vec<String>,
}

pub(crate) fn run(file: Option<&Path>, args: &Args) -> Result {
    let res = config::load(&settings::inputs(file));
    match (&res, args.output) {
        (Ok(loaded), TextOutput::Text) => {
            settings::print_warnings(loaded);
            for line in fetches(loaded) {
                note(line);
            }
            output::data(summary(loaded))?;
        }
        (Err(faults), TextOutput::Text) => {
            note(faults.rendered.trim_end());
            note(format_args!(
                "{} in {}",
                count(faults.n_faults, "fault"),
                place(faults)
            ));
        }
        (Ok(loaded), TextOutput::Json) => output::json(&verdict_of(loaded))?,
        (Err(faults), TextOutput::Json) => output::json(&Verdict {
            fine: false,
            file: faults.file.as_ref().map(|it| it.display().to_string()),
            n_faults: faults.n_faults,
            report: Some(faults.rendered.trim_end()),
            warnings: &[],
            sources: 0,
            destinations: 0,
            routes: 0,
            fetches: Vec::new(),
        })?,
    }
    Ok(if res.is_ok() { Ended::Fine } else { Ended::Refused })
}

fn verdict_of(loaded: &Loaded) -> Verdict<'_> {
    let registry = &loaded.settings.registry;
    Verdict {
        fine: true,
        file: loaded.file.as_ref().map(|it| it.display().to_string()),
        n_faults: 0,
        report: None,
        warnings: &loaded.warnings,
        sources: registry.sources.len(),
        destinations: registry.destinations.len(),
        routes: registry.routes.len(),
        fetches: fetches(loaded),
    }
}

/// Where the keys of sources come from that have none of their own.
fn fetches(loaded: &Loaded) -> Vec<String> {
    let sources = loaded.settings.registry.sources.iter();
    sources
        .filter(|it| it.secrets.is_empty())
        .filter_map(|it| Some((&it.name, it.provider.published.as_ref()?)))
        .map(|(name, published)| format!("source `{name}` fetches {published}"))
        .collect()
}

fn place(faults: &Faults) -> String {
    let file = faults.file.as_ref();
    file.map_or_else(|| "the settings".to_owned(), |it| it.display().to_string())
}

/// One line: `config/gatepost.toml: fine (2 sources, 1 destination, 2 routes)`.
pub(crate) fn summary(loaded: &Loaded) -> String {
    let registry = &loaded.settings.registry;
    let parts = [
        count(registry.sources.len(), "source"),
        count(registry.destinations.len(), "destination"),
        count(registry.routes.len(), "route"),
    ];
    match &loaded.file {
        Some(file) => format!("{}: fine ({})", file.display(), parts.join(", ")),
        None => "no config file: built-in defaults, which are fine (no sources)".to_owned(),
    }
}
