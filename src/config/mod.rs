//! File, environment and flags to settings; every fault at once.
//!
//! Values are layered: `config/default.toml` (compiled in, the reference) under the file, under the environment, under
//! flags. A value keeps its place through all of it, so that a fault found late still points at its line. Secrets are
//! references; nothing here prints what they refer to. The one room that reads the process's environment.
//!
//! Imports: every room below.

mod assemble;
mod check;
mod destination;
mod error;
mod file;
mod issue;
mod kind;
mod mask;
mod notification;
mod oidc;
mod otel;
mod overlay;
mod parse;
mod process;
mod route;
pub mod route_test;
mod secrets;
mod section;
mod show;
mod source;
mod telemetry;
#[cfg(test)]
mod tests;
mod tree;
pub mod units;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    alert,
    config::{error::Fault, route_test::RouteTest, section::Reading, tree::Place},
    delivery, ingest, registry, store, web,
};

/// The compiled-in reference: every key, and the defaults themselves.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// Everything that one run obeys.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: web::ServerSettings,
    pub admin: web::AdminSettings,
    pub store: store::Settings,
    pub retention: Duration,
    pub rejected_retention: Duration,
    pub rejected_keep: u64,
    pub ingest: ingest::Settings,
    pub delivery: delivery::Settings,
    pub registry: registry::Settings,
    pub alerts: alert::Settings,
    /// What its routes must make of some events: for `gatepost test`.
    pub tests: Vec<RouteTest>,
    pub log: Log,
    /// `None`: no traces.
    pub telemetry: Option<crate::telemetry::Settings>,
    /// How long a stop waits for attempts in flight.
    pub grace: Duration,
}

#[derive(Debug, Clone)]
pub struct Log {
    pub filter: String,
    /// `None`: text on a terminal, JSON elsewhere.
    pub is_json: Option<bool>,
}

/// Settings, and where they came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    /// `None`: no file was found; built-in defaults.
    pub file: Option<PathBuf>,
    /// Every file that was read (the config and secret files), for the watcher.
    pub watched: Vec<PathBuf>,
    pub warnings: Vec<String>,
    /// Every value in force with where it was said, without a secret.
    pub effective: Vec<web::settings::Setting>,
}

/// Where to look, what the flags said, and the environment (handed in, so that tests can choose it).
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub file: Option<PathBuf>,
    /// Dotted key and value, from flags: the strongest.
    pub flags: Vec<(String, String)>,
    pub environment: BTreeMap<String, String>,
}

impl Inputs {
    /// With this process's environment. Variables that are not UTF-8 count as not set.
    pub fn from_process(file: Option<&Path>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self {
            file: file.map(Path::to_owned),
            flags: Vec::new(),
            environment: std::env::vars_os().filter_map(text).collect(),
        }
    }
}

/// Every fault of a config, ready to print (file, line, what was expected, hint).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{rendered}")]
pub struct Faults {
    pub n_faults: usize,
    pub rendered: String,
    pub file: Option<PathBuf>,
}

/// Reads everything, and says everything that is wrong.
pub fn load(inputs: &Inputs) -> Result<Loaded, Faults> {
    load_from(inputs, file::SEARCH)
}

fn load_from(inputs: &Inputs, search: &[&str]) -> Result<Loaded, Faults> {
    let variable = inputs.environment.get("GATEPOST_CONFIG").map(String::as_str);
    let file = file::choose(inputs.file.as_deref(), variable, search);
    let text = match &file {
        Some(path) => file::read(path).map_err(|fault| error::render(vec![fault], Some(path), ""))?,
        None => String::new(),
    };
    load_file(inputs, file, &text, &mut BTreeSet::new())
}

/// Reads a text as if it were the whole of a file.
pub fn load_text(inputs: &Inputs, text: &str) -> Result<Loaded, Faults> {
    load_file(inputs, None, text, &mut BTreeSet::new())
}

/// Also says which keys were asked for, whatever became of them.
fn load_file(
    inputs: &Inputs,
    file: Option<PathBuf>,
    text: &str,
    known: &mut BTreeSet<String>,
) -> Result<Loaded, Faults> {
    let written = parse::document(text, false).map_err(|faults| {
        let fault = |it: parse::SyntaxFault| Fault::new(&Place::File(it.span), it.problem).hint(it.hint);
        let masked = mask::unparsed(text, PLAIN_KEYS);
        error::render(faults.into_iter().map(fault).collect(), file.as_deref(), &masked)
    })?;
    let file_tree = written.clone();
    let parent = file.as_deref().and_then(Path::parent);
    let directory = parent.unwrap_or(Path::new("")).to_owned();
    let mut reading = Reading {
        environment: &inputs.environment,
        directory: &directory,
        faults: Vec::new(),
        hidden: Vec::new(),
        warnings: Vec::new(),
        watched: file.iter().cloned().collect(),
        known: std::mem::take(known),
    };
    let mut tree = assemble::layered(written);
    overlay::environment(&mut tree, &inputs.environment, &mut reading.faults);
    overlay::flags(&mut tree, &inputs.flags, &mut reading.faults);
    otel::fill(&mut tree, &inputs.environment, &mut reading.warnings);
    let settings = assemble::settings(&tree, &mut reading);
    *known = std::mem::take(&mut reading.known);
    match settings {
        Ok(settings) if reading.faults.is_empty() => {
            let mut warnings = check::warnings(&settings);
            warnings.append(&mut reading.warnings);
            Ok(Loaded {
                settings,
                file,
                watched: reading.watched.into_iter().collect(),
                warnings,
                effective: show::effective(&tree),
            })
        }
        _ => {
            let masked = mask::parsed(text, &file_tree, &reading.hidden);
            Err(error::render(reading.faults, file.as_deref(), &masked))
        }
    }
}

/// Keys whose values may be shown even where the file is no TOML.
const PLAIN_KEYS: &[&str] = &[
    "listen",
    "provider",
    "source",
    "destination",
    "types",
    "timeout",
    "concurrency",
    "max_body",
    "retention",
    "tolerance",
    "rate",
    "unverified",
    "event_id",
    "event_type",
    "event_time",
    "event_resource",
    "name",
    "role",
    "hash",
    "header",
    "encoding",
    "signed",
    "filter",
    "format",
    "lease",
    "poll",
];
