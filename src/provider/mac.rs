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

/// The signature that the message has under a secret; `None` for methods that a receiver cannot compute.
pub(super) fn compute(method: Method, secret: &[u8], message: &[Piece<'_>]) -> Option<Bytes> {
    const ANY_KEY: &str = "HMAC takes keys of every length";
    match method {
        Method::Hmac(Hash::Md5) => feed(
            Hmac::<Md5>::new_from_slice(secret).expect(ANY_KEY),
            secret,
            message,
        ),
        Method::Hmac(Hash::Sha1) => feed(
            Hmac::<Sha1>::new_from_slice(secret).expect(ANY_KEY),
            secret,
            message,
        ),
        Method::Hmac(Hash::Sha256) => feed(
            Hmac::<Sha256>::new_from_slice(secret).expect(ANY_KEY),
            secret,
            message,
        ),
        Method::Hmac(Hash::Sha384) => feed(
            Hmac::<Sha384>::new_from_slice(secret).expect(ANY_KEY),
            secret,
            message,
        ),
        Method::Hmac(Hash::Sha512) => feed(
            Hmac::<Sha512>::new_from_slice(secret).expect(ANY_KEY),
            secret,
            message,
        ),
        Method::Digest(Hash::Md5) => feed(Md5::default(), secret, message),
        Method::Digest(Hash::Sha1) => feed(Sha1::default(), secret, message),
        Method::Digest(Hash::Sha256) => feed(Sha256::default(), secret, message),
        Method::Digest(Hash::Sha384) => feed(Sha384::default(), secret, message),
        Method::Digest(Hash::Sha512) => feed(Sha512::default(), secret, message),
        Method::Digest(Hash::Keccak256) => feed(Keccak256::default(), secret, message),
        // Nobody uses the one, and the others take a key that only the sender has.
        Method::Hmac(Hash::Keccak256)
        | Method::Ed25519
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
