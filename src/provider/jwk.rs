//! Public keys as a set of them is written (JWK, RFC 7517): to the forms that a signature is checked with.

use serde_json::Value;

use crate::provider::{
    encoding,
    scheme::{Hash, Method},
};

/// A modulus of more bytes is nobody's.
const MAX_MODULUS: usize = 1024;
/// A coordinate on P-521.
const P521_BYTES: usize = 66;

/// What kind of key it is, whatever else the set says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P521,
    Ed25519,
}

impl Kind {
    const fn of(method: Method) -> Option<Self> {
        match method {
            Method::Rsa(_) | Method::RsaPss => Some(Self::Rsa),
            Method::EcdsaP256 | Method::EcdsaP256Sha1 | Method::EcdsaP256Fixed => Some(Self::P256),
            Method::EcdsaP521Fixed => Some(Self::P521),
            Method::Ed25519 => Some(Self::Ed25519),
            Method::Hmac(_) | Method::Digest(_) => None,
        }
    }
}

impl Method {
    /// How the header of a token (`alg`) calls it.
    pub(super) const fn algorithm(self) -> &'static str {
        match self {
            Self::Hmac(Hash::Sha256) => "HS256",
            Self::Hmac(Hash::Sha384) => "HS384",
            Self::Hmac(Hash::Sha512) => "HS512",
            Self::Rsa(Hash::Sha256) => "RS256",
            Self::Rsa(Hash::Sha384) => "RS384",
            Self::Rsa(Hash::Sha512) => "RS512",
            Self::RsaPss => "PS512",
            Self::EcdsaP256 | Self::EcdsaP256Fixed => "ES256",
            Self::EcdsaP521Fixed => "ES512",
            Self::Ed25519 => "EdDSA",
            _ => "?",
        }
    }
}

/// A key that is there to check signatures made by this method; `None` for every other, above all for a shared one (`oct`).
pub(super) fn for_method(key: &Value, method: Method) -> Option<Vec<u8>> {
    let says = |name: &str, wanted: &str| key.get(name).is_none_or(|it| it.as_str() == Some(wanted));
    if !says("use", "sig") || !says("alg", method.algorithm()) {
        return None;
    }
    let (kind, bytes) = read(key)?;
    (Kind::of(method) == Some(kind)).then_some(bytes)
}

/// A public key of any kind that is known here: a point, the 32 bytes of Ed25519, or an `RSAPublicKey` in DER.
pub(super) fn any(key: &Value) -> Option<Vec<u8>> {
    read(key).map(|(_, bytes)| bytes)
}

fn read(key: &Value) -> Option<(Kind, Vec<u8>)> {
    let text = |name: &str| key.get(name)?.as_str();
    let number = |name: &str| encoding::decode_url(text(name)?.as_bytes());
    let coordinate = |name: &str| number(name).filter(|it| it.len() == 32);
    match (text("kty")?, text("crv")) {
        ("RSA", _) => {
            let modulus = number("n").filter(|it| it.len() <= MAX_MODULUS)?;
            let exponent = number("e").filter(|it| it.len() <= 8)?;
            let both = [integer(&modulus), integer(&exponent)].concat();
            Some((Kind::Rsa, der(SEQUENCE, &both)))
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (coordinate("x")?, coordinate("y")?);
            Some((Kind::P256, [&[UNCOMPRESSED], &x[..], &y[..]].concat()))
        }
        ("EC", Some("P-521")) => {
            // Some libraries leave out the zeros that a coordinate begins with.
            let padded = |name: &str| {
                let digits = number(name).filter(|it| it.len() <= P521_BYTES)?;
                Some([&vec![0; P521_BYTES - digits.len()][..], &digits[..]].concat())
            };
            Some((
                Kind::P521,
                [vec![UNCOMPRESSED], padded("x")?, padded("y")?].concat(),
            ))
        }
        ("OKP", Some("Ed25519")) => Some((Kind::Ed25519, coordinate("x")?)),
        _ => None,
    }
}

/// Before the two coordinates of a point.
const UNCOMPRESSED: u8 = 4;
const INTEGER: u8 = 2;
const SEQUENCE: u8 = 0x30;

/// A positive number in DER: as short as it can be, and with a zero before a first bit that would make it negative.
fn integer(big_endian: &[u8]) -> Vec<u8> {
    let n_zeros = big_endian.iter().take_while(|it| **it == 0).count();
    let digits = &big_endian[n_zeros..];
    match digits.first() {
        Some(first) if *first < 0x80 => der(INTEGER, digits),
        _ => der(INTEGER, &[&[0], digits].concat()),
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|it| **it == 0).count()..];
    let mut whole = vec![tag];
    match length {
        [] => whole.push(0),
        [short] if *short < 0x80 => whole.push(*short),
        _ => {
            // At most eight of them, so the number fits into the byte.
            whole.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            whole.extend_from_slice(length);
        }
    }
    whole.extend_from_slice(content);
    whole
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rsa::{KeyPair, KeySize},
        signature::KeyPair as _,
    };
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_rsa_key_is_written_as_the_crypto_library_writes_it() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        // A sequence of a number of 257 bytes, the first a zero, and of one of three.
        let public = pair.public_key().as_ref();
        let (modulus, exponent) = (&public[9..265], &public[267..]);
        let encode = |it: &[u8]| URL_SAFE_NO_PAD.encode(it);
        let key = json!({ "kty": "RSA", "n": encode(modulus), "e": encode(exponent) });
        let method = Method::Rsa(Hash::Sha256);
        assert_eq!(for_method(&key, method).as_deref(), Some(public));
        // A leading zero, which some libraries write, changes nothing.
        let mut with_zero = key.clone();
        with_zero["n"] = encode(&[&[0], modulus].concat()).into();
        assert_eq!(for_method(&with_zero, method), for_method(&key, method));
    }

    #[test]
    fn a10_a_key_is_only_for_what_it_is_for() {
        let zeros = URL_SAFE_NO_PAD.encode([7; 32]);
        let point = json!({ "kty": "EC", "crv": "P-256", "x": zeros, "y": zeros });
        assert!(for_method(&point, Method::EcdsaP256Fixed).is_some());
        let with = |name: &str, value: &str| {
            let mut key = point.clone();
            key[name] = value.into();
            for_method(&key, Method::EcdsaP256Fixed)
        };
        assert!(with("use", "sig").is_some() && with("alg", "ES256").is_some());
        for (name, value) in [
            ("use", "enc"),
            ("alg", "RS256"),
            ("alg", "HS256"),
            ("kty", "RSA"),
            ("kty", "oct"),
            ("crv", "P-384"),
            ("x", "AAAA"),
            ("y", "not base64!"),
        ] {
            assert_eq!(with(name, value), None, "{name} = {value}");
        }
        assert_eq!(for_method(&point, Method::Rsa(Hash::Sha256)), None);
        assert_eq!(for_method(&point, Method::Hmac(Hash::Sha256)), None);
        let shared = json!({ "kty": "oct", "k": zeros });
        assert_eq!(for_method(&shared, Method::Hmac(Hash::Sha256)), None);
        assert_eq!(any(&shared), None);
    }
}
