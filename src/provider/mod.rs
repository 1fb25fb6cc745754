//! Signature checks, and where a sender puts the id, the type and the time of an event.
//!
//! Bytes in, verdict out: this room never waits, never reads the clock (it takes `now`) and never logs a secret.
//! `scheme` is the language of the rows, `verify` the door with the one constant-time compare; `catalog` is where a new
//! provider goes: a row of data, not code. `recipe` makes the same row out of an operator's own words.
//!
//! Imports: `base`, `event`.

mod address;
mod binding;
pub mod catalog;
mod certificate;
mod chain;
pub mod confirmation;
mod describe;
mod encoding;
pub mod handshake;
pub mod header_part;
pub mod id_token;
pub mod json;
mod jwk;
mod jwt;
mod kept_query;
mod key;
mod listed;
mod mac;
mod message;
mod moment;
mod multipart;
mod names;
mod options;
mod pattern;
mod php_json;
pub mod place;
pub mod published;
pub mod recipe;
mod refusal;
mod sample;
pub mod scheme;
mod sorted_json;
mod verify;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    base::{clock::Timestamp, nearest, secret::Secret},
    event::{Binding, headers::Headers},
    provider::{
        handshake::{Asked, Handshake, Proven},
        place::Reading,
        published::Published,
        scheme::{List, Scheme, Text},
    },
};

/// What a verifier sees of a request: the bytes off the wire, once.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub method: &'a str,
    /// The public URL from the config with the request's path and query; `None` without `server.public_url`. Never made from the request's host.
    pub url: Option<&'a str>,
    /// Path and query as they came.
    pub target: &'a str,
    pub headers: &'a Headers,
    pub body: &'a [u8],
}

/// One row: everything gatepost knows of a sender. The same type for a preset and for a user's own source in TOML.
#[derive(Debug, Clone)]
pub struct Provider {
    pub name: Text,
    /// As people write it.
    pub title: Text,
    /// Where the sender documents its webhooks.
    pub docs: Option<Text>,
    /// Where what is known of it comes from.
    pub facts: List<Text>,
    pub confidence: Confidence,
    /// How to register gatepost there, in a sentence or two.
    pub register: Text,
    /// What an operator should know besides.
    pub note: Option<Text>,
    /// Of several, the first whose signature or token a request shows is the only one that counts.
    pub schemes: List<Scheme>,
    /// The key of a source's config that holds what verifies: `secrets`, `public_key`, `certificate`, `organization_id`.
    pub key_option: Text,
    /// Where its sender's keys are, so that they can be fetched where the operator gives none.
    pub published: Option<Published>,
    /// By which its events come besides POST.
    pub methods: List<Text>,
    /// The fewest characters of a secret that is used as it is written.
    pub min_secret: usize,
    /// Of each list the first that is there counts.
    pub event_id: List<Reading>,
    pub event_type: List<Reading>,
    pub event_time: List<Reading>,
    /// What the event is about.
    pub resource: List<Reading>,
    /// What it does to find out whether a URL is meant for it; the first that is asked is answered.
    pub handshakes: List<Handshake>,
    /// What it wants to read when its event was taken; `None` for ours.
    pub acknowledgement: Option<Answer>,
    pub sample: Option<SampleForm>,
}

/// How sure the facts of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Read in the sender's own documentation.
    Docs,
    /// Read in code that the sender or widely used software runs.
    Code,
    #[serde(rename = "docs+code")]
    DocsAndCode,
    /// From a single second-hand place: try it before you rely on it.
    Unconfirmed,
}

/// A request as this sender makes it, with marks that `sample` fills in.
///
/// `@id@` is a fresh id of letters and digits, `@uuid@` a fresh UUID, `1400000000` a fresh number; `@type@` the type, `@type1@` and
/// `@type2@` what stands before and after its first dot; `@time@` the time in RFC 3339, `@date@` in RFC 2822 and `1500000000` in
/// Unix seconds, so that a JSON body with marks is still JSON; `@token@` the secret, for senders that repeat it in the body.
#[derive(Debug, Clone)]
pub struct SampleForm {
    pub event_type: Text,
    pub content_type: Text,
    pub headers: List<(Text, Text)>,
    pub body: Text,
}

