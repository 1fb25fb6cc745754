//! What every row must refuse, and that the row language says what senders do.

mod attacks;
mod batches;
mod chains;
mod handshakes;
mod keys;
mod questions;
mod row_shapes;
mod rows;
mod samples;
mod shapes;
mod times;
mod urls;
mod words;

use std::{sync::LazyLock, time::Duration};

use crate::{
    base::{clock::Timestamp, secret::Secret},
    event::{Binding, headers::Headers},
    provider::{
        BadSecret, Call, Key, Provider, Refusal, Sample, Wanted, all, encoding,
        place::Place,
        scheme::{Part, Scheme, SecretEncoding, Signature},
    },
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
        let query = sample.query.map(|(name, value)| {
            let pair = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(&name, &value)
                .finish();
            let before = if TARGET.contains('?') { '&' } else { '?' };
            format!("{before}{pair}")
        });
        Self {
            method: "POST".to_owned(),
            url: Some(URL.to_owned()),
            target: format!("{TARGET}{}", query.unwrap_or_default()),
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
            target: TARGET.to_owned(),
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

/// The rows, with something for each option that an operator gives.
static WITH_OPTIONS: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    let given = |row: &Provider| {
        let options = row.options().into_iter();
        options.map(|it| (it.to_owned(), "example".to_owned())).collect()
    };
    all()
        .iter()
        .map(|row| row.clone().with_options(&given(row)))
        .collect()
});

fn row(name: &str) -> &'static Provider {
    WITH_OPTIONS.iter().find(|it| it.name == name).unwrap()
}

fn key(provider: &Provider, secret: &str) -> Key {
    provider.key(&Secret::new(secret)).unwrap()
}

const A_PUBLIC_KEY: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

/// A secret that the row takes; each number another one.
fn secret_of(name: &str, number: u8) -> String {
    let plain = || {
        if number == 0 {
            PLAIN.to_owned()
        } else {
            format!("another-plain-secret-{number}")
        }
    };
    match &row(name).schemes[0] {
        Scheme::Unverified => String::new(),
        Scheme::Jwt(jwt) if jwt.chain.is_some() => chains::a_root(),
        Scheme::Jwt(jwt) if jwt.method.is_public() => A_PUBLIC_KEY.to_owned(),
        Scheme::Token(_) | Scheme::Jwt(_) => plain(),
        Scheme::Basic => format!("user:a-long-enough-password-{number}"),
        Scheme::Signature(signature) => {
            let form = signature
                .secrets
                .iter()
                .find(|it| !it.public)
                .unwrap_or(&signature.secrets[0]);
            let bytes = [number; 32];
            match form.encoding {
                SecretEncoding::Text | SecretEncoding::HashOfText(_) | SecretEncoding::Reversed => plain(),
                SecretEncoding::PublicKey | SecretEncoding::Root => A_PUBLIC_KEY.to_owned(),

                SecretEncoding::Hex => hex::encode(bytes),
                SecretEncoding::Base64 if number == 0 && form.prefix == "whsec_" => WHSEC.to_owned(),
                SecretEncoding::Base64 => format!("{}{}", form.prefix, encoding::encode_basic(&bytes)),
            }
        }
    }
}

fn secret_for(name: &str) -> String {
    secret_of(name, 0)
}

const URL: &str = "https://hooks.example.com/webhooks/x";
const TARGET: &str = "/webhooks/x";
const TO_US: Wanted<'_> = Wanted {
    event_type: None,
    body: None,
    url: Some(URL),
    target: Some(TARGET),
};

/// A request as the row's sender makes it.
fn sample_of(name: &str, wanted: &Wanted<'_>) -> Result<Sample, BadSecret> {
    row(name).sample(&Secret::new(secret_for(name)), wanted, NOW)
}

/// A row, its key and a request that verifies.
fn signed(name: &str) -> (&'static Provider, Vec<Key>, Bent) {
    let provider = row(name);
    let sample = sample_of(name, &TO_US).unwrap_or_else(|it| panic!("{name}: {it}"));
    (provider, vec![key(provider, &secret_for(name))], sample.into())
}

/// Rows whose sender signs with a key that the operator has too, and the header with the signature.
fn signing() -> Vec<(&'static str, &'static str)> {
    let header = |row: &'static Provider| match &row.schemes[0] {
        Scheme::Signature(signature) if !is_public(signature) => match &signature.families[0].signatures[0] {
            Place::Header(name) => Some((row.name.as_ref(), name.as_ref())),
            _ => None,
        },
        _ => None,
    };
    all().iter().filter_map(header).collect()
}

/// Those of them that sign whatever body there is.
fn signing_any_body() -> Vec<(&'static str, &'static str)> {
    let takes_any_body = |(name, _): &(&str, &str)| match &row(name).schemes[0] {
        Scheme::Signature(signature) => {
            let is_of_body = |it: &Place| !matches!(it, Place::Header(_));
            let in_body = |it: &Part| matches!(it, Part::At(place) if is_of_body(place));
            signature.binding() == Binding::Body
                && signature.body_digest.is_none()
                && !signature.signs(&|it| matches!(it, Part::SortedForm | Part::SortedJson))
                && !format!("{:?}", signature.signed).contains("Quote")
                && !signature.signed.iter().any(in_body)
                && !signature.families[0].timestamp.as_ref().is_some_and(is_of_body)
        }
        _ => false,
    };
    signing().into_iter().filter(takes_any_body).collect()
}

fn is_public(signature: &Signature) -> bool {
    signature.secrets.iter().all(|it| it.public)
}
