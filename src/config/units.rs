//! How durations, sizes and rates are written: a whole number and its unit. Pure.

use std::time::Duration;

/// Longest first, so that `ms` is not read as `m`.
const DURATION_UNITS: &[(&str, Duration)] = &[
    ("ms", Duration::from_millis(1)),
    ("s", Duration::from_secs(1)),
    ("m", Duration::from_mins(1)),
    ("h", Duration::from_hours(1)),
    ("d", Duration::from_hours(24)),
];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// `"500ms"`, `"30d"`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?.1;
    // Milliseconds in 64 bits: 500 million years.
    let millis = number.checked_mul(u64::try_from(unit.as_millis()).ok()?)?;
    Some(Duration::from_millis(millis))
}

/// In the unit in which an operator would write it.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let fits = |unit: &Duration| millis != 0 && millis.is_multiple_of(unit.as_millis());
    match DURATION_UNITS.iter().rev().find(|(_, unit)| fits(unit)) {
        Some((name, unit)) => format!("{}{name}", millis / unit.as_millis()),
        None => format!("{}s", duration.as_secs_f64()),
    }
}

/// Bytes: `"10 MiB"`.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    number.checked_mul(SIZE_UNITS.iter().find(|(name, _)| *name == unit)?.1)
}

pub fn show_size(n_bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units
        .iter()
        .find(|(_, unit)| n_bytes != 0 && n_bytes.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{} {name}", n_bytes / unit),
        None => format!("{n_bytes} B"),
    }
}

/// Per second: `"100/s"`.
pub fn rate(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    (unit == "/s").then_some(number)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|it: char| !it.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}
