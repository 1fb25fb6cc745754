//! Finding and reading the config, for every command that needs one.

use std::path::Path;

use crate::{
    cli::output::{Ended, Failure, Paint, Result, note},
    config::{self, Inputs, Loaded},
    registry, source,
};

/// The settings, or the faults printed. `Err(Ended::Refused)`: they were reported already.
///
/// Warnings are for `check`, `serve` and `doctor`; whoever verifies or sends one request has another question.
pub(crate) fn load(inputs: &Inputs) -> std::result::Result<Loaded, Ended> {
    config::load(inputs).map_err(|faults| {
        note(faults.rendered.trim_end());
        Ended::Refused
    })
}

pub(crate) fn print_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        note(format_args!("warning: {warning}"));
    }
}

/// What `--config` of `gatepost replay` takes in place of a file.
pub(crate) const ORIGINAL: &str = "original";

/// Refuses a file that was named and is not there, also where nothing in it would be asked for: whoever named it meant something by it.
pub(crate) fn must_exist(file: Option<&Path>) -> Result<()> {
    let is_missing = |it: &&Path| matches!(it.try_exists(), Ok(false));
    let Some(file) = file.filter(is_missing) else {
        return Ok(());
    };
    let name = file.display().to_string();
    let hint = if strsim::damerau_levenshtein(&name, ORIGINAL) <= 2 {
        "expected a file: the word `original` belongs to `gatepost replay`, and no other command works by the config of then; leave \
         `--config` out, or name a file that exists"
    } else {
        "expected a file that exists; leave `--config` out for the one that is found without it"
    };
    Err(Failure::usage(format_args!("`--config {name}` names no file")).hint(hint))
}

pub(crate) fn inputs(file: Option<&Path>) -> Inputs {
    Inputs::from_process(file)
}

/// The source of that name, or a failure that says which ones there are.
pub(crate) fn find_source<'a>(settings: &'a registry::Settings, name: &str) -> Result<&'a source::Settings> {
    let names = || settings.sources.iter().map(|it| it.name.as_str());
    settings.sources.iter().find(|it| it.name == name).ok_or_else(|| {
        let near = names().min_by_key(|it| strsim::damerau_levenshtein(it, name));
        let hint = match near {
            None => "this config has no source; `gatepost providers` lists who can call".to_owned(),
            Some(near) if strsim::damerau_levenshtein(near, name) <= 2 => format!("did you mean `{near}`?"),
            Some(_) => format!("this config has: {}", names().collect::<Vec<_>>().join(", ")),
        };
        Failure::usage(format_args!("no source `{name}` in this config")).hint(hint)
    })
}

/// `1 source`, `2 sources`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// Colours on stdout, unless `NO_COLOR` is set to anything.
pub(crate) fn paint(inputs: &Inputs) -> Paint {
    let is_unwanted = inputs
        .environment
        .get("NO_COLOR")
        .is_some_and(|it| !it.is_empty());
    Paint::for_stdout(is_unwanted)
}
