//! What was measured: medians, a table, and a JSON line for each figure.

use std::{fs::File, io::Write as _, path::Path};

use serde_json::json;

/// One figure: what was measured in every repetition.
#[derive(Debug)]
pub struct Figure {
    pub store: &'static str,
    pub name: &'static str,
    pub unit: &'static str,
    pub samples: Vec<f64>,
    /// The most or the least that is asked for.
    pub wanted: Option<Wanted>,
}

#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Report {
    /// One more sample of a figure.
    pub fn add(&mut self, store: &'static str, name: &'static str, unit: &'static str, value: f64) {
        let known = self
            .figures
            .iter_mut()
            .find(|it| it.store == store && it.name == name);
        match known {
            Some(figure) => figure.samples.push(value),
            None => self.figures.push(Figure {
                store,
                name,
                unit,
                samples: vec![value],
                wanted: None,
            }),
        }
    }

    pub fn want(&mut self, store: &str, name: &str, wanted: Wanted) {
        if let Some(figure) = self
            .figures
            .iter_mut()
            .find(|it| it.store == store && it.name == name)
        {
            figure.wanted = Some(wanted);
        }
    }

    pub fn median(&self, store: &str, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|it| it.store == store && it.name == name)
            .map(|it| median(&it.samples))
    }

    pub fn print(&self, path: &Path) -> anyhow::Result<()> {
        let mut lines = File::create(path)?;
        println!(
            "\n{:<9} {:<44} {:>10} {:<6} {:>21} {:>10}",
            "store", "what", "median", "", "least .. most", "wanted"
        );
        for it in &self.figures {
            let (least, most) = range(&it.samples);
            let (wanted, is_met) = match it.wanted {
                None => (String::new(), None),
                Some(Wanted::AtLeast(limit)) => {
                    (format!(">= {}", shown(limit)), Some(median(&it.samples) >= limit))
                }
                Some(Wanted::AtMost(limit)) => {
                    (format!("<= {}", shown(limit)), Some(median(&it.samples) <= limit))
                }
            };
            println!(
                "{:<9} {:<44} {:>10} {:<6} {:>21} {:>10} {}",
                it.store,
                it.name,
                shown(median(&it.samples)),
                it.unit,
                format!("{} .. {}", shown(least), shown(most)),
                wanted,
                match is_met {
                    Some(true) => "met",
                    Some(false) => "MISSED",
                    None => "",
                }
            );
            let line = json!({
                "store": it.store, "name": it.name, "unit": it.unit, "median": median(&it.samples),
                "samples": it.samples, "is_met": is_met,
            });
            writeln!(lines, "{line}")?;
        }
        println!("\nthe same as JSON lines: {}", path.display());
        Ok(())
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.is_empty() {
        f64::NAN
    } else if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn range(samples: &[f64]) -> (f64, f64) {
    samples
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
            (least.min(*it), most.max(*it))
        })
}

fn shown(value: f64) -> String {
    if value.abs() >= 1000.0 {
        let whole = format!("{value:.0}");
        let at = whole.len() - 3;
        format!("{},{}", &whole[..at], &whole[at..])
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
