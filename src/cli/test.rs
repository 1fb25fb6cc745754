//! `gatepost test`: the events that a config names, and what its routes must make of them.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    cli::{
        TextOutput,
        output::{self, Ended, Failure, Result},
        settings::{self, count},
        trial::{self, Trial},
        verify::read_body,
    },
    config::{
        Settings,
        route_test::{Expected, RouteTest},
    },
    event::headers::Headers,
    source,
};

/// Run the tests that the config names over its routes
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Runs each of the config's `[[tests]]`: an event from a file goes through a route's types, filter and \
                  transform, and what comes out is held against what the test expects. Nothing is sent and nothing is \
                  stored.",
    after_help = "Examples:
  gatepost test
  gatepost test --config staging.toml --output json

In the config:
  [[tests]]
  route = \"big-payments\"
  event = \"fixtures/paid.json\"
  expect = \"delivered\"
  body = \"fixtures/paid.sent.json\"

Exit codes: 0 all of them pass, 1 one does not, 2 wrong usage or config."
)]
pub(crate) struct Args {
    /// How to print the results
    #[arg(long, value_enum, default_value = "text")]
    output: TextOutput,
}

#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    passed: bool,
    /// What came instead.
    problem: Option<String>,
}

pub(crate) fn run(file: Option<&Path>, args: &Args) -> Result {
    let loaded = match settings::load(&settings::inputs(file)) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(ended),
    };
    let settings = &loaded.settings;
    if settings.tests.is_empty() {
        return Err(Failure::usage("this config has no tests")
            .hint("add [[tests]]; `gatepost test --help` shows one"));
    }
    let outcomes: Vec<_> = settings
        .tests
        .iter()
        .map(|it| outcome(settings, it))
        .collect::<Result<_>>()?;
    let n_failed = outcomes.iter().filter(|it| !it.passed).count();
    match args.output {
        TextOutput::Json => output::json(&outcomes)?,
        TextOutput::Text => {
            for it in &outcomes {
                output::data(match &it.problem {
                    None => format!("ok      {}", output::printable(&it.name)),
                    Some(problem) => {
                        format!(
                            "FAILED  {}: {}",
                            output::printable(&it.name),
                            output::printable(problem)
                        )
                    }
                })?;
            }
            output::data(format!("{}, {n_failed} failed", count(outcomes.len(), "test")))?;
        }
    }
    Ok(if n_failed == 0 { Ended::Fine } else { Ended::Failed })
}

fn outcome(settings: &Settings, test: &RouteTest) -> Result<Outcome> {
    let route = trial::find_route(&settings.registry, &test.route)?;
    let of_source = settings::find_source(&settings.registry, &route.source)?;
    let headers = test
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let event = trial::event(
        of_source,
        test.event_type.clone(),
        test.query.as_deref(),
        Headers::from_pairs(headers),
        read_body(&test.event)?,
    );
    let further_types = source::further_types(&of_source.provider, &event);
    let found = Trial::of(&route, &event, &further_types);
    let problem = match problem(test, &found) {
        None => match (&test.body, &found.body) {
            (Some(file), Some(body)) => differs(&read_body(file)?, body),
            _ => None,
        },
        problem => problem,
    };
    Ok(Outcome {
        name: test.name.clone(),
        passed: problem.is_none(),
        problem,
    })
}

fn problem(test: &RouteTest, found: &Trial) -> Option<String> {
    let came = match found.cause {
        None => Expected::Delivered,
        Some("type") => Expected::Type,
        Some("filtered") => Expected::Filtered,
        Some(_) => Expected::Failed,
    };
    (came != test.expect).then(|| {
        let why = found
            .reason
            .as_ref()
            .map_or_else(String::new, |it| format!(" ({it})"));
        format!("expected {}, found {}{why}", test.expect.as_str(), came.as_str())
    })
}

/// As JSON where both are, else as bytes.
fn differs(wanted: &Bytes, found: &str) -> Option<String> {
    let json = |it: &[u8]| serde_json::from_slice::<serde_json::Value>(it).ok();
    let is_same = match (json(wanted), json(found.as_bytes())) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => **wanted == *found.as_bytes(),
    };
    (!is_same).then(|| format!("another body is sent: {found}"))
}
