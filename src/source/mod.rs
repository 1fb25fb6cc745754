//! From a request to a verified event: verify, handshake, name.
//!
//! `receive` is the door. A `Verified` can be made nowhere else, so an unverified body cannot reach the store as an event
//! by mistake. It never waits and never reads the clock: where it needs a key that the sender publishes it says so, and whoever
//! called it asks `keys` and comes back with `receive_with`.
//!
//! Imports: `base`, `event`, `egress`, `provider`.

pub mod asking;
pub mod keys;
pub mod redact;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use url::Url;

use crate::{
    base::{
        clock::Timestamp,
        secret::Secret,
        trial::{self, Flaw},
    },
    event::{self, Binding, Event, Hash, headers::Headers},
    provider::{
        Answer, Call, Key, Names, Provider, Refusal,
        handshake::{Asked, Proven},
        published::KeyName,
    },
    source::redact::Redact,
};

/// What the operator says of a source.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub provider: Provider,
    pub secrets: Vec<Secret>,
    /// What the sender's handshake must show, for senders that are given such a token.
    pub verify_token: Option<Secret>,
    /// Replaces the provider's own.
    pub tolerance: Option<Duration>,
    /// Bytes. Replaces the server's limit.
    pub max_body: Option<u64>,
    /// Requests per second over which it gets 429.
    pub rate: Option<u32>,
    /// For schemes that sign the URL: `server.public_url`.
    pub public_url: Option<Url>,
    /// What people are not shown of its events.
    pub redact: Redact,
}

/// A place webhooks come from, ready to verify.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    settings: Settings,
    keys: Vec<Key>,
}

/// One request as it came off the wire, whole.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: http::Method,
    /// Path and query as they came.
    pub target: String,
    pub headers: Headers,
    pub body: Bytes,
    /// The peer, or the client that a trusted proxy named.
    pub client: Option<String>,
    pub received_at: Timestamp,
}

/// A fault in a source's settings: which key of it, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

/// A verified request. Made only by `receive`.
#[derive(Debug, Clone)]
pub struct Verified {
    names: Names,
    binding: Binding,
    key: Option<Hash>,
    body_hash: Hash,
}

impl Verified {
    pub fn external_id(&self) -> Option<&[u8]> {
        self.names.external_id.as_deref()
    }

    /// Of a batch the first element's.
    pub fn event_type(&self) -> Option<&str> {
        self.names.event_type.as_deref()
    }

    /// The other types among the elements of a batch.
    pub fn further_types(&self) -> &[String] {
        &self.names.further_types
    }

    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.names.occurred_at
    }

    pub fn binding(&self) -> Binding {
        self.binding
    }

    /// The deduplication key; `None` where nothing was verified.
    pub fn key(&self) -> Option<Hash> {
        self.key
    }

    pub fn body_hash(&self) -> Hash {
        self.body_hash
    }
}

/// Why a request was not taken. `code` is stable; the text is for the operator, never for the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{explanation}")]
pub struct Rejection {
    pub code: &'static str,
    pub explanation: String,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code(),
            explanation: refusal.to_string(),
        }
    }
}

#[derive(Debug)]
pub enum Received {
    Verified(Verified),
    /// A handshake: answer it, store nothing.
    Answer(Answer),
    /// A handshake that holds the sender's secret: answer it, and keep the request for the operator.
    HandedOver(Answer, Rejection),
    /// A handshake that tells the operator something: answer it, and keep the request.
    Noted(Answer, Rejection),
    /// A handshake to be answered once a call to this URL has succeeded; store nothing.
    Confirm {
        url: String,
        answer: Answer,
    },
    /// Nothing is known of it until `keys` has the key that it names.
    NeedsKey(KeyName),
    Rejected(Rejection),
}

/// An answered handshake tells a stranger only that the token is right.
const MIN_VERIFY_TOKEN: usize = 2;

