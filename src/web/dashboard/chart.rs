//! The last hour as bars, drawn here as SVG: what went well below, what did not above it.

use std::fmt::Write as _;

use crate::store::query::{Made, Series};

/// Units of the drawing; a bar for each minute, and a gap.
const HEIGHT: u64 = 24;
const STEP: usize = 2;

#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// For who does not see it.
    pub(super) label: String,
    pub(super) good: String,
    pub(super) calm: String,
    pub(super) bad: String,
}

impl Chart {
    pub(super) fn of_source(events: &Series, refused: &Series) -> Self {
        let label = format!(
            "The last hour: {} events, {} refused",
            events.total(),
            refused.total()
        );
        Self::new(label, events, &Series::default(), refused)
    }

    pub(super) fn of_destination(made: &Made) -> Self {
        let label = format!(
            "Deliveries made in the last hour: {} delivered, {} open, {} dead",
            made.delivered.total(),
            made.open.total(),
            made.dead.total()
        );
        Self::new(label, &made.delivered, &made.open, &made.dead)
    }

    fn new(label: String, good: &Series, calm: &Series, bad: &Series) -> Self {
        let all: Series = [good, calm, bad].into_iter().sum();
        let most = all.parts().iter().copied().max().unwrap_or(0);
        let mut label = label;
        if most > 0 {
            let _ = write!(label, "; at most {most} in a minute");
        }
        let mut below = [0; Series::N_PARTS];
        Self {
            label,
            good: bars(good, most, &mut below),
            calm: bars(calm, most, &mut below),
            bad: bars(bad, most, &mut below),
        }
    }
}

/// A path of rectangles on top of what is below. What is there at all is seen, however little it is.
fn bars(series: &Series, most: u64, below: &mut [u64; Series::N_PARTS]) -> String {
    let mut path = String::new();
    for (part, n) in series.parts().iter().enumerate().filter(|(_, n)| **n > 0) {
        let room = HEIGHT.saturating_sub(below[part]);
        let height = (n * HEIGHT / most.max(1)).max(1).min(room);
        let (x, y) = (part * STEP, HEIGHT - below[part]);
        let _ = write!(path, "M{x} {y}v-{height}h1.5v{height}z");
        below[part] += height;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(parts: &[(usize, u64)]) -> Series {
        let mut res = Series::default();
        for (part, n) in parts {
            res.add(*part, *n);
        }
        res
    }

    #[test]
    fn bars_stand_on_each_other_and_within_the_box() {
        let chart = Chart::of_source(&series(&[(0, 12), (59, 1)]), &series(&[(0, 12), (1, 1_000)]));
        assert_eq!(chart.good, "M0 24v-1h1.5v1zM118 24v-1h1.5v1z");
        assert_eq!(chart.bad, "M0 23v-1h1.5v1zM2 24v-24h1.5v24z");
        assert!(
            chart
                .label
                .ends_with("13 events, 1012 refused; at most 1000 in a minute")
        );
        let none = Chart::of_destination(&Made::default());
        assert_eq!((none.good.as_str(), none.bad.as_str()), ("", ""));
    }
}