/// A decoded verification key, at least as long as its scheme demands.
#[derive(Debug, Clone)]
pub struct Key {
    material: Secret,
    /// The material in each HMAC that the provider signs with.
    hmacs: Vec<mac::Keyed>,
    /// Which of the provider's schemes it is for.
    scheme: usize,
    /// A public key: it checks signatures and cannot make them.
    is_public: bool,
}

/// Why a secret cannot be a key of this provider. Never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadSecret {
    pub problem: String,
    pub hint: String,
}

/// Why a request was refused: for the operator, never for the sender. Holds no secret and no expected signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("not signed: {wanted} is absent")]
    Unsigned { wanted: String },
    #[error("signature in {place} cannot be read: {problem}")]
    MalformedSignature { place: String, problem: String },
    #[error(
        "signature in {place} does not match: {n_signatures} signature(s) tried with {n_secrets} secret(s); either the secret is another one or the body was changed on its way"
    )]
    SignatureMismatch {
        place: String,
        n_signatures: usize,
        n_secrets: usize,
    },
    #[error("signed timestamp is absent: {place}")]
    TimestampMissing { place: String },
    #[error("signed timestamp in {place} cannot be read: {problem}")]
    MalformedTimestamp { place: String, problem: String },
    #[error("signed {age_s} s ago, at most {tolerance_s} s allowed; the signature itself is right")]
    TimestampStale { age_s: u64, tolerance_s: u64 },
    #[error(
        "signed {ahead_s} s in the future, at most {tolerance_s} s allowed; the signature itself is right: is this machine's clock right?"
    )]
    TimestampAhead { ahead_s: u64, tolerance_s: u64 },
    #[error("{place} is signed but absent")]
    PartMissing { place: String },
    #[error("{place} is signed but cannot be read: {problem}")]
    MalformedPart { place: String, problem: String },
    #[error("{place} came {count} times, expected once")]
    Duplicate { place: String, count: usize },
    #[error("headers of two families at once: `{left}` and `{right}`")]
    MixedHeaders { left: String, right: String },
    #[error("only the outdated signature `{found}` is there, expected {wanted}")]
    WeakSignature { found: String, wanted: String },
    #[error("credentials in {place} are wrong; {n_secrets} secret(s) tried")]
    WrongCredentials { place: String, n_secrets: usize },
    #[error("credentials in {place} cannot be read: {problem}")]
    MalformedCredentials { place: String, problem: String },
    #[error("the signature covers the public URL, and `server.public_url` is not set")]
    UrlUnknown,
    #[error("{place} shows a kind of proof for which none of the {n_secrets} secret(s) is a key: {hint}")]
    KeyMissing {
        place: String,
        n_secrets: usize,
        hint: String,
    },
    #[error("the key that it is signed with is none of this sender's: {problem}")]
    ForeignKey { problem: String },
    #[error("it is signed with key `{id}`, which is not among those that the sender publishes at {url}")]
    UnknownKey { id: String, url: String },
    #[error("the sender says that it denies the subscription; its query may hold the reason")]
    SubscriptionDenied,
    #[error(
        "the sender asks whether the subscription shall end, and was answered no: it ends by itself when it is not made again"
    )]
    Unsubscribing,
}

/// What the sender calls the event. Raw bytes: nothing here was checked to be text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub external_id: Option<Vec<u8>>,
    /// At most 256 bytes, control characters replaced. Of a batch the first element's.
    pub event_type: Option<String>,
    /// The other types among the elements of a batch: distinct, at most 63.
    pub further_types: Vec<String>,
    pub occurred_at: Option<Timestamp>,
}

/// An answer that a provider wants in place of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<Text>,
    /// Names in lower case.
    pub headers: Vec<(Text, String)>,
    pub body: Vec<u8>,
}

/// What a sample should be. With nothing in it: of the row's own type, with a fresh id, to no URL in particular.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    pub event_type: Option<&'a str>,
    pub body: Option<&'a [u8]>,
    /// The public URL with path and query, and these alone, for senders that sign them.
    pub url: Option<&'a str>,
    pub target: Option<&'a str>,
}

/// A sample request for `send`, `demo` and tests, signed.
#[derive(Debug, Clone)]
pub struct Sample {
    pub headers: Vec<(String, String)>,
    /// A field to be added to the URL's query, for senders that put their token or signature there.
    pub query: Option<(String, String)>,
    pub body: Vec<u8>,
}

pub fn find(name: &str) -> Option<&'static Provider> {
    all().iter().find(|it| it.name == name)
}

