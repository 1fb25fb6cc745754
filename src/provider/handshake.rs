//! Answers to "is this URL really yours?": a row says what is asked, and in what words it is answered.
//!
//! A handshake makes no event and changes nothing. What is signed with the key of the events is never a text of somebody's own
//! choice: the request must have verified, or the text must be one that no event can be.

use std::borrow::Cow;

use crate::provider::{
    Answer, Call, Key, Refusal,
    confirmation::Confirmation,
    encoding,
    mac::{self, Piece},
    place::{Place, Reader},
    scheme::{Encoding, List, Method, Scheme, Text},
};

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The method of the request.
    pub method: Text,
    /// These values are there, and nothing at those places.
    pub when: List<(Place, Text)>,
    pub without: List<Place>,
    /// The sender's text, of which the answer is made; it must be there.
    pub value: Option<Place>,
    pub allowed: Allowed,
    pub proof: Proof,
    pub status: u16,
    pub content_type: Option<Text>,
    /// `{value}` is the sender's text, `{mac}` its MAC under the source's first key; in JSON they are escaped.
    pub body: Text,
    /// `{header:NAME}` repeats one of the request; `{verify_token}` is the source's, without which there is no answer.
    pub headers: List<(Text, Text)>,
    pub mac: Option<Mac>,
    /// What is answered where `Proof::VerifyToken` is wrong, for senders that want a status of their own. Without it that is a refusal.
    pub otherwise: Option<u16>,
    /// What it tells an operator, though it is answered.
    pub notice: Option<Notice>,
    /// The call that is made before it is answered. Only of `Proof::Signed`.
    pub confirmation: Option<Confirmation>,
}

/// What stands for `{mac}`.
#[derive(Debug, Clone)]
pub struct Mac {
    pub method: Method,
    pub encoding: Encoding,
    /// Of the sender's text `{value}`, the source's `{verify_token}` and its public `{url}` without a query.
    pub of: Text,
}

/// What a source holds that an answer may be made of.
#[derive(Debug, Clone, Copy)]
struct Held<'a> {
    keys: &'a [Key],
    verify_token: Option<&'a [u8]>,
}

/// What a sender does that nobody asked it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    SubscriptionDenied,
    Unsubscribing,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Whoever shows no signature or token.
    Nobody,
    /// Whoever signs events.
    Signed,
    /// Whoever knows the source's `verify_token`, at this place.
    VerifyToken(Place),
    /// The sender, who hands over the secret that it made up: only while the source has none, so that nobody can
    /// make it take another.
    Handover,
}

/// What comes of a question that nobody signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Answered(Answer),
    /// Answered; and the request holds the secret, for the operator to see.
    HandedOver(Answer),
    /// Answered; and this is for the operator to see.
    Noted(Answer, Refusal),
    Refused(Refusal),
}

/// What comes of a question that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub answer: Answer,
    /// The URL that is called first; it is answered once that has succeeded.
    pub confirm_at: Option<String>,
}

/// What the sender's text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// Letters, digits and `._~+/=-`: never JSON, a form or another signed text.
    Token,
    Hex,
    /// Anything printable: only where it is echoed, never where it is signed.
    Text,
}

const MAX_VALUE: usize = 1024;

/// Stands for the source's own.
const VERIFY_TOKEN: &str = "{verify_token}";

impl Allowed {
    fn allows(self, value: &[u8]) -> bool {
        let is_allowed = |it: &u8| match self {
            Self::Token => it.is_ascii_alphanumeric() || b"._~+/=-".contains(it),
            Self::Hex => matches!(it, b'0'..=b'9' | b'a'..=b'f'),
            Self::Text => !it.is_ascii_control(),
        };
        (1..=MAX_VALUE).contains(&value.len())
            && value.iter().all(is_allowed)
            && std::str::from_utf8(value).is_ok()
    }
}

impl Handshake {
    /// Whether the source's `verify_token` must be given: to compare it with the sender's, or to answer it.
    pub(super) fn needs_verify_token(&self) -> bool {
        let is_in_mac = self.mac.as_ref().is_some_and(|it| it.of.contains(VERIFY_TOKEN));
        is_in_mac || self.shows_verify_token() || matches!(self.proof, Proof::VerifyToken(_))
    }

    pub(super) fn shows_verify_token(&self) -> bool {
        self.headers.iter().any(|(_, text)| text.contains(VERIFY_TOKEN))
    }

    /// Whether the request asks this question. The token of `Proof::VerifyToken` is not looked at.
    fn is_asked(&self, call: &Call<'_>, reader: &Reader<'_>) -> bool {
        let is =
            |(place, text): &(Place, Text)| reader.first(place).is_some_and(|it| *it == *text.as_bytes());
        let is_absent = |it: &Place| reader.first(it).is_none_or(|it| it.is_empty());
        call.method.eq_ignore_ascii_case(&self.method)
            && self.when.iter().all(is)
            && self.without.iter().all(is_absent)
            && self
                .value
                .as_ref()
                .is_none_or(|it| reader.first(it).is_some_and(|it| self.allowed.allows(&it)))
    }

