//! The text of a message, with places that an event fills. Pure.

use std::borrow::Cow;

use crate::{
    base::nearest::nearest,
    destination::{Fault, Message},
};

/// A text, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Named(Name),
    /// A JSON pointer into the body.
    Body(String),
    /// In lower case.
    Header(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Id,
    Type,
    Source,
    ExternalId,
    ReceivedAt,
    OccurredAt,
    Attempt,
}

const NAMES: &[(&str, Name)] = &[
    ("id", Name::Id),
    ("type", Name::Type),
    ("source", Name::Source),
    ("external_id", Name::ExternalId),
    ("received_at", Name::ReceivedAt),
    ("occurred_at", Name::OccurredAt),
    ("attempt", Name::Attempt),
];

/// In place of what an event does not have.
const MISSING: &str = "-";
const CUT: char = '\u{2026}';

impl Template {
    /// `{type}`, `{body:/pointer}`, `{header:name}`; `{{` and `}}` are braces.
    pub fn parse(text: &str, key: &str) -> Result<Self, Fault> {
        let fault = |problem: String, hint: &str| Err(Fault::new(key, problem, hint));
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let (true, Some((place, after))) = (brace == "{", rest.split_once('}')) else {
                return fault(
                    format!("it holds a `{brace}` without its other one"),
                    "write `{{` for a brace",
                );
            };
            let piece = match piece(place) {
                Ok(piece) => piece,
                Err(hint) => {
                    let shown = place.chars().take(60).collect::<String>();
                    return fault(format!("it has no place `{{{}}}`", shown.escape_debug()), &hint);
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if pieces.is_empty() {
            return fault("it is empty".to_owned(), "write `{type} from {source}`");
        }
        Ok(Self(pieces))
    }

    /// The text for one event, at most `max` characters. What the event fills in is escaped, the operator's own text is not.
    pub fn fill(&self, message: &Message, max: usize, escape: fn(char) -> Option<&'static str>) -> String {
        let has_body = self.0.iter().any(|it| matches!(it, Piece::Body(_)));
        let body = has_body
            .then(|| serde_json::from_slice(&message.event.body).ok())
            .flatten();
        let mut res = Limited {
            text: String::new(),
            n_left: max.saturating_sub(1),
            is_cut: false,
        };
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => res.push(text, |_| None),
                filled => res.push(&value(filled, message, body.as_ref()), escape),
            }
        }
        res.text
    }
}

fn piece(place: &str) -> Result<Piece, String> {
    if let Some((_, name)) = NAMES.iter().find(|(name, _)| *name == place) {
        return Ok(Piece::Named(*name));
    }
    match place.split_once(':') {
        Some(("body", pointer)) if pointer.starts_with('/') => Ok(Piece::Body(pointer.to_owned())),
        Some(("body", _)) => Err("a place in the body begins with `/`: {body:/data/id}".to_owned()),
        Some(("header", name)) if !name.is_empty() => Ok(Piece::Header(name.to_ascii_lowercase())),
        _ => {
            let near = nearest(place, NAMES.iter().map(|(name, _)| *name));
            Err(near.map_or_else(
                || {
                    let names: Vec<_> = NAMES.iter().map(|(name, _)| format!("{{{name}}}")).collect();
                    format!(
                        "there are {}, {{body:/pointer}} and {{header:name}}",
                        names.join(", ")
                    )
                },
                |near| format!("did you mean `{{{near}}}`?"),
            ))
        }
    }
}

fn value<'a>(piece: &'a Piece, message: &'a Message, body: Option<&'a serde_json::Value>) -> Cow<'a, str> {
    let event = &*message.event;
    let found: Option<Cow<'a, str>> = match piece {
        Piece::Text(text) => Some(text.into()),
        Piece::Named(Name::Id) => Some(event.id.to_string().into()),
        Piece::Named(Name::Type) => event.event_type.as_deref().map(Cow::from),
        Piece::Named(Name::Source) => Some((&*event.source).into()),
        Piece::Named(Name::ExternalId) => event.external_id.as_deref().map(Cow::from),
        Piece::Named(Name::ReceivedAt) => Some(event.received_at.to_string().into()),
        Piece::Named(Name::OccurredAt) => event.occurred_at.map(|it| it.to_string().into()),
        Piece::Named(Name::Attempt) => Some(message.attempt.to_string().into()),
        Piece::Header(name) => event.headers.first(name).map(String::from_utf8_lossy),
        Piece::Body(pointer) => body.and_then(|it| it.pointer(pointer)).map(|it| match it {
            serde_json::Value::String(text) => text.into(),
            other => other.to_string().into(),
        }),
    };
    found.filter(|it| !it.is_empty()).unwrap_or(MISSING.into())
}

struct Limited {
    text: String,
    /// Characters.
    n_left: usize,
    is_cut: bool,
}

impl Limited {
    /// An escape stays whole, and of what does not fit nothing follows.
    fn push(&mut self, text: &str, escape: fn(char) -> Option<&'static str>) {
        for c in text.chars() {
            if self.is_cut {
                return;
            }
            let escaped = escape(c);
            let n_chars = escaped.map_or(1, str::len);
            if n_chars > self.n_left {
                self.text.push(CUT);
                self.is_cut = true;
                return;
            }
            self.n_left -= n_chars;
            match escaped {
                Some(it) => self.text.push_str(it),
                None => self.text.push(c),
            }
        }
    }
}
