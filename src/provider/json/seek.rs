//! One pass over a text, into the values that pointers lead to and past all others.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::provider::json::pointer::Want;

/// What stands at a pointer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spot<'de> {
    pub(super) value: Option<&'de RawValue>,
    pub(super) is_repeated: bool,
}

impl<'de> Spot<'de> {
    pub(super) fn text(self) -> Option<Cow<'de, str>> {
        scalar(self.value?.get())
    }
}

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To the last value that is wanted.
    Found,
    End,
}

/// Fills in what stands at each pointer. An error both where all is found and where the text is not JSON.
pub(super) fn seek<'de>(
    text: &'de [u8],
    pointers: &[&str],
    spots: &mut [Spot<'de>],
    until: Until,
) -> Result<(), serde_json::Error> {
    let wants = pointers.iter().enumerate();
    let wants: Vec<_> = wants
        .filter(|(_, pointer)| pointer.is_empty() || pointer.starts_with('/'))
        .map(|(slot, pointer)| Want {
            slot,
            rest: pointer,
            is_escaped: pointer.contains('~'),
            is_met: false,
        })
        .collect();
    if wants.is_empty() {
        return Ok(());
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let whole = Seek {
        n_open: &mut wants.len(),
        wants,
        spots,
        until,
    };
    whole.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Seek<'p, 's, 'de> {
    wants: Vec<Want<'p>>,
    spots: &'s mut [Spot<'de>],
    n_open: &'s mut usize,
    until: Until,
}

impl<'p, 'de> Seek<'p, '_, 'de> {
    fn fill(&mut self, slot: usize, value: &'de RawValue) {
        self.spots[slot].value = Some(value);
        *self.n_open -= 1;
    }

    /// The wants inside the next value: those that are met for the first time, or found nothing before.
    fn enter(&mut self, step: impl Fn(&Want<'p>) -> Option<&'p str>) -> Vec<Want<'p>> {
        let mut inside = Vec::new();
        for want in &mut self.wants {
            let Some(rest) = step(want) else { continue };
            let spot = &mut self.spots[want.slot];
            spot.is_repeated |= want.is_met;
            want.is_met = true;
            if spot.value.is_none() {
                let is_met = false;
                inside.push(Want {
                    rest,
                    is_met,
                    ..*want
                });
            }
        }
        inside
    }

    fn inside(&mut self, wants: Vec<Want<'p>>) -> Seek<'p, '_, 'de> {
        Seek {
            wants,
            spots: &mut *self.spots,
            n_open: &mut *self.n_open,
            until: self.until,
        }
    }

    fn is_over(&self) -> bool {
        self.until == Until::Found && *self.n_open == 0
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if self.wants.iter().all(|it| !it.rest.is_empty()) {
            return deserializer.deserialize_any(self);
        }
        let value = <&RawValue>::deserialize(deserializer)?;
        for want in std::mem::take(&mut self.wants) {
            if want.rest.is_empty() {
                self.fill(want.slot, value);
            } else {
                self.wants.push(want);
            }
        }
        if self.wants.is_empty() {
            return Ok(());
        }
        // One pointer ends here and another one goes on: read the piece again for the rest.
        let mut inner = serde_json::Deserializer::from_str(value.get());
        self.deserialize(&mut inner).map_err(D::Error::custom)
    }
}

impl<'de> Visitor<'de> for Seek<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let wants = self.enter(|it| it.at_key(&key));
            if wants.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(self.inside(wants))?;
            if self.is_over() {
                return Err(A::Error::custom("all found"));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            let wants = self.enter(|it| it.at_index(index));
            let is_there = if wants.is_empty() {
                seq.next_element::<IgnoredAny>()?.is_some()
            } else {
                seq.next_element_seed(self.inside(wants))?.is_some()
            };
            if !is_there {
                break;
            }
            if self.is_over() {
                return Err(A::Error::custom("all found"));
            }
        }
        Ok(())
    }

    // A plain value where a pointer wants to go deeper: nothing there.
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Borrows where the key has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The text of a string, number or truth value.
fn scalar(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => {
            let inner = raw.get(1..raw.len().checked_sub(1)?)?;
            if inner.contains('\\') {
                serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
            } else {
                Some(Cow::Borrowed(inner))
            }
        }
        b'n' | b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}
