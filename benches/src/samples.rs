//! Medians, ranges and quantiles, and how numbers are written.

pub fn median(samples: &[f64]) -> f64 {
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

/// The least and the most.
pub fn range(samples: &[f64]) -> (f64, f64) {
    samples
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
            (least.min(*it), most.max(*it))
        })
}

/// Latencies in microseconds, of which quantiles are asked in milliseconds.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn new(mut latencies_us: Vec<u32>) -> Self {
        latencies_us.sort_unstable();
        Self(latencies_us)
    }

    pub fn quantile_ms(&self, share: f64) -> f64 {
        let idx = (self.0.len() as f64 * share) as usize;
        let idx = idx.min(self.0.len().saturating_sub(1));
        self.0.get(idx).map_or(f64::NAN, |it| f64::from(*it) / 1000.0)
    }
}

/// Rates that are met one after the other: what a server would reach that did all of it and nothing else.
pub fn additive(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|it| 1.0 / it).sum::<f64>()
}

pub fn shown(value: f64) -> String {
    if value.abs() >= 1000.0 {
        grouped(value)
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A whole number with its digits in threes.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx) % 3 == 0 && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
