//! Facts: GitLab's `web_hook_service.rb`, merge requests gitlab-org/gitlab!230944 and !231325 (signing tokens, 2026).
//!
//! Two kinds of proof: a signing token (Standard Webhooks) and the classic secret token, sent in clear. Both may be on; then only
//! the signature counts, so that a leaked token cannot make up for a wrong signature. `idempotency-key` is kept over
//! retries; `x-gitlab-webhook-uuid` is new with each send.

use std::borrow::Cow::Borrowed;

use crate::provider::{
    Handshake, Provider, SampleForm,
    catalog::standard_webhooks,
    place::{
        Reading::{self, At},
        body, header,
    },
    scheme::{Scheme, Text, Token},
};

const SCHEMES: &[Scheme] = &[
    standard_webhooks::WITH_PREFIX,
    Scheme::Token(Token {
        place: header("x-gitlab-token"),
        prefix: Borrowed(""),
    }),
];
// `webhook-id` is the same id, and signed where there is a signing token: the unsigned header must not overrule it.
const ID: &[Reading] = &[At(header("webhook-id")), At(header("idempotency-key"))];
const TYPE: &[Reading] = &[At(body("/object_kind")), At(header("x-gitlab-event"))];
const RESOURCE: &[Reading] = &[At(body("/object_attributes/id")), At(body("/project/id"))];
const SAMPLE_HEADERS: &[(Text, Text)] = &[
    (Borrowed("user-agent"), Borrowed("GitLab/19.0.0")),
    (Borrowed("x-gitlab-event"), Borrowed("@type@")),
    (
        Borrowed("x-gitlab-instance"),
        Borrowed("https://gitlab.example.com"),
    ),
    (Borrowed("x-gitlab-webhook-uuid"), Borrowed("@uuid@")),
    (Borrowed("x-gitlab-event-uuid"), Borrowed("@uuid@")),
    (Borrowed("idempotency-key"), Borrowed("@uuid@")),
    (Borrowed("webhook-id"), Borrowed("@uuid@")),
];

pub(super) const ROW: Provider = Provider {
    name: Borrowed("gitlab"),
    title: Borrowed("GitLab"),
    docs: Some(Borrowed(
        "https://docs.gitlab.com/user/project/integrations/webhooks/",
    )),
    register: Borrowed(
        "Settings > Webhooks > Add new webhook of the project or group: the URL of this source and, where your GitLab offers it, a signing token (`whsec_...`); else a long random secret token.",
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
        body: Borrowed(include_str!("samples/gitlab.json")),
    }),
};
