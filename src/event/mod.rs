//! The vocabulary: what an event, a delivery and an attempt are. No I/O, no wire format, no rows.
//!
//! `web` and `store` turn these into JSON and rows; nothing here derives either, so neither can freeze it.
//!
//! Imports: `base`.

pub mod attempt;
pub mod delivery;
pub mod headers;
pub mod once;
pub mod order;
pub mod trace;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    base::{clock::Timestamp, ids::EventId, word::Word},
    event::headers::Headers,
};

/// What a sender said happened, as it came.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: EventId,
    pub source: Arc<str>,
    /// The sender's own id, as text: bytes that are not UTF-8, and NULs, became U+FFFD.
    pub external_id: Option<String>,
    pub event_type: Option<String>,
    pub origin: Origin,
    pub binding: Binding,
    /// When the sender says that it happened.
    pub occurred_at: Option<Timestamp>,
    pub received_at: Timestamp,
    /// What stood behind the `?` of the URL, as it was written, without the credentials in it. Empty: nothing, or it came before
    /// this was kept.
    pub query: String,
    /// Every header that arrived, in order, as bytes.
    pub headers: Headers,
    /// The body, byte for byte as the sender signed it.
    pub body: Bytes,
}

impl Event {
    /// Where it came to.
    pub fn path(&self) -> String {
        format!("/webhooks/{}", self.source)
    }

    /// The same with its query, as far as that is kept.
    pub fn target(&self) -> String {
        match self.query.as_str() {
            "" => self.path(),
            query => format!("{}?{query}", self.path()),
        }
    }
}

/// What the signature of a request covers, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// The body: nobody changed a byte.
    Body,
    /// Some of what is in the body: the rest could be anybody's.
    Partial,
    /// Only who sent it (a token, a password, a signature over something else).
    Origin,
    /// Nothing was verified: the source says `unverified`.
    None,
    /// What a newer version says of it. Nothing is built on it here.
    Newer(Word),
}

impl Binding {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Partial => "partial",
            Self::Origin => "origin",
            Self::None => "none",
            Self::Newer(word) => word.as_str(),
        }
    }

    /// Also what a newer version wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Body, Self::Partial, Self::Origin, Self::None]
            .into_iter()
            .find(|it| it.as_str() == text)
            .or_else(|| Word::new(text).map(Self::Newer))
    }

    /// Whether a sender was told from others by anything at all.
    pub const fn is_verified(self) -> bool {
        match self {
            Self::Body | Self::Partial | Self::Origin => true,
            Self::None | Self::Newer(_) => false,
        }
    }
}

/// How an event came into the store, and (for a delivery) why it is being delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The provider called.
    Received,
    /// Reconciliation found it, or an operator accepted a rejected request.
    Recovered,
    /// An operator replayed a stored event: only ever a delivery's origin.
    Replayed,
    /// It was exported from a store and imported into this one: only ever an event's origin.
    Imported,
    /// What a newer version calls it.
    Newer(Word),
}

impl Origin {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Recovered => "recovered",
            Self::Replayed => "replayed",
            Self::Imported => "imported",
            Self::Newer(word) => word.as_str(),
        }
    }

    /// Also what a newer version wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Received, Self::Recovered, Self::Replayed, Self::Imported]
            .into_iter()
            .find(|it| it.as_str() == text)
            .or_else(|| Word::new(text).map(Self::Newer))
    }
}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The hash of a body.
pub fn body_hash(body: &[u8]) -> Hash {
    Hash(Sha256::digest(body).into())
}

/// What makes an event the same event: a hash of the source and of the sender's id, or of the body where there is no id.
///
/// Every part is preceded by its length and a tag says which kind it is, so that no two different tuples make one key.
/// Only ever made from verified requests: whoever could claim an id without a signature could suppress the real event.
pub fn deduplication_key(source: &str, external_id: Option<&[u8]>, body: Hash) -> Hash {
    let (tag, id): (&[u8], &[u8]) = match external_id {
        Some(id) => (b"id", id),
        None => (b"body", &body.0),
    };
    let mut hash = Sha256::new();
    for part in [source.as_bytes(), tag, id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Hash(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b03_unequal_tuples_never_share_a_key() {
        let body = body_hash(b"x");
        let tuples: &[(&str, Option<&[u8]>)] = &[
            ("a", Some(b"bc")),
            ("ab", Some(b"c")),
            ("abc", Some(b"")),
            ("", Some(b"abc")),
            ("a", None),
            ("a", Some(&body.0)),
        ];
        for (idx, left) in tuples.iter().enumerate() {
            for right in &tuples[idx + 1..] {
                assert_ne!(
                    deduplication_key(left.0, left.1, body),
                    deduplication_key(right.0, right.1, body),
                    "{left:?} {right:?}"
                );
            }
        }
    }

    #[test]
    fn b06_a_key_is_the_same_in_every_version() {
        // Made by Python's `hashlib`. What is stored keeps its key: another one would let every repeat in once more.
        let body = body_hash(b"{}");
        for (hash, expected) in [
            (
                body,
                "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            ),
            (
                deduplication_key("stripe", Some(b"evt_1"), body),
                "a13b6de62ef562121b0104f1156627cd49cd9b4fe41d7b197f34d60a01716d13",
            ),
            (
                deduplication_key("stripe", None, body),
                "2f539f89a5e82cc8f4275b480debe585e3422b522b1b1bcb82bbbc340fa6d2bd",
            ),
        ] {
            assert_eq!(format!("{hash:?}"), expected);
        }
    }
}