impl Source {
    /// Every fault at once: an empty or short secret, none where one is needed, one where none belongs.
    ///
    /// A source with secrets of its own asks its sender nothing; one without asks for the keys that the sender publishes.
    pub fn new(mut settings: Settings) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if !settings.secrets.is_empty() {
            settings.provider = settings.provider.without_asking();
        }
        let provider = &settings.provider;
        let mut keys = Vec::with_capacity(settings.secrets.len());
        if provider.is_unverified() {
            if !settings.secrets.is_empty() {
                faults.push(fault(
                    "secrets",
                    "an unverified source has no use for secrets",
                    "name the provider that signs, or remove `secrets`",
                ));
            }
        } else if settings.secrets.is_empty() && !provider.hands_over_secret() && provider.published.is_none()
        {
            faults.push(fault(
                "secrets",
                format!("`{}` needs at least one secret", provider.name),
                match provider.key_option.as_ref() {
                    "certificate" => {
                        "add `certificate = { file = \"...\" }`, or have it fetched: `ingest.ask_senders = true`"
                    }
                    _ => {
                        "add `secrets = [{ env = \"...\" }]`; for a source without verification say `provider = \"unverified\"`"
                    }
                },
            ));
        } else {
            for (idx, secret) in settings.secrets.iter().enumerate() {
                match provider.key(secret) {
                    Ok(key) => keys.push(key),
                    Err(bad) => faults.push(fault(&format!("secrets[{idx}]"), bad.problem, &bad.hint)),
                }
            }
        }
        if provider.signs_url() && settings.public_url.is_none() {
            faults.push(fault(
                "provider",
                format!("`{}` signs the public URL, which is not known", provider.name),
                "set `server.public_url` to the address that the sender calls",
            ));
        }
        if settings.tolerance.is_some() && !provider.signs_time() {
            faults.push(fault(
                "tolerance",
                format!("`{}` signs no time", provider.name),
                "remove it",
            ));
        }
        if settings.tolerance.is_some_and(|it| it.is_zero()) {
            faults.push(fault("tolerance", "it is zero", "expected a time like `5m`"));
        }
        match (&settings.verify_token, provider.has_verify_token()) {
            (Some(_), false) => faults.push(fault(
                "verify_token",
                format!("`{}` asks for none", provider.name),
                "remove it",
            )),
            (Some(token), true) if token.expose().len() < MIN_VERIFY_TOKEN => faults.push(fault(
                "verify_token",
                format!("it has under {MIN_VERIFY_TOKEN} characters"),
                "make up a long random one, and give the sender the same",
            )),
            _ => {}
        }
        if settings.rate == Some(0) {
            faults.push(fault("rate", "it is zero", "remove it for no limit"));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            name: settings.name.as_str().into(),
            settings,
            keys,
        })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn provider(&self) -> &Provider {
        &self.settings.provider
    }

    /// The URL that the sender called, made of the configured one and the request's path and query: never of the request's host.
    fn url(&self, target: &str) -> Option<String> {
        let base = self.settings.public_url.as_ref()?;
        if !self.settings.provider.signs_url() {
            return None;
        }
        Some(format!(
            "{}{}",
            base.as_str().trim_end_matches('/'),
            origin_form(target)
        ))
    }
}

/// Path and query, also where the request line held a whole URL.
fn origin_form(target: &str) -> Cow<'_, str> {
    if target.starts_with('/') {
        return Cow::Borrowed(target);
    }
    let after_scheme = target.split_once("://").map_or(target, |(_, rest)| rest);
    match after_scheme.find(['/', '?']) {
        Some(at) if after_scheme[at..].starts_with('/') => Cow::Borrowed(&after_scheme[at..]),
        Some(at) => Cow::Owned(format!("/{}", &after_scheme[at..])),
        None => Cow::Borrowed("/"),
    }
}

/// Verifies the bytes as they came, then answers a handshake or names the event. Nothing of an unverified request is read but
/// what its signature covers, and which key it names.
pub fn receive(source: &Source, request: &Request, now: Timestamp) -> Received {
    verify(source, None, request, now)
}

