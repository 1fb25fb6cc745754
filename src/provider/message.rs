//! Puts the signed text together, piece by piece; the body is borrowed.

use std::borrow::Cow;

use serde_json::Value;
use url::form_urlencoded;

use crate::provider::{
    Refusal, encoding, json, listed,
    mac::{self, Piece},
    php_json,
    place::{Place, Reader},
    scheme::{Family, Function, Part},
    sorted_json,
};

/// What a request has beside what its places say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'s, 'a> {
    pub(super) family: &'s Family,
    /// As it was written.
    pub(super) timestamp: Option<&'s [u8]>,
    pub(super) reader: &'s Reader<'a>,
}

pub(super) fn assemble<'s>(parts: &'s [Part], known: Known<'s, '_>) -> Result<Vec<Piece<'s>>, Refusal> {
    let mut pieces = Vec::with_capacity(parts.len());
    for (idx, part) in parts.iter().enumerate() {
        match part {
            Part::Secret => pieces.push(Piece::Secret),
            Part::BodyWithSecret(pointer) => {
                let (before, after) = around_string(known.reader.call().body, pointer)?;
                pieces.push(Piece::Bytes(Cow::Borrowed(before)));
                pieces.push(Piece::Secret);
                pieces.push(Piece::Bytes(Cow::Borrowed(after)));
            }
            _ => pieces.push(Piece::Bytes(known.bytes(part, parts.get(idx + 1))?)),
        }
    }
    Ok(pieces)
}

impl<'s> Known<'s, '_> {
    /// What a part is in this request; `next` follows it.
    fn bytes(self, part: &'s Part, next: Option<&'s Part>) -> Result<Cow<'s, [u8]>, Refusal> {
        let reader = self.reader;
        let call = reader.call();
        Ok(match part {
            Part::Literal(text) => Cow::Borrowed(text.as_bytes()),
            Part::Body => Cow::Borrowed(call.body),
            Part::Timestamp => Cow::Borrowed(self.timestamp.ok_or_else(|| Refusal::TimestampMissing {
                place: "no place of it is known".to_owned(),
            })?),
            Part::Id => {
                let place = self.family.id.as_ref().ok_or_else(|| Refusal::PartMissing {
                    place: "the id, of which no place is known,".to_owned(),
                })?;
                fenced(place, reader, next)?
            }
            Part::At(place) => fenced(place, reader, next)?,
            // Not fenced: the sender's own code does not, and an absent value is nothing.
            Part::Optional(place) => reader.once(place)?.unwrap_or_default(),
            Part::Line(place) => match reader.once(place)? {
                Some(value) => {
                    let name = place.name().rsplit('/').next().unwrap_or_default();
                    Cow::Owned([name.as_bytes(), b"\n", &value, b"\n"].concat())
                }
                None => Cow::Borrowed(&b""[..]),
            },
            Part::BodyCrc32 => Cow::Owned(crc32fast::hash(call.body).to_string().into_bytes()),
            // An option was made a literal when the source was made.
            Part::Option(name) => {
                return Err(Refusal::PartMissing {
                    place: format!("the source's `{name}`"),
                });
            }
            Part::Secret | Part::BodyWithSecret(_) => {
                return Err(Refusal::PartMissing {
                    place: "a secret inside another part".to_owned(),
                });
            }
            Part::Url => Cow::Borrowed(reader.url().ok_or(Refusal::UrlUnknown)?.as_bytes()),
            Part::Method => Cow::Owned(call.method.to_ascii_uppercase().into_bytes()),
            Part::Path => {
                let path = call.target.split_once('?').map_or(call.target, |(path, _)| path);
                Cow::Borrowed(path.as_bytes())
            }
            Part::Target => Cow::Borrowed(call.target.as_bytes()),
            Part::BodyHash(hash) => {
                let digest = mac::digest(*hash, call.body);
                Cow::Owned(hex::encode(digest.as_ref().map_or(&[][..], |it| it.as_slice())).into_bytes())
            }
            Part::FormFields if !reader.is_form() => Cow::Borrowed(&b""[..]),
            Part::SortedForm | Part::FormFields => Cow::Owned(sorted_form(call.body)),
            Part::BodyWithoutSpace => {
                let is_kept = |it: &u8| !it.is_ascii_whitespace();
                Cow::Owned(call.body.iter().copied().filter(is_kept).collect())
            }
            Part::Raw(pointer) => Cow::Borrowed(raw(call.body, pointer)?.as_bytes()),
            Part::PhpJson(pointer) => Cow::Owned(php_json::write(raw(call.body, pointer)?).into_bytes()),
            Part::SortedJson => {
                let written = sorted_json::write(call.body).ok_or_else(|| Refusal::MalformedPart {
                    place: "the body".to_owned(),
                    problem: "it is no JSON of which each name has one value".to_owned(),
                })?;
                Cow::Owned(written.into_bytes())
            }
            Part::SignatureBase(covered) => Cow::Owned(listed::signature_base(covered, reader)?),
            Part::ListedHeaders(list) => {
                Cow::Owned(listed::headers(list, self.family.timestamp.as_ref(), reader)?)
            }
            Part::Of(function, inner) => {
                let after = next.filter(|_| function.keeps_length());
                let mut joined = Vec::new();
                for (idx, part) in inner.iter().enumerate() {
                    joined.extend_from_slice(&self.bytes(part, inner.get(idx + 1).or(after))?);
                }
                let made = function.of(joined).ok_or_else(|| Refusal::MalformedPart {
                    place: format!("`{part}`"),
                    problem: "it is no text".to_owned(),
                })?;
                Cow::Owned(made)
            }
        })
    }
}

