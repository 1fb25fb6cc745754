//! The rows: what is known of each sender, as data in `rows`. How they are obeyed is in `verify`, `names` and `sample`.
//!
//! A row has the words that an operator has for a sender of their own, and says where its facts come from. A new sender is a
//! block in the file of its first letter and signed requests in `tests/vectors`: see `CONTRIBUTING.md`. What a sender's own
//! request looks like is in `samples`.

mod row;
pub(in crate::provider) mod samples;

use std::{collections::BTreeMap, sync::LazyLock};

use crate::provider::{Provider, catalog::row::Row};

/// Sorted by name.
pub static ROWS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let mut rows: Vec<_> = FILES.iter().flat_map(|(name, text)| read(name, text)).collect();
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    rows
});

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("rows/", $name, ".toml")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "generic", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
    "t", "u", "v", "w", "x", "z",
];

#[expect(
    clippy::panic,
    reason = "the rows are part of the program, and the tests read them all"
)]
fn read(file: &str, text: &str) -> Vec<Provider> {
    let rows: BTreeMap<String, Row> =
        toml::from_str(text).unwrap_or_else(|it| panic!("catalog/rows/{file}.toml: {it}"));
    rows.into_iter()
        .map(|(name, row)| {
            row.provider(name.clone())
                .unwrap_or_else(|it| panic!("catalog/rows/{file}.toml: {name}: {it:?}"))
        })
        .collect()
}