/// The same with the keys that the request named, which were fetched.
pub fn receive_with(source: &Source, fetched: &[Key], request: &Request, now: Timestamp) -> Received {
    verify(source, Some(fetched), request, now)
}

fn verify(source: &Source, fetched: Option<&[Key]>, request: &Request, now: Timestamp) -> Received {
    let provider = source.provider();
    let url = source.url(&request.target);
    let call = Call {
        method: request.method.as_str(),
        url: url.as_deref(),
        target: &request.target,
        headers: &request.headers,
        body: &request.body,
    };
    let verify_token = source.settings.verify_token.as_ref();
    match provider.unsigned_handshake(&source.keys, verify_token, &call) {
        Some(Asked::Answered(answer)) => return Received::Answer(answer),
        Some(Asked::HandedOver(answer)) => return Received::HandedOver(answer, handed_over(source)),
        Some(Asked::Noted(answer, refusal)) => return Received::Noted(answer, refusal.into()),
        Some(Asked::Refused(refusal)) => return Received::Rejected(refusal.into()),
        None => {}
    }
    let keys = match fetched {
        Some(fetched) => fetched,
        None => match provider.key_named(&call) {
            Ok(None) => &source.keys,
            Ok(Some(name)) => return Received::NeedsKey(name),
            Err(refusal) => return Received::Rejected(refusal.into()),
        },
    };
    let binding = match provider.verify(keys, &call, source.settings.tolerance, now) {
        Ok(binding) => binding,
        Err(Refusal::Unsigned { .. }) if trial::has(Flaw::UnsignedIsVerified) => Binding::Body,
        Err(refusal) => return Received::Rejected(refusal.into()),
    };
    match provider.signed_handshake(keys, &call) {
        Some(Proven {
            answer,
            confirm_at: None,
        }) => return Received::Answer(answer),
        Some(Proven {
            answer,
            confirm_at: Some(url),
        }) => return Received::Confirm { url, answer },
        None => {}
    }
    let names = provider.names(&call);
    let body_hash = event::body_hash(&request.body);
    let key = binding.is_verified().then(|| {
        event::deduplication_key(
            if trial::has(Flaw::KeyWithoutSource) {
                ""
            } else {
                &source.name
            },
            names.external_id.as_deref(),
            body_hash,
        )
    });
    Received::Verified(Verified {
        names,
        binding,
        key,
        body_hash,
    })
}

/// What the sender would call the event of a request, verified or not: for a trial that stores nothing.
pub fn names(provider: &Provider, request: &Request) -> Names {
    provider.names(&Call {
        method: request.method.as_str(),
        url: None,
        target: &request.target,
        headers: &request.headers,
        body: &request.body,
    })
}

/// The types of a stored event beside its own, read again: those of a batch's other elements.
pub fn further_types(provider: &Provider, event: &Event) -> Vec<String> {
    provider.names(&call_of(event, &event.target())).further_types
}

/// The id of what a stored event is about, as its provider names it.
pub fn resource(provider: &Provider, event: &Event) -> Option<String> {
    let resource = provider.resource(&call_of(event, &event.target()))?;
    Some(String::from_utf8_lossy(&resource).into_owned())
}

/// The request that a stored event came by, as far as it is kept.
fn call_of<'a>(event: &'a Event, target: &'a str) -> Call<'a> {
    Call {
        method: "POST",
        url: None,
        target,
        headers: &event.headers,
        body: &event.body,
    }
}

fn handed_over(source: &Source) -> Rejection {
    Rejection {
        code: "secret_handed_over",
        explanation: format!(
            "the sender hands over the secret of `{}`: it is in this request; put it into the source's `secrets`",
            source.name
        ),
    }
}

fn fault(key: &str, problem: impl Into<String>, hint: &str) -> Fault {
    Fault {
        key: key.to_owned(),
        problem: problem.into(),
        hint: Some(hint.to_owned()),
    }
}
