//! For senders that have no row of their own. What a source's own table says replaces what stands here (see `custom`).

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretForm, Signature, Token},
};

const FAMILY: &[Family] = &[Family {
    signatures: Borrowed(&[header("x-signature")]),
    timestamp: None,
    id: None,
}];
const ACCEPTED: &[Accepted] = &[Accepted {
    prefix: Borrowed(""),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::HexLower,
}];
const HMAC_SCHEMES: &[Scheme] = &[Scheme::Signature(Signature {
    families: Borrowed(FAMILY),
    layout: Layout::One,
    accepted: Borrowed(ACCEPTED),
    weak: Borrowed(&[]),
    signed: Borrowed(&[Part::Body]),
    time: None,
    secrets: Borrowed(&[SecretForm::TEXT]),
})];
const TOKEN_SCHEMES: &[Scheme] = &[Scheme::Token(Token {
    place: header("authorization"),
    prefix: Borrowed("Bearer "),
})];
const ID: &[Reading] = &[At(body("/id"))];
const TYPE: &[Reading] = &[At(body("/type"))];

const fn row(
    name: &'static str,
    title: &'static str,
    register: &'static str,
    schemes: &'static [Scheme],
) -> Provider {
    Provider {
        name: Borrowed(name),
        title: Borrowed(title),
        docs: None,
        register: Borrowed(register),
        schemes: Borrowed(schemes),
        event_id: Borrowed(ID),
        event_type: Borrowed(TYPE),
        event_time: Borrowed(&[]),
        resource: Borrowed(&[]),
        handshake: Handshake::None,
        sample: None,
    }
}

pub(super) const HMAC: Provider = row(
    "hmac",
    "Any sender that signs with HMAC",
    "Describe the signature in the source's `hmac` table: header, hash, encoding and what is signed.",
    HMAC_SCHEMES,
);
pub(super) const TOKEN: Provider = row(
    "token",
    "Any sender that repeats a secret",
    "Make up a long random token and give it to the sender; say in the source's `token` table where it comes, if not as `authorization: Bearer ...`.",
    TOKEN_SCHEMES,
);
pub(super) const BASIC: Provider = row(
    "basic",
    "Any sender that uses HTTP Basic",
    "Give the sender a user and a long random password; the secret is `user:password`.",
    &[Scheme::Basic],
);
pub(super) const UNVERIFIED: Provider = row(
    "unverified",
    "Anybody",
    "Nothing is checked: whoever knows the URL can make events. For tests, and behind something else that checks.",
    &[Scheme::Unverified],
);
