//! Facts: the official `stripe` packages (PyPI 16.1.0 `_webhook.py`, npm 23.1.0 `Webhooks.js`), docs.stripe.com/webhooks.
//!
//! `v0` in the header is a fake signature for Stripe's own tests. Stripe's packages accept times in the future; we do not.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretForm, Signature, Time},
};

const FAMILY: &[Family] = &[Family {
    signatures: Borrowed(&[header("stripe-signature")]),
    timestamp: None,
    id: None,
}];
const ACCEPTED: &[Accepted] = &[Accepted {
    prefix: Borrowed(""),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::HexLower,
}];
const SIGNED: &[Part] = &[Part::Timestamp, Part::Literal(Borrowed(".")), Part::Body];
const SCHEMES: &[Scheme] = &[Scheme::Signature(Signature {
    families: Borrowed(FAMILY),
    layout: Layout::Fields {
        separator: Borrowed(","),
        signature: Borrowed("v1"),
        timestamp: Some(Borrowed("t")),
    },
    accepted: Borrowed(ACCEPTED),
    weak: Borrowed(&[]),
    signed: Borrowed(SIGNED),
    time: Some(Time::SECONDS),
    // With its `whsec_`, as it is: not base64.
    secrets: Borrowed(&[SecretForm::TEXT]),
})];
const ID: &[Reading] = &[At(body("/id"))];
const TYPE: &[Reading] = &[At(body("/type"))];
// Unix seconds; RFC 3339 in thin events.
const TIME: &[Reading] = &[At(body("/created"))];
const RESOURCE: &[Reading] = &[At(body("/data/object/id")), At(body("/related_object/id"))];

pub(super) const ROW: Provider = Provider {
    name: Borrowed("stripe"),
    title: Borrowed("Stripe"),
    docs: Some(Borrowed("https://docs.stripe.com/webhooks")),
    register: Borrowed(
        "Developers > Webhooks > Add destination: the URL of this source. The signing secret (`whsec_...`) is shown on the page of the destination.",
    ),
    schemes: Borrowed(SCHEMES),
    event_id: Borrowed(ID),
    event_type: Borrowed(TYPE),
    event_time: Borrowed(TIME),
    resource: Borrowed(RESOURCE),
    handshake: Handshake::None,
    sample: Some(SampleForm {
        event_type: Borrowed("payment_intent.succeeded"),
        headers: Borrowed(&[]),
        body: Borrowed(include_str!("samples/stripe.json")),
    }),
};
