//! What of a source's events people are not shown: values in the body, headers, and fields of the URL's query.
//!
//! What is stored and what handlers get stays as it came. A body that the rules cannot be applied to (it is no JSON) is
//! not shown at all: a rule that fails must not show what it was to hide.

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use url::form_urlencoded;

/// What stands in place of a value.
pub const REDACTED: &str = "[redacted]";

/// The rules of one source. None: everything is shown.
#[derive(Debug, Clone, Default)]
pub struct Redact {
    body: Vec<Pointer>,
    /// In lower case.
    headers: Vec<String>,
    /// As they are written once decoded.
    query: Vec<String>,
}

/// A JSON pointer (RFC 6901) whose part `*` stands for every element or member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// `None` for what does not begin with `/`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.strip_prefix('/')?.split('/');
        // In this order: `~01` is `~1`.
        let part = |it: &str| it.replace("~1", "/").replace("~0", "~");
        Some(Self(parts.map(part).collect()))
    }
}

impl Redact {
    /// `headers` in any case.
    pub fn new(body: Vec<Pointer>, headers: &[String]) -> Self {
        Self {
            body,
            headers: headers.iter().map(|it| it.to_ascii_lowercase()).collect(),
            query: Vec::new(),
        }
    }

    /// The same, with these fields of the query hidden.
    #[must_use]
    pub fn hiding_query(self, fields: Vec<String>) -> Self {
        Self {
            query: fields,
            ..self
        }
    }

    /// Whether anything in bodies is hidden.
    pub const fn hides_values(&self) -> bool {
        !self.body.is_empty()
    }

    /// `name` in lower case.
    pub fn hides_header(&self, name: &str) -> bool {
        self.headers.iter().any(|it| it == name)
    }

    /// A query as it may be shown.
    pub fn query(&self, query: &str) -> String {
        without_fields(query, |field| {
            let name = form_urlencoded::parse(field.as_bytes()).next();
            name.is_some_and(|(name, _)| self.query.iter().any(|it| *it == name))
        })
    }

    /// The body as it may be shown: every other byte stays where it is. `None`: not at all.
    pub fn body<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.body.is_empty() {
            return Some(Cow::Borrowed(body));
        }
        let text = std::str::from_utf8(body).ok()?;
        let root: &RawValue = serde_json::from_str(text).ok()?;
        let mut spans = Vec::new();
        for pointer in &self.body {
            find(text, root, &pointer.0, &mut spans)?;
        }
        Some(if spans.is_empty() {
            Cow::Borrowed(body)
        } else {
            Cow::Owned(without(text, spans))
        })
    }
}

/// A query without the values of the fields that are hidden, which are given as they are written. Their names stay.
pub fn without_fields(query: &str, is_hidden: impl Fn(&str) -> bool) -> String {
    let shown = |field: &str| {
        if is_hidden(field) {
            let name = field.split_once('=').map_or(field, |(name, _)| name);
            format!("{name}={REDACTED}")
        } else {
            field.to_owned()
        }
    };
    query.split('&').map(shown).collect::<Vec<_>>().join("&")
}

/// Where in `text` the values stand that the pointer means: all of them, also where a name stands twice. `None` for what cannot be
/// read.
fn find(text: &str, value: &RawValue, pointer: &[String], spans: &mut Vec<Range<usize>>) -> Option<()> {
    let raw = value.get();
    let Some((part, rest)) = pointer.split_first() else {
        let start = raw.as_ptr().addr() - text.as_ptr().addr();
        spans.push(start..start + raw.len());
        return Some(());
    };
    match raw.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(raw).ok()?;
            for (name, value) in members {
                if part == "*" || *part == name {
                    find(text, value, rest, spans)?;
                }
            }
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            for (idx, value) in elements.into_iter().enumerate() {
                if part == "*" || *part == idx.to_string() {
                    find(text, value, rest, spans)?;
                }
            }
        }
        _ => (),
    }
    Some(())
}

fn without(text: &str, mut spans: Vec<Range<usize>>) -> Vec<u8> {
    // Of two that lie in each other, the outer one comes first.
    spans.sort_by_key(|it| (it.start, usize::MAX - it.end));
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        if span.start < at {
            continue;
        }
        shown.push_str(&text[at..span.start]);
        shown.push('"');
        shown.push_str(REDACTED);
        shown.push('"');
        at = span.end;
    }
    shown.push_str(&text[at..]);
    shown.into_bytes()
}

