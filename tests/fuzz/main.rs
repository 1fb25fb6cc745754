//! The short run of the fuzz targets: every kept input, and a fixed number of damages to them, the same each time.
//!
//! The long run is `tests/fuzz/run`. What it finds is kept in `tests/fuzz/seeds/<target>` and replayed here.

#![expect(
    unreachable_pub,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::option_option,
    reason = "the targets are a library of the long run as well and write things as plainly as they can; a test that cannot go on says so by panicking"
)]

mod flaws;
mod mutate;
#[path = "src/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

use mutate::{Random, mutant};
use targets::Target;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// What was made by hand, what the vectors give, and what the long run found.
fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)(&folder().join("../vectors"));
    assert!(!inputs.is_empty(), "`{}` has nothing to start from", target.name);
    let kept = std::fs::read_dir(folder().join("seeds").join(target.name));
    for entry in kept.into_iter().flatten() {
        let path = entry.expect("the folder can be listed").path();
        inputs.push(std::fs::read(path).expect("a kept input can be read"));
    }
    inputs
}

/// Damaged inputs for each target; reading a whole config takes a hundred times as long as anything else.
fn n_mutants(target: &Target) -> u32 {
    if target.name == "config" { 60 } else { 6_000 }
}

fn short_run(target: &Target) {
    let inputs = inputs(target);
    let check = |input: &[u8]| {
        if let Err(fault) = targets::check(target, input) {
            panic!("{fault}\nfor the input \"{}\"", input.escape_ascii());
        }
    };
    for input in &inputs {
        check(input);
    }
    let mut random = Random(20_260_101);
    for _ in 0..n_mutants(target) {
        check(&mutant(&mut random, &inputs));
    }
}

macro_rules! short_runs {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                short_run(&targets::$name::TARGET);
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

short_runs! {
    challenge config credentials deduplication egress encoding filter forwarded github gitlab glob headers_out hmac ids json
    list_query order place retry_after shopify slack standard_webhooks stored_headers stripe template timestamp traceparent units
}

#[test]
fn every_target_is_run_both_ways() {
    let listed: Vec<_> = targets::ALL.iter().map(|it| it.name).collect();
    assert_eq!(listed, NAMES);
    let programs = std::fs::read_dir(folder().join("src/bin")).expect("the programs are there");
    let mut programs: Vec<_> = programs
        .map(|it| it.expect("the folder can be listed").path())
        .map(|it| it.file_stem().expect("a file has a name").display().to_string())
        .collect();
    programs.sort();
    assert_eq!(programs, NAMES);
    let script = std::fs::read_to_string(folder().join("run")).expect("the script is there");
    for name in NAMES {
        let rows = script
            .lines()
            .filter(|it| it.split(' ').next() == Some(name))
            .count();
        assert_eq!(rows, 1, "`{name}` in the table of tests/fuzz/run");
    }
}
