//! Signatures as text: strict, each value in one spelling.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::provider::scheme::Encoding;

/// As long as the longest signature: SHA-512 and Ed25519.
pub(super) const MAX_SIGNATURE: usize = 64;

const PADDED: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
    .with_decode_allow_trailing_bits(false);
const UNPADDED: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::RequireNone)
    .with_decode_allow_trailing_bits(false);

static BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PADDED);
static BASE64_UNPADDED: GeneralPurpose = GeneralPurpose::new(&STANDARD, UNPADDED);
static BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, PADDED);
static BASE64_URL_UNPADDED: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, UNPADDED);
/// For the operator's secrets, which people copy with and without padding.
static BASE64_SECRET: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a signature, or of a computed one. Has no `==` on purpose: `verify` compares.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    buffer: [u8; MAX_SIGNATURE],
    len: usize,
}

impl Bytes {
    /// `None` if there are more than any signature has.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut buffer = [0; MAX_SIGNATURE];
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            buffer,
            len: bytes.len(),
        })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

/// A signature of RSA with 4,096 bits.
const MAX_LONG: usize = 512;

/// Decodes a signature whose length varies; `None` for other spellings of it, as `decode`.
pub(super) fn decode_long(encoding: Encoding, text: &[u8]) -> Option<Vec<u8>> {
    let engine = match encoding {
        Encoding::PercentOfBase64 => return decode_long(Encoding::Base64, &without_percent(text)?),
        Encoding::Base64 => &BASE64,
        Encoding::Base64Unpadded => &BASE64_UNPADDED,
        Encoding::Base64Url => &BASE64_URL,
        Encoding::Base64UrlUnpadded => &BASE64_URL_UNPADDED,
        Encoding::HexLower => {
            let is_lower = text.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
            return hex::decode(text)
                .ok()
                .filter(|it| is_lower && it.len() <= MAX_LONG);
        }
        _ => return None,
    };
    engine
        .decode(text)
        .ok()
        .filter(|it| (8..=MAX_LONG).contains(&it.len()))
}

/// Decodes a signature of exactly `len` bytes; `None` for every text that is not the one spelling of such bytes.
pub(super) fn decode(encoding: Encoding, text: &[u8], len: usize) -> Option<Bytes> {
    let mut buffer = [0_u8; 3 * MAX_SIGNATURE];
    let decoded = match encoding {
        Encoding::HexLower => from_hex(&HEX_LOWER, text, buffer.get_mut(..len)?)?,
        Encoding::HexUpper => from_hex(&HEX_UPPER, text, buffer.get_mut(..len)?)?,
        Encoding::HexAny => from_hex(&HEX_ANY, text, buffer.get_mut(..len)?)?,
        Encoding::Base64 => from_base64(&BASE64, text, &mut buffer)?,
        Encoding::Base64Unpadded => from_base64(&BASE64_UNPADDED, text, &mut buffer)?,
        Encoding::Base64Url => from_base64(&BASE64_URL, text, &mut buffer)?,
        Encoding::Base64UrlUnpadded => from_base64(&BASE64_URL_UNPADDED, text, &mut buffer)?,
        Encoding::Base64OfHex | Encoding::Base64UrlOfHex => {
            let engine = if encoding == Encoding::Base64OfHex {
                &BASE64
            } else {
                &BASE64_URL
            };
            let hex = from_base64(engine, text, &mut buffer)?;
            return decode(Encoding::HexLower, hex, len);
        }
        Encoding::PercentOfBase64 => from_base64(&BASE64, &without_percent(text)?, &mut buffer)?,
    };
    Bytes::new(decoded).filter(|it| it.len == len)
}

/// What each byte is worth as a hex digit.
type Digits = [u8; 256];

const NO_DIGIT: u8 = 0xff;
static HEX_LOWER: Digits = digits(true, false);
static HEX_UPPER: Digits = digits(false, true);
static HEX_ANY: Digits = digits(true, true);

const fn digits(takes_lower: bool, takes_upper: bool) -> Digits {
    let mut table = [NO_DIGIT; 256];
    let mut value: u8 = 0;
    while value < 16 {
        if takes_lower {
            table[b"0123456789abcdef"[value as usize] as usize] = value;
        }
        if takes_upper {
            table[b"0123456789ABCDEF"[value as usize] as usize] = value;
        }
        value += 1;
    }
    table
}

