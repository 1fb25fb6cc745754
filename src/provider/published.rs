//! The keys that senders publish: where, which of them a request names, and what was fetched made into keys.
//!
//! Nothing here fetches. An address is the row's own, or one that a request names and that has exactly a form of the row's.

use serde_json::Value;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    provider::{
        Call, Key, Provider, Refusal,
        address::has_form,
        certificate, jwk, jwt,
        place::Place,
        scheme::{List, Method, Scheme, SecretForm, Text},
        verify::reader_of,
    },
};

/// The keys that a sender publishes and signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub at: Address,
    pub form: Form,
}

/// Where they are. No other address is ever asked for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Always here.
    Fixed(Text),
    /// The operator named it, and may have it in a private network.
    Own(Text),
    /// The request names it.
    Named {
        place: Place,
        /// The forms that it may have: `https://sns.{region}.amazonaws.com/{name}.pem`.
        urls: List<Text>,
    },
}

/// How they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A set of them (JWKS, RFC 7517).
    Jwks {
        /// Where a request says which it is. Without it: where a signed token says so (`kid`), and any of them in other requests.
        id: Option<Place>,
    },
    /// A certificate in PEM.
    Certificate {
        /// The forms of the name that it is issued to.
        issued_to: List<Text>,
        /// It leads to a root that is trusted, with what comes beside it. Some senders serve no chain: what makes theirs
        /// trusted is that the pinned host served it.
        is_chained: bool,
    },
}

/// A published key, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyName {
    pub url: String,
    /// Which of a set; `None` where the request does not say.
    pub id: Option<String>,
}

/// The keys that were at an address.
#[derive(Debug)]
pub struct Found {
    /// Each with its id in the set.
    keys: Vec<(Option<String>, Key)>,
    /// When they run out by themselves.
    pub until: Option<Timestamp>,
    /// What must lead to a trusted root before they are used.
    pub chain: Option<Chain>,
}

/// Certificates in DER, the signer's first, and the name that it was issued to.
#[derive(Debug)]
pub struct Chain {
    pub certificates: Vec<Vec<u8>>,
    pub name: String,
}

const MAX_KEYS: usize = 64;
const MAX_ID: usize = 256;

impl Found {
    /// The keys that the id may mean: all of them where the request gives none, or the set has none.
    pub fn named(&self, id: Option<&str>) -> Vec<Key> {
        let has_ids = self.keys.iter().any(|(it, _)| it.is_some());
        let is_meant = |it: &Option<String>| !has_ids || id.is_none() || it.as_deref() == id;
        let meant = self.keys.iter().filter(|(it, _)| is_meant(it));
        meant.map(|(_, key)| key.clone()).collect()
    }
}

impl Provider {
    /// The key that the request says it is signed with, of those that its sender publishes. `None` where it shows no signature, or
    /// nothing is published: then it is refused without one.
    pub fn key_named(&self, call: &Call<'_>) -> Result<Option<KeyName>, Refusal> {
        let Some(published) = &self.published else {
            return Ok(None);
        };
        let reader = reader_of(self, call);
        let Some(scheme) = self.schemes.iter().find(|it| it.is_shown(&reader)) else {
            return Ok(None);
        };
        let text_at = |place: &Place| {
            let text = reader.once(place)?.ok_or_else(|| Refusal::PartMissing {
                place: format!("`{place}`"),
            })?;
            String::from_utf8(text.into_owned()).map_err(|_binary| Refusal::MalformedPart {
                place: format!("`{place}`"),
                problem: "it is no text".to_owned(),
            })
        };
        let id = match (&published.form, scheme) {
            (Form::Jwks { id: Some(place) }, _) => Some(text_at(place)?),
            (Form::Jwks { id: None }, Scheme::Jwt(jwt)) => jwt::key_id(jwt, call)?,
            _ => None,
        };
        if id.as_ref().is_some_and(|it| it.len() > MAX_ID) {
            return Err(Refusal::ForeignKey {
                problem: format!("its id has over {MAX_ID} bytes"),
            });
        }
        let url = match &published.at {
            Address::Fixed(url) | Address::Own(url) => url.clone().into_owned(),
            Address::Named { place, urls } => {
                let url = text_at(place)?;
                if !urls.iter().any(|it| has_form(&url, it)) {
                    return Err(Refusal::ForeignKey {
                        problem: format!(
                            "{place} has none of the addresses that this sender has for its keys"
                        ),
                    });
                }
                url
            }
        };
        Ok(Some(KeyName { url, id }))
    }