/// Every preset and generic scheme, sorted by name.
pub fn all() -> &'static [Provider] {
    &catalog::ROWS
}

/// The known name that is nearest to a mistyped one.
pub fn nearest(name: &str) -> Option<&'static str> {
    nearest::nearest(name, all().iter().map(|row| row.name.as_ref()))
}

impl Provider {
    pub fn is_unverified(&self) -> bool {
        self.schemes.iter().any(|it| matches!(it, Scheme::Unverified))
    }

    /// Whether a signature covers the public URL, so that `server.public_url` must be set.
    pub fn signs_url(&self) -> bool {
        self.schemes.iter().any(|it| match it {
            Scheme::Signature(it) => it.signs_url(),
            Scheme::Jwt(it) => it.signs_url(),
            _ => false,
        })
    }

    /// Whether a signature carries a time, so that a tolerance has a meaning.
    pub fn signs_time(&self) -> bool {
        self.schemes
            .iter()
            .any(|it| matches!(it, Scheme::Signature(signature) if signature.time.is_some()))
    }

    /// Decodes a secret and refuses an empty or short one.
    pub fn key(&self, secret: &Secret) -> Result<Key, BadSecret> {
        key::decode(self, secret)
    }

    /// How many characters a secret has, where a longer one would be wise though this one is taken.
    pub fn few_chars(&self, secret: &Secret) -> Option<usize> {
        key::few_chars(self, secret)
    }

    /// `tolerance` replaces the provider's own.
    pub fn verify(
        &self,
        keys: &[Key],
        call: &Call<'_>,
        tolerance: Option<Duration>,
        now: Timestamp,
    ) -> Result<Binding, Refusal> {
        verify::verify(self, keys, call, tolerance, now)
    }

    /// Never fails: what is not there or cannot be read is `None`.
    pub fn names(&self, call: &Call<'_>) -> Names {
        names::read(self, call)
    }

    /// Whether an event of this sender may be a batch whose elements have types of their own.
    pub fn has_batches(&self) -> bool {
        names::has_batches(self)
    }

    /// The id of what the event is about: a customer, an order. `None` where it is not there.
    pub fn resource(&self, call: &Call<'_>) -> Option<Vec<u8>> {
        names::resource(self, call)
    }

    /// The methods that its events or its handshakes come by.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        let of_handshakes = self.handshakes.iter().map(|it| it.method.as_ref());
        std::iter::once("POST")
            .chain(self.methods.iter().map(AsRef::as_ref))
            .chain(of_handshakes)
    }

    /// Whether a handshake needs a token that the sender has as well.
    pub fn has_verify_token(&self) -> bool {
        self.handshakes.iter().any(Handshake::needs_verify_token)
    }

    /// Whether the sender makes up the secret and hands it over.
    pub fn hands_over_secret(&self) -> bool {
        self.handshakes
            .iter()
            .any(|it| it.proof == handshake::Proof::Handover)
    }

    /// What comes of a handshake that nobody signed, before anything is verified; `None` where it is none.
    pub fn unsigned_handshake(
        &self,
        keys: &[Key],
        verify_token: Option<&Secret>,
        call: &Call<'_>,
    ) -> Option<Asked> {
        if self.handshakes.is_empty() {
            return None;
        }
        let verify_token = verify_token.map(Secret::expose);
        handshake::unsigned(&self.handshakes, &self.schemes, keys, verify_token, call)
    }

    /// What comes of a request that verified and is a handshake; `None` where this is an event.
    pub fn signed_handshake(&self, keys: &[Key], call: &Call<'_>) -> Option<Proven> {
        if self.handshakes.is_empty() {
            return None;
        }
        handshake::signed(&self.handshakes, keys, call)
    }

    /// The row for a process that asks senders nothing: no key is fetched, and what would be confirmed is an event.
    #[must_use]
    pub fn without_asking(mut self) -> Self {
        self.published = None;
        self.handshakes.to_mut().retain(|it| it.confirmation.is_none());
        self
    }

    /// The body of a request of this provider, signed by nobody; `None` where none is known.
    pub fn sample_body(&self, now: Timestamp) -> Option<String> {
        sample::body(self, now)
    }

    /// Signs a request as this provider would.
    pub fn sample(&self, key: &Secret, wanted: &Wanted<'_>, now: Timestamp) -> Result<Sample, BadSecret> {
        sample::make(self, key, wanted, now)
    }
}