/// Fills the buffer; `None` unless the text is exactly that many bytes in digits of the table.
fn from_hex<'b>(digits: &Digits, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    if text.len() != 2 * buffer.len() {
        return None;
    }
    let mut seen = 0;
    for (byte, pair) in buffer.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (digits[usize::from(pair[0])], digits[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    // A digit has four bits; the mark of what is none has eight.
    (seen < 16).then_some(buffer)
}

fn from_base64<'b>(engine: &GeneralPurpose, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let len = engine.decode_slice(text, buffer).ok()?;
    buffer.get(..len)
}

/// What base64 has that a form does not, and how that is written there.
const IN_FORMS: [(&str, &str); 3] = [("+", "%2B"), ("/", "%2F"), ("=", "%3D")];

/// Base64 out of a form. Any other `%` is left for its decoder to stumble over.
fn without_percent(text: &[u8]) -> Option<Vec<u8>> {
    let mut text = str::from_utf8(text).ok()?.to_owned();
    for (plain, written) in IN_FORMS {
        if text.contains(plain) {
            return None;
        }
        text = text.replace(written, plain);
    }
    Some(text.into_bytes())
}

pub(super) fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::HexLower | Encoding::HexAny => hex::encode(bytes),
        Encoding::HexUpper => hex::encode_upper(bytes),
        Encoding::Base64 => BASE64.encode(bytes),
        Encoding::Base64Unpadded => BASE64_UNPADDED.encode(bytes),
        Encoding::Base64Url => BASE64_URL.encode(bytes),
        Encoding::Base64UrlUnpadded => BASE64_URL_UNPADDED.encode(bytes),
        Encoding::Base64OfHex => BASE64.encode(hex::encode(bytes)),
        Encoding::Base64UrlOfHex => BASE64_URL.encode(hex::encode(bytes)),
        Encoding::PercentOfBase64 => IN_FORMS
            .iter()
            .fold(BASE64.encode(bytes), |text, (plain, written)| {
                text.replace(plain, written)
            }),
    }
}

/// What a signature of `len` bytes looks like, for messages.
pub(super) fn describe(encoding: Encoding, len: Option<usize>) -> String {
    let n_chars = match len {
        Some(len) => encode(encoding, &[0; MAX_SIGNATURE][..len.min(MAX_SIGNATURE)])
            .len()
            .to_string(),
        None => "some".to_owned(),
    };
    let kind = match encoding {
        Encoding::HexLower => "lower-case hex digits",
        Encoding::HexUpper => "upper-case hex digits",
        Encoding::HexAny => "hex digits",
        Encoding::Base64 => "characters of padded base64",
        Encoding::Base64Unpadded => "characters of unpadded base64",
        Encoding::Base64Url => "characters of padded base64url",
        Encoding::Base64UrlUnpadded => "characters of unpadded base64url",
        Encoding::Base64OfHex => "characters of base64 of hex",
        Encoding::Base64UrlOfHex => "characters of base64url of hex",
        Encoding::PercentOfBase64 => "characters of padded base64 with `%2B`, `%2F` and `%3D`",
    };
    format!("{n_chars} {kind}")
}

