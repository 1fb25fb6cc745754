//! A body as some senders sign it: JSON without white space, the names in each object in the order of their bytes.
//!
//! Numbers stay as they are written, since no two languages write them alike. Strings are written as JavaScript writes them.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Deeper bodies are no events of anybody's.
const MAX_DEPTH: usize = 32;

/// `None` for what is no JSON, is too deep, or has a name twice in one object: a reader could take the one for the other.
pub(super) fn write(body: &[u8]) -> Option<String> {
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    let mut written = String::with_capacity(body.len());
    push(&mut written, whole.get(), MAX_DEPTH)?;
    Some(written)
}

fn push(written: &mut String, text: &str, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match text.as_bytes().first()? {
        b'{' => {
            let Fields(fields) = serde_json::from_str(text).ok()?;
            written.push('{');
            for (idx, (name, value)) in fields.iter().enumerate() {
                written.push_str(if idx == 0 { "" } else { "," });
                written.push_str(&serde_json::to_string(name).ok()?);
                written.push(':');
                push(written, value.get(), depth)?;
            }
            written.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            written.push('[');
            for (idx, value) in items.iter().enumerate() {
                written.push_str(if idx == 0 { "" } else { "," });
                push(written, value.get(), depth)?;
            }
            written.push(']');
        }
        b'"' => {
            let string: String = serde_json::from_str(text).ok()?;
            written.push_str(&serde_json::to_string(&string).ok()?);
        }
        _ => written.push_str(text),
    }
    Some(())
}

/// An object, each name once.
struct Fields<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    if fields.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Option<&str>) {
        assert_eq!(write(body.as_bytes()).as_deref(), expected, "{body}");
    }

    #[test]
    fn names_are_sorted_and_white_space_goes() {
        check(
            "{ \"b\": [1.0, 1e5, {\"z\":null, \"a\":true}],\n\"a\":\"x y\" }",
            Some(r#"{"a":"x y","b":[1.0,1e5,{"a":true,"z":null}]}"#),
        );
        check(r#"{"é":"\/\u00e9\n","a":{}}"#, Some("{\"a\":{},\"é\":\"/é\\n\"}"));
        check("[]", Some("[]"));
        check(" 7 ", Some("7"));
    }

    #[test]
    fn what_has_no_one_reading_is_not_written() {
        check(r#"{"a":1,"a":2}"#, None);
        check(r#"{"a":1,"\u0061":2}"#, None);
        check("{", None);
        check("", None);
        check("a=1&b=2", None);
        check(&format!("{}{}", "[".repeat(33), "]".repeat(33)), None);
        check(&"[".repeat(100_000), None);
    }
}
