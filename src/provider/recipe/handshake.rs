//! A `handshake` of a row, in words.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use crate::provider::{
    confirmation::Confirmation,
    handshake::{Allowed, Handshake, Mac, Notice, Proof},
    recipe::{
        Fault, fault,
        words::{ENCODINGS, HASHES, choose, parse_place},
    },
    scheme::{Hash, Method},
};

/// A question of the sender and its answer. With nothing but `value`: a POST whose text is echoed as plain text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    method: Option<String>,
    when: BTreeMap<String, String>,
    without: Vec<String>,
    value: Option<String>,
    /// `token` (the default), `hex` or `text`.
    allowed: Option<String>,
    /// Only a request that verified is asked.
    signed: bool,
    /// `value` is the secret: see `Proof::Handover`.
    handover: bool,
    /// Where the source's `verify_token` must be.
    verify_token: Option<String>,
    status: Option<u16>,
    content_type: Option<String>,
    body: Option<String>,
    headers: BTreeMap<String, String>,
    /// How the MAC of the value is written; with the hash of `hash`.
    mac: Option<String>,
    hash: Option<String>,
    /// The call that is made before it is answered: `sns`.
    confirm: Option<String>,
    /// `{value}{verify_token}{url}`: what the MAC is of, where that is not the value alone.
    mac_of: Option<String>,
    /// The status where the `verify_token` is wrong, for senders that want one of their own.
    otherwise: Option<u16>,
    /// What it tells the operator: `denied`, `unsubscribing`. Not of what is signed or handed over.
    notice: Option<String>,
}

const ALLOWED: &[(&str, Allowed)] = &[
    ("token", Allowed::Token),
    ("hex", Allowed::Hex),
    ("text", Allowed::Text),
];
const CONFIRMATIONS: &[(&str, Confirmation)] = &[("sns", Confirmation::Sns)];
const NOTICES: &[(&str, Notice)] = &[
    ("denied", Notice::SubscriptionDenied),
    ("unsubscribing", Notice::Unsubscribing),
];
const KEY: &str = "handshake";

impl Recipe {
    pub(in crate::provider) fn handshake(&self, faults: &mut Vec<Fault>) -> Handshake {
        let when = self.when.iter();
        let when = when
            .filter_map(|(place, text)| Some((parse_place(place, KEY, faults)?, Cow::Owned(text.clone()))))
            .collect();
        let without = self.without.iter();
        let without = without.filter_map(|it| parse_place(it, KEY, faults)).collect();
        let value = self.value.as_ref().and_then(|it| parse_place(it, KEY, faults));
        let allowed = choose(self.allowed.as_deref(), KEY, ALLOWED, faults).unwrap_or(Allowed::Token);
        let method = choose(self.hash.as_deref(), KEY, HASHES, faults);
        let mac = choose(self.mac.as_deref(), KEY, ENCODINGS, faults).map(|encoding| Mac {
            method: method.unwrap_or(Method::Hmac(Hash::Sha256)),
            encoding,
            of: Cow::Owned(self.mac_of.clone().unwrap_or_else(|| "{value}".to_owned())),
        });
        if mac.is_some() && allowed == Allowed::Text {
            let hint = "a text of anybody's choice would get a signature; allow `token` or `hex`";
            faults.push(fault(KEY, "any text may be signed", Some(hint)));
        }
        let confirmation = choose(self.confirm.as_deref(), KEY, CONFIRMATIONS, faults);
        if confirmation.is_some() && !self.signed {
            let hint = "only what the sender signed is confirmed: add `signed = true`";
            faults.push(fault(KEY, "anybody could have it confirmed", Some(hint)));
        }
        let verify_token = self
            .verify_token
            .as_ref()
            .and_then(|it| parse_place(it, KEY, faults));
        let proof = match verify_token {
            Some(place) => Proof::VerifyToken(place),
            None if self.signed => Proof::Signed,
            None if self.handover => Proof::Handover,
            None => Proof::Nobody,
        };
        let body = match (&self.body, &value) {
            (Some(body), _) => body.clone(),
            (None, Some(_)) => "{value}".to_owned(),
            (None, None) => String::new(),
        };
        let is_text = self.content_type.is_none() && body.contains("{value}");
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, text)| (Cow::Owned(name.clone()), Cow::Owned(text.clone())))
            .collect();
        if is_text {
            // An echo must never become a page.
            headers.push((Cow::Borrowed("x-content-type-options"), Cow::Borrowed("nosniff")));
        }
        Handshake {
            method: Cow::Owned(self.method.clone().unwrap_or_else(|| "POST".to_owned())),
            when,
            without,
            value,
            allowed,
            proof,
            status: self.status.unwrap_or(200),
            content_type: match &self.content_type {
                Some(it) => Some(Cow::Owned(it.clone())),
                None => is_text.then_some(Cow::Borrowed("text/plain")),
            },
            body: Cow::Owned(body),
            headers: Cow::Owned(headers),
            mac,
            otherwise: self.otherwise,
            notice: choose(self.notice.as_deref(), KEY, NOTICES, faults),
            confirmation,
        }
    }
}

/// What a sender wants to read when its event was taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct AnswerRecipe {
    status: Option<u16>,
    content_type: Option<String>,
    body: String,
}

impl AnswerRecipe {
    pub(in crate::provider) fn answer(&self) -> crate::provider::Answer {
        crate::provider::Answer {
            status: self.status.unwrap_or(200),
            content_type: self.content_type.clone().map(Cow::Owned),
            headers: Vec::new(),
            body: self.body.clone().into_bytes(),
        }
    }
}
