//! `X-Hub-Signature-256: sha256=...`

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::hmac::Key;
use gatepost::provider;

use super::{
    Target, Verdict, mac,
    request::{self, Reference, Request, Sender, seed},
    vectors,
};

pub const TARGET: Target = Target {
    name: "github",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

/// Two, as while they are rotated.
const SECRETS: &[&str] = &["mysecret-github", "It's a Secret to Everybody"];
const NAMES: &[&str] = &["x-hub-signature-256", "x-hub-signature"];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDER: OnceLock<Sender> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let row = provider::find("github").expect("it is in the catalog").clone();
        Sender::new(row, SECRETS, NAMES, |draft, which| signature(which, draft.body))
    });
    request::compare(sender, reference, bytes)
}

fn signature(which: u8, body: &[u8]) -> String {
    static KEYS: OnceLock<Vec<Key>> = OnceLock::new();
    let key = |it: &&str| Key::new(mac::HMAC_SHA256, it.as_bytes());
    let keys = KEYS.get_or_init(|| SECRETS.iter().map(key).collect());
    mac::hex(&mac::hmac(&keys[usize::from(which)], &[body]))
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    let is_right =
        |found: &[u8], which| found == format!("sha256={}", signature(which, request.body)).as_bytes();
    // The one with SHA-1 never counts.
    request
        .only("x-hub-signature-256")
        .is_some_and(|it| is_right(it, 0) || is_right(it, 1))
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let mut seeds = vectors::seeds(folder, "github.json", NAMES);
    for header in [
        &b"asha256=\x01"[..],
        b"asha256=\x02",
        b"asha256=\x03",
        b"asha256=\x01\nbsha1=\x01",
        b"asha256=\x01\nasha256=\x01",
        b"asha256=\x01,sha256=\x01",
        b"a\x01",
        b"bsha256=\x01",
    ] {
        seeds.push(seed(b"", b"", header, b"{\"zen\":1}"));
    }
    seeds
}
