//! Computes what a signature has to be. Borrows the body, never copies it (but for public keys, which want it in one piece).

use std::borrow::Cow;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use hmac::{Hmac, KeyInit, digest::FixedOutput};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use sha3::Keccak256;

use crate::provider::{
    Key,
    encoding::Bytes,
    scheme::{Hash, Method},
};

/// A piece of the signed text, ready to be hashed.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Bytes(Cow<'a, [u8]>),
    /// Whatever key is being tried.
    Secret,
}

impl<'a> Piece<'a> {
    pub(super) fn bytes<'s: 'r, 'r>(&'r self, secret: &'s [u8]) -> &'r [u8]
    where
        'a: 'r,
    {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Secret => secret,
        }
    }
}

/// An HMAC that has taken in its key: made once for a key, and copied for each message, which spares two blocks of hashing.
#[derive(Debug, Clone)]
pub(super) enum Keyed {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Keyed {
    /// `None` for a hash that no sender makes an HMAC of.
    pub(super) fn new(hash: Hash, secret: &[u8]) -> Option<Self> {
        const ANY_KEY: &str = "HMAC takes keys of every length";
        Some(match hash {
            Hash::Md5 => Self::Md5(Hmac::new_from_slice(secret).expect(ANY_KEY)),
            Hash::Sha1 => Self::Sha1(Hmac::new_from_slice(secret).expect(ANY_KEY)),
            Hash::Sha256 => Self::Sha256(Hmac::new_from_slice(secret).expect(ANY_KEY)),
            Hash::Sha384 => Self::Sha384(Hmac::new_from_slice(secret).expect(ANY_KEY)),
            Hash::Sha512 => Self::Sha512(Hmac::new_from_slice(secret).expect(ANY_KEY)),
            Hash::Keccak256 => return None,
        })
    }

    pub(super) const fn hash(&self) -> Hash {
        match self {
            Self::Md5(_) => Hash::Md5,
            Self::Sha1(_) => Hash::Sha1,
            Self::Sha256(_) => Hash::Sha256,
            Self::Sha384(_) => Hash::Sha384,
            Self::Sha512(_) => Hash::Sha512,
        }
    }

    fn compute(&self, secret: &[u8], message: &[Piece<'_>]) -> Option<Bytes> {
        match self {
            Self::Md5(mac) => feed(mac.clone(), secret, message),
            Self::Sha1(mac) => feed(mac.clone(), secret, message),
            Self::Sha256(mac) => feed(mac.clone(), secret, message),
            Self::Sha384(mac) => feed(mac.clone(), secret, message),
            Self::Sha512(mac) => feed(mac.clone(), secret, message),
        }
    }
}

impl Key {
    /// The signature that the message has under this key; `None` for methods that a receiver cannot compute.
    pub(super) fn mac(&self, method: Method, message: &[Piece<'_>]) -> Option<Bytes> {
        let secret = self.material.expose();
        let keyed = self.hmacs.iter().find(|it| method == Method::Hmac(it.hash()));
        match keyed {
            Some(keyed) => keyed.compute(secret, message),
            None => compute(method, secret, message),
        }
    }
}

/// The same under a secret that is no key yet.
pub(super) fn compute(method: Method, secret: &[u8], message: &[Piece<'_>]) -> Option<Bytes> {
    match method {
        Method::Hmac(hash) => Keyed::new(hash, secret)?.compute(secret, message),
        Method::Digest(Hash::Md5) => feed(Md5::default(), secret, message),
        Method::Digest(Hash::Sha1) => feed(Sha1::default(), secret, message),
        Method::Digest(Hash::Sha256) => feed(Sha256::default(), secret, message),
        Method::Digest(Hash::Sha384) => feed(Sha384::default(), secret, message),
        Method::Digest(Hash::Sha512) => feed(Sha512::default(), secret, message),
        Method::Digest(Hash::Keccak256) => feed(Keccak256::default(), secret, message),
        // They take a key that only the sender has.
        Method::Ed25519
        | Method::EcdsaP256
        | Method::EcdsaP256Sha1
        | Method::EcdsaP256Fixed
        | Method::EcdsaP521Fixed
        | Method::Rsa(_)
        | Method::RsaPss => None,
    }
}

/// The bare hash of some bytes.
pub(super) fn digest(hash: Hash, bytes: &[u8]) -> Option<Bytes> {
    compute(Method::Digest(hash), &[], &[Piece::Bytes(Cow::Borrowed(bytes))])
}

fn feed(mut mac: impl FixedOutput, secret: &[u8], message: &[Piece<'_>]) -> Option<Bytes> {
    #[cfg(test)]
    count::ONE.with(|it| it.set(it.get() + 1));
    for piece in message {
        mac.update(piece.bytes(secret));
    }
    Bytes::new(&mac.finalize_fixed())
}

/// A message in one piece.
pub(super) fn join(message: &[Piece<'_>], secret: &[u8]) -> Vec<u8> {
    message.iter().flat_map(|it| it.bytes(secret)).copied().collect()
}

/// Whether a public key says that the message was signed.
pub(super) fn is_signed_by(
    method: Method,
    public_key: &[u8],
    message: &[Piece<'_>],
    signature: &[u8],
) -> bool {
    let whole = join(message, &[]);
    let algorithm: &dyn VerificationAlgorithm = match method {
        Method::Ed25519 => &ED25519,
        Method::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        Method::EcdsaP256Sha1 => &ECDSA_P256_SHA1_ASN1,
        Method::EcdsaP256Fixed => &ECDSA_P256_SHA256_FIXED,
        Method::EcdsaP521Fixed => &ECDSA_P521_SHA512_FIXED,
        // The sender has nothing newer.
        Method::Rsa(Hash::Sha1) => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Method::Rsa(Hash::Sha256) => &RSA_PKCS1_2048_8192_SHA256,
        Method::Rsa(Hash::Sha384) => &RSA_PKCS1_2048_8192_SHA384,
        Method::Rsa(Hash::Sha512) => &RSA_PKCS1_2048_8192_SHA512,
        Method::RsaPss => &RSA_PSS_2048_8192_SHA512,
        Method::Rsa(Hash::Md5 | Hash::Keccak256) | Method::Hmac(_) | Method::Digest(_) => return false,
    };
    UnparsedPublicKey::new(algorithm, public_key)
        .verify(&whole, signature)
        .is_ok()
}

/// How often something was hashed, so that a test can say how little a forger makes us compute.
#[cfg(test)]
pub(super) mod count {
    use std::cell::Cell;

    thread_local!(pub(super) static ONE: Cell<usize> = const { Cell::new(0) });

    pub(in crate::provider) fn during(work: impl FnOnce()) -> usize {
        let before = ONE.get();
        work();
        ONE.get() - before
    }
}
