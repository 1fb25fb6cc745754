//! `X-Slack-Signature: v0=...` over the version, the time and the body.

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::hmac::Key;
use gatepost::provider;

use super::{
    Target, Verdict, mac,
    request::{self, NOW, Reference, Request, Sender, seed},
    text::whole_number,
    vectors,
};

pub const TARGET: Target = Target {
    name: "slack",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const NAMES: &[&str] = &["x-slack-signature", "x-slack-request-timestamp"];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDER: OnceLock<Sender> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let row = provider::find("slack").expect("it is in the catalog").clone();
        Sender::new(row, &[SECRET], NAMES, |draft, _| {
            signature(draft.timestamp, draft.body)
        })
    });
    request::compare(sender, reference, bytes)
}

fn signature(timestamp: &[u8], body: &[u8]) -> String {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::new(mac::HMAC_SHA256, SECRET.as_bytes()));
    mac::hex(&mac::hmac(key, &[b"v0:", timestamp, b":", body]))
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    is_signed(request) && signed_at(request).is_some_and(|it| request.is_fresh(it))
}

pub(crate) fn is_signed(request: &Request<'_>) -> bool {
    let (Some(found), Some(timestamp)) = (request.only(NAMES[0]), request.only(NAMES[1])) else {
        return false;
    };
    found == format!("v0={}", signature(timestamp, request.body)).as_bytes()
}

pub(crate) fn signed_at(request: &Request<'_>) -> Option<i64> {
    whole_number(request.only(NAMES[1])?)
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let now = NOW.to_string();
    let mut seeds = vectors::seeds(folder, "slack.json", NAMES);
    for header in [
        &b"av0=\x01\nb\x05"[..],
        b"b\x05\nav0=\x01",
        b"av0=\x03\nb\x05",
        b"av0=\x01",
        b"b\x05",
        b"av0=\x01\nb\x05\nb\x05",
        b"av0=\x01,v0=\x01\nb\x05",
        b"av1=\x01\nb\x05",
    ] {
        seeds.push(seed(b"", now.as_bytes(), header, b"{}"));
        // As old as is allowed, and a second older.
        for off in [300_i16, 301, -300, -301] {
            let mut aged = seed(b"", now.as_bytes(), header, b"{}");
            aged[..2].copy_from_slice(&off.to_be_bytes());
            seeds.push(aged);
        }
    }
    for timestamp in [
        &b"01767225600"[..],
        b"+1767225600",
        b" 1767225600",
        b"1767225600.0",
        b"",
    ] {
        seeds.push(seed(b"", timestamp, b"av0=\x01\nb\x05", b"{}"));
    }
    seeds
}
