//! Requests as senders make them, good and bad, signed by code of its own: a campaign must not trust the signer that it tests.

use std::fmt::Write;

use bytes::Bytes;
use gatepost::base::clock::wall_now;
use hmac::{Hmac, KeyInit, Mac};
use rand::{Rng, rngs::StdRng};
use sha2::{Digest, Sha256};

pub(crate) const STRIPE_SECRET: &str = "whsec_stripe_of_the_campaign_0001";
pub(crate) const GITHUB_SECRET: &str = "github_secret_of_the_campaign_0002";
/// Of nobody that gatepost knows.
pub(crate) const STRANGE_SECRET: &str = "whsec_of_somebody_else_entirely_03";
pub(crate) const SIGNING_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";

pub(crate) type Digest32 = [u8; 32];

pub(crate) fn digest(bytes: &[u8]) -> Digest32 {
    Sha256::digest(bytes).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    Stripe,
    Github,
}

impl Source {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Github => "github",
        }
    }

    pub(crate) fn of(name: &str) -> Option<Self> {
        [Self::Stripe, Self::Github]
            .into_iter()
            .find(|it| it.name() == name)
    }
}

/// One event is one of these, however often it is sent.
pub(crate) type Key = (Source, String);

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Right,
    Strange,
    Unsigned,
    /// Ten minutes old.
    Stale,
    /// With the secret of the other source.
    Swapped,
}

#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) source: Source,
    pub(crate) id: String,
    pub(crate) body: Bytes,
}

impl Letter {
    pub(crate) fn new(random: &mut StdRng, source: Source, id: &str, kind: &str) -> Self {
        let note: String = (0..random.random_range(0..1200))
            .map(|_| char::from(random.random_range(b'a'..=b'z')))
            .collect();
        let mut body =
            format!(r#"{{"id":"{id}","type":"campaign.{kind}","created":1700000000,"note":"{note}"}}"#)
                .into_bytes();
        match random.random_range(0..8) {
            0 => body.extend_from_slice(b"\n"),
            1 => body.extend_from_slice(b" \r\n\t "),
            // GitHub's id is in a header: its body may be anything.
            2 if source == Source::Github => body.extend_from_slice(b"\xff\xfe\x00\x80 no text at all \n"),
            _ => (),
        }
        Self {
            source,
            id: id.to_owned(),
            body: body.into(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        (self.source, self.id.clone())
    }

    /// The whole request as bytes, signed now.
    pub(crate) fn request(&self, signature: Signature) -> Vec<u8> {
        let mut head = format!(
            "POST /webhooks/{} HTTP/1.1\r\nhost: campaign\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.source.name(),
            self.body.len()
        );
        let secret = match (self.source, signature) {
            (_, Signature::Strange) => STRANGE_SECRET,
            (Source::Stripe, Signature::Swapped) => GITHUB_SECRET,
            (Source::Github, Signature::Swapped) => STRIPE_SECRET,
            (Source::Stripe, _) => STRIPE_SECRET,
            (Source::Github, _) => GITHUB_SECRET,
        };
        match self.source {
            Source::Stripe => {
                let age = if signature == Signature::Stale { 600 } else { 0 };
                let at = wall_now().as_unix_seconds() - age;
                let mac = mac(secret, &[at.to_string().as_bytes(), b".", &self.body]);
                if signature != Signature::Unsigned {
                    let _ = write!(head, "stripe-signature: t={at},v1={mac}\r\n");
                }
            }
            Source::Github => {
                let _ = write!(head, "x-github-delivery: {}\r\nx-github-event: push\r\n", self.id);
                if signature != Signature::Unsigned {
                    let mac = mac(secret, &[&self.body]);
                    let _ = write!(head, "x-hub-signature-256: sha256={mac}\r\n");
                }
            }
        }
        head.push_str("\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(&self.body);
        request
    }
}

fn mac(key: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// Its handler never takes it: it must end as a dead letter.
pub(crate) fn is_doomed(id: &str) -> bool {
    id.ends_with("_doomed")
}

/// The first attempt of it always fails.
pub(crate) fn fails_at_first(id: &str) -> bool {
    id.ends_with("_late")
}
