//! The `keys` of a row, in words.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    published::Published,
    recipe::{Fault, fault, words::parse_place},
    scheme::Text,
};

/// Either `jwks`, or the rest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::provider) struct Recipe {
    /// The address of a set of keys.
    jwks: Option<String>,
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
        let owned = |them: Vec<String>| them.into_iter().map(Text::Owned).collect();
        match (self.jwks, self.certificate) {
            (Some(url), None) if self.urls.is_empty() && self.issued_to.is_empty() && !self.chain => {
                Some(Published::Jwks {
                    url: Cow::Owned(url),
                    is_own: false,
                })
            }
            (None, Some(place)) if !self.urls.is_empty() && !self.issued_to.is_empty() => {
                Some(Published::Certificate {
                    place: parse_place(&place, KEY, faults)?,
                    urls: owned(self.urls),
                    issued_to: owned(self.issued_to),
                    is_chained: self.chain,
                })
            }
            _ => {
                let hint = "expected `jwks`, or `certificate` with `urls` and `issued_to`";
                faults.push(fault(KEY, "it does not say where the keys are", Some(hint)));
                None
            }
        }
    }
}
