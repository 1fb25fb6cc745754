//! Standard Webhooks, and what goes by its rules under other names.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    recipe::{Fault, words::header_name},
    scheme::{
        Accepted, Encoding, Family, Hash, Layout, Method, Part, SecretEncoding, SecretForm, Signature, Time,
    },
};

/// A `standard_webhooks` table. With nothing in it: `webhook-*` headers and `whsec_` secrets.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    /// `webhook` for `webhook-id`, `webhook-timestamp` and `webhook-signature`. Several: a request shows one of them.
    headers: Vec<String>,
    secret: Secret,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Secret {
    /// Base64, with `whsec_` before it or without.
    Whsec,
    /// For senders that can do this beside something else: only a secret with its prefix is meant for it.
    OnlyWhsec,
    /// The key is the secret as it is written.
    Text,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            headers: vec!["webhook".to_owned()],
            secret: Secret::Whsec,
        }
    }
}

impl Recipe {
    pub(in crate::provider) fn signature(&self, faults: &mut Vec<Fault>) -> Signature {
        let mut family = |names: &String| {
            let mut header =
                |what: &str| header_name(&format!("{names}-{what}"), "standard_webhooks.headers", faults);
            Family {
                signatures: Cow::Owned(vec![header("signature")]),
                timestamp: Some(header("timestamp")),
                id: Some(header("id")),
            }
        };
        Signature {
            when: Cow::Borrowed(&[]),
            without: Cow::Borrowed(&[]),
            each: None,
            or_signed: Cow::Borrowed(&[]),
            key: Cow::Borrowed(&[]),
            any_port: false,
            body_digest: None,
            families: self.headers.iter().map(&mut family).collect(),
            layout: Layout::List {
                separator: Cow::Borrowed(" "),
            },
            accepted: Cow::Borrowed(ACCEPTED),
            weak: Cow::Borrowed(&[]),
            signed: Cow::Borrowed(SIGNED),
            time: Some(Time::SECONDS),
            secrets: Cow::Borrowed(match self.secret {
                Secret::Whsec => &[PUBLIC, WHSEC],
                Secret::OnlyWhsec => &[ONLY_WHSEC, PUBLIC],
                Secret::Text => &[PUBLIC, SecretForm::TEXT],
            }),
        }
    }
}

const ACCEPTED: &[Accepted] = &[
    Accepted {
        prefix: Cow::Borrowed("v1,"),
        method: Method::Hmac(Hash::Sha256),
        encoding: Encoding::Base64,
    },
    Accepted {
        prefix: Cow::Borrowed("v1a,"),
        method: Method::Ed25519,
        encoding: Encoding::Base64,
    },
];
const SIGNED: &[Part] = &[
    Part::Id,
    Part::Literal(Cow::Borrowed(".")),
    Part::Timestamp,
    Part::Literal(Cow::Borrowed(".")),
    Part::Body,
];
const PUBLIC: SecretForm = SecretForm {
    prefix: Cow::Borrowed("whpk_"),
    prefix_required: true,
    encoding: SecretEncoding::Base64,
    public: true,
};
const WHSEC: SecretForm = SecretForm {
    prefix: Cow::Borrowed("whsec_"),
    prefix_required: false,
    encoding: SecretEncoding::Base64,
    public: false,
};
const ONLY_WHSEC: SecretForm = SecretForm {
    prefix_required: true,
    ..WHSEC
};
