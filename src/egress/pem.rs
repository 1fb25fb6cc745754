//! Certificates and keys as operators have them: PEM.

use std::{fmt, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::base::{clock::Timestamp, secret::Secret};

/// What a client shows of itself: certificates, its own first, and the key to it. Clones share them.
#[derive(Clone)]
pub struct Identity(Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// What is no PEM, or another. Says nothing of what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPem {
    #[error("it holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    #[error("it holds no private key in PEM (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
}

/// All certificates (DER) of a text, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, BadPem> {
    Ok(chain(pem)?.iter().map(|it| it.to_vec()).collect())
}

/// When the first certificate of a text ends.
pub fn ends_at(pem: &[u8]) -> Option<Timestamp> {
    let chain = chain(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(Timestamp::from_unix_seconds(seconds))
}

/// The private key of a text, as PKCS #8 (DER).
pub fn private_key(pem: &[u8]) -> Result<Secret, BadPem> {
    match PrivatePkcs8KeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(Secret::new(key.secret_pkcs8_der())),
        Err(_) => Err(BadPem::NoKey),
    }
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadPem> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|it| !it.is_empty())
        .ok_or(BadPem::NoCertificate)
}

impl Identity {
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, BadPem> {
        let chain = chain(certificates)?;
        let Ok(key) = PrivateKeyDer::from_pem_slice(key) else {
            return Err(BadPem::NoKey);
        };
        Ok(Self(Arc::new((chain, key))))
    }

    pub(crate) fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let (chain, key) = &*self.0;
        (chain.clone(), key.clone_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pem_is_named_and_not_shown() {
        for text in [
            "",
            "hunter2",
            "-----BEGIN CERTIFICATE-----\n!hunter2!\n-----END CERTIFICATE-----\n",
        ] {
            let bad = certificates(text.as_bytes()).unwrap_err();
            assert_eq!(bad, BadPem::NoCertificate);
            assert!(!bad.to_string().contains("hunter2"));
        }
        let one = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(certificates(one).unwrap(), [[0x30, 0x00]]);
        assert_eq!(Identity::new(one, b"hunter2").unwrap_err(), BadPem::NoKey);
        assert_eq!(Identity::new(b"", b"").unwrap_err(), BadPem::NoCertificate);
        assert_eq!(private_key(b"hunter2").unwrap_err(), BadPem::NoKey);
    }
}
