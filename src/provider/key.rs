//! From an operator's secret to a key: whatever could verify by accident is refused here.

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

use crate::{
    base::secret::Secret,
    provider::{
        BadSecret, Key, Provider, encoding, jwk, mac,
        scheme::{Jwt, Method, Scheme, SecretEncoding, SecretForm, Signature},
    },
};

/// For a secret that is used as it is written, unless the row says otherwise.
pub(super) const MIN_CHARS: usize = 8;
/// From here on nobody is told that a secret is short.
const CHARS_TO_BE_AT_EASE: usize = 16;
/// For a secret that is decoded to bytes.
const MIN_BYTES: usize = 16;
/// An Ed25519 public key.
const PUBLIC_KEY_BYTES: usize = 32;

pub(super) fn decode(provider: &Provider, secret: &Secret) -> Result<Key, BadSecret> {
    if secret.is_blank() {
        return Err(bad("secret is empty", "an empty key would let anybody sign"));
    }
    let bytes = secret.expose();
    let edges = [bytes.first(), bytes.last()];
    // A file in PEM ends with a line end.
    if !bytes.starts_with(b"-----BEGIN") && edges.into_iter().flatten().any(u8::is_ascii_whitespace) {
        return Err(bad(
            "secret starts or ends with white space",
            "remove it: most likely a line end came along when it was copied",
        ));
    }
    for (scheme, it) in provider.schemes.iter().enumerate() {
        let (material, is_public) = match it {
            Scheme::Unverified => {
                return Err(bad("secret is not used", "an unverified source has no secrets"));
            }
            Scheme::Signature(Signature { secrets, .. }) | Scheme::Jwt(Jwt { secrets, .. }) => {
                let Some((form, rest)) = secrets.iter().find_map(|it| it.claim(bytes)) else {
                    continue;
                };
                (form.decode(rest, provider.min_secret)?, form.public)
            }
            Scheme::Token(_) => {
                long_enough(bytes.len(), provider.min_secret, "characters")?;
                (bytes.to_vec(), false)
            }
            Scheme::Basic => {
                let colon = bytes.iter().position(|it| *it == b':');
                let password = bytes.get(colon.map_or(0, |it| it + 1)..).unwrap_or_default();
                if colon.is_none_or(|it| it == 0) {
                    return Err(bad("secret has no user", "write it as `user:password`"));
                }
                long_enough(password.len(), provider.min_secret, "characters after the colon")?;
                (bytes.to_vec(), false)
            }
        };
        return Ok(Key {
            hmacs: if is_public {
                Vec::new()
            } else {
                hmacs(provider, &material)
            },
            material: Secret::new(material),
            scheme,
            is_public,
        });
    }
    let prefixes: Vec<_> = provider
        .schemes
        .iter()
        .flat_map(|it| match it {
            Scheme::Signature(signature) => signature.secrets.as_ref(),
            _ => &[],
        })
        .map(|it| format!("`{}`", it.prefix))
        .collect();
    Err(bad(
        format!("secret has none of the prefixes {}", prefixes.join(", ")),
        "copy it whole, with its prefix",
    ))
}

/// The characters of a secret that is used as it is written, where they are enough to be taken and too few to be at ease.
pub(super) fn few_chars(provider: &Provider, secret: &Secret) -> Option<usize> {
    let bytes = secret.expose();
    let n_chars = provider.schemes.iter().find_map(|it| match it {
        Scheme::Signature(Signature { secrets, .. }) | Scheme::Jwt(Jwt { secrets, .. }) => {
            let (form, rest) = secrets.iter().find_map(|it| it.claim(bytes))?;
            Some(match form.encoding {
                SecretEncoding::Text => rest.strip_prefix(b"whsec_").unwrap_or(rest).len(),
                SecretEncoding::HashOfText(_) | SecretEncoding::Reversed => rest.len(),
                // Of decoded ones none is that short.
                SecretEncoding::Base64
                | SecretEncoding::Hex
                | SecretEncoding::PublicKey
                | SecretEncoding::Root => usize::MAX,
            })
        }
        Scheme::Token(_) => Some(bytes.len()),
        Scheme::Basic => bytes.splitn(2, |it| *it == b':').nth(1).map(<[u8]>::len),
        Scheme::Unverified => None,
    });
    n_chars.filter(|it| *it < CHARS_TO_BE_AT_EASE)
}

/// The key in each HMAC of the provider.
fn hmacs(provider: &Provider, material: &[u8]) -> Vec<mac::Keyed> {
    let methods = provider.schemes.iter().flat_map(|it| match it {
        Scheme::Signature(it) => it.accepted.iter().map(|it| it.method).collect(),
        Scheme::Jwt(it) => vec![it.method],
        Scheme::Token(_) | Scheme::Basic | Scheme::Unverified => Vec::new(),
    });
    let mut hmacs: Vec<mac::Keyed> = Vec::new();
    for method in methods {
        if let Method::Hmac(hash) = method
            && !hmacs.iter().any(|it| it.hash() == hash)
        {
            hmacs.extend(mac::Keyed::new(hash, material));
        }
    }
    hmacs
}

