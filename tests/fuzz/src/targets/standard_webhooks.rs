//! `webhook-signature: v1,base64 v1a,base64` over id, time and body; the same under `svix-*`.

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::{
    hmac::Key,
    signature::{Ed25519KeyPair, KeyPair},
};
use gatepost::provider;

use super::{
    Target, Verdict, mac,
    request::{self, Draft, NOW, Reference, Request, Sender, seed},
    text::whole_number,
    vectors,
};

pub const TARGET: Target = Target {
    name: "standard_webhooks",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NAMES: &[&str] = &[
    "webhook-signature",
    "webhook-timestamp",
    "webhook-id",
    "svix-signature",
    "svix-timestamp",
    "svix-id",
];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDERS: OnceLock<[Sender; 2]> = OnceLock::new();
    let senders = SENDERS.get_or_init(|| {
        ["standard-webhooks", "svix"].map(|name| {
            let row = provider::find(name).expect("it is in the catalog").clone();
            let public = mac::base64(mac::STANDARD, true, key_pair().public_key().as_ref());
            Sender::new(row, &[SECRET, &format!("whpk_{public}")], NAMES, sign)
        })
    });
    // They differ in which family comes first, which must not make a difference.
    let which = bytes.first().map_or(0, |it| it & 1);
    request::compare(&senders[usize::from(which)], reference, bytes)
}

fn sign(draft: &Draft<'_>, which: u8) -> String {
    let parts = [draft.id, b".", draft.timestamp, b".", draft.body];
    if which == 0 {
        code(&parts)
    } else {
        asymmetric(&parts)
    }
}

pub(super) fn code(parts: &[&[u8]]) -> String {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let material = mac::unbase64(mac::STANDARD, SECRET.trim_start_matches("whsec_").as_bytes());
        Key::new(mac::HMAC_SHA256, &material)
    });
    mac::base64(mac::STANDARD, true, &mac::hmac(key, parts))
}

fn key_pair() -> &'static Ed25519KeyPair {
    static PAIR: OnceLock<Ed25519KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes are a seed"))
}

fn asymmetric(parts: &[&[u8]]) -> String {
    mac::base64(mac::STANDARD, true, key_pair().sign(&parts.concat()).as_ref())
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    let is_there = |names: &[&str]| names.iter().any(|it| request.has(it));
    match (is_there(&NAMES[..3]), is_there(&NAMES[3..])) {
        (true, false) => is_genuine(request, &NAMES[..3], true),
        (false, true) => is_genuine(request, &NAMES[3..], true),
        _ => false,
    }
}

/// Whether the family of headers with these names proves the request.
pub(super) fn is_genuine(request: &Request<'_>, names: &[&str], has_pair: bool) -> bool {
    let [signatures, timestamp, id] = [names[0], names[1], names[2]].map(|it| request.only(it));
    let (Some(signatures), Some(timestamp), Some(id)) = (signatures, timestamp, id) else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(signatures) else {
        return false;
    };
    let (Some(seconds), false) = (whole_number(timestamp), id.is_empty() || id.contains(&b'.')) else {
        return false;
    };
    let parts = [id, b".", timestamp, b".", request.body];
    let mut is_right = false;
    for signature in text.split(' ') {
        let (version, encoded) = signature.split_once(',').unwrap_or((signature, ""));
        let n_bytes = match version {
            "v1" if signature.contains(',') => 32,
            "v1a" if signature.contains(',') => 64,
            // A version that nobody knows yet.
            _ if signature.starts_with(|it: char| it.is_ascii_alphanumeric()) => continue,
            _ => return false,
        };
        let bytes = mac::unbase64(mac::STANDARD, encoded.as_bytes());
        if bytes.len() != n_bytes || mac::base64(mac::STANDARD, true, &bytes) != encoded {
            return false;
        }
        is_right |= if version == "v1" {
            encoded == code(&parts)
        } else {
            has_pair && encoded == asymmetric(&parts)
        };
    }
    is_right && text.split(' ').count() <= 16 && text.len() <= 4096 && request.is_fresh(seconds)
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let now = NOW.to_string();
    let mut seeds = vectors::seeds(folder, "standard-webhooks.json", NAMES);
    seeds.extend(vectors::seeds(folder, "svix.json", NAMES));
    for header in [
        &b"av1,\x01\nb\x05\nc\x06"[..],
        b"dv1,\x01\ne\x05\nf\x06",
        b"av1a,\x02\nb\x05\nc\x06",
        b"av2,x v1,\x01\nb\x05\nc\x06",
        b"av1,\x01 v1a,\x02\nb\x05\nc\x06",
        b"av1,\x01\ne\x05\nc\x06",
        b"av1,\x01  v1,\x01\nb\x05\nc\x06",
        b"av1,\x01 v1,abc\nb\x05\nc\x06",
        b"av1,\x01\nb\x05\nc\x06\nc\x06",
    ] {
        seeds.push(seed(b"msg_1", now.as_bytes(), header, b"{}"));
        seeds.push(seed(b"msg.1", now.as_bytes(), header, b"{}"));
    }
    seeds
}
