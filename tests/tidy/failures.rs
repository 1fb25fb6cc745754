//! The list of known failures: each one that concerns code of ours has a test of its name, and no test names another.
//!
//! Tests of the fault matrix, in `tests/it/matrix`, are named after its rows, which use the letter `f` as well; so do some
//! older ones elsewhere, above the last failure of that letter.

use std::collections::{BTreeMap, BTreeSet};

use crate::{none, sources};

const LIST: &str = include_str!("known_failures.toml");

const MATRIX: &str = "tests/it/matrix/";
const LAST_OF_DELIVERY: u32 = 14;

/// The failures of each letter: what is between the first and the last is on the list.
const LETTERS: &[(char, u32)] = &[
    ('a', 23),
    ('b', 9),
    ('c', 11),
    ('d', 14),
    ('e', 24),
    ('f', LAST_OF_DELIVERY),
    ('g', 12),
    ('h', 6),
];

/// By id, in two kinds: what the failure is; and what it is and why it concerns nothing here.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tested: BTreeMap<String, String>,
    no_code: BTreeMap<String, [String; 2]>,
}

fn list() -> List {
    toml::from_str(LIST).expect("the list is TOML of that form")
}

/// Each id in the name of a test, with the places: `g01_g02_nothing_is_open` names two.
fn named() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<String>>::new();
    for source in sources() {
        let is_matrix = source.path.starts_with(MATRIX);
        let is_row = |id: &str| {
            let number = id.strip_prefix('f').and_then(|it| it.parse().ok());
            number.is_some_and(|it: u32| is_matrix || it > LAST_OF_DELIVERY)
        };
        for name in tests_in(&source.code) {
            let ids = name.split('_').take_while(|it| is_id(it));
            for id in ids.filter(|it| !is_row(it)) {
                all.entry(id.to_owned())
                    .or_default()
                    .insert(format!("{}: `{name}`", source.path));
            }
        }
    }
    all
}

/// What follows `fn`, and the first word in a macro that makes cases.
fn tests_in(code: &str) -> impl Iterator<Item = &str> {
    ["fn ", "_case!("].into_iter().flat_map(move |mark| {
        code.match_indices(mark).map(move |(at, _)| {
            let rest = code[at + mark.len()..].trim_start();
            let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
    })
}

fn is_id(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_lowercase())
        && (2..=3).contains(&bytes.len())
        && bytes.all(|it| it.is_ascii_digit())
}

#[test]
fn every_known_failure_is_on_the_list_once() {
    let List { tested, no_code } = list();
    let expected: BTreeSet<_> = LETTERS
        .iter()
        .flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number:02}")))
        .collect();
    let found: BTreeSet<_> = tested.keys().chain(no_code.keys()).cloned().collect();
    assert_eq!(found, expected);
    let twice = tested.keys().filter(|it| no_code.contains_key(*it));
    none(twice.map(|it| format!("`{it}` is on the list twice")).collect());
    let reasons = no_code.values().flatten();
    assert!(
        reasons.chain(tested.values()).all(|it| it.len() > 10),
        "a failure is said in words"
    );
}

#[test]
fn every_known_failure_has_a_test_of_its_name() {
    let named = named();
    let without = list()
        .tested
        .into_iter()
        .filter(|(id, _)| !named.contains_key(id));
    none(
        without
            .map(|(id, failure)| format!("no test is called `{id}_...`: {failure}"))
            .collect(),
    );
}

#[test]
fn tests_name_failures_that_are_on_the_list() {
    let List { tested, no_code } = list();
    let mut faults = Vec::new();
    for (id, places) in named() {
        if tested.contains_key(&id) {
            continue;
        }
        let why = match no_code.get(&id) {
            Some([failure, reason]) => format!("`{id}` ({failure}) should concern nothing here: {reason}"),
            None => format!("`{id}` is no known failure"),
        };
        faults.extend(places.into_iter().map(|place| format!("{place}: {why}")));
    }
    none(faults);
}

#[test]
fn names_of_tests_are_read_right() {
    let code = "fn a01_x() {}\nasync fn b02_c03_y() {}\nstore_case!(\n    d04_z,\n app_case!(e05, |site| {";
    assert_eq!(
        tests_in(code).collect::<Vec<_>>(),
        ["a01_x", "b02_c03_y", "d04_z", "e05"]
    );
    assert!(is_id("a01") && is_id("f100"));
    assert!(!is_id("at") && !is_id("a1") && !is_id("v1x") && !is_id("101") && !is_id(""));
}
