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
    let found = seek(text, pointers).into_iter();
    found.map(|it| scalar(it?.get())).collect()
}

/// The JSON text of a value of any kind, as it is written.
pub fn raw<'de>(text: &'de [u8], pointer: &str) -> Option<&'de str> {
    Some(seek(text, &[pointer]).pop()??.get())
}

fn seek<'de>(text: &'de [u8], pointers: &[&str]) -> Vec<Option<&'de RawValue>> {
    let mut found = vec![None; pointers.len()];
    let mut wants = Vec::with_capacity(pointers.len());
    for (slot, pointer) in pointers.iter().enumerate() {
        if pointer.is_empty() || pointer.starts_with('/') {
            wants.push(Want { slot, rest: pointer });
        }
    }
    if !wants.is_empty() {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let mut n_open = wants.len();
        let seek = Seek {
            wants,
            found: &mut found,
            n_open: &mut n_open,
        };
        // Ends with an error both when all is found and where the text is not JSON: what was found until then counts.
        let _ = seek.deserialize(&mut deserializer);
    }
    found
}

pub fn find_one<'de>(text: &'de [u8], pointer: &str) -> Option<Cow<'de, str>> {
    find(text, &[pointer]).pop().flatten()
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

#[derive(Clone, Copy)]
struct Want<'p> {
    slot: usize,
    /// What of the pointer is still to go.
    rest: &'p str,
}

impl<'p> Want<'p> {
    /// The want inside the value at this key, if the pointer leads there.
    fn into_key(self, key: &str) -> Option<Self> {
        let (token, rest) = self.step()?;
        let is_same = if token.contains('~') {
            token.replace("~1", "/").replace("~0", "~") == key
        } else {
            token == key
        };
        is_same.then_some(Self { rest, ..self })
    }

    fn into_index(self, index: usize) -> Option<Self> {
        let (token, rest) = self.step()?;
        // An index has one spelling (RFC 6901): no sign, no leading zero.
        let is_number = token == "0" || !token.starts_with(['0', '+']);
        let wanted = match token {
            "*" => 0,
            _ if is_number => token.parse().ok()?,
            _ => return None,
        };
        (index == wanted).then_some(Self { rest, ..self })
    }

    fn step(self) -> Option<(&'p str, &'p str)> {
        let path = self.rest.strip_prefix('/')?;
        Some(match path.find('/') {
            Some(end) => path.split_at(end),
            None => (path, ""),
        })
    }
}

struct Seek<'p, 'f, 'de> {
    wants: Vec<Want<'p>>,
    found: &'f mut Vec<Option<&'de RawValue>>,
    n_open: &'f mut usize,
}

impl<'de> Seek<'_, '_, 'de> {
    fn fill(&mut self, slot: usize, value: &'de RawValue) {
        if self.found[slot].is_none() {
            self.found[slot] = Some(value);
            *self.n_open -= 1;
        }
    }

    /// The wants inside one value that are still open.
    fn inside<'p>(&self, step: impl Fn(Want<'p>) -> Option<Want<'p>>, wants: &[Want<'p>]) -> Vec<Want<'p>> {
        wants
            .iter()
            .filter(|it| self.found[it.slot].is_none())
            .filter_map(|it| step(*it))
            .collect()
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

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let wants = self.inside(|it| it.into_key(&key), &self.wants);
            if wants.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            map.next_value_seed(Seek {
                wants,
                found: &mut *self.found,
                n_open: &mut *self.n_open,
            })?;
            if *self.n_open == 0 {
                return Err(A::Error::custom("all found"));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for index in 0.. {
            let wants = self.inside(|it| it.into_index(index), &self.wants);
            let is_over = if wants.is_empty() {
                seq.next_element::<IgnoredAny>()?.is_none()
            } else {
                seq.next_element_seed(Seek {
                    wants,
                    found: &mut *self.found,
                    n_open: &mut *self.n_open,
                })?
                .is_none()
            };
            if is_over {
                break;
            }
            if *self.n_open == 0 {
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
