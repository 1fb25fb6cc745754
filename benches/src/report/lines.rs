//! The JSON lines: one for each figure, with all samples. A run replaces the lines of the parts and stores that it measured and
//! keeps the others, as long as they are of the same commit, binary and machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    machine::Machine,
    report::{Figure, Report},
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub part: String,
    pub store: String,
    #[serde(flatten)]
    pub figure: Figure,
    pub run: Run,
}

/// Which run a figure is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub command: String,
    pub began_at: String,
    pub took_s: u64,
    #[serde(flatten)]
    pub machine: Machine,
}

/// Puts the figures of a report in place of older ones, and gives all lines back.
pub fn merge(path: &Path, report: &Report, run: &Run) -> anyhow::Result<Vec<Line>> {
    let mut lines = read(path, &run.machine);
    lines.retain(|it| !(it.part == report.part.name() && it.store == report.store));
    lines.extend(report.figures.iter().map(|figure| Line {
        part: report.part.name().to_owned(),
        store: report.store.to_owned(),
        figure: figure.clone(),
        run: run.clone(),
    }));
    write(path, &lines)?;
    Ok(lines)
}

/// What is comparable; a file of another commit is no fault.
pub fn read(path: &Path, machine: &Machine) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|it| serde_json::from_str::<Line>(it).ok())
        .filter(|it| it.run.machine.is_same(machine))
        .collect()
}

/// Whole or not at all: a run that is ended meanwhile must not cost the figures of others.
fn write(path: &Path, lines: &[Line]) -> anyhow::Result<()> {
    let mut text = String::new();
    for it in lines {
        text.push_str(&serde_json::to_string(it)?);
        text.push('\n');
    }
    let draft = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&draft, text)?;
    Ok(fs::rename(draft, path)?)
}
