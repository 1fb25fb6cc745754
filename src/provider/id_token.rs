//! The tokens that an OpenID provider signs (JWT in the compact form): their signature alone. What a claim means is for the asker.
//!
//! Here the token names its algorithm, unlike in `jwt`: a provider exchanges keys and their kind as it likes. So the algorithm picks among
//! those of public keys, and the key must be of its kind.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::provider::{
    encoding, jwk, jwt,
    mac::{self, Piece},
    scheme::{Hash, Method},
};

/// Somebody in a thousand groups still fits.
const MAX_TOKEN: usize = 64 * 1024;
/// A set of more keys is nobody's.
const MAX_KEYS: usize = 64;

const METHODS: [Method; 7] = [
    Method::Rsa(Hash::Sha256),
    Method::Rsa(Hash::Sha384),
    Method::Rsa(Hash::Sha512),
    Method::RsaPss,
    Method::EcdsaP256Fixed,
    Method::EcdsaP521Fixed,
    Method::Ed25519,
];

/// Why nothing in a token is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("it is no signed token")]
    Malformed,
    #[error(
        "it is signed in a way that is not known here: expected RS256, RS384, RS512, PS512, ES256, ES512 or EdDSA"
    )]
    Algorithm,
    /// The provider may have a new one.
    #[error("no key of the provider fits it")]
    NoKey,
    #[error("none of the provider's keys signed it")]
    Signature,
}

/// What a token claims, once one of these keys (a JWKS) is known to have signed it.
pub fn claims(token: &str, keys: &Value) -> Result<Map<String, Value>, BadToken> {
    let (header, claims, signature) = parts(token).ok_or(BadToken::Malformed)?;
    let signed = &token[..token.len() - signature.len() - 1];
    let header = jwt::object(header).ok_or(BadToken::Malformed)?;
    let signature = encoding::decode_url(signature.as_bytes()).ok_or(BadToken::Malformed)?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let method = METHODS.into_iter().find(|it| it.algorithm() == algorithm);
    // What must be understood (`crit`) is not.
    let method = method
        .filter(|_| !header.contains_key("crit"))
        .ok_or(BadToken::Algorithm)?;
    let mut fitting = keys_for(keys, header.get("kid"), method).peekable();
    if fitting.peek().is_none() {
        return Err(BadToken::NoKey);
    }
    let message = [Piece::Bytes(Cow::Borrowed(signed.as_bytes()))];
    if !fitting.any(|key| mac::is_signed_by(method, &key, &message, &signature)) {
        return Err(BadToken::Signature);
    }
    jwt::object(claims).ok_or(BadToken::Malformed)
}

fn parts(token: &str) -> Option<(&str, &str, &str)> {
    let mut parts = token.split('.');
    let found = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && token.len() <= MAX_TOKEN).then_some(found)
}

/// Those of its kind, and of the name that the token gives, where it gives one.
fn keys_for<'k>(
    keys: &'k Value,
    name: Option<&'k Value>,
    method: Method,
) -> impl Iterator<Item = Vec<u8>> + use<'k> {
    let keys = keys.get("keys").and_then(Value::as_array);
    let keys = keys.into_iter().flatten().take(MAX_KEYS);
    keys.filter(move |it| name.is_none() || it.get("kid") == name)
        .filter_map(move |it| jwk::for_method(it, method))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
    };
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
        }

        fn key(&self, name: &str) -> Value {
            let point = self.0.public_key().as_ref();
            json!({ "kty": "EC", "crv": "P-256", "kid": name, "x": encode(&point[1..33]), "y": encode(&point[33..]) })
        }

        fn sign(&self, header: &Value) -> String {
            let claims = json!({ "sub": "ann" });
            let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", encode(signature))
        }
    }

    #[test]
    fn a_token_is_believed_under_a_key_of_its_kind_and_name_alone() {
        let (ours, other) = (Signer::new(), Signer::new());
        let keys = json!({ "keys": [other.key("old"), ours.key("new")] });
        let check = |token: &str, expected: Result<&str, BadToken>| {
            let found = claims(token, &keys).map(|it| it["sub"].as_str().unwrap().to_owned());
            assert_eq!(found, expected.map(str::to_owned), "{token}");
        };
        let good = ours.sign(&json!({ "alg": "ES256", "kid": "new" }));
        check(&good, Ok("ann"));
        check(&ours.sign(&json!({ "alg": "ES256" })), Ok("ann"));
        for (header, expected) in [
            (json!({ "alg": "ES256", "kid": "old" }), BadToken::Signature),
            (json!({ "alg": "ES256", "kid": "newer" }), BadToken::NoKey),
            (json!({ "alg": "RS256", "kid": "new" }), BadToken::NoKey),
            (json!({ "alg": "none" }), BadToken::Algorithm),
            (json!({ "alg": "HS256", "kid": "new" }), BadToken::Algorithm),
            (json!({ "alg": "ES256", "crit": ["b64"] }), BadToken::Algorithm),
            (json!({}), BadToken::Algorithm),
            (json!([]), BadToken::Malformed),
        ] {
            check(&ours.sign(&header), Err(expected));
        }
        check(
            &Signer::new().sign(&json!({ "alg": "ES256" })),
            Err(BadToken::Signature),
        );
        let (head, _) = good.rsplit_once('.').unwrap();
        for bad in ["", "a", "a.b", "a.b.c", &format!("{good}.x"), &"a".repeat(70_000)] {
            check(bad, Err(BadToken::Malformed));
        }
        check(&format!("{head}."), Err(BadToken::Signature));
        let forged = encode(json!({ "sub": "admin" }).to_string());
        let mut parts: Vec<_> = good.split('.').collect();
        parts[1] = &forged;
        check(&parts.join("."), Err(BadToken::Signature));
    }

    #[test]
    fn a_set_without_keys_proves_nothing() {
        let token = Signer::new().sign(&json!({ "alg": "ES256" }));
        for keys in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "keys": {} }),
            json!({ "keys": [1, null] }),
        ] {
            assert_eq!(claims(&token, &keys), Err(BadToken::NoKey), "{keys}");
        }
    }
}
