//! Certificates that a token brings along (`x5c`): they count only if they lead to the root that the operator gave.

use std::time::Duration;

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime},
};
use serde_json::Value;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{
    base::clock::Timestamp,
    provider::{encoding, scheme::Text},
};

/// The certificates of a token's `x5c`, in DER, the signer's first; `None` where there are not as many.
pub(super) fn read(x5c: Option<&Value>, n_certificates: usize) -> Option<Vec<Vec<u8>>> {
    let texts = x5c?.as_array().filter(|it| it.len() == n_certificates)?;
    let decode = |it: &Value| encoding::decode_secret(it.as_str()?.as_bytes());
    texts.iter().map(decode).collect()
}

/// The public key of the first one, in DER (SPKI). `marks` are extensions, by number, of which the first must be in the first
/// certificate, and so on: what tells the root's other uses apart.
pub(super) fn key_of(chain: &[Vec<u8>], root: &[u8], marks: &[Text], now: Timestamp) -> Option<Vec<u8>> {
    let (first, rest) = chain.split_first()?;
    let root = CertificateDer::from(root);
    let signer = CertificateDer::from(first.as_slice());
    let between: Vec<_> = rest
        .iter()
        .map(|it| CertificateDer::from(it.as_slice()))
        .collect();
    let seconds = u64::try_from(now.as_unix_seconds()).ok()?;
    EndEntityCert::try_from(&signer)
        .ok()?
        .verify_for_usage(
            aws_lc_rs::default_provider()
                .signature_verification_algorithms
                .all,
            &[anchor_from_trusted_cert(&root).ok()?],
            &between,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .ok()?;
    let is_marked = chain.iter().zip(marks).all(|(it, mark)| has_extension(it, mark));
    let (_, parsed) = X509Certificate::from_der(first).ok()?;
    is_marked.then(|| parsed.public_key().raw.to_vec())
}

fn has_extension(certificate: &[u8], number: &str) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
        let mut extensions = parsed.extensions().iter();
        extensions.any(|it| it.oid.to_id_string() == number)
    })
}
