//! `RESULTS.md`: first what is asked for and whether it is met, then each part's figures, both stores side by side.

use std::fmt::Write as _;

use crate::{
    plan::Part,
    report::{
        Figure, Wanted,
        lines::{Line, Run},
        reasons::reason,
    },
    samples::{median, range, shown},
};

const STORES: [(&str, &str); 2] = [("postgres", "Postgres"), ("sqlite", "SQLite")];

pub fn render(lines: &[Line]) -> String {
    let mut text = String::from(
        "# Results\n\nWritten by `benches/run`; `benches/README.md` says what each figure is. Only ratios within one run \
         count: each was taken within one turn, beside its limit.\nMedians of all turns, the least to the most in brackets.\n",
    );
    if let Some(line) = lines.last() {
        let it = &line.run.machine;
        let _ = write!(
            text,
            "\nCommit {}, binary {}; {} cores ({}), {} GiB, {}, Postgres {}.\n",
            it.commit,
            it.binary,
            it.n_cores,
            it.cpu,
            it.memory_gib,
            it.kernel,
            lines
                .iter()
                .map(|it| it.run.machine.postgres.as_str())
                .find(|it| !it.is_empty())
                .unwrap_or("not run"),
        );
    }
    push_asked(&mut text, lines);
    for part in Part::ALL {
        push_part(&mut text, part, lines);
    }
    text
}

/// Everything with a limit that is asked for.
fn push_asked(text: &mut String, lines: &[Line]) {
    let asked: Vec<_> = lines.iter().filter(|it| it.figure.wanted.is_some()).collect();
    if asked.is_empty() {
        return;
    }
    text.push_str(
        "\n## What is asked for\n\n| figure | store | asked for | measured | |\n|---|---|---|---|---|\n",
    );
    for part in Part::ALL {
        for it in asked.iter().filter(|it| it.part == part.name()) {
            let figure = &it.figure;
            let wanted = match figure.wanted {
                Some(Wanted::AtLeast(limit)) => format!(">= {}", shown(limit)),
                Some(Wanted::AtMost(limit)) => format!("<= {}", shown(limit)),
                None => String::new(),
            };
            let verdict = if figure.is_met() == Some(true) {
                "met"
            } else {
                "**MISSED**"
            };
            let name = &figure.name;
            let _ = writeln!(
                text,
                "| {name} | {} | {wanted} {} | {} | {verdict} |",
                it.store,
                figure.unit,
                cell(figure)
            );
        }
    }
    push_reasons(text, asked.iter().map(|it| &it.figure));
}

/// Once for all figures of a kind.
fn push_reasons<'a>(text: &mut String, asked: impl Iterator<Item = &'a Figure>) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for it in asked.filter(|it| it.is_met() == Some(false)) {
        let (why, name) = (reason(&it.name), it.name.as_str());
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) if names.contains(&name) => (),
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nWhat stands between, where it was missed:\n\n");
    }
    for (why, names) in reasons {
        let _ = writeln!(text, "- {}: {why}", names.join("; "));
    }
}

fn push_part(text: &mut String, part: Part, lines: &[Line]) {
    let of_part: Vec<_> = lines.iter().filter(|it| it.part == part.name()).collect();
    if of_part.is_empty() {
        return;
    }
    let _ = write!(text, "\n## {}\n\n{}\n\n", part.title(), part.explanation());
    let mut runs: Vec<(&str, &Run)> = Vec::new();
    for it in &of_part {
        if !runs.contains(&(it.store.as_str(), &it.run)) {
            runs.push((&it.store, &it.run));
        }
    }
    for (store, run) in runs {
        let (command, began_at, took_s) = (&run.command, &run.began_at, run.took_s);
        let store = if store.is_empty() { "no store" } else { store };
        let _ = writeln!(text, "- {store}: `{command}`, {began_at}, {took_s} s");
    }
    let mut names: Vec<&str> = Vec::new();
    for it in &of_part {
        if !names.contains(&it.figure.name.as_str()) {
            names.push(&it.figure.name);
        }
    }
    let of = |store: &str, name: &str| {
        of_part
            .iter()
            .find(|it| it.store == store && it.figure.name == name)
            .map_or_else(String::new, |it| cell(&it.figure))
    };
    if of_part.iter().all(|it| it.store.is_empty()) {
        text.push_str("\n| figure | |\n|---|---|\n");
        for name in names {
            let _ = writeln!(text, "| {name} | {} |", of("", name));
        }
        return;
    }
    let _ = write!(
        text,
        "\n| figure | {} | {} |\n|---|---|---|\n",
        STORES[0].1, STORES[1].1
    );
    for name in names {
        let _ = writeln!(
            text,
            "| {name} | {} | {} |",
            of(STORES[0].0, name),
            of(STORES[1].0, name)
        );
    }
}

/// A ratio stands out: it is what counts.
fn cell(figure: &Figure) -> String {
    if let Some(why) = &figure.absent {
        return why.clone();
    }
    if figure.samples.is_empty() {
        return "not measured".to_owned();
    }
    let value = shown(median(&figure.samples));
    let value = match figure.unit.as_str() {
        "" => format!("**{value}**"),
        "/s" => format!("{value}/s"),
        unit => format!("{value} {unit}"),
    };
    if figure.samples.len() < 2 {
        return value;
    }
    let (least, most) = range(&figure.samples);
    format!("{value} ({} to {})", shown(least), shown(most))
}
