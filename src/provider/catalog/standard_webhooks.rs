//! Facts: github.com/standard-webhooks/standard-webhooks (spec at b2fa7b8, libraries), svix 1.99.1, svix-server `worker.rs`.
//!
//! `v1` is HMAC with a `whsec_` secret, `v1a` is Ed25519 with a `whpk_` public key. The id stays over retries, the timestamp is
//! fresh for each. Svix sends the same under `svix-*`.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{
        Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretEncoding, SecretForm,
        Signature, Time,
    },
};

const WEBHOOK: Family = Family {
    signatures: Borrowed(&[header("webhook-signature")]),
    timestamp: Some(header("webhook-timestamp")),
    id: Some(header("webhook-id")),
};
const SVIX_FAMILY: Family = Family {
    signatures: Borrowed(&[header("svix-signature")]),
    timestamp: Some(header("svix-timestamp")),
    id: Some(header("svix-id")),
};
const ACCEPTED: &[Accepted] = &[
    Accepted {
        prefix: Borrowed("v1,"),
        method: Method::Hmac(Hash::Sha256),
        encoding: Encoding::Base64,
    },
    Accepted {
        prefix: Borrowed("v1a,"),
        method: Method::Ed25519,
        encoding: Encoding::Base64,
    },
];
const SIGNED: &[Part] = &[
    Part::Id,
    Part::Literal(Borrowed(".")),
    Part::Timestamp,
    Part::Literal(Borrowed(".")),
    Part::Body,
];
const PUBLIC: SecretForm = SecretForm {
    prefix: Borrowed("whpk_"),
    prefix_required: true,
    encoding: SecretEncoding::Base64,
    public: true,
};
const fn secret(prefix_required: bool) -> SecretForm {
    SecretForm {
        prefix: Borrowed("whsec_"),
        prefix_required,
        encoding: SecretEncoding::Base64,
        public: false,
    }
}
const SECRETS: &[SecretForm] = &[PUBLIC, secret(false)];
const PREFIXED_SECRETS: &[SecretForm] = &[secret(true), PUBLIC];

/// The scheme under some headers.
const fn scheme(families: &'static [Family], secrets: &'static [SecretForm]) -> Scheme {
    Scheme::Signature(Signature {
        families: Borrowed(families),
        layout: Layout::List {
            separator: Borrowed(" "),
        },
        accepted: Borrowed(ACCEPTED),
        weak: Borrowed(&[]),
        signed: Borrowed(SIGNED),
        time: Some(Time::SECONDS),
        secrets: Borrowed(secrets),
    })
}

const PLAIN_FAMILY: &[Family] = &[WEBHOOK];
const FAMILIES: &[Family] = &[WEBHOOK, SVIX_FAMILY];
const SVIX_FIRST: &[Family] = &[SVIX_FAMILY, WEBHOOK];
/// For senders that can do this beside something else: only a secret with its prefix is meant for it.
pub(super) const WITH_PREFIX: Scheme = scheme(PLAIN_FAMILY, PREFIXED_SECRETS);
const SCHEMES: &[Scheme] = &[scheme(FAMILIES, SECRETS)];
const SVIX_SCHEMES: &[Scheme] = &[scheme(SVIX_FIRST, SECRETS)];
const ID: &[Reading] = &[At(header("webhook-id")), At(header("svix-id"))];
const TYPE: &[Reading] = &[At(body("/type"))];
const TIME: &[Reading] = &[At(body("/timestamp"))];
const RESOURCE: &[Reading] = &[At(body("/data/id"))];

const fn row(
    name: &'static str,
    title: &'static str,
    docs: &'static str,
    register: &'static str,
    schemes: &'static [Scheme],
) -> Provider {
    Provider {
        name: Borrowed(name),
        title: Borrowed(title),
        docs: Some(Borrowed(docs)),
        register: Borrowed(register),
        schemes: Borrowed(schemes),
        event_id: Borrowed(ID),
        event_type: Borrowed(TYPE),
        event_time: Borrowed(TIME),
        resource: Borrowed(RESOURCE),
        handshake: Handshake::None,
        sample: Some(SampleForm {
            event_type: Borrowed("contact.created"),
            headers: Borrowed(&[]),
            body: Borrowed(include_str!("samples/standard_webhooks.json")),
        }),
    }
}

pub(super) const ROW: Provider = row(
    "standard-webhooks",
    "Standard Webhooks",
    "https://www.standardwebhooks.com",
    "At any sender that follows Standard Webhooks: the URL of this source. The secret starts with `whsec_`, a public key with `whpk_`.",
    SCHEMES,
);

pub(super) const SVIX: Provider = row(
    "svix",
    "Svix",
    "https://docs.svix.com/receiving/verifying-payloads/how",
    "In the sender's webhook portal (Svix): Add Endpoint with the URL of this source. The signing secret (`whsec_...`) is shown on the page of the endpoint.",
    SVIX_SCHEMES,
);
