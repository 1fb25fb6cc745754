//! A certificate that a sender published: is it in force, to whom was it issued, which key does it hold.
//!
//! Whether it leads to a root that is trusted is for `egress` to say, which knows the roots.

use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::{
    base::clock::Timestamp,
    provider::{address::has_form, scheme::Text},
};

/// More of them are no chain.
const MAX_CERTIFICATES: usize = 8;

#[derive(Debug)]
pub(super) struct Certificate {
    /// The public key in DER (SPKI).
    pub(super) key: Vec<u8>,
    /// Of its names the one that has a form that was asked for.
    pub(super) name: String,
    pub(super) until: Timestamp,
    /// In DER: this one first, then those that came with it.
    pub(super) chain: Vec<Vec<u8>>,
}

/// `issued_to` are the forms of the names that it may have. Errors say what is wrong with it.
pub(super) fn read(pem: &[u8], issued_to: &[Text], now: Timestamp) -> Result<Certificate, String> {
    let chain: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem)
        .take(MAX_CERTIFICATES + 1)
        .map(|it| it.map(|it| it.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is not PEM: {error:?}"))?;
    if chain.len() > MAX_CERTIFICATES {
        return Err(format!("it holds more than {MAX_CERTIFICATES} certificates"));
    }
    let first = chain.first().ok_or("it holds no certificate")?;
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|error| format!("its certificate cannot be read: {error}"))?;
    let valid = parsed.validity();
    let at = |seconds: i64| Timestamp::from_unix_seconds(seconds);
    let (from, until) = (at(valid.not_before.timestamp()), at(valid.not_after.timestamp()));
    if now < from || now > until {
        return Err(format!("its certificate is in force from {from} to {until}"));
    }
    let has_wanted_form = |name: &&String| issued_to.iter().any(|it| has_form(name, it));
    let names = names(&parsed);
    let name = names.iter().find(has_wanted_form).cloned().ok_or_else(|| {
        format!(
            "its certificate was issued to `{}`, expected `{}`",
            names.join("`, `").escape_debug(),
            issued_to.join("` or `")
        )
    })?;
    Ok(Certificate {
        key: parsed.public_key().raw.to_vec(),
        name,
        until,
        chain,
    })
}

/// The DNS names that it was issued to; its common name where it has none.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = alternative
        .iter()
        .flat_map(|it| &it.value.general_names)
        .filter_map(|it| match it {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name();
    common
        .filter_map(|it| it.as_str().ok().map(str::to_owned))
        .collect()
}