/// The members of an object in their order, the repeated ones too, and their values as they are written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(pointers: &[&str]) -> Redact {
        let pointers = pointers.iter().map(|it| Pointer::parse(it).unwrap()).collect();
        Redact::new(pointers, &["X-Customer".to_owned()])
    }

    #[test]
    fn values_go_and_every_other_byte_stays() {
        let check = |pointers: &[&str], body: &str, expected: &str| {
            let rules = redact(pointers);
            let shown = rules.body(body.as_bytes()).unwrap();
            assert_eq!(std::str::from_utf8(&shown).unwrap(), expected, "{pointers:?}");
        };
        check(&[], "no JSON {", "no JSON {");
        check(
            &["/a"],
            r#"{ "b":1.50, "a" : "4242" }"#,
            r#"{ "b":1.50, "a" : "[redacted]" }"#,
        );
        check(
            &["/a/b"],
            r#"{"a":{"b":[1,{"c":2}],"d":3}}"#,
            r#"{"a":{"b":"[redacted]","d":3}}"#,
        );
        check(&["/a/b"], r#"{"a":"b"}"#, r#"{"a":"b"}"#);
        check(
            &["/a"],
            r#"{"a":1,"a":2,"\u0061":3}"#,
            r#"{"a":"[redacted]","a":"[redacted]","\u0061":"[redacted]"}"#,
        );
        check(
            &["/*/n"],
            r#"[{"n":1},{"n":2},3]"#,
            r#"[{"n":"[redacted]"},{"n":"[redacted]"},3]"#,
        );
        check(&["/1"], "[1,2,3]", r#"[1,"[redacted]",3]"#);
        check(
            &["/a~1b/c~0d"],
            r#"{"a/b":{"c~d":1}}"#,
            r#"{"a/b":{"c~d":"[redacted]"}}"#,
        );
        check(
            &["/a", "/a/b", "/c", "/a"],
            r#"{"a":{"b":1},"c":"é"}"#,
            r#"{"a":"[redacted]","c":"[redacted]"}"#,
        );
        check(&["/"], r#"{"":1,"a":2}"#, r#"{"":"[redacted]","a":2}"#);
        check(&["/a"], "7", "7");
    }

    #[test]
    fn what_cannot_be_read_is_not_shown() {
        for body in [
            &b"card=4242"[..],
            b"",
            b"{\"a\":",
            b"{\"a\":1}x",
            b"\xff",
            b"<a>4242</a>",
        ] {
            assert_eq!(redact(&["/a"]).body(body), None, "{body:?}");
        }
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        // Whatever becomes of it, it does not end the process.
        let _ = redact(&["/0/0/0/a"]).body(deep.as_bytes());
    }

    #[test]
    fn headers_go_by_name() {
        let rules = redact(&[]);
        assert!(rules.hides_header("x-customer"));
        assert!(!rules.hides_header("x-customer-id"));
        assert!(!Redact::default().hides_header("x-customer"));
    }

    #[test]
    fn fields_of_the_query_go_by_name() {
        let rules = redact(&[]).hiding_query(vec!["email".to_owned(), "a b".to_owned()]);
        for (query, shown) in [
            ("", ""),
            ("shop=1&email=x%40y&n=2", "shop=1&email=[redacted]&n=2"),
            (
                "e%6dail=x&a+b=y&email",
                "e%6dail=[redacted]&a+b=[redacted]&email=[redacted]",
            ),
            ("Email=x&emails=y", "Email=x&emails=y"),
        ] {
            assert_eq!(rules.query(query), shown);
        }
        assert_eq!(Redact::default().query("email=x&&b"), "email=x&&b");
    }

    #[test]
    fn a_pointer_begins_at_the_root() {
        assert_eq!(Pointer::parse("card"), None);
        assert_eq!(Pointer::parse(""), None);
        assert_eq!(
            Pointer::parse("/a/b"),
            Some(Pointer(vec!["a".to_owned(), "b".to_owned()]))
        );
    }
}
