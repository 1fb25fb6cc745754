//! Values at JSON pointers, found in one pass, against a tree.

use std::path::Path;

use gatepost::provider::json;

use super::{
    Target, Verdict,
    input::{Input, joined},
    tree::{self, Tree},
};

pub const TARGET: Target = Target {
    name: "json",
    run: |bytes| compare(tree::at_pointer, bytes),
    seeds,
};

pub(crate) fn compare(reference: fn(&Tree, &str) -> Option<String>, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let pointers = [input.utf8(), input.utf8(), input.utf8()];
    let text = input.rest();
    let found = json::find(text, &pointers);
    ensure!(found.len() == 3, "{} values for 3 pointers", found.len());
    let Some(tree) = tree::parse(text) else {
        return Ok(());
    };
    let is_deep = |it: &&str| it.matches('/').count() > 100;
    if pointers.iter().any(is_deep) {
        return Ok(());
    }
    for (pointer, value) in pointers.iter().zip(found) {
        let expected = reference(&tree, pointer);
        ensure!(
            value.as_deref() == expected.as_deref(),
            "`{pointer}` leads to {value:?}, expected {expected:?} in {}",
            text.escape_ascii()
        );
    }
    Ok(())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (
            ["/id", "/event/type", ""],
            r#"{"type":"t","event":{"type":"e","ts":"1"},"id":"i"}"#,
        ),
        (["/0/1", "/1/a", "/*"], r#"[[1,2],{"a":-3.5e+7}]"#),
        (
            ["/a~1b/c~0d", "/~01", "/*"],
            r#"{"a/b":{"c~d":"x"},"~1":true,"*":null}"#,
        ),
        (
            ["/a/b", "/a", "/a/b"],
            r#"{"a":{},"a":{"b":1},"\u0061":"\ud83d\ude00\n"}"#,
        ),
        (
            ["/events/*/id", "/events/1/id", "/events/01"],
            r#"{"events":[{"id":"x"},{"id":"y"}]}"#,
        ),
        (["", "/", "//"], "{\"\":{\"\":\"é\"}}"),
        (["/id", "/id/a", "/*"], r#"{"id":1,"id":{"a":2},"id":3}"#),
        (["", "x", "/x"], "\u{feff}\"whole\" rest"),
    ]
    .into_iter()
    .map(|(pointers, text)| {
        let [a, b, c] = pointers.map(str::as_bytes);
        joined(&[], &[a, b, c, text.as_bytes()])
    })
    .collect()
}
