//! What every row must refuse, and that the row language says what senders do.

mod attacks;
mod keys;
mod row_shapes;
mod rows;
mod samples;
mod shapes;
mod times;

use std::time::Duration;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    event::{Binding, headers::Headers},
    provider::{Call, Key, Provider, Refusal, Sample, find},
};

/// 2026-01-01T00:00:00Z
const NOW: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PLAIN: &str = "a-long-enough-plain-secret";

/// A request that a test can bend.
#[derive(Debug, Clone)]
struct Bent {
    method: String,
    url: Option<String>,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl From<Sample> for Bent {
    fn from(sample: Sample) -> Self {
        let headers = sample
            .headers
            .into_iter()
            .map(|(name, value)| (name, value.into_bytes()));
        Self {
            method: "POST".to_owned(),
            url: None,
            target: "/webhooks/x".to_owned(),
            headers: headers.collect(),
            body: sample.body,
        }
    }
}

impl Bent {
    fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let pairs = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self {
            method: "POST".to_owned(),
            url: None,
            target: "/webhooks/x".to_owned(),
            headers: pairs.collect(),
            body: body.to_vec(),
        }
    }

    fn header(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.headers.iter_mut().find(|(it, _)| it == name);
        &mut found.unwrap_or_else(|| panic!("no header {name}")).1
    }

    fn with<T>(&self, read: impl FnOnce(&Call<'_>) -> T) -> T {
        let pairs = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), &value[..]));
        let headers = Headers::from_pairs(pairs);
        read(&Call {
            method: &self.method,
            url: self.url.as_deref(),
            target: &self.target,
            headers: &headers,
            body: &self.body,
        })
    }

    fn verify(&self, provider: &Provider, keys: &[Key]) -> Result<Binding, Refusal> {
        self.verify_at(provider, keys, None, NOW)
    }

    fn verify_at(
        &self,
        provider: &Provider,
        keys: &[Key],
        tolerance: Option<Duration>,
        now: Timestamp,
    ) -> Result<Binding, Refusal> {
        self.with(|call| provider.verify(keys, call, tolerance, now))
    }
}

/// Refused, and with this code.
#[track_caller]
fn check_refused(bent: &Bent, provider: &Provider, keys: &[Key], code: &str) {
    let refusal = bent.verify(provider, keys).expect_err("it verified");
    assert_eq!(refusal.code(), code, "{refusal}");
}

fn row(name: &str) -> &'static Provider {
    find(name).unwrap()
}

fn key(provider: &Provider, secret: &str) -> Key {
    provider.key(&Secret::new(secret)).unwrap()
}

/// A secret that the row takes.
fn secret_for(name: &str) -> &'static str {
    match name {
        "standard-webhooks" | "svix" | "gitlab" => WHSEC,
        "basic" => "user:a-long-enough-password",
        _ => PLAIN,
    }
}

/// A row, its key and a request that verifies.
fn signed(name: &str) -> (&'static Provider, Vec<Key>, Bent) {
    let provider = row(name);
    let secret = secret_for(name);
    let sample = provider.sample(&Secret::new(secret), None, None, NOW).unwrap();
    (provider, vec![key(provider, secret)], sample.into())
}

/// The rows that sign something, and the header with the signature.
const SIGNING: &[(&str, &str)] = &[
    ("stripe", "stripe-signature"),
    ("github", "x-hub-signature-256"),
    ("slack", "x-slack-signature"),
    ("shopify", "x-shopify-hmac-sha256"),
    ("gitlab", "webhook-signature"),
    ("standard-webhooks", "webhook-signature"),
    ("svix", "svix-signature"),
    ("hmac", "x-signature"),
];
