//! Facts: docs.slack.dev (verifying requests), PyPI `slack_sdk` 3.47.0, npm `@slack/bolt` 5.1.0.
//!
//! Events are JSON; interactivity is a form whose `payload` is JSON; slash commands are plain forms. All are signed alike, over
//! the raw bytes. Only events have an id.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    place::{
        Reading::{self, At},
        body, form, form_json, header,
    },
    scheme::{Accepted, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretForm, Signature, Time},
};

const FAMILY: &[Family] = &[Family {
    signatures: Borrowed(&[header("x-slack-signature")]),
    timestamp: Some(header("x-slack-request-timestamp")),
    id: None,
}];
const ACCEPTED: &[Accepted] = &[Accepted {
    prefix: Borrowed("v0="),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::HexLower,
}];
const SIGNED: &[Part] = &[
    Part::Literal(Borrowed("v0:")),
    Part::Timestamp,
    Part::Literal(Borrowed(":")),
    Part::Body,
];
const SCHEMES: &[Scheme] = &[Scheme::Signature(Signature {
    families: Borrowed(FAMILY),
    layout: Layout::One,
    accepted: Borrowed(ACCEPTED),
    weak: Borrowed(&[]),
    signed: Borrowed(SIGNED),
    time: Some(Time::SECONDS),
    secrets: Borrowed(&[SecretForm::TEXT]),
})];
const ID: &[Reading] = &[At(body("/event_id"))];
// Only an `event_callback` has an `event` object inside.
const TYPE: &[Reading] = &[
    At(body("/event/type")),
    At(body("/type")),
    At(form_json("payload", "/type")),
    At(form("command")),
];
const TIME: &[Reading] = &[At(body("/event_time"))];
const RESOURCE: &[Reading] = &[At(body("/event/channel")), At(form("channel_id"))];

pub(super) const ROW: Provider = Provider {
    name: Borrowed("slack"),
    title: Borrowed("Slack"),
    docs: Some(Borrowed(
        "https://docs.slack.dev/authentication/verifying-requests-from-slack",
    )),
    register: Borrowed(
        "api.slack.com/apps > your app > Event Subscriptions: the URL of this source as request URL (gatepost answers the challenge). The signing secret is under Basic Information.",
    ),
    schemes: Borrowed(SCHEMES),
    event_id: Borrowed(ID),
    event_type: Borrowed(TYPE),
    event_time: Borrowed(TIME),
    resource: Borrowed(RESOURCE),
    handshake: Handshake::Slack,
    sample: Some(SampleForm {
        event_type: Borrowed("message"),
        headers: Borrowed(&[]),
        body: Borrowed(include_str!("samples/slack.json")),
    }),
};
