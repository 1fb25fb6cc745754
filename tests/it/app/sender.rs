//! Signs as the providers do, by code of its own: the test must not trust the signer that it tests.

use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::base::clock::wall_now;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(crate) const STRIPE_SECRET: &str = "whsec_stripe_of_the_tests_0001";
pub(crate) const OTHER_SECRET: &str = "whsec_somebody_elses_secret_0002";
/// `whsec_` and base64 of 24 bytes.
pub(crate) const SIGNING_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u";

/// A request ready to be posted.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) source: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Signed {
    pub(crate) fn new(source: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            source: source.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn to(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

pub(crate) fn now() -> i64 {
    wall_now().as_unix_seconds()
}

pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// As Stripe signs, for the source `stripe`.
pub(crate) fn stripe(body: impl Into<Vec<u8>>) -> Signed {
    stripe_with(STRIPE_SECRET, body)
}

pub(crate) fn stripe_with(secret: &str, body: impl Into<Vec<u8>>) -> Signed {
    let (body, now) = (body.into(), now());
    let signature = hex::encode(mac(secret.as_bytes(), &[now.to_string().as_bytes(), b".", &body]));
    Signed::new("stripe", body)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", format!("t={now},v1={signature}"))
}

/// A Stripe event of this id.
pub(crate) fn event(id: &str) -> Signed {
    stripe(event_body(id, "invoice.paid"))
}

pub(crate) fn event_body(id: &str, event_type: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"{event_type}","created":1700000000,"data":{{"object":{{"id":"in_1"}}}}}}"#
    )
}

pub(crate) fn slack(secret: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Signed {
    let (body, now) = (body.into(), now().to_string());
    let signature = hex::encode(mac(secret.as_bytes(), &[b"v0:", now.as_bytes(), b":", &body]));
    Signed::new("slack", body)
        .header("content-type", content_type)
        .header("x-slack-request-timestamp", now)
        .header("x-slack-signature", format!("v0={signature}"))
}

/// Standard Webhooks, under `webhook-` or `svix-`.
pub(crate) fn standard(family: &str, key: &[u8], id: &str, body: impl Into<Vec<u8>>) -> Signed {
    let (body, now) = (body.into(), now().to_string());
    let signature = STANDARD.encode(mac(key, &[id.as_bytes(), b".", now.as_bytes(), b".", &body]));
    Signed::new("standard", body)
        .header("content-type", "application/json")
        .header(&format!("{family}-id"), id)
        .header(&format!("{family}-timestamp"), now)
        .header(&format!("{family}-signature"), format!("v1,{signature}"))
}
