//! Signatures by another library than gatepost's, and their spellings by hand.

use std::fmt::Write;

use aws_lc_rs::{digest, hmac};

pub(super) use aws_lc_rs::hmac::{
    HMAC_SHA1_FOR_LEGACY_USE_ONLY as SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512,
};

pub(super) fn hmac(key: &hmac::Key, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

pub(super) fn digest(algorithm: &'static digest::Algorithm, text: &[u8]) -> Vec<u8> {
    digest::digest(algorithm, text).as_ref().to_vec()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing into text does not fail");
    }
    text
}

pub(super) const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
pub(super) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn base64(alphabet: &[u8; 64], is_padded: bool, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, it| (bits << 8) | u32::from(*it)) << (8 * (3 - three.len()));
        for idx in 0..4 {
            if idx <= three.len() {
                text.push(char::from(alphabet[(bits >> (18 - 6 * idx)) as usize & 63]));
            } else if is_padded {
                text.push('=');
            }
        }
    }
    text
}

/// The bytes that a base64 text stands for, whatever is wrong with how it is written.
pub(super) fn unbase64(alphabet: &[u8; 64], text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut bits, mut n_bits) = (0_u32, 0);
    for c in text {
        let Some(six) = alphabet.iter().position(|it| it == c) else {
            continue;
        };
        bits = ((bits << 6) | six as u32) & 0xffff;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    bytes
}

/// The same for hex.
pub(super) fn unhex(text: &[u8]) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap_or(0) as u8;
    text.chunks_exact(2)
        .map(|it| (digit(it[0]) << 4) | digit(it[1]))
        .collect()
}
