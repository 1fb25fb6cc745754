//! `X-Shopify-Hmac-Sha256: base64`, or the same without `X-`.

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::hmac::Key;
use gatepost::provider;

use super::{
    Target, Verdict, mac,
    request::{self, Reference, Request, Sender, seed},
    vectors,
};

pub const TARGET: Target = Target {
    name: "shopify",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SECRET: &str = "hush-shopify-client-secret";
const NAMES: &[&str] = &["x-shopify-hmac-sha256", "shopify-hmac-sha256"];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDER: OnceLock<Sender> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let row = provider::find("shopify").expect("it is in the catalog").clone();
        Sender::new(row, &[SECRET], NAMES, |draft, which| {
            let alphabet = if which == 0 { mac::STANDARD } else { mac::URL_SAFE };
            mac::base64(alphabet, true, &code(draft.body))
        })
    });
    request::compare(sender, reference, bytes)
}

fn code(body: &[u8]) -> Vec<u8> {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::new(mac::HMAC_SHA256, SECRET.as_bytes()));
    mac::hmac(key, &[body])
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    // Both families at once could be read in two ways.
    let found = match (request.has(NAMES[0]), request.has(NAMES[1])) {
        (true, false) => request.only(NAMES[0]),
        (false, true) => request.only(NAMES[1]),
        _ => None,
    };
    found == Some(mac::base64(mac::STANDARD, true, &code(request.body)).as_bytes())
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let mut seeds = vectors::seeds(folder, "shopify.json", NAMES);
    for header in [
        &b"a\x01"[..],
        b"b\x01",
        b"a\x02",
        b"a\x01\nb\x01",
        b"a\x01\na\x01",
        b"a\x01=",
        b"a \x01",
    ] {
        seeds.push(seed(b"", b"", header, b"{\"id\":1}"));
    }
    seeds
}
