//! What was measured in one part on one store. `lines` keeps it beside what other runs measured, `table` shows all of it,
//! and `reasons` says what stands in the way of what was missed.

pub mod lines;
mod reasons;
pub mod table;

use serde::{Deserialize, Serialize};

use crate::{plan::Part, samples::median};

/// One figure: what was measured in every turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    pub unit: String,
    pub samples: Vec<f64>,
    /// The most or the least that is asked for.
    pub wanted: Option<Wanted>,
    /// Why there is none, where there is none.
    pub absent: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug)]
pub struct Report {
    pub part: Part,
    /// The engine's name; empty where no store is needed.
    pub store: &'static str,
    pub figures: Vec<Figure>,
}

impl Figure {
    fn new(name: &str, unit: &str) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            samples: Vec::new(),
            wanted: None,
            absent: None,
        }
    }

    /// `None` where nothing is asked for.
    pub fn is_met(&self) -> Option<bool> {
        let median = median(&self.samples);
        self.wanted.map(|it| match it {
            Wanted::AtLeast(limit) => median >= limit,
            Wanted::AtMost(limit) => median <= limit,
        })
    }
}

impl Report {
    pub const fn new(part: Part, store: &'static str) -> Self {
        Self {
            part,
            store,
            figures: Vec::new(),
        }
    }

    /// One more sample of a figure. What is no number (a division by nothing) is left out.
    pub fn add(&mut self, name: &str, unit: &str, value: f64) {
        if value.is_finite() {
            self.figure(name, unit).samples.push(value);
        }
    }

    /// A share of its limit, taken in one turn.
    pub fn ratio(&mut self, name: &str, value: f64) {
        self.add(name, "", value);
    }

    /// What is asked of a figure; one that was not measured shows in the table too.
    pub fn want(&mut self, name: &str, wanted: Wanted) {
        self.figure(name, "").wanted = Some(wanted);
    }

    /// Says in the table why a figure is not there.
    pub fn absent(&mut self, name: &str, why: &str) {
        self.figure(name, "").absent = Some(why.to_owned());
    }

    fn figure(&mut self, name: &str, unit: &str) -> &mut Figure {
        let known = self.figures.iter().position(|it| it.name == name);
        let idx = known.unwrap_or_else(|| {
            self.figures.push(Figure::new(name, unit));
            self.figures.len() - 1
        });
        &mut self.figures[idx]
    }
}
