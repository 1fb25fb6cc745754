//! A few values out of a JSON text, in one pass, without building a tree and no further than the last one found.
//!
//! `pointer` says where a pointer leads, `seek` is the pass.

mod pointer;
mod seek;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::provider::json::{
    pointer::split_at_star,
    seek::{Spot, Until, seek},
};

/// The texts at some JSON pointers, in their order: strings without quotes, numbers as they are written, `true`, `false`.
///
/// Never fails: `None` for what is not there, is null, an object or an array, or lies behind a fault in the text.
/// Where a key comes twice the first one counts. `*` in a pointer stands for the first element of an array.
/// Objects that no pointer leads into are skipped without recursion, so no depth of nesting can exhaust the stack.
pub fn find<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Option<Cow<'de, str>>> {
    let mut spots = vec![Spot::default(); pointers.len()];
    // Ends with an error both when all is found and where the text is not JSON: what was found until then counts.
    let _ = seek(text, pointers, &mut spots, Until::Found);
    spots.into_iter().map(Spot::text).collect()
}

pub fn find_one<'de>(text: &'de [u8], pointer: &str) -> Option<Cow<'de, str>> {
    find(text, &[pointer]).pop().flatten()
}

/// On the way to a value a key comes twice: readers of JSON differ in which one they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

/// The same of a whole text, for values that a verdict hangs on: `None` for all where the text is not JSON to its end.
pub fn find_unique<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Result<Option<Cow<'de, str>>, Repeated>> {
    let unique = |it: Spot<'de>| {
        if it.is_repeated {
            return Err(Repeated);
        }
        Ok(it.text())
    };
    spots_of_whole(text, pointers).into_iter().map(unique).collect()
}

/// The JSON text of a value of any kind, as it is written, where `find_unique` would find it.
pub fn raw<'de>(text: &'de [u8], pointer: &str) -> Option<&'de str> {
    let spot = spots_of_whole(text, &[pointer])
        .pop()
        .filter(|it| !it.is_repeated)?;
    Some(spot.value?.get())
}

/// The elements of an array as they are written; `None` where there are none, and where `find_unique` would find nothing.
pub fn elements<'de>(text: &'de [u8], pointer: &str) -> Option<Vec<&'de RawValue>> {
    let spot = spots_of_whole(text, &[pointer])
        .pop()
        .filter(|it| !it.is_repeated)?;
    let elements: Vec<&RawValue> = serde_json::from_str(spot.value?.get()).ok()?;
    (!elements.is_empty()).then_some(elements)
}

/// For each pointer the texts in each of the elements that its `*` stand for, in their order; without a `*` the one that there is.
/// Pointers into the same array share one pass over it.
///
/// `None` for an element that has none there, and in place of an array that is empty, is none, or that `find_unique` would not find.
pub fn find_each<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Vec<Option<Cow<'de, str>>>> {
    let mut columns = vec![Vec::new(); pointers.len()];
    let (starred, plain): (Vec<_>, Vec<_>) = (0..pointers.len())
        .map(|slot| (slot, split_at_star(pointers[slot])))
        .partition(|(_, split)| split.is_some());
    let plain_pointers: Vec<_> = plain.iter().map(|(slot, _)| pointers[*slot]).collect();
    for ((slot, _), text) in plain.iter().zip(find(text, &plain_pointers)) {
        columns[*slot].push(text);
    }
    let mut starred: Vec<_> = starred
        .into_iter()
        .filter_map(|(slot, split)| Some((slot, split?)))
        .collect();
    while let Some((_, (array, _))) = starred.first().copied() {
        let (inside, others): (Vec<_>, Vec<_>) = starred.into_iter().partition(|(_, (it, _))| *it == array);
        starred = others;
        let rests: Vec<_> = inside.iter().map(|(_, (_, rest))| *rest).collect();
        let Some(elements) = elements(text, array) else {
            for (slot, _) in &inside {
                columns[*slot].push(None);
            }
            continue;
        };
        for element in elements {
            let found = find_each(element.get().as_bytes(), &rests);
            for ((slot, _), found) in inside.iter().zip(found) {
                columns[*slot].extend(found);
            }
        }
    }
    columns
}

fn spots_of_whole<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Spot<'de>> {
    let mut spots = vec![Spot::default(); pointers.len()];
    if seek(text, pointers, &mut spots, Until::End).is_err() {
        spots.fill(Spot::default());
    }
    spots
}
