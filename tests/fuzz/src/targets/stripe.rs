//! `Stripe-Signature: t=1767225600,v1=...,v1=...`

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::hmac::Key;
use gatepost::provider;

use super::{
    Target, Verdict, mac,
    request::{self, Draft, NOW, Reference, Request, Sender, seed},
    text::whole_number,
    vectors,
};

pub const TARGET: Target = Target {
    name: "stripe",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SECRET: &str = "whsec_test_8f0b1c2d3e4f";
const NAMES: &[&str] = &["stripe-signature"];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDER: OnceLock<Sender> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let row = provider::find("stripe").expect("it is in the catalog").clone();
        Sender::new(row, &[SECRET], NAMES, |draft, _| sign(draft))
    });
    request::compare(sender, reference, bytes)
}

fn sign(draft: &Draft<'_>) -> String {
    signature(draft.timestamp, draft.body)
}

fn signature(timestamp: &[u8], body: &[u8]) -> String {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::new(mac::HMAC_SHA256, SECRET.as_bytes()));
    mac::hex(&mac::hmac(key, &[timestamp, b".", body]))
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    is_genuine(request, &|found, right| found == right)
}

/// With the comparison of two signatures as an argument, so that a test can hand in a wrong one.
pub(crate) fn is_genuine(request: &Request<'_>, is_same: &dyn Fn(&str, &str) -> bool) -> bool {
    let Some(Ok(header)) = request.only("stripe-signature").map(std::str::from_utf8) else {
        return false;
    };
    let fields: Option<Vec<_>> = header.split(',').map(|it| it.split_once('=')).collect();
    let Some(fields) = fields.filter(|it| it.len() <= 32 && header.len() <= 4096) else {
        return false;
    };
    let is_name = |it: &str| !it.is_empty() && it.chars().all(|c| c.is_ascii_graphic());
    let named = |wanted| {
        fields
            .iter()
            .filter(move |(name, _)| *name == wanted)
            .map(|(_, value)| *value)
    };
    let (times, signatures) = (named("t").collect::<Vec<_>>(), named("v1").collect::<Vec<_>>());
    let is_hex = |it: &&str| it.len() == 64 && it.bytes().all(|c| b"0123456789abcdef".contains(&c));
    let [time] = times[..] else {
        return false;
    };
    let Some(seconds) = whole_number(time.as_bytes()) else {
        return false;
    };
    let right = signature(time.as_bytes(), request.body);
    fields.iter().all(|(name, _)| is_name(name))
        && (1..=16).contains(&signatures.len())
        && signatures.iter().all(is_hex)
        && signatures.iter().any(|it| is_same(it, &right))
        && request.is_fresh(seconds)
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let now = NOW.to_string();
    let made = |header: &[u8]| seed(b"", now.as_bytes(), header, b"{}");
    let mut seeds = vectors::seeds(folder, "stripe.json", NAMES);
    seeds.extend([
        made(b"at=\x05,v1=\x01"),
        made(b"av1=\x01,t=\x05,v0=\x01,v1=\x03"),
        made(b"at=\x05,t=\x05,v1=\x01"),
        made(b"at=\x05, v1=\x01"),
        made(b"at=\x05,v1=\x01\nat=\x05,v1=\x01"),
        made(b"at=\x05,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01,v1=\x01"),
    ]);
    seeds
}
