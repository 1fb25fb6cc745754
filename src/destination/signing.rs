//! Standard Webhooks signatures on the way out.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::secret::Secret;

/// Shorter keys can be guessed from one signed message.
pub const MIN_SECRET: usize = 16;

/// With or without padding: both are seen in the wild.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is not a signing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("what follows `whsec_` is not base64")]
    NotBase64,
    #[error("it has {found} bytes, at least {MIN_SECRET} are needed")]
    TooShort { found: usize },
    #[error("it starts with `{prefix}`, which marks an asymmetric key; only shared secrets are supported")]
    Asymmetric { prefix: &'static str },
    #[error("it begins or ends with white space")]
    WhiteSpace,
}

/// Signs with one secret. The key is prepared once.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// `whsec_` and base64, as the standard has it; or plain text, whose bytes are the key.
    pub fn new(secret: &Secret) -> Result<Self, BadSecret> {
        let text = secret.expose();
        if text.trim_ascii().len() != text.len() {
            return Err(BadSecret::WhiteSpace);
        }
        for prefix in ["whsk_", "whpk_"] {
            if text.starts_with(prefix.as_bytes()) {
                return Err(BadSecret::Asymmetric { prefix });
            }
        }
        let decoded;
        let key = match text.strip_prefix(b"whsec_") {
            Some(code) => {
                // What the decoder says names a byte of the secret.
                let Ok(bytes) = BASE64.decode(code) else {
                    return Err(BadSecret::NotBase64);
                };
                decoded = Secret::new(bytes);
                decoded.expose()
            }
            None => text,
        };
        if key.len() < MIN_SECRET {
            return Err(BadSecret::TooShort { found: key.len() });
        }
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        Ok(Self(mac))
    }

    /// The value of `webhook-signature`: over id, time and body, joined by dots.
    pub fn sign(&self, id: impl fmt::Display, unix_seconds: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{unix_seconds}.").as_bytes());
        mac.update(body);
        let mut value = String::with_capacity(47);
        value.push_str("v1,");
        BASE64.encode_string(mac.finalize().into_bytes(), &mut value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::EventId;

    #[test]
    fn a_message_is_signed_as_the_standard_says() {
        // Made with Python's hmac module.
        let id: EventId = "evt_00000000000000000000000001".parse().unwrap();
        let signer = Signer::new(&Secret::new(*b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        assert_eq!(
            signer.sign(id, 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,z+o0fX465XTvAYt5tiyNTD36hokVufosVPgSQz3OzME="
        );
        let plain = Signer::new(&Secret::new(*b"a plain text of enough bytes")).unwrap();
        assert_eq!(
            plain.sign(id, 1_614_265_330, b"\xff\x00"),
            "v1,FZtTDMEpbn0lafiS2FU9hfJbFvgOoIxUUbhiAlljNJc="
        );
    }

    #[test]
    fn padding_does_not_matter() {
        let id: EventId = "evt_00000000000000000000000001".parse().unwrap();
        let sign = |text: &[u8]| Signer::new(&Secret::new(text)).unwrap().sign(id, 1, b"x");
        assert_eq!(
            sign(b"whsec_MDEyMzQ1Njc4OWFiY2RlZg=="),
            sign(b"whsec_MDEyMzQ1Njc4OWFiY2RlZg")
        );
    }

    #[test]
    fn bad_secrets_are_refused() {
        let cases: &[(&[u8], BadSecret)] = &[
            (b"", BadSecret::TooShort { found: 0 }),
            (b"fifteen bytes..", BadSecret::TooShort { found: 15 }),
            (b"whsec_", BadSecret::TooShort { found: 0 }),
            (b"whsec_c2hvcnQ=", BadSecret::TooShort { found: 5 }),
            (b"whsec_!!!!not base64!!!!!!!!!!", BadSecret::NotBase64),
            (b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", BadSecret::WhiteSpace),
            (b" a plain text of enough bytes", BadSecret::WhiteSpace),
            (
                b"whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                BadSecret::Asymmetric { prefix: "whsk_" },
            ),
        ];
        for (text, expected) in cases {
            let res = Signer::new(&Secret::new(*text));
            assert_eq!(res.unwrap_err(), *expected, "{}", String::from_utf8_lossy(text));
        }
    }
}
