//! When a failed attempt is made again, as the operator says it.

use std::{fmt, time::Duration};

/// When to try again, and when to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    pub max_attempts: u32,
    pub max_age: Duration,
    /// The first exponential pause, and the longest.
    pub first: Duration,
    pub cap: Duration,
    /// Pauses in place of exponential ones; the last one repeats. Empty: exponential.
    pub schedule: Vec<Duration>,
    /// Of the statuses that are failures, only these are tried again. `None`: as the contract says.
    pub on: Option<Statuses>,
    /// These are given up at once.
    pub never: Statuses,
}

impl Retry {
    /// Whether the operator's rules give up what answers so.
    pub fn is_final(&self, status: u16) -> bool {
        self.never.contains(status) || self.on.as_ref().is_some_and(|it| !it.contains(status))
    }

    /// Whether they say in so many words that it is tried again.
    pub fn is_wanted(&self, status: u16) -> bool {
        self.on.as_ref().is_some_and(|it| it.contains(status))
    }
}

/// A set of HTTP statuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    pub const NONE: Self = Self(Vec::new());

    /// Each a status (`429`), a class (`5xx`) or a range (`500-503`); the first that is none of them is the error.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let parse = |text| range(text).ok_or(text);
        texts.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, (low, high)) in self.0.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            match (low % 100, high - low) {
                (_, 0) => write!(f, "{comma}{low}")?,
                (0, 99) => write!(f, "{comma}{}xx", low / 100)?,
                _ => write!(f, "{comma}{low}-{high}")?,
            }
        }
        Ok(())
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| {
        let is_plain = text.len() == 3 && text.bytes().all(|it| it.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|it| is_plain && (300..=599).contains(it))
    };
    if let Some(class) = text.strip_suffix("xx") {
        let low = status(&format!("{class}00"))?;
        return Some((low, low + 99));
    }
    match text.split_once('-') {
        Some((low, high)) => Some((status(low)?, status(high)?)).filter(|it| it.0 <= it.1),
        None => status(text).map(|it| (it, it)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_classes_and_ranges_are_read_and_shown() {
        let statuses = Statuses::parse(["429", "5xx", "400-404"]).unwrap();
        for (status, expected) in [
            (429, true),
            (500, true),
            (599, true),
            (404, true),
            (405, false),
            (428, false),
        ] {
            assert_eq!(statuses.contains(status), expected, "{status}");
        }
        assert_eq!(statuses.to_string(), "429, 5xx, 400-404");
        assert!(!Statuses::NONE.contains(500));
    }

    #[test]
    fn what_is_no_failing_status_is_refused() {
        for bad in [
            "", "200", "2xx", "6xx", "4x", "404-400", "1-5", "429 ", "+429", "xx", "abc", "99999",
        ] {
            assert_eq!(Statuses::parse(["500", bad]), Err(bad));
        }
    }
}
