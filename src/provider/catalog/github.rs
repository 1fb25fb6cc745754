//! Facts: docs.github.com (validating webhook deliveries), npm `@octokit/webhooks-methods` 6.0.0, PyPI `gidgethub` 6.0.0.
//!
//! The SHA-1 signature comes beside the SHA-256 one and never counts. The id is shared by redeliveries and by all hooks that
//! subscribe to the event. There is no timestamp: a captured request stays valid, and only the id tells.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretForm, Signature, Text},
};

const FAMILY: &[Family] = &[Family {
    signatures: Borrowed(&[header("x-hub-signature-256")]),
    timestamp: None,
    id: None,
}];
const ACCEPTED: &[Accepted] = &[Accepted {
    prefix: Borrowed("sha256="),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::HexLower,
}];
const SCHEMES: &[Scheme] = &[Scheme::Signature(Signature {
    families: Borrowed(FAMILY),
    layout: Layout::One,
    accepted: Borrowed(ACCEPTED),
    weak: Borrowed(&[Borrowed("x-hub-signature")]),
    signed: Borrowed(&[Part::Body]),
    time: None,
    secrets: Borrowed(&[SecretForm::TEXT]),
})];
const ID: &[Reading] = &[At(header("x-github-delivery"))];
const TYPE: &[Reading] = &[At(header("x-github-event"))];
const RESOURCE: &[Reading] = &[At(body("/repository/id")), At(body("/organization/id"))];
const SAMPLE_HEADERS: &[(Text, Text)] = &[
    (Borrowed("user-agent"), Borrowed("GitHub-Hookshot/044aadd")),
    (Borrowed("x-github-event"), Borrowed("@type@")),
    (Borrowed("x-github-delivery"), Borrowed("@uuid@")),
    (Borrowed("x-github-hook-id"), Borrowed("292430182")),
    (
        Borrowed("x-github-hook-installation-target-type"),
        Borrowed("repository"),
    ),
    (
        Borrowed("x-github-hook-installation-target-id"),
        Borrowed("186853002"),
    ),
];

pub(super) const ROW: Provider = Provider {
    name: Borrowed("github"),
    title: Borrowed("GitHub"),
    docs: Some(Borrowed(
        "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    )),
    register: Borrowed(
        "Settings > Webhooks > Add webhook of the repository or organization: the URL of this source, content type `application/json`, and a long random secret of your own.",
    ),
    schemes: Borrowed(SCHEMES),
    event_id: Borrowed(ID),
    event_type: Borrowed(TYPE),
    event_time: Borrowed(&[]),
    resource: Borrowed(RESOURCE),
    handshake: Handshake::None,
    sample: Some(SampleForm {
        event_type: Borrowed("push"),
        headers: Borrowed(SAMPLE_HEADERS),
        body: Borrowed(include_str!("samples/github.json")),
    }),
};
