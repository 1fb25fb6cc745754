//! Takes the text of a signature header apart: strict, bounded, without deciding anything.

use crate::provider::{
    encoding::{self, Bytes},
    scheme::{Accepted, Layout},
};

/// More are refused unread. Rotation needs two or three.
pub(super) const MAX_SIGNATURES: usize = 16;
/// Fields of a `k=v,k=v` header, whatever their names.
const MAX_FIELDS: usize = 32;
const MAX_LEN: usize = 4096;

/// A signature as the sender wrote it, decoded.
pub(super) struct Candidate {
    /// Which of the accepted methods it claims.
    pub(super) accepted: usize,
    pub(super) bytes: Decoded,
}

/// Of a known length, which costs no allocation, or of one that varies.
pub(super) enum Decoded {
    Short(Bytes),
    Long(Vec<u8>),
}

impl Decoded {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes.as_slice(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// What a signature header says.
struct Written<'t, 'c> {
    candidates: &'c mut Vec<Candidate>,
    timestamp: Option<&'t str>,
    /// Texts in the place of a signature, well-formed or not.
    n_texts: usize,
    /// Fields in all.
    n_fields: usize,
}

pub(super) enum Unreadable {
    /// There is no signature that this scheme knows, though there may be others.
    Nothing(String),
    Malformed(String),
}

/// Adds the signatures to the candidates; the timestamp comes back as it is written, if it stands beside them.
pub(super) fn read<'t>(
    value: &'t [u8],
    layout: &Layout,
    accepted: &[Accepted],
    candidates: &mut Vec<Candidate>,
) -> Result<Option<&'t str>, Unreadable> {
    if value.is_empty() {
        return Err(malformed("it is empty"));
    }
    if value.len() > MAX_LEN {
        return Err(malformed(format!(
            "{} bytes, at most {MAX_LEN} allowed",
            value.len()
        )));
    }
    let text = std::str::from_utf8(value)
        .ok()
        .ok_or_else(|| malformed("it is not UTF-8"))?;
    let n_before = candidates.len();
    let mut written = Written {
        candidates,
        timestamp: None,
        n_texts: 0,
        n_fields: 0,
    };
    match layout {
        Layout::One => written.take(text, accepted)?,
        Layout::Member => {
            let value = text.split_once('=').map(|(_, it)| it);
            let inner = value.and_then(|it| it.strip_prefix(':')?.strip_suffix(':'));
            written.take(
                inner.ok_or_else(|| malformed("expected `label=:signature:`"))?,
                accepted,
            )?;
        }
        Layout::List { separator } => {
            for text in split(text, separator) {
                written.take(text, accepted)?;
            }
        }
        Layout::Fields {
            separator,
            signature,
            timestamp,
        } => {
            for field in split(text, separator) {
                let Some((name, value)) = field.split_once('=') else {
                    return Err(malformed("expected `name=value` fields"));
                };
                written.field()?;
                if name.is_empty() || name.contains(|c: char| !c.is_ascii_graphic()) {
                    return Err(malformed("a field's name is empty or holds white space"));
                }
                if name == signature {
                    written.take(value, accepted)?;
                } else if timestamp.as_ref().is_some_and(|it| it == name)
                    && written.timestamp.replace(value).is_some()
                {
                    return Err(malformed(format!("field `{name}` comes twice")));
                }
            }
            if written.n_texts == 0 {
                return Err(Unreadable::Nothing(format!("field `{signature}`")));
            }
        }
        Layout::Positions {
            separator,
            timestamp,
            signatures_from,
        } => {
            for (position, text) in split(text, separator).enumerate() {
                written.field()?;
                if *timestamp == Some(position) {
                    written.timestamp = Some(text);
                } else if position >= *signatures_from {
                    written.take(text, accepted)?;
                }
            }
        }
    }
    if written.candidates.len() == n_before {
        return Err(malformed(expectation(accepted)));
    }
    Ok(written.timestamp)
}

/// Almost every separator is one character, which is found without the preparations that a search for a text takes.
fn split<'t>(text: &'t str, separator: &str) -> impl Iterator<Item = &'t str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = match separator.as_bytes() {
            [one] => text.bytes().position(|it| it == *one),
            _ => text.find(separator),
        };
        let (piece, after) = match at {
            Some(at) => (&text[..at], Some(&text[at + separator.len()..])),
            None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

impl Written<'_, '_> {
    fn field(&mut self) -> Result<(), Unreadable> {
        self.n_fields += 1;
        if self.n_fields > MAX_FIELDS {
            return Err(malformed(format!("more than {MAX_FIELDS} fields")));
        }
        Ok(())
    }

    /// Keeps a text that is a signature by one of the accepted rules and skips one of a version that none of them knows.
    /// One that claims a known version and is not well-formed spoils the whole header: two headers that a proxy joined end there.
    fn take(&mut self, text: &str, accepted: &[Accepted]) -> Result<(), Unreadable> {
        self.n_texts += 1;
        if self.n_texts > MAX_SIGNATURES {
            return Err(malformed(format!("more than {MAX_SIGNATURES} signatures")));
        }
        let mut is_known = false;
        for (idx, rule) in accepted.iter().enumerate() {
            let Some(rest) = text.strip_prefix(rule.prefix.as_ref()) else {
                continue;
            };
            is_known = true;
            let bytes = match rule.method.n_bytes() {
                Some(len) => encoding::decode(rule.encoding, rest.as_bytes(), len).map(Decoded::Short),
                None => encoding::decode_long(rule.encoding, rest.as_bytes()).map(Decoded::Long),
            };
            if let Some(bytes) = bytes {
                self.candidates.push(Candidate { accepted: idx, bytes });
                return Ok(());
            }
        }
        if is_known || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(malformed(expectation(accepted)));
        }
        Ok(())
    }
}

fn expectation(accepted: &[Accepted]) -> String {
    let rules: Vec<_> = accepted
        .iter()
        .map(|it| {
            let shape = encoding::describe(it.encoding, it.method.n_bytes());
            match it.prefix.as_ref() {
                "" => shape,
                prefix => format!("`{prefix}` and {shape}"),
            }
        })
        .collect();
    format!("expected {}", rules.join(", or "))
}

fn malformed(problem: impl Into<String>) -> Unreadable {
    Unreadable::Malformed(problem.into())
}
