//! Patterns of event types against types that senders chose.

use std::path::Path;

use gatepost::route::glob::Glob;

use super::{
    Target, Verdict,
    input::{Input, joined},
};

pub const TARGET: Target = Target {
    name: "glob",
    run: |bytes| compare(is_match, bytes),
    seeds,
};

pub(crate) fn compare(reference: fn(&[u8], &[u8]) -> bool, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let (pattern, text) = (input.utf8(), input.utf8());
    let found = Glob::new(pattern).matches(text);
    let expected = reference(pattern.as_bytes(), text.as_bytes());
    ensure!(
        found == expected,
        "`{pattern}` on `{text}` is {found}, expected {expected}"
    );
    Ok(())
}

/// Row by row: whether so much of the pattern matches so much of the text.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let mut row: Vec<bool> = (0..=text.len()).map(|it| it == 0).collect();
    for c in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = if *c == b'*' {
                row[at] || (at > 0 && next[at - 1])
            } else {
                at > 0 && row[at - 1] && text[at - 1] == *c
            };
        }
        row = next;
    }
    row[text.len()]
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        ("payment_intent.*", "payment_intent.succeeded"),
        ("*.created", "customer.created.v2"),
        ("a*b*a", "aba"),
        ("*ab*ab*", "abab"),
        ("**", ""),
        ("é*ü", "éöü"),
        ("push", "push"),
        ("*a*", "bab"),
    ]
    .into_iter()
    .map(|(pattern, text)| joined(&[], &[pattern.as_bytes(), text.as_bytes()]))
    .collect()
}
