//! A few values out of a JSON text, in one pass, without building a tree and no further than the last one found.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

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

/// What stands before the first `*` of a pointer, and what behind it.
fn split_at_star(pointer: &str) -> Option<(&str, &str)> {
    let mut stars = pointer.match_indices("/*");
    stars.find_map(|(at, star)| {
        let rest = &pointer[at + star.len()..];
        (rest.is_empty() || rest.starts_with('/')).then_some((&pointer[..at], rest))
    })
}

fn spots_of_whole<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Spot<'de>> {
    let mut spots = vec![Spot::default(); pointers.len()];
    if seek(text, pointers, &mut spots, Until::End).is_err() {
        spots.fill(Spot::default());
    }
    spots
}

fn seek<'de>(
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

/// What stands at a pointer.
#[derive(Debug, Clone, Copy, Default)]
struct Spot<'de> {
    value: Option<&'de RawValue>,
    is_repeated: bool,
}

impl<'de> Spot<'de> {
    fn text(self) -> Option<Cow<'de, str>> {
        scalar(self.value?.get())
    }
}

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To the last value that is wanted.
    Found,
    End,
}

#[derive(Clone, Copy)]
struct Want<'p> {
    slot: usize,
    /// What of the pointer is still to go.
    rest: &'p str,
    is_escaped: bool,
    /// Whether a value that it leads into was there.
    is_met: bool,
}

