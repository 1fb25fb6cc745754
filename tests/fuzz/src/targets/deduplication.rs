//! What makes an event the same event: no two unequal tuples of source and id may share a key.

use std::path::Path;

use gatepost::event::{Hash, deduplication_key};

use super::{
    Target, Verdict,
    input::{Input, joined},
};

pub const TARGET: Target = Target {
    name: "deduplication",
    run: |bytes| compare(deduplication_key, bytes),
    seeds,
};

pub(crate) fn compare(key: fn(&str, Option<&[u8]>, Hash) -> Hash, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let [cut, flags] = input.array();
    let (source, id) = (input.utf8(), input.text());
    let (other_source, other_id) = (input.utf8(), input.rest());
    let body = |it: &[u8]| Hash(std::array::from_fn(|idx| it.get(idx).copied().unwrap_or(0)));
    let mut tuples = vec![
        (source.to_owned(), Some(id), body(id)),
        (other_source.to_owned(), Some(other_id), body(other_id)),
        (source.to_owned(), None, body(id)),
        (source.to_owned(), Some(&b""[..]), body(other_id)),
    ];
    // The same bytes with the seam elsewhere.
    let whole = [source.as_bytes(), id].concat();
    let seam = usize::from(cut) % (whole.len() + 1);
    if let Ok(moved) = std::str::from_utf8(&whole[..seam]) {
        tuples.push((moved.to_owned(), Some(&whole[seam..]), body(&whole)));
    }
    if flags & 1 == 1 {
        tuples.push((other_source.to_owned(), None, body(other_id)));
    }
    let keys: Vec<_> = tuples
        .iter()
        .map(|(source, id, body)| key(source, *id, *body))
        .collect();
    for (left, left_key) in tuples.iter().zip(&keys) {
        for (right, right_key) in tuples.iter().zip(&keys) {
            // The body counts only where there is no id.
            let is_same = left.0 == right.0 && left.1 == right.1 && (left.1.is_some() || left.2 == right.2);
            ensure!(
                is_same == (left_key == right_key),
                "{left:?} and {right:?} are {left_key:?} and {right_key:?}"
            );
        }
    }
    Ok(())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        ["stripe", "evt_1", "stripe", "evt_2"],
        ["a", "bc", "ab", "c"],
        ["", "abc", "abc", ""],
        ["a", "id", "aid", ""],
    ]
    .into_iter()
    .map(|it| joined(&[1, 1], &it.map(str::as_bytes)))
    .collect()
}
