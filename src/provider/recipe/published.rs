//! The `keys` of a row, in words.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    published::{Address, Form, Published},
    recipe::{Fault, fault, words::parse_place},
    scheme::Text,
};

/// Either `jwks`, perhaps with `id`, or the rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    /// The address of a set of keys.
    jwks: Option<String>,
    /// Where a request says which of a set it is, if in no token.
    id: Option<String>,
    /// Where a request names the address of a certificate.
    certificate: Option<String>,
    /// The forms of that address; `{name}` is letters, digits and hyphens, `{region}` a region of AWS.
    urls: Vec<String>,
    /// The forms of the name that the certificate is issued to.
    issued_to: Vec<String>,
    /// The certificate comes with those that lead to a trusted root.
    chain: bool,
}

const KEY: &str = "keys";

impl Recipe {
    pub(in crate::provider) fn published(self, faults: &mut Vec<Fault>) -> Option<Published> {
        for url in self.jwks.iter().chain(&self.urls) {
            if !url.starts_with("https://") {
                faults.push(fault(
                    KEY,
                    format!("`{url}` does not begin with `https://`"),
                    None,
                ));
            }
        }
        if self.certificate.is_some() == self.issued_to.is_empty() {
            let hint = "a certificate is of use only if it is known to whom it must be issued";
            faults.push(fault(
                KEY,
                "`certificate` and `issued_to` go together",
                Some(hint),
            ));
        }
        let owned = |them: Vec<String>| them.into_iter().map(Text::Owned).collect();
        match (self.jwks, self.certificate) {
            (Some(url), None) if self.urls.is_empty() => Some(Published {
                at: Address::Fixed(Cow::Owned(url)),
                form: Form::Jwks {
                    id: self.id.and_then(|it| parse_place(&it, KEY, faults)),
                },
            }),
            (None, Some(place)) if !self.urls.is_empty() => Some(Published {
                at: Address::Named {
                    place: parse_place(&place, KEY, faults)?,
                    urls: owned(self.urls),
                },
                form: Form::Certificate {
                    issued_to: owned(self.issued_to),
                    is_chained: self.chain,
                },
            }),
            _ => {
                let hint = "expected `jwks`, or `certificate` with `urls`";
                faults.push(fault(KEY, "it does not say where the keys are", Some(hint)));
                None
            }
        }
    }
}