impl SecretForm {
    /// What is left of a secret of this form without the prefix.
    fn claim<'s>(&self, secret: &'s [u8]) -> Option<(&Self, &'s [u8])> {
        match secret.strip_prefix(self.prefix.as_bytes()) {
            Some(rest) => Some((self, rest)),
            None if self.prefix_required => None,
            None => Some((self, secret)),
        }
    }

    /// `min_chars` holds for a text that is not decoded.
    fn decode(&self, text: &[u8], min_chars: usize) -> Result<Vec<u8>, BadSecret> {
        if text.is_empty() {
            return Err(bad(
                format!("secret is only the prefix `{}`", self.prefix),
                "copy it whole: the key comes after the prefix",
            ));
        }
        if text.starts_with(b"whsk_") {
            return Err(bad(
                "secret is a private key (`whsk_`), expected the public one",
                "use the sender's public key, which starts with `whpk_`; the private one belongs to the sender alone",
            ));
        }
        let bytes = match self.encoding {
            SecretEncoding::Text => {
                let rest = text.strip_prefix(b"whsec_").unwrap_or(text);
                long_enough(rest.len(), min_chars, "characters")?;
                return Ok(text.to_vec());
            }
            SecretEncoding::PublicKey => return public_key(text),
            SecretEncoding::Root => {
                let certificate = CertificateDer::from_pem_slice(text).ok();
                return certificate.map(|it| it.to_vec()).ok_or_else(|| {
                    bad(
                        "not a certificate",
                        "expected PEM (`-----BEGIN CERTIFICATE-----`); copy it whole",
                    )
                });
            }
            SecretEncoding::HashOfText(hash) => {
                long_enough(text.len(), min_chars, "characters")?;
                return Ok(mac::digest(hash, text).map_or_else(Vec::new, |it| it.as_slice().to_vec()));
            }
            SecretEncoding::Reversed => {
                long_enough(text.len(), min_chars, "characters")?;
                return Ok(text.iter().rev().copied().collect());
            }
            _ if self.public && (text.starts_with(b"-----BEGIN") || text.starts_with(b"{")) => {
                return public_key(text);
            }
            // A JWK writes a public key in the other alphabet.
            SecretEncoding::Base64 => encoding::decode_secret(text)
                .or_else(|| encoding::decode_url(text).filter(|_| self.public))
                .ok_or_else(|| bad("secret is not base64", "copy it again, whole and without quotes"))?,
            // The decoder's own error would show a character of the secret.
            SecretEncoding::Hex => hex::decode(text)
                .ok()
                .ok_or_else(|| bad("secret is not hex", "copy it again, whole and without quotes"))?,
        };
        if self.public && bytes.len() != PUBLIC_KEY_BYTES {
            return Err(bad(
                format!(
                    "public key has {} bytes, expected {PUBLIC_KEY_BYTES}",
                    bytes.len()
                ),
                "copy it again, whole",
            ));
        }
        long_enough(bytes.len(), MIN_BYTES, "bytes once decoded")?;
        Ok(bytes)
    }
}

/// A key that is written as a JWK.
fn from_jwk(text: &[u8]) -> Result<Vec<u8>, BadSecret> {
    let key: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    key.as_ref().and_then(jwk::any).ok_or_else(|| {
        bad(
            "not a JWK of a public key",
            "expected RSA, P-256 or Ed25519, as in `{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"...\",\"y\":\"...\"}`; copy it whole",
        )
    })
}

/// A public key in DER (SPKI), out of what senders show: PEM of a key or of a certificate, or base64 without the lines around it.
fn public_key(text: &[u8]) -> Result<Vec<u8>, BadSecret> {
    let is_certificate = text.windows(27).any(|it| it == b"-----BEGIN CERTIFICATE-----");
    let der = if is_certificate {
        let certificate = CertificateDer::from_pem_slice(text).ok();
        certificate.and_then(|it| {
            let (_, parsed) = X509Certificate::from_der(&it).ok()?;
            Some(parsed.public_key().raw.to_vec())
        })
    } else if text.starts_with(b"{") {
        return from_jwk(text);
    } else if text.starts_with(b"-----BEGIN") {
        SubjectPublicKeyInfoDer::from_pem_slice(text)
            .ok()
            .map(|it| it.to_vec())
    } else {
        encoding::decode_secret(text)
    };
    der.filter(|it| SubjectPublicKeyInfo::from_der(it).is_ok()).ok_or_else(|| {
        bad(
            "not a public key",
            "expected PEM (`-----BEGIN PUBLIC KEY-----` or a certificate) or the base64 of a key in DER; copy it whole",
        )
    })
}

fn long_enough(len: usize, min: usize, unit: &str) -> Result<(), BadSecret> {
    if len >= min {
        return Ok(());
    }
    Err(bad(
        format!("secret has {len} {unit}, expected at least {min}"),
        "a short key can be guessed; make a long random one at the sender and copy it whole",
    ))
}

fn bad(problem: impl Into<String>, hint: impl Into<String>) -> BadSecret {
    BadSecret {
        problem: problem.into(),
        hint: hint.into(),
    }
}
