//! The long run: libFuzzer feeds one target for as long as one likes. `tests/fuzz/run` starts it.
//!
//! What a target is, and what it checks, is in `targets`, which `cargo test` runs as well (`tests/fuzz/main.rs`).

pub mod targets;

use std::path::Path;

use targets::Target;

/// Puts what the signed requests in `tests/vectors` give into the directory of starting inputs.
///
/// # Panics
///
/// Where a file cannot be read or written: nothing could go on without it.
pub fn start(target: &Target) {
    let Some(folder) = std::env::var_os("GATEPOST_FUZZ_START") else {
        return;
    };
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    for (idx, input) in (target.seeds)(&vectors).iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("start-{idx}")), input)
            .expect("the directory is there");
    }
}

/// # Panics
///
/// Where the target and its oracle do not agree: libFuzzer then keeps the input.
pub fn step(target: &Target, input: &[u8]) {
    if let Err(fault) = targets::check(target, input) {
        panic!("{}: {fault}", target.name);
    }
}

/// The whole of a file in `src/bin`.
#[macro_export]
macro_rules! long_run {
    ($target:ident) => {
        #[global_allocator]
        static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

        libfuzzer_sys::fuzz_target!(
            init: $crate::start(&$crate::targets::$target::TARGET),
            |input: &[u8]| $crate::step(&$crate::targets::$target::TARGET, input)
        );
    };
}
