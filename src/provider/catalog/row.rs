//! One block of `rows/*.toml`, made into a `Provider`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    Confidence, Provider,
    catalog::samples,
    key,
    place::{Place, Reading},
    recipe::{
        Fault,
        credentials::{TokenRecipe, token_at},
        handshake,
        hmac::{HmacRecipe, signature},
        jwt, published, standard_webhooks,
        words::{json_pointer, parse_place},
    },
    scheme::{List, Scheme, SecretForm},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// As people write it.
    name: String,
    docs: Option<String>,
    /// Where the facts come from: packages with their versions, documents, repositories at a commit.
    #[serde(default)]
    facts: Vec<String>,
    confidence: Confidence,
    /// How to register gatepost there.
    register: Option<String>,
    /// What an operator should know besides.
    note: Option<String>,
    /// Without it `secrets`, or `public_key` for senders with a key pair.
    key_option: Option<String>,
    /// Where its sender publishes its keys.
    keys: Option<published::Recipe>,
    /// By which its events come besides POST.
    #[serde(default)]
    methods: Vec<String>,
    /// The fewest characters of a secret, for senders whose own are shorter than others'.
    min_secret: Option<usize>,
    /// Several: the first that a request shows counts, in this order.
    #[serde(default)]
    hmac: Many<HmacRecipe>,
    standard_webhooks: Option<standard_webhooks::Recipe>,
    #[serde(default)]
    token: Many<TokenRecipe>,
    jwt: Option<jwt::Recipe>,
    #[serde(default)]
    basic: bool,
    /// It signs nothing.
    #[serde(default)]
    unverified: bool,
    /// Places; of several the first that is there. `header:x-topic + body:/event` are two that make one name.
    #[serde(default)]
    event_id: Many<String>,
    #[serde(default)]
    event_type: Many<String>,
    #[serde(default)]
    event_time: Many<String>,
    #[serde(default)]
    resource: Many<String>,
    #[serde(default)]
    handshake: Many<handshake::Recipe>,
    answer: Option<handshake::AnswerRecipe>,
}

/// One of something, or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Many<T> {
    One(T),
    Several(Vec<T>),
}

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl<T> Many<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::One(it) => std::slice::from_ref(it),
            Self::Several(them) => them,
        }
    }
}

impl Row {
    pub(super) fn provider(self, name: String) -> Result<Provider, Vec<Fault>> {
        let mut faults = Vec::new();
        let jwt = self.jwt.and_then(|it| it.jwt(&mut faults));
        let token = jwt.as_ref().map(|it| &it.place);
        let event_id = readings(&self.event_id, "event_id", token, &mut faults);
        let event_type = readings(&self.event_type, "event_type", token, &mut faults);
        let event_time = readings(&self.event_time, "event_time", token, &mut faults);
        let resource = readings(&self.resource, "resource", token, &mut faults);
        let id = event_id.first().and_then(|it| match it {
            Reading::At(place @ Place::Header(_)) => Some(place.clone()),
            _ => None,
        });
        let mut schemes = Vec::new();
        if let Some(recipe) = &self.standard_webhooks {
            schemes.push(Scheme::Signature(recipe.signature(&mut faults)));
        }
        for recipe in self.hmac.as_slice() {
            schemes.push(Scheme::Signature(signature(recipe, id.clone(), &mut faults)));
        }
        for recipe in self.token.as_slice() {
            schemes.extend(token_at(recipe, &mut faults).map(Scheme::Token));
        }
        schemes.extend(jwt.map(Scheme::Jwt));
        if self.basic {
            schemes.push(Scheme::Basic);
        }
        if self.unverified {
            schemes.push(Scheme::Unverified);
        }
        let register = self.register.unwrap_or_else(|| {
            format!(
                "In the webhook settings of {}: the URL of this source. Its documentation says where, and where the secret is shown.",
                self.name
            )
        });
        let is_public = |it: &SecretForm| it.public;
        let has_key_pair = schemes.first().is_some_and(|it| match it {
            Scheme::Signature(it) => it.secrets.iter().all(is_public),
            Scheme::Jwt(it) => it.secrets.iter().all(is_public),
            _ => false,
        });
        let key_option = if has_key_pair { "public_key" } else { "secrets" };
        let provider = Provider {
            key_option: self.key_option.map_or(Cow::Borrowed(key_option), Cow::Owned),
            sample: samples::of(&name),
            name: Cow::Owned(name),
            title: Cow::Owned(self.name),
            docs: self.docs.map(Cow::Owned),
            facts: self.facts.into_iter().map(Cow::Owned).collect(),
            confidence: self.confidence,
            register: Cow::Owned(register),
            note: self.note.map(Cow::Owned),
            schemes: Cow::Owned(schemes),
            published: self.keys.and_then(|it| it.published(&mut faults)),
            methods: self.methods.into_iter().map(Cow::Owned).collect(),
            min_secret: self.min_secret.unwrap_or(key::MIN_CHARS),
            event_id,
            event_type,
            event_time,
            resource,
            handshakes: self
                .handshake
                .as_slice()
                .iter()
                .map(|it| it.handshake(&mut faults))
                .collect(),
            acknowledgement: self.answer.map(|it| it.answer()),
        };
        if faults.is_empty() {
            Ok(provider)
        } else {
            Err(faults)
        }
    }
}

/// `token` is where the row's token is, for what stands in its claims.
fn readings(
    texts: &Many<String>,
    key: &str,
    token: Option<&Place>,
    faults: &mut Vec<Fault>,
) -> List<Reading> {
    let mut place = |text: &str| match (text.strip_prefix("claim:"), token) {
        (Some(claim), Some(token)) => {
            let pointers = claim.split(':').map(|it| json_pointer(it, key, faults));
            Some(Place::Claim {
                token: Box::new(token.clone()),
                pointers: pointers.collect(),
            })
        }
        _ => parse_place(text, key, faults),
    };
    let reading = |text: &String| {
        let mut places: Vec<_> = text.split(" + ").filter_map(&mut place).collect();
        match places.len() {
            1 => Reading::At(places.remove(0)),
            _ => Reading::Joined {
                places: Cow::Owned(places),
                separator: Cow::Borrowed("."),
            },
        }
    };
    texts.as_slice().iter().map(reading).collect()
}