    fn answer(&self, held: Held<'_>, reader: &Reader<'_>) -> Option<Answer> {
        let value = self.value.as_ref().and_then(|it| reader.first(it));
        let value = value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let mac = match &self.mac {
            Some(mac) => mac.write(&value, held, reader)?,
            None => String::new(),
        };
        let is_json = self.content_type.as_ref().is_some_and(|it| it.contains("json"));
        let escaped = if is_json {
            let quoted = serde_json::Value::from(value.as_ref()).to_string();
            Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
        } else {
            value.clone()
        };
        let ours = held.verify_token.and_then(|it| std::str::from_utf8(it).ok());
        if ours.is_none() && self.shows_verify_token() {
            return None;
        }
        let header = |(name, text): &(Text, Text)| {
            // A header of the request, repeated: left out where it did not come.
            if let Some(theirs) = text.strip_prefix("{header:").and_then(|it| it.strip_suffix('}')) {
                let theirs = reader.first(&Place::Header(Cow::Owned(theirs.to_owned())))?;
                return Some((name.clone(), String::from_utf8(theirs.into_owned()).ok()?));
            }
            let text = text.replace("{value}", &value);
            Some((name.clone(), text.replace(VERIFY_TOKEN, ours.unwrap_or_default())))
        };
        Some(Answer {
            status: self.status,
            content_type: self.content_type.clone(),
            headers: self.headers.iter().filter_map(header).collect(),
            body: self
                .body
                .replace("{mac}", &mac)
                .replace("{value}", &escaped)
                .into_bytes(),
        })
    }
}

impl Notice {
    fn refusal(self) -> Refusal {
        match self {
            Self::SubscriptionDenied => Refusal::SubscriptionDenied,
            Self::Unsubscribing => Refusal::Unsubscribing,
        }
    }
}

impl Mac {
    /// `None` where the source lacks what it is made of.
    fn write(&self, value: &str, held: Held<'_>, reader: &Reader<'_>) -> Option<String> {
        let mut of = self.of.replace("{value}", value);
        if of.contains(VERIFY_TOKEN) {
            of = of.replace(VERIFY_TOKEN, std::str::from_utf8(held.verify_token?).ok()?);
        }
        if of.contains("{url}") {
            of = of.replace("{url}", reader.url()?.split('?').next()?);
        }
        let key = match self.method {
            Method::Digest(_) => &[],
            _ => held.keys.iter().find(|it| !it.is_public)?.material.expose(),
        };
        let bytes = mac::compute(self.method, key, &[Piece::Bytes(Cow::Borrowed(of.as_bytes()))])?;
        Some(encoding::encode(self.encoding, bytes.as_slice()))
    }
}

/// Before anything is verified: `None` where nobody's question is asked.
pub(super) fn unsigned(
    handshakes: &[Handshake],
    schemes: &[Scheme],
    keys: &[Key],
    verify_token: Option<&[u8]>,
    call: &Call<'_>,
) -> Option<Asked> {
    let reader = Reader::new(call);
    let held = Held { keys, verify_token };
    let asked = handshakes
        .iter()
        .find(|it| it.proof != Proof::Signed && it.is_asked(call, &reader))?;
    match &asked.proof {
        Proof::VerifyToken(place) => {
            let shown = reader.first(place).unwrap_or_default();
            let is_right = verify_token.is_some_and(|it| crate::provider::verify::is_same(it, &shown));
            if !is_right {
                let refusal = Refusal::WrongCredentials {
                    place: format!("`{place}`"),
                    n_secrets: usize::from(verify_token.is_some()),
                };
                let Some(status) = asked.otherwise else {
                    return Some(Asked::Refused(refusal));
                };
                let answer = Answer {
                    status,
                    content_type: None,
                    headers: Vec::new(),
                    body: Vec::new(),
                };
                return Some(Asked::Noted(answer, refusal));
            }
        }
        // What is signed is an event, whatever else it holds.
        Proof::Nobody => {
            let is_shown = |it: &Scheme| !matches!(it, Scheme::Unverified) && it.is_shown(&reader);
            if schemes.iter().any(is_shown) {
                return None;
            }
        }
        Proof::Handover if keys.is_empty() => return asked.answer(held, &reader).map(Asked::HandedOver),
        Proof::Handover | Proof::Signed => return None,
    }
    let answer = asked.answer(held, &reader)?;
    Some(match asked.notice {
        Some(notice) => Asked::Noted(answer, notice.refusal()),
        None => Asked::Answered(answer),
    })
}

/// What comes of a verified request that is no event.
pub(super) fn signed(handshakes: &[Handshake], keys: &[Key], call: &Call<'_>) -> Option<Proven> {
    let reader = Reader::new(call);
    let mut asked = handshakes.iter().filter(|it| it.proof == Proof::Signed);
    let asked = asked.find(|it| it.is_asked(call, &reader))?;
    let confirm_at = match asked.confirmation {
        Some(it) => Some(it.url(&reader)?),
        None => None,
    };
    let held = Held {
        keys,
        verify_token: None,
    };
    let answer = asked.answer(held, &reader)?;
    Some(Proven { answer, confirm_at })
}
