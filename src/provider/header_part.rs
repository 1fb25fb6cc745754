//! Pieces of a header: a field of `t=1,v1=abc`, a place in `hmac;1;abc`, a value in a token's JSON.

use std::{borrow::Cow, fmt};

use crate::provider::{encoding, json, place::Ambiguous, scheme::Text};

/// Which piece of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderPart {
    /// The value of a field between commas or semicolons, without quotes: `keyid="x", signature="y"`.
    Field(Text),
    /// What stands between two separators, counted from 0.
    Position(char, usize),
    /// A value at a JSON pointer, where the header is JSON in base64, or a JWS whose header that is.
    Json(Text),
}

impl HeaderPart {
    /// `t`, `.0` or `/kid`.
    pub(super) fn parse(text: &str) -> Self {
        let mut chars = text.chars();
        let first = chars.next().unwrap_or_default();
        let position = chars
            .as_str()
            .parse()
            .ok()
            .filter(|_| !first.is_ascii_alphanumeric());
        match position {
            Some(position) => Self::Position(first, position),
            None if first == '/' => Self::Json(Cow::Owned(text.to_owned())),
            None => Self::Field(Cow::Owned(text.to_owned())),
        }
    }

    pub(super) fn read<'v>(&self, value: &'v [u8]) -> Result<Option<Cow<'v, [u8]>>, Ambiguous> {
        let Ok(text) = std::str::from_utf8(value) else {
            return Ok(None);
        };
        match self {
            Self::Field(wanted) => {
                let mut values = text.split([',', ';']).filter_map(|field| {
                    let (name, value) = field.trim().split_once('=')?;
                    (name == wanted.as_ref()).then_some(unquoted(value))
                });
                match (values.next(), values.count()) {
                    (Some(value), 0) => Ok(Some(Cow::Borrowed(value.as_bytes()))),
                    (None, _) => Ok(None),
                    (Some(_), more) => Err(Ambiguous { count: more + 1 }),
                }
            }
            Self::Position(separator, position) => {
                let piece = text.split(*separator).nth(*position);
                Ok(piece.map(|it| Cow::Borrowed(it.as_bytes())))
            }
            Self::Json(pointer) => {
                let encoded = text.split('.').next().unwrap_or_default().as_bytes();
                let object = encoding::decode_url(encoded).or_else(|| encoding::decode_secret(encoded));
                let found = object.and_then(|it| Some(json::find_one(&it, pointer)?.into_owned()));
                Ok(found.map(|it| Cow::Owned(it.into_bytes())))
            }
        }
    }
}

impl fmt::Display for HeaderPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Position(separator, position) => write!(f, "{separator}{position}"),
            Self::Json(pointer) => f.write_str(pointer),
        }
    }
}

fn unquoted(text: &str) -> &str {
    let inner = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, part: &str, expected: Result<Option<&str>, usize>) {
        let parsed = HeaderPart::parse(part);
        assert_eq!(parsed.to_string(), part);
        let found = parsed.read(value.as_bytes()).map_err(|it| it.count);
        let found = found.map(|it| it.map(|it| String::from_utf8(it.into_owned()).unwrap()));
        assert_eq!(
            found,
            expected.map(|it| it.map(str::to_owned)),
            "{part} of {value}"
        );
    }

    #[test]
    fn pieces_are_found() {
        check("t=1,s=a=", "t", Ok(Some("1")));
        check("t=1,s=a=", "s", Ok(Some("a=")));
        check("sign=a, env=master, t=1", "env", Ok(Some("master")));
        check(
            r#"keyid="k",headers="(request-target) host""#,
            "headers",
            Ok(Some("(request-target) host")),
        );
        check("t=1", "x", Ok(None));
        check("t=1,t=2,t=3", "t", Err(3));
        check(
            "eyJhbGciOiJSUzI1NiIsInRzIjoxfQ..c2ln",
            ".0",
            Ok(Some("eyJhbGciOiJSUzI1NiIsInRzIjoxfQ")),
        );
        check("eyJhbGciOiJSUzI1NiIsInRzIjoxfQ..c2ln", ".1", Ok(Some("")));
        check("eyJhbGciOiJSUzI1NiIsInRzIjoxfQ..c2ln", "/ts", Ok(Some("1")));
        check("eyJzaWduYXR1cmUiOiJhYiJ9Cg==", "/signature", Ok(Some("ab")));
        check("Volt/1.0", "/1", Ok(Some("1.0")));
        check("no base64", "/ts", Ok(None));
        check("a.b", ".2", Ok(None));
    }

    #[test]
    fn no_bytes_are_too_much() {
        assert_eq!(HeaderPart::parse("t").read(b"\xff").ok(), Some(None));
        assert_eq!(HeaderPart::parse("/t").read(b"").ok(), Some(None));
    }
}
