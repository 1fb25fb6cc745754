//! The words of the config, each with what it means.

use std::borrow::Cow;

use crate::provider::{
    header_part::HeaderPart,
    place::Place,
    recipe::{Fault, fault},
    scheme::{Encoding, Function, Hash, Method, SecretEncoding, Text, Unit},
};

pub(super) const HASHES: &[(&str, Method)] = &[
    ("sha256", Method::Hmac(Hash::Sha256)),
    ("sha384", Method::Hmac(Hash::Sha384)),
    ("sha512", Method::Hmac(Hash::Sha512)),
    ("sha1", Method::Hmac(Hash::Sha1)),
    ("md5", Method::Hmac(Hash::Md5)),
    ("plain-md5", Method::Digest(Hash::Md5)),
    ("plain-sha1", Method::Digest(Hash::Sha1)),
    ("plain-sha256", Method::Digest(Hash::Sha256)),
    ("plain-sha384", Method::Digest(Hash::Sha384)),
    ("plain-sha512", Method::Digest(Hash::Sha512)),
    ("plain-keccak256", Method::Digest(Hash::Keccak256)),
    ("ed25519", Method::Ed25519),
    ("ecdsa-p256", Method::EcdsaP256),
    ("ecdsa-p256-sha1", Method::EcdsaP256Sha1),
    ("ecdsa-p521", Method::EcdsaP521Fixed),
    ("rsa-sha1", Method::Rsa(Hash::Sha1)),
    ("rsa-sha256", Method::Rsa(Hash::Sha256)),
    ("rsa-sha512", Method::Rsa(Hash::Sha512)),
    ("rsa-pss-sha512", Method::RsaPss),
];
pub(super) const ENCODINGS: &[(&str, Encoding)] = &[
    ("hex", Encoding::HexLower),
    ("hex-upper", Encoding::HexUpper),
    ("hex-any-case", Encoding::HexAny),
    ("base64", Encoding::Base64),
    ("base64-unpadded", Encoding::Base64Unpadded),
    ("base64url", Encoding::Base64Url),
    ("base64url-unpadded", Encoding::Base64UrlUnpadded),
    ("base64-of-hex", Encoding::Base64OfHex),
    ("base64url-of-hex", Encoding::Base64UrlOfHex),
    ("percent-of-base64", Encoding::PercentOfBase64),
];
/// `none`: what is signed there is no time, or nobody knows in what unit.
pub(super) const UNITS: &[(&str, Option<Unit>)] = &[
    ("s", Some(Unit::Seconds)),
    ("ms", Some(Unit::Millis)),
    ("s-or-ms", Some(Unit::SecondsOrMillis)),
    ("rfc3339", Some(Unit::Rfc3339)),
    ("iso8601", Some(Unit::Iso8601)),
    ("http-date", Some(Unit::HttpDate)),
    ("none", None),
];
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("md5", Function::Hash(Hash::Md5)),
    ("sha1", Function::Hash(Hash::Sha1)),
    ("sha256", Function::Hash(Hash::Sha256)),
    ("sha512", Function::Hash(Hash::Sha512)),
    ("hex", Function::Encode(Encoding::HexLower)),
    ("base64", Function::Encode(Encoding::Base64)),
    ("base64url", Function::Encode(Encoding::Base64UrlUnpadded)),
    ("quoted", Function::Quote),
    ("lower", Function::LowerCase),
    ("upper", Function::UpperCase),
];
pub(super) const SECRET_ENCODINGS: &[(&str, (&str, SecretEncoding))] = &[
    ("text", ("", SecretEncoding::Text)),
    ("base64", ("", SecretEncoding::Base64)),
    ("hex", ("", SecretEncoding::Hex)),
    ("whsec", ("whsec_", SecretEncoding::Base64)),
    ("sha1-of-text", ("", SecretEncoding::HashOfText(Hash::Sha1))),
    ("sha256-of-text", ("", SecretEncoding::HashOfText(Hash::Sha256))),
    ("reversed", ("", SecretEncoding::Reversed)),
    ("public-key", ("", SecretEncoding::PublicKey)),
];
const PLACES: &[(&str, ())] = &[
    ("header", ()),
    ("body", ()),
    ("query", ()),
    ("form", ()),
    ("xml", ()),
];

/// `None` with a fault pushed.
pub(in crate::provider) fn parse_place(text: &str, key: &str, faults: &mut Vec<Fault>) -> Option<Place> {
    let shapes = "expected `header:NAME`, `body:/POINTER`, `query:NAME` or `form:FIELD`";
    if text == "body" {
        return Some(Place::Whole);
    }
    let Some((kind, rest)) = text.split_once(':') else {
        faults.push(fault(key, format!("`{text}` is not a place: {shapes}"), None));
        return None;
    };
    choose(Some(kind), key, PLACES, faults)?;
    let owned = || Cow::Owned(rest.to_owned());
    if rest.is_empty() {
        faults.push(fault(
            key,
            format!("`{text}` ends after the colon: {shapes}"),
            None,
        ));
        return None;
    }
    Some(match kind {
        "header" => match rest.split_once(':') {
            Some((name, part)) if !part.is_empty() => Place::HeaderPart {
                name: Cow::Owned(header_name(name, key, faults).name().to_owned()),
                part: HeaderPart::parse(part),
            },
            _ => header_name(rest, key, faults),
        },
        "query" => Place::Query(owned()),
        "xml" => Place::Xml(owned()),
        "form" => match rest.split_once(':') {
            Some((field, pointer)) => Place::FormJson {
                field: Cow::Owned(field.to_owned()),
                pointer: json_pointer(pointer, key, faults),
            },
            None => Place::Form(owned()),
        },
        _ => Place::Body(json_pointer(rest, key, faults)),
    })
}

pub(in crate::provider) fn json_pointer(text: &str, key: &str, faults: &mut Vec<Fault>) -> Text {
    if !text.starts_with('/') {
        let hint = format!(
            "a JSON pointer starts with a slash: `/{}`",
            text.replace('.', "/")
        );
        faults.push(fault(key, format!("`{text}` is not a JSON pointer"), Some(&hint)));
    }
    Cow::Owned(text.to_owned())
}

pub(super) fn header_name(text: &str, key: &str, faults: &mut Vec<Fault>) -> Place {
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        faults.push(fault(key, format!("`{text}` is not a header name"), None));
    }
    Place::Header(Cow::Owned(text.to_ascii_lowercase()))
}

/// The value that a word stands for; `None` for an absent word, and for an unknown one with a fault pushed.
pub(super) fn choose<T: Copy>(
    text: Option<&str>,
    key: &str,
    known: &[(&str, T)],
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let text = text?;
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    let likeness = |name: &str| strsim::jaro_winkler(&text.to_lowercase(), name);
    let nearest = known
        .iter()
        .map(|(name, _)| *name)
        .filter(|it| likeness(it) >= 0.75)
        .max_by(|left, right| likeness(left).total_cmp(&likeness(right)));
    faults.push(Fault {
        key: key.to_owned(),
        problem: format!("`{text}` is unknown, expected one of {}", names.join(", ")),
        hint: nearest.map(|it| format!("did you mean `{it}`?")),
    });
    None
}
