//! The `keys` of a row, in words.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    published::{Address, Form, Published},
    recipe::{Fault, fault, words::parse_place},
    scheme::Text,
};

/// One of `jwks`, `jwks_at` and `certificate`, and what goes with it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    /// The address of a set of keys.
    jwks: Option<String>,
    /// Where a request names that address.
    jwks_at: Option<String>,
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
        let is_certificate = self.certificate.is_some();
        let at = match (self.jwks, self.jwks_at, self.certificate) {
            (Some(url), None, None) if self.urls.is_empty() => Address::Fixed(Cow::Owned(url)),
            (None, Some(place), None) | (None, None, Some(place)) if !self.urls.is_empty() => {
                Address::Named {
                    place: parse_place(&place, KEY, faults)?,
                    urls: owned(self.urls),
                }
            }
            _ => {
                let hint = "expected `jwks`, or `jwks_at` or `certificate` with `urls`";
                faults.push(fault(KEY, "it does not say where the keys are", Some(hint)));
                return None;
            }
        };
        let form = if is_certificate {
            Form::Certificate {
                issued_to: owned(self.issued_to),
                is_chained: self.chain,
            }
        } else {
            Form::Jwks {
                id: self.id.and_then(|it| parse_place(&it, KEY, faults)),
            }
        };
        Some(Published { at, form })
    }
}
