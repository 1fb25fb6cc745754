//! GitLab: a signature like Standard Webhooks, or a token that comes with every request.

use std::{path::Path, sync::OnceLock};

use gatepost::provider;

use super::{
    Target, Verdict,
    request::{self, NOW, Reference, Request, Sender, seed},
    standard_webhooks::{code, is_genuine},
    vectors,
};

pub const TARGET: Target = Target {
    name: "gitlab",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKENS: &[&str] = &["my-gitlab-secret", "an-older-gitlab-secret"];
const NAMES: &[&str] = &[
    "webhook-signature",
    "webhook-timestamp",
    "webhook-id",
    "x-gitlab-token",
];

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDER: OnceLock<Sender> = OnceLock::new();
    let sender = SENDER.get_or_init(|| {
        let row = provider::find("gitlab").expect("it is in the catalog").clone();
        Sender::new(row, &[SIGNING, TOKENS[0], TOKENS[1]], NAMES, |draft, which| {
            if which == 0 {
                code(&[draft.id, b".", draft.timestamp, b".", draft.body])
            } else {
                TOKENS[0].to_owned()
            }
        })
    });
    request::compare(sender, reference, bytes)
}

pub(crate) fn genuine(request: &Request<'_>) -> bool {
    // Who signs is held to it: a token beside a signature proves nothing.
    if request.has("webhook-signature") {
        return is_genuine(request, &NAMES[..3], false);
    }
    request
        .only("x-gitlab-token")
        .is_some_and(|found| TOKENS.iter().any(|it| it.as_bytes() == found))
}

fn seeds(folder: &Path) -> Vec<Vec<u8>> {
    let now = NOW.to_string();
    let mut seeds = vectors::seeds(folder, "gitlab.json", NAMES);
    for header in [
        &b"av1,\x01\nb\x05\nc\x06"[..],
        b"d\x02",
        b"dan-older-gitlab-secret",
        b"av1,\x01\nb\x05\nc\x06\nd\x02",
        b"av1,\x01\nd\x02",
        b"b\x05\nc\x06\nd\x02",
        b"d\x04",
        b"d\x02\nd\x02",
    ] {
        seeds.push(seed(b"uuid-1", now.as_bytes(), header, b"{}"));
    }
    seeds
}
