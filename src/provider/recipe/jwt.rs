//! A `jwt` of a row, in words.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use crate::provider::{
    recipe::{
        Fault,
        hmac::OneOf,
        words::{ENCODINGS, choose, header_name, parse_place},
    },
    scheme::{Encoding, Hash, Jwt, Method, SecretEncoding, SecretForm, Text},
};

/// With nothing but `algorithm`: `authorization: Bearer TOKEN`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    algorithm: String,
    header: Option<String>,
    /// Where it is, if in no header: `body:/signedPayload`, or `body` where it is all of that.
    place: Option<String>,
    prefix: Option<String>,
    claims: BTreeMap<String, OneOf>,
    /// The claim with the body's SHA-256, written as `body_encoding` says: `hex` or `base64`.
    body: Option<String>,
    body_encoding: Option<String>,
    url: Option<String>,
    request: Option<String>,
    needs_end: bool,
    max_age: Option<u32>,
    /// Extensions by number, one for each certificate of `x5c` but the root, which is the key.
    chain: Option<Vec<String>>,
}

const ALGORITHMS: &[(&str, Method)] = &[
    ("HS256", Method::Hmac(Hash::Sha256)),
    ("RS256", Method::Rsa(Hash::Sha256)),
    ("ES256", Method::EcdsaP256Fixed),
];

impl Recipe {
    pub(in crate::provider) fn jwt(self, faults: &mut Vec<Fault>) -> Option<Jwt> {
        let method = choose(Some(&self.algorithm), "jwt.algorithm", ALGORITHMS, faults)?;
        let encoding = choose(
            self.body_encoding.as_deref(),
            "jwt.body_encoding",
            ENCODINGS,
            faults,
        );
        let is_bearer = self.header.is_none() && self.place.is_none();
        let prefix = if is_bearer { "Bearer " } else { "" };
        let place = match self.place.as_deref() {
            Some(place) => parse_place(place, "jwt.place", faults)?,
            None => header_name(
                self.header.as_deref().unwrap_or("authorization"),
                "jwt.header",
                faults,
            ),
        };
        let owned = |it: Option<String>| it.map(Text::Owned);
        let claims = self.claims.into_iter();
        Some(Jwt {
            place,
            prefix: Cow::Owned(self.prefix.unwrap_or_else(|| prefix.to_owned())),
            method,
            secrets: Cow::Owned(vec![SecretForm {
                encoding: match method.is_public() {
                    true if self.chain.is_some() => SecretEncoding::Root,
                    true => SecretEncoding::PublicKey,
                    false => SecretEncoding::Text,
                },
                public: method.is_public(),
                ..SecretForm::TEXT
            }]),
            claims: claims
                .map(|(names, it)| {
                    (
                        names.split(" | ").map(|it| Cow::Owned(it.to_owned())).collect(),
                        it.patterns(),
                    )
                })
                .collect(),
            body_claim: owned(self.body),
            body_encoding: encoding.unwrap_or(Encoding::HexLower),
            url_claim: owned(self.url),
            request_claim: owned(self.request),
            needs_end: self.needs_end,
            max_age_s: self.max_age,
            chain: self.chain.map(|it| it.into_iter().map(Cow::Owned).collect()),
        })
    }
}