/// A base64 credential as `Authorization: Basic` carries it.
pub(super) fn decode_basic(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

pub(super) fn encode_basic(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// A part of a JWT.
pub(super) fn decode_url(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_URL_UNPADDED.decode(text).ok()
}

pub(super) fn decode_secret(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_SECRET.decode(text).ok()
}

#[cfg(test)]
pub(super) const ALL: [Encoding; 10] = [
    Encoding::HexLower,
    Encoding::HexUpper,
    Encoding::HexAny,
    Encoding::Base64,
    Encoding::Base64Unpadded,
    Encoding::Base64Url,
    Encoding::Base64UrlUnpadded,
    Encoding::Base64OfHex,
    Encoding::Base64UrlOfHex,
    Encoding::PercentOfBase64,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a20_every_other_spelling_is_refused() {
        let bytes = [0xab; 32];
        let lower = "ab".repeat(32);
        for text in [
            lower.to_uppercase(),
            format!("0x{lower}"),
            format!(" {lower}"),
            format!("{lower} "),
            format!("{lower}ab"),
            lower[..62].to_owned(),
            format!("Ab{}", &lower[2..]),
            String::new(),
            "é".repeat(32),
        ] {
            assert!(
                decode(Encoding::HexLower, text.as_bytes(), 32).is_none(),
                "{text}"
            );
        }
        let padded = encode(Encoding::Base64, &bytes);
        assert!(padded.ends_with("6s="), "{padded}");
        for text in [
            padded.trim_end_matches('=').to_owned(),
            // The last character carries two bits that mean nothing: they must be zero.
            padded.replace("6s=", "6t="),
            padded.replace('=', "=="),
            format!("{padded}="),
            format!("{padded}\n"),
            format!(" {padded}"),
            padded.replacen('q', "-", 1),
        ] {
            assert!(decode(Encoding::Base64, text.as_bytes(), 32).is_none(), "{text}");
        }
        let percent = encode(Encoding::PercentOfBase64, &[0xfb; 256]);
        assert!(
            percent.starts_with("%2B") && percent.ends_with("%2Bw%3D%3D"),
            "{percent}"
        );
        let long = |text: &str| decode_long(Encoding::PercentOfBase64, text.as_bytes());
        assert_eq!(long(&percent).as_deref(), Some(&[0xfb; 256][..]));
        for text in [
            percent.replacen("%2B", "+", 1),
            percent.replacen("%2B", "%2b", 1),
            percent.replacen("%2B", "%252B", 1),
            percent.replacen('w', "%77", 1),
            percent.replace("%3D", "="),
            percent.replace("%3D", ""),
            format!("{percent}%"),
        ] {
            assert!(long(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a20_a_long_signature_has_one_spelling_and_a_length_within_bounds() {
        let long = |encoding, n_bytes: usize| {
            let bytes = vec![0xfb; n_bytes];
            let back = decode_long(encoding, encode(encoding, &bytes).as_bytes());
            assert!(back.as_ref().is_none_or(|it| *it == bytes), "{encoding:?}");
            back.is_some()
        };
        for encoding in [
            Encoding::Base64,
            Encoding::Base64Unpadded,
            Encoding::Base64Url,
            Encoding::Base64UrlUnpadded,
            Encoding::PercentOfBase64,
        ] {
            let taken = [7, 8, 512, 513].map(|it| long(encoding, it));
            assert_eq!(taken, [false, true, true, false], "{encoding:?}");
        }
        assert!(long(Encoding::HexLower, 512) && !long(Encoding::HexLower, 513));
        for text in ["ABCDEF0123456789", "aBcdef0123456789", "abcdef012345678"] {
            assert!(
                decode_long(Encoding::HexLower, text.as_bytes()).is_none(),
                "{text}"
            );
        }
        for encoding in [
            Encoding::HexUpper,
            Encoding::HexAny,
            Encoding::Base64OfHex,
            Encoding::Base64UrlOfHex,
        ] {
            assert!(!long(encoding, 256), "{encoding:?}");
        }
    }

    #[test]
    fn an_operator_reads_what_a_signature_looks_like() {
        for (encoding, len, expected) in [
            (Encoding::HexLower, Some(32), "64 lower-case hex digits"),
            (Encoding::HexUpper, Some(20), "40 upper-case hex digits"),
            (Encoding::Base64, Some(32), "44 characters of padded base64"),
            (
                Encoding::Base64Unpadded,
                Some(32),
                "43 characters of unpadded base64",
            ),
            (Encoding::Base64OfHex, Some(32), "88 characters of base64 of hex"),
            (
                Encoding::Base64UrlUnpadded,
                None,
                "some characters of unpadded base64url",
            ),
        ] {
            assert_eq!(describe(encoding, len), expected);
        }
    }

    proptest! {
        #[test]
        fn a20_decode_of_encode_is_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..=64)) {
            for encoding in ALL {
                let text = encode(encoding, &bytes);
                let back = decode(encoding, text.as_bytes(), bytes.len()).unwrap();
                prop_assert_eq!(back.as_slice(), &bytes[..]);
            }
        }

        #[test]
        fn a20_whatever_decodes_is_the_one_spelling(text in "([0-9a-zA-Z+/=_-]|%2B|%2F|%3D){0,90}", len in 0_usize..=64) {
            for encoding in ALL {
                if let Some(bytes) = decode(encoding, text.as_bytes(), len) {
                    let again = encode(encoding, bytes.as_slice());
                    if encoding == Encoding::HexAny {
                        prop_assert_eq!(again, text.to_lowercase());
                    } else {
                        prop_assert_eq!(&again, &text);
                    }
                }
            }
        }

        #[test]
        fn a20_no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300), len in 0_usize..=80) {
            for encoding in ALL {
                let _ = decode(encoding, &text, len);
            }
        }
    }
}
