//! `docs/evidence.md`: what was measured, and how anybody measures it again. It reads lines of JSON that finished runs wrote, and
//! says nothing that is not in one of them.

mod matrix;
mod runs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{options, summary::Summary};

const HEAD: &str = "\
# Evidence

What was measured of gatepost's promise: *an event that was answered with 2xx is in the store, byte for byte, and reaches every
handler that it is routed to at least once, or ends as a visible dead letter.* `tests/campaign/run report` makes this page from
what finished runs wrote (`docs/evidence/`). Each figure stands beside the command that repeats it
and the commit that it was measured at. What is random comes from the seed; the timing is the machine's, so a repeated run plays
the same plan and not the same microseconds.

Where a run of *n* trials saw no failure, the share of failures is below 3/*n* with 95 % confidence, and no more than that was shown.
";

pub(crate) fn main(options: &options::Report) -> bool {
    let lines = read(&root().join(&options.directory));
    let campaigns: Vec<Summary> = lines
        .iter()
        .filter(|it| it["kind"] == "campaign" && it["flaw"].is_null())
        .filter_map(|it| serde_json::from_value(it.clone()).ok())
        .collect();
    let mut text = HEAD.to_owned();
    runs::crash(&mut text, &campaigns);
    runs::power(&mut text, &of_kind(&lines, |it| it["campaign"] == "power"));
    runs::flaws(&mut text, &of_kind(&lines, |it| it["kind"] == "flaw"));
    runs::fuzz(
        &mut text,
        &of_kind(&lines, |it| {
            it["target"].is_string() && it["executions"].is_number()
        }),
    );
    runs::mutants(&mut text, &of_kind(&lines, |it| it["mutants_of"].is_string()));
    let observed = of_kind(&lines, |it| it["row"].is_string());
    matrix::matrix(&mut text, &observed, &campaigns, &lines);
    let to = root().join(&options.to);
    if options.check {
        let is_same = fs::read_to_string(&to).is_ok_and(|it| it == text);
        if !is_same {
            eprintln!(
                "{} is not what `tests/campaign/run report` makes of {}: run it",
                options.to.display(),
                options.directory.display()
            );
        }
        return is_same;
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::write(&to, text).unwrap();
    eprintln!("{} results are in {}", lines.len(), to.display());
    !lines.is_empty()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn of_kind(lines: &[Value], is_one: impl Fn(&Value) -> bool) -> Vec<Value> {
    lines.iter().filter(|it| is_one(it)).cloned().collect()
}

/// Every line of every result in the directory, in the order of the names.
fn read(directory: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let is_result = |it: &&PathBuf| it.extension().is_some_and(|it| it == "json" || it == "jsonl");
    let mut lines = Vec::new();
    for file in files.iter().filter(is_result) {
        let text = fs::read_to_string(file).unwrap();
        for line in text.lines().filter(|it| !it.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("{}: {error}", file.display()),
            }
        }
    }
    lines
}

/// A value as a cell of a table.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('|', "\\|"),
        other => other.to_string(),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The most that the share of failures can be, with 95 % confidence, after so many trials without one.
fn bound(n_trials: u64) -> String {
    if n_trials == 0 {
        return "unknown".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let share = 3.0 / n_trials as f64;
    format!("below {share:.2e}")
}