    /// Makes keys of what was fetched. Errors say what is wrong with it, as in "it is not JSON".
    pub fn published_keys(&self, body: &[u8], now: Timestamp) -> Result<Found, String> {
        let Some((scheme, method)) = self.public_scheme() else {
            return Err("nothing of this sender is signed with a key that it publishes".to_owned());
        };
        let key = |material: Vec<u8>| Key {
            material: Secret::new(material),
            hmacs: Vec::new(),
            scheme,
            is_public: true,
        };
        match self.published.as_ref().map(|it| &it.form) {
            None => Err("this sender publishes no keys".to_owned()),
            Some(Form::Jwks { .. }) => {
                let keys = set(body)?.into_iter().filter_map(|it| {
                    let id = it.get("kid").and_then(Value::as_str).map(str::to_owned);
                    Some((id, key(jwk::for_method(&it, method)?)))
                });
                let keys: Vec<_> = keys.collect();
                if keys.is_empty() {
                    return Err(format!("it holds no key for {}", method.algorithm()));
                }
                Ok(Found {
                    keys,
                    until: None,
                    chain: None,
                })
            }
            Some(Form::Certificate {
                issued_to,
                is_chained,
            }) => {
                let found = certificate::read(body, issued_to, now)?;
                Ok(Found {
                    keys: vec![(None, key(found.key))],
                    until: Some(found.until),
                    chain: is_chained.then_some(Chain {
                        certificates: found.chain,
                        name: found.name,
                    }),
                })
            }
        }
    }

    /// Its first scheme whose keys are public, and how that one signs.
    fn public_scheme(&self) -> Option<(usize, Method)> {
        let is_public = |forms: &[SecretForm]| !forms.is_empty() && forms.iter().all(|it| it.public);
        self.schemes.iter().enumerate().find_map(|(idx, it)| match it {
            Scheme::Signature(it) if is_public(&it.secrets) => Some((idx, it.accepted.first()?.method)),
            Scheme::Jwt(it) if is_public(&it.secrets) => Some((idx, it.method)),
            _ => None,
        })
    }

    /// Whether it could be told where its sender's keys are.
    pub fn has_public_keys(&self) -> bool {
        self.public_scheme().is_some()
    }

    /// The keys of a set (JWKS) that the operator has, each as a secret by itself.
    pub fn secrets_of_set(&self, text: &[u8]) -> Result<Vec<Secret>, String> {
        let (_, method) = self
            .public_scheme()
            .ok_or("this sender signs with no key that could be in a set")?;
        let is_fit = |it: &Value| jwk::for_method(it, method).is_some();
        let keys: Vec<_> = set(text)?.into_iter().filter(is_fit).collect();
        if keys.is_empty() {
            return Err(format!("it holds no key for {}", method.algorithm()));
        }
        Ok(keys.iter().map(|it| Secret::new(it.to_string())).collect())
    }
}

/// The keys of a set, each as it stands there.
fn set(text: &[u8]) -> Result<Vec<Value>, String> {
    let whole: Value = serde_json::from_slice(text).map_err(|_malformed| "it is not JSON".to_owned())?;
    let keys = match whole {
        Value::Object(mut whole) => whole.remove("keys"),
        _ => None,
    };
    match keys {
        Some(Value::Array(keys)) if keys.len() > MAX_KEYS => Err(format!("it holds over {MAX_KEYS} keys")),
        Some(Value::Array(keys)) => Ok(keys),
        _ => Err("it is not a set of keys: expected `{\"keys\":[...]}`".to_owned()),
    }
}
