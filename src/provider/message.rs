//! Puts the signed text together, piece by piece; the body is borrowed.

use std::{borrow::Cow, collections::BTreeSet};

use url::form_urlencoded;

use crate::provider::{
    Refusal,
    mac::{self, Piece},
    place::{Place, Reader},
    scheme::{Family, Part},
};

/// `timestamp` as it was written.
pub(super) fn assemble<'a>(
    signed: &'a [Part],
    family: &Family,
    timestamp: Option<&Cow<'a, [u8]>>,
    reader: &Reader<'a>,
) -> Result<Vec<Piece<'a>>, Refusal> {
    let call = reader.call();
    let mut pieces = Vec::with_capacity(signed.len());
    for (idx, part) in signed.iter().enumerate() {
        let bytes: Cow<'a, [u8]> = match part {
            Part::Secret => {
                pieces.push(Piece::Secret);
                continue;
            }
            Part::Literal(text) => Cow::Borrowed(text.as_bytes()),
            Part::Body => Cow::Borrowed(call.body),
            Part::Timestamp => timestamp.cloned().ok_or_else(|| Refusal::TimestampMissing {
                place: "no place of it is known".to_owned(),
            })?,
            Part::Id => {
                let place = family.id.as_ref().ok_or_else(|| Refusal::PartMissing {
                    place: "the id, of which no place is known,".to_owned(),
                })?;
                fenced(place, reader, signed.get(idx + 1))?
            }
            Part::At(place) => fenced(place, reader, signed.get(idx + 1))?,
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
            // Made a literal when the source was made.
            Part::Option(name) => {
                return Err(Refusal::PartMissing {
                    place: format!("the source's `{name}`"),
                });
            }
            Part::LowerCase(place) => {
                Cow::Owned(fenced(place, reader, signed.get(idx + 1))?.to_ascii_lowercase())
            }
            Part::UpperCase(place) => {
                Cow::Owned(fenced(place, reader, signed.get(idx + 1))?.to_ascii_uppercase())
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
        };
        pieces.push(Piece::Bytes(bytes));
    }
    Ok(pieces)
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
        && value.windows(fence.len()).any(|it| it == fence.as_bytes())
    {
        return Err(Refusal::MalformedPart {
            place: format!("`{place}`"),
            problem: format!("it holds `{fence}`, which ends it in the signed text"),
        });
    }
    Ok(value)
}

fn sorted_form(body: &[u8]) -> Vec<u8> {
    let pairs: BTreeSet<_> = form_urlencoded::parse(body).collect();
    let mut joined = Vec::with_capacity(body.len());
    for (name, value) in pairs {
        joined.extend_from_slice(name.as_bytes());
        joined.extend_from_slice(value.as_bytes());
    }
    joined
}
