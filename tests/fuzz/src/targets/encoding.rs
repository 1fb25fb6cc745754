//! Signatures as text: every encoding with every hash, each with one spelling.

use std::{path::Path, sync::OnceLock, time::Duration};

use aws_lc_rs::hmac;
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        self, Call, Key, Provider,
        scheme::{Encoding, Hash, Method, Scheme},
    },
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    mac::{self, STANDARD, URL_SAFE},
    request::edit,
};

pub const TARGET: Target = Target {
    name: "encoding",
    run: |bytes| compare(is_spelling, bytes),
    seeds,
};

const SECRET: &str = "a secret of enough characters";
const HASHES: [Hash; 4] = [Hash::Sha256, Hash::Sha1, Hash::Sha384, Hash::Sha512];
const ENCODINGS: [Encoding; 10] = [
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

struct Sender {
    row: Provider,
    keys: Vec<Key>,
    hash: Hash,
    encoding: Encoding,
    /// The signature of nothing.
    right: Vec<u8>,
}

fn sender(hash: Hash, encoding: Encoding) -> Sender {
    let mut row = provider::find("hmac").expect("it is in the catalog").clone();
    if let Scheme::Signature(signature) = &mut row.schemes.to_mut()[0] {
        let accepted = &mut signature.accepted.to_mut()[0];
        (accepted.method, accepted.encoding) = (Method::Hmac(hash), encoding);
    }
    let keys = vec![row.key(&Secret::new(SECRET)).expect("it is a secret")];
    let algorithm = match hash {
        Hash::Sha1 => mac::SHA1,
        Hash::Sha256 => mac::HMAC_SHA256,
        Hash::Sha384 => mac::HMAC_SHA384,
        Hash::Sha512 => mac::HMAC_SHA512,
        Hash::Md5 | Hash::Keccak256 => unreachable!("the reference has neither"),
    };
    let right = mac::hmac(&hmac::Key::new(algorithm, SECRET.as_bytes()), &[]);
    Sender {
        row,
        keys,
        hash,
        encoding,
        right,
    }
}

/// Whether a text spells exactly these bytes.
pub(crate) type Reference = fn(Encoding, &[u8], &[u8]) -> bool;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDERS: OnceLock<Vec<Sender>> = OnceLock::new();
    let senders = SENDERS.get_or_init(|| {
        let pairs = ENCODINGS
            .iter()
            .flat_map(|encoding| HASHES.map(|hash| (hash, *encoding)));
        pairs.map(|(hash, encoding)| sender(hash, encoding)).collect()
    });
    let mut input = Input::new(bytes);
    let Sender {
        row,
        keys,
        hash,
        encoding,
        right,
    } = input.pick(senders);
    let encoding = *encoding;
    let mode = input.byte() % 8;
    let text = match mode {
        // Of these bytes, whatever they are.
        0 => {
            let mut code = input.rest().to_vec();
            code.resize(right.len(), 0);
            write(encoding, &code).into_bytes()
        }
        1 => input.rest().to_vec(),
        // The right one, damaged some times.
        n_edits => {
            let mut text = write(encoding, right).into_bytes();
            for _ in 2..n_edits {
                let [op, at, value] = input.array();
                edit(&mut text, op, usize::from(at), value);
            }
            text
        }
    };
    let headers = Headers::from_pairs([("x-signature", &text[..])]);
    let call = Call {
        method: "POST",
        url: None,
        target: "/",
        headers: &headers,
        body: b"",
    };
    let verdict = row.verify(keys, &call, None::<Duration>, Timestamp::EPOCH);
    let code = match &verdict {
        Ok(_) => "verified",
        Err(refusal) => refusal.code(),
    };
    let expected = if reference(encoding, &text, right) {
        "verified"
    } else if well_formed(encoding, &text, hash.n_bytes()).is_some() {
        "signature_mismatch"
    } else {
        "malformed_signature"
    };
    ensure!(
        code == expected,
        "{encoding:?} `{}` is {code}, expected {expected}",
        text.escape_ascii()
    );
    ensure!(
        mode != 0 || code != "malformed_signature",
        "what is encoded cannot be decoded"
    );
    Ok(())
}

pub(crate) fn is_spelling(encoding: Encoding, text: &[u8], code: &[u8]) -> bool {
    let is_any_case = encoding == Encoding::HexAny;
    let written = write(encoding, code);
    text == written.as_bytes() || (is_any_case && text.eq_ignore_ascii_case(written.as_bytes()))
}

fn write(encoding: Encoding, code: &[u8]) -> String {
    match encoding {
        Encoding::HexLower | Encoding::HexAny => mac::hex(code),
        Encoding::HexUpper => mac::hex(code).to_uppercase(),
        Encoding::Base64 => mac::base64(STANDARD, true, code),
        Encoding::Base64Unpadded => mac::base64(STANDARD, false, code),
        Encoding::Base64Url => mac::base64(URL_SAFE, true, code),
        Encoding::Base64UrlUnpadded => mac::base64(URL_SAFE, false, code),
        Encoding::Base64OfHex => mac::base64(STANDARD, true, mac::hex(code).as_bytes()),
        Encoding::Base64UrlOfHex => mac::base64(URL_SAFE, true, mac::hex(code).as_bytes()),
        Encoding::PercentOfBase64 => in_form(&mac::base64(STANDARD, true, code)),
    }
}

fn in_form(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

fn out_of_form(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
}

/// The bytes that a text is the one spelling of: read in any way, written again, it must be the same.
fn well_formed(encoding: Encoding, text: &[u8], n_bytes: usize) -> Option<Vec<u8>> {
    let code = match encoding {
        Encoding::HexLower | Encoding::HexUpper | Encoding::HexAny => mac::unhex(text),
        Encoding::Base64 | Encoding::Base64Unpadded => mac::unbase64(STANDARD, text),
        Encoding::Base64Url | Encoding::Base64UrlUnpadded => mac::unbase64(URL_SAFE, text),
        Encoding::Base64OfHex => mac::unhex(&mac::unbase64(STANDARD, text)),
        Encoding::Base64UrlOfHex => mac::unhex(&mac::unbase64(URL_SAFE, text)),
        Encoding::PercentOfBase64 => mac::unbase64(STANDARD, out_of_form(text).as_bytes()),
    };
    (code.len() == n_bytes && is_spelling(encoding, text, &code)).then_some(code)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for which in 0..40 {
        seeds.push(joined(&[which, 2], &[]));
        seeds.push(joined(&[which, 3, 0, 1, 0x20], &[]));
        seeds.push(joined(&[which, 3, 2, 43, 0], &[]));
        seeds.push(joined(&[which, 3, 4, 43, 0], &[]));
        seeds.push(joined(&[which, 0], &[b"\xff\x00\xab"]));
        seeds.push(joined(
            &[which, 1],
            &[b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
        ));
    }
    seeds
}
