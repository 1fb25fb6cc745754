//! What a sender calls its event: id, types, time, and what it is about.

use std::borrow::Cow;

use crate::{
    base::moment,
    provider::{
        Call, Names, Provider, mac,
        place::{Place, Reader, Reading},
        scheme::Hash,
    },
};

/// A type is for people and filters; longer ones are cut.
const MAX_TYPE: usize = 256;

/// No sender has so many in one batch. What comes after them in a batch is not looked at.
const MAX_TYPES: usize = 64;

pub(super) fn read(provider: &Provider, call: &Call<'_>) -> Names {
    let groups = [&provider.event_id, &provider.event_type, &provider.event_time];
    let mut reader = Reader::new(call);
    // One pass over the body for all three, and none at all where the headers say it.
    let mut pointers: Vec<&str> = Vec::new();
    for group in groups {
        for reading in group.iter() {
            let before = pointers.len();
            pointers.extend(reading.places().iter().filter_map(|it| match it {
                Place::Body(pointer) => Some(pointer.as_ref()),
                _ => None,
            }));
            if pointers.len() == before && reading.read(&reader).is_some() {
                break;
            }
        }
    }
    reader.fetch(pointers);
    let of_elements = [&provider.event_id, &provider.event_type];
    let of_elements = of_elements.into_iter().flat_map(|it| it.iter());
    let places = of_elements.flat_map(Reading::places).filter(|it| it.is_in_each());
    let in_each = places.filter_map(|it| match it {
        Place::Body(pointer) => Some(pointer.as_ref()),
        _ => None,
    });
    reader.fetch_each(in_each.collect());
    let first = |group: &[Reading]| group.iter().find_map(|it| it.read(&reader));
    let event_type = first(&provider.event_type).and_then(|it| clean(&it));
    Names {
        external_id: provider.event_id.iter().find_map(|it| it.read_id(&reader)),
        further_types: further_types(provider, event_type.as_deref(), &reader),
        event_type,
        occurred_at: first(&provider.event_time).and_then(|it| moment::parse(&it)),
    }
}

/// Whether an event of this sender may be a batch whose elements have types of their own.
pub(super) fn has_batches(provider: &Provider) -> bool {
    provider.event_type.iter().any(Reading::is_in_each)
}

/// Of each element the first type that is there, in their order.
fn further_types(provider: &Provider, event_type: Option<&str>, reader: &Reader<'_>) -> Vec<String> {
    let in_each = provider.event_type.iter().filter(|it| it.is_in_each());
    let columns: Vec<_> = in_each.map(|it| it.read_each(reader)).collect();
    let n_elements = columns.iter().map(Vec::len).max().unwrap_or(0);
    let mut types: Vec<String> = Vec::new();
    for idx in 0..n_elements {
        let found = columns.iter().find_map(|it| it.get(idx)?.as_deref());
        let Some(found) = found.and_then(clean) else {
            continue;
        };
        if event_type != Some(found.as_str()) && !types.contains(&found) {
            types.push(found);
        }
        if types.len() + 1 == MAX_TYPES {
            break;
        }
    }
    types
}

/// The id of what the event is about. A pass of its own: few routes ask for it.
pub(super) fn resource(provider: &Provider, call: &Call<'_>) -> Option<Vec<u8>> {
    let reader = Reader::new(call);
    let mut found = provider.resource.iter().filter_map(|it| it.read(&reader));
    found.next().map(Cow::into_owned)
}

impl Reading {
    fn is_in_each(&self) -> bool {
        self.places().iter().any(Place::is_in_each)
    }

    /// The text there; an empty one counts as absent.
    fn read<'a>(&self, reader: &Reader<'a>) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::At(place) => reader.first(place).filter(|it| !it.is_empty()),
            Self::Joined { places, separator } => {
                let parts: Option<Vec<_>> = places.iter().map(|it| reader.first(it)).collect();
                let joined = parts?.join(separator.as_bytes());
                (!joined.is_empty()).then_some(Cow::Owned(joined))
            }
        }
    }

    /// The text in each element of a batch.
    fn read_each(&self, reader: &Reader<'_>) -> Vec<Option<Vec<u8>>> {
        let columns: Vec<_> = self.places().iter().map(|it| reader.each(it)).collect();
        let n_elements = columns.iter().map(Vec::len).max().unwrap_or(0);
        let separator = match self {
            Self::Joined { separator, .. } => separator.as_ref(),
            Self::At(_) => "",
        };
        let of_element = |idx: usize| {
            // A place outside the elements is the same for all of them.
            let parts = columns.iter().map(|it| match it.as_slice() {
                [one] => one.as_deref(),
                several => several.get(idx)?.as_deref(),
            });
            let text = parts.collect::<Option<Vec<&[u8]>>>()?.join(separator.as_bytes());
            (!text.is_empty()).then_some(text)
        };
        (0..n_elements).map(of_element).collect()
    }

    /// The id. Of a batch one that no other batch has: with the first element's, a second batch that begins with the same one
    /// would pass for a repetition, and the rest of it would be lost. Where an element has no id, the batch has none.
    fn read_id(&self, reader: &Reader<'_>) -> Option<Vec<u8>> {
        if !self.is_in_each() {
            return self.read(reader).map(Cow::into_owned);
        }
        let mut ids = self.read_each(reader).into_iter().collect::<Option<Vec<_>>>()?;
        match ids.len() {
            0 | 1 => ids.pop(),
            _ => Some(of_all(&ids)),
        }
    }
}

/// `first+2.9f86d081...`: readable as the first of three, and another one wherever any of them is another.
fn of_all(ids: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    for id in ids {
        whole.extend((id.len() as u64).to_be_bytes());
        whole.extend(id);
    }
    let digest = mac::digest(Hash::Sha256, &whole);
    let digest = digest.as_ref().map_or(&[][..], |it| &it.as_slice()[..16]);
    let rest = format!("+{}.{}", ids.len() - 1, hex::encode(digest));
    [ids[0].as_slice(), rest.as_bytes()].concat()
}

/// Text that is safe to show: UTF-8, no control characters, at most `MAX_TYPE` bytes.
fn clean(bytes: &[u8]) -> Option<String> {
    // A character that is no UTF-8 grows to three bytes, so more than this many never survive the cut.
    let bytes = &bytes[..bytes.len().min(MAX_TYPE + 4)];
    let mut text: String = String::from_utf8_lossy(bytes)
        .trim()
        .chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    text.truncate(text.floor_char_boundary(MAX_TYPE));
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_cleaned() {
        assert_eq!(clean(b"push").as_deref(), Some("push"));
        assert_eq!(
            clean(b"a\0b\x1b[31m\n").as_deref(),
            Some("a\u{fffd}b\u{fffd}[31m")
        );
        assert_eq!(clean(b"\xff").as_deref(), Some("\u{fffd}"));
        assert_eq!(clean(b"  "), None);
        assert_eq!(clean(&b"x".repeat(5_000)).map(|it| it.len()), Some(256));
        let cut = clean("é".repeat(300).as_bytes()).unwrap();
        assert_eq!((cut.len(), cut.chars().all(|c| c == 'é')), (256, true));
        assert!(clean("a\u{20ac}".repeat(300).as_bytes()).unwrap().len() <= 256);
    }
}