impl<'p> Want<'p> {
    /// What is to go inside the value at this key, if the pointer leads there.
    fn at_key(&self, key: &str) -> Option<&'p str> {
        if self.is_escaped {
            let (token, rest) = self.step()?;
            return (token.replace("~1", "/").replace("~0", "~") == key).then_some(rest);
        }
        let rest = self.rest.strip_prefix('/')?.strip_prefix(key)?;
        let is_same = (rest.is_empty() || rest.starts_with('/')) && !key.contains('/');
        is_same.then_some(rest)
    }

    fn at_index(&self, index: usize) -> Option<&'p str> {
        let (token, rest) = self.step()?;
        // An index has one spelling (RFC 6901): no sign, no leading zero.
        let is_number = token == "0" || !token.starts_with(['0', '+']);
        let wanted = match token {
            "*" => 0,
            _ if is_number => token.parse().ok()?,
            _ => return None,
        };
        (index == wanted).then_some(rest)
    }

    fn step(&self) -> Option<(&'p str, &'p str)> {
        let path = self.rest.strip_prefix('/')?;
        Some(match path.find('/') {
            Some(end) => path.split_at(end),
            None => (path, ""),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, pointer: &str, expected: Option<&str>) {
        assert_eq!(
            find_one(text.as_bytes(), pointer).as_deref(),
            expected,
            "{pointer} in {text}"
        );
    }

    #[test]
    fn values_are_found_as_they_are_written() {
        check(r#"{"id":"a"}"#, "/id", Some("a"));
        check(r#"{"id":1e400}"#, "/id", Some("1e400"));
        check(
            r#"{"id":820982911946154508123}"#,
            "/id",
            Some("820982911946154508123"),
        );
        check(r#"{"id":true}"#, "/id", Some("true"));
        check(r#"{"id":null}"#, "/id", None);
        check(r#"{"id":{}}"#, "/id", None);
        check(r#"{"id":"\u0041\n"}"#, "/id", Some("A\n"));
        check(r#"{"id":"\ud800"}"#, "/id", None);
        check(r#"{"\u0069d":"a"}"#, "/id", Some("a"));
        check(r#"{"a/b":{"c~d":"x"}}"#, "/a~1b/c~0d", Some("x"));
        check(r#"[[1,2],{"a":3}]"#, "/0/1", Some("2"));
        check(r#"[[1,2],{"a":3}]"#, "/1/a", Some("3"));
        check("[1,2]", "/01", None);
        check("[1,2]", "/+1", None);
        check(r#"{"events":[{"id":"x"},{"id":"y"}]}"#, "/events/*/id", Some("x"));
        check(r#"{"id":"first","id":"second"}"#, "/id", Some("first"));
        check(r#""whole""#, "", Some("whole"));
        check("\u{feff}{\"id\":1}", "/id", Some("1"));
        check(r#"{"id":"a"}"#, "id", None);
        check(r#"{"id":"a"}"#, "/id/deeper", None);
    }

    #[test]
    fn what_stands_before_a_fault_is_still_found() {
        check(r#"{"id":"a", nonsense"#, "/id", Some("a"));
        check(r#"{"x": nonsense, "id":"a"}"#, "/id", None);
        check("not json", "/id", None);
        check("", "/id", None);
        assert_eq!(
            find_one(b"{\"x\":\"\xff\",\"id\":7}", "/id").as_deref(),
            Some("7")
        );
        assert_eq!(find_one(b"{\"id\":\"\xff\"}", "/id"), None);
    }

    #[test]
    fn several_pointers_and_one_inside_another() {
        let text = br#"{"type":"t","event":{"type":"e","ts":"1"},"id":"i"}"#;
        let found = find(
            text,
            &["/id", "/event/type", "/type", "/nowhere", "/event", "/id"],
        );
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, [Some("i"), Some("e"), Some("t"), None, None, Some("i")]);
    }

    #[test]
    fn a_value_of_any_kind_is_found_as_it_is_written() {
        let text = br#"{"data": {"b" : [1, "x"]},"n":null}"#;
        assert_eq!(raw(text, "/data"), Some(r#"{"b" : [1, "x"]}"#));
        assert_eq!(raw(text, "/data/b/1"), Some(r#""x""#));
        assert_eq!(raw(text, "/n"), Some("null"));
        assert_eq!(raw(text, "/x"), None);
        assert_eq!(raw(br#"{"data":1,"data":2}"#, "/data"), None);
        assert_eq!(raw(br#"{"data":1"#, "/data"), None);
    }

    #[test]
    fn what_a_verdict_hangs_on_is_there_once() {
        let check = |text: &str, expected: &[Result<Option<&str>, Repeated>]| {
            let found = find_unique(text.as_bytes(), &["/a", "/b/c"]);
            let found: Vec<_> = found
                .iter()
                .map(|it| it.as_ref().map(Option::as_deref).map_err(|it| *it))
                .collect();
            assert_eq!(found, expected, "{text}");
        };
        check(r#"{"a":1,"b":{"c":2}}"#, &[Ok(Some("1")), Ok(Some("2"))]);
        check(r#"{"a":1,"a":1,"b":{"c":2}}"#, &[Err(Repeated), Ok(Some("2"))]);
        check(r#"{"a":1,"\u0061":1}"#, &[Err(Repeated), Ok(None)]);
        check(r#"{"b":{"c":2},"b":{}}"#, &[Ok(None), Err(Repeated)]);
        check(r#"{"b":{},"b":{"c":2}}"#, &[Ok(None), Err(Repeated)]);
        check(
            r#"{"b":{"c":2,"c":3},"x":{"a":1,"a":2}}"#,
            &[Ok(None), Err(Repeated)],
        );
        check(r#"{"a":1,"b":{"c":2}} "#, &[Ok(Some("1")), Ok(Some("2"))]);
        for fault in [
            r#"{"a":1,"b":{"c":2}"#,
            r#"{"a":1,"b":{"c":2}}{}"#,
            r#"{"a":1,b:2}"#,
        ] {
            check(fault, &[Ok(None), Ok(None)]);
        }
    }

    #[test]
    fn elements_are_those_of_the_one_array() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = elements(text.as_bytes(), "/a");
            let found: Option<Vec<_>> = found.map(|it| it.into_iter().map(RawValue::get).collect());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check(r#"{"a":[1, {"b": 2} ]}"#, Some(&["1", r#"{"b": 2}"#]));
        for none in [
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":null}"#,
            r#"{"b":[1]}"#,
            r#"{"a":[1],"a":[2]}"#,
            r#"{"a":[1]"#,
            "[1]",
        ] {
            check(none, None);
        }
    }

    #[test]
    fn each_element_has_its_text() {
        let check = |text: &str, pointer: &str, expected: &[Option<&str>]| {
            let found = find_each(text.as_bytes(), &[pointer]).remove(0);
            let found: Vec<_> = found.iter().map(Option::as_deref).collect();
            assert_eq!(found, expected, "{pointer} in {text}");
        };
        check(
            r#"[{"id":1},{"id":"b"},{}]"#,
            "/*/id",
            &[Some("1"), Some("b"), None],
        );
        check(
            r#"{"e":[{"c":[{"i":1},{"i":2}]},{"c":[{"i":3}]},{}]}"#,
            "/e/*/c/*/i",
            &[Some("1"), Some("2"), Some("3"), None],
        );
        check(r#"{"e":["x","y"]}"#, "/e/*", &[Some("x"), Some("y")]);
        check(r#"{"e":[]}"#, "/e/*/id", &[None]);
        check(r#"{"*a":"x"}"#, "/*a", &[Some("x")]);
        check(r#"{"id":"x"}"#, "/id", &[Some("x")]);
        let text = br#"{"n":1,"e":[{"i":1,"c":[{"j":2},{"j":3}]},{"i":4}]}"#;
        let pointers = ["/e/*/i", "/n", "/e/*/c/*/j", "/f/*/i"];
        let several = find_each(text, &pointers);
        for (pointer, column) in pointers.iter().zip(several) {
            assert_eq!(column, find_each(text, &[pointer]).remove(0), "{pointer}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_skipped() {
        let n = 200_000;
        let text = format!("{{\"deep\":{}{},\"id\":\"a\"}}", "[".repeat(n), "]".repeat(n));
        check(&text, "/id", Some("a"));
        check(&text, "/deep", None);
        check(&"[".repeat(n), "/id", None);
        check(&text, &"/0".repeat(100_000), None);
        check(&"{\"a\":".repeat(n), &"/a".repeat(n), None);
    }
}