impl Function {
    /// Whether a fence that stands after the text still ends it.
    const fn keeps_length(self) -> bool {
        matches!(self, Self::LowerCase | Self::UpperCase)
    }

    /// `None` only where a text is wanted and this is none.
    fn of(self, text: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Hash(hash) => mac::digest(hash, &text).map(|it| it.as_slice().to_vec()),
            Self::Encode(encoding) => Some(encoding::encode(encoding, &text).into_bytes()),
            Self::Quote => Some(
                Value::from(String::from_utf8(text).ok()?)
                    .to_string()
                    .into_bytes(),
            ),
            Self::LowerCase => Some(text.to_ascii_lowercase()),
            Self::UpperCase => Some(text.to_ascii_uppercase()),
        }
    }
}

fn raw<'b>(body: &'b [u8], pointer: &str) -> Result<&'b str, Refusal> {
    json::raw(body, pointer).ok_or_else(|| Refusal::PartMissing {
        place: format!("`body:{pointer}`"),
    })
}

/// What stands before the string at a pointer and behind it, its quotes among that.
fn around_string<'b>(body: &'b [u8], pointer: &str) -> Result<(&'b [u8], &'b [u8]), Refusal> {
    let string = raw(body, pointer)?;
    let inner = string.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let inner = inner.ok_or_else(|| Refusal::MalformedPart {
        place: format!("`body:{pointer}`"),
        problem: "it is no string".to_owned(),
    })?;
    let start = inner.as_ptr().addr() - body.as_ptr().addr();
    Ok((&body[..start], &body[start + inner.len()..]))
}

/// A value that the sender chose. Where a fixed text ends it in the signed text, it may not hold that text: otherwise bytes
/// could move from one part to the next under the same signature.
fn fenced<'a>(place: &Place, reader: &Reader<'a>, next: Option<&Part>) -> Result<Cow<'a, [u8]>, Refusal> {
    let value = reader
        .once(place)?
        .filter(|it| !it.is_empty())
        .ok_or_else(|| Refusal::PartMissing {
            place: format!("`{place}`"),
        })?;
    if let Some(Part::Literal(fence)) = next
        && !fence.is_empty()
        && holds(&value, fence.as_bytes())
    {
        return Err(Refusal::MalformedPart {
            place: format!("`{place}`"),
            problem: format!("it holds `{fence}`, which ends it in the signed text"),
        });
    }
    Ok(value)
}

fn holds(value: &[u8], fence: &[u8]) -> bool {
    match fence {
        [one] => value.contains(one),
        _ => value.windows(fence.len()).any(|it| it == fence),
    }
}

fn sorted_form(body: &[u8]) -> Vec<u8> {
    let mut pairs: Vec<_> = form_urlencoded::parse(body).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut joined = Vec::with_capacity(body.len());
    for (name, value) in pairs {
        joined.extend_from_slice(name.as_bytes());
        joined.extend_from_slice(value.as_bytes());
    }
    joined
}
