//! Facts: shopify.dev (verify deliveries, ignore duplicates), npm `@shopify/shopify-api` 13.1.0.
//!
//! Headers without `x-` belong to the newer "Events" deliveries; the signature is the same. `webhook-id` names the delivery, the
//! thing to deduplicate on; `event-id` is shared by all subscriptions to one event. There is no signed time.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretForm, Signature, Text},
};

const FAMILIES: &[Family] = &[
    Family {
        signatures: Borrowed(&[header("x-shopify-hmac-sha256")]),
        timestamp: None,
        id: None,
    },
    Family {
        signatures: Borrowed(&[header("shopify-hmac-sha256")]),
        timestamp: None,
        id: None,
    },
];
const ACCEPTED: &[Accepted] = &[Accepted {
    prefix: Borrowed(""),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::Base64,
}];
const SCHEMES: &[Scheme] = &[Scheme::Signature(Signature {
    families: Borrowed(FAMILIES),
    layout: Layout::One,
    accepted: Borrowed(ACCEPTED),
    weak: Borrowed(&[]),
    signed: Borrowed(&[Part::Body]),
    time: None,
    secrets: Borrowed(&[SecretForm::TEXT]),
})];
const ID: &[Reading] = &[
    At(header("x-shopify-webhook-id")),
    At(header("shopify-webhook-id")),
];
const TYPE: &[Reading] = &[At(header("x-shopify-topic")), At(header("shopify-topic"))];
const TIME: &[Reading] = &[
    At(header("x-shopify-triggered-at")),
    At(header("shopify-triggered-at")),
];
const RESOURCE: &[Reading] = &[
    At(body("/admin_graphql_api_id")),
    At(header("shopify-resource-id")),
];
const SAMPLE_HEADERS: &[(Text, Text)] = &[
    (Borrowed("x-shopify-topic"), Borrowed("@type@")),
    (Borrowed("x-shopify-webhook-id"), Borrowed("@uuid@")),
    (Borrowed("x-shopify-event-id"), Borrowed("@uuid@")),
    (
        Borrowed("x-shopify-shop-domain"),
        Borrowed("example.myshopify.com"),
    ),
    (Borrowed("x-shopify-api-version"), Borrowed("2026-10")),
    (Borrowed("x-shopify-triggered-at"), Borrowed("@time@")),
];

pub(super) const ROW: Provider = Provider {
    name: Borrowed("shopify"),
    title: Borrowed("Shopify"),
    docs: Some(Borrowed("https://shopify.dev/docs/apps/build/webhooks")),
    register: Borrowed(
        "Subscribe in `shopify.app.toml` or by `webhookSubscriptionCreate` with the URL of this source. The secret is the app's client secret; webhooks made in the shop's admin use the one shown there.",
    ),
    schemes: Borrowed(SCHEMES),
    event_id: Borrowed(ID),
    event_type: Borrowed(TYPE),
    event_time: Borrowed(TIME),
    resource: Borrowed(RESOURCE),
    handshake: Handshake::None,
    sample: Some(SampleForm {
        event_type: Borrowed("orders/create"),
        headers: Borrowed(SAMPLE_HEADERS),
        body: Borrowed(include_str!("samples/shopify.json")),
    }),
};
