//! Durations, sizes and rates of the config.

use std::{path::Path, time::Duration};

use gatepost::config::units;

use super::{Target, Verdict, input::Input};

pub const TARGET: Target = Target {
    name: "units",
    run: |bytes| compare(read, bytes),
    seeds,
};

const MILLIS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const BYTES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1_024),
    ("MiB", 1_048_576),
    ("GiB", 1_073_741_824),
];

/// The number that a text says, in the units of a table.
pub(crate) type Reference = fn(&str, &[(&str, u64)]) -> Option<u64>;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let number = u64::from_be_bytes(input.array());
    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return Ok(());
    };
    let duration = units::duration(text);
    let expected = reference(text, MILLIS).map(Duration::from_millis);
    ensure!(
        duration == expected,
        "`{text}` is {duration:?}, expected {expected:?}"
    );
    for (found, table) in [(units::size(text), BYTES), (units::rate(text), &[("/s", 1)])] {
        let expected = reference(text, table);
        ensure!(found == expected, "`{text}` is {found:?}, expected {expected:?}");
    }
    if number > 0 {
        let shown = units::show_duration(Duration::from_millis(number));
        let again = units::duration(&shown);
        ensure!(
            again == Some(Duration::from_millis(number)),
            "{number} ms are shown as `{shown}`"
        );
    }
    let shown = units::show_size(number);
    ensure!(
        units::size(&shown) == Some(number),
        "{number} bytes are shown as `{shown}`"
    );
    Ok(())
}

/// Digits, perhaps a space, and a unit, with any white space around.
pub(crate) fn read(text: &str, table: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let (unit, factor) = table.iter().find(|(unit, _)| {
        let digits = text.strip_suffix(unit).map(str::trim_end);
        digits.is_some_and(|it| it.ends_with(|c: char| c.is_ascii_digit()))
    })?;
    let digits = text.strip_suffix(unit)?.trim_end();
    let mut number = 0_u64;
    for c in digits.chars() {
        let digit = c.to_digit(10).filter(|_| c.is_ascii_digit())?;
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    number.checked_mul(*factor)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        "500ms",
        "30 s",
        " 5m ",
        "72h",
        "30d",
        "10 MiB",
        "0B",
        "1KB",
        "2kB",
        "3GiB",
        "100/s",
        "1e3s",
        "-1s",
        "18446744073709551615ms",
        "18446744073709551616B",
        "1.5h",
        "５s",
    ]
    .into_iter()
    .enumerate()
    .map(|(idx, it)| [&(86_400_000_u64 >> idx).to_be_bytes(), it.as_bytes()].concat())
    .collect()
}
