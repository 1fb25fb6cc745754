//! Senders that sign the URL: Twilio with a port or without, and with the hash of a body that is no form.

use std::borrow::Cow;

use super::*;
use crate::provider::{
    mac,
    scheme::{Hash, Method},
};

/// A request of Twilio's that was signed for that URL.
fn signed_for(url: &str, called: &str, body: &[u8]) -> Bent {
    let pieces = [mac::Piece::Bytes(Cow::Borrowed(url.as_bytes()))];
    let signature = mac::compute(Method::Hmac(Hash::Sha1), PLAIN.as_bytes(), &pieces).unwrap();
    let signature = encoding::encode_basic(signature.as_slice());
    let headers = [
        ("x-twilio-signature", signature.as_str()),
        ("content-type", "application/json"),
    ];
    let target = called.strip_prefix("https://hooks.example.com").unwrap();
    Bent {
        url: Some(called.to_owned()),
        target: target.strip_prefix(":443").unwrap_or(target).to_owned(),
        ..Bent::new(&headers, body)
    }
}

#[test]
fn a_port_may_be_signed_or_not() {
    let provider = row("twilio");
    let keys = [key(provider, PLAIN)];
    let (plain, with_port) = (
        "https://hooks.example.com/x?a=1",
        "https://hooks.example.com:443/x?a=1",
    );
    for (url, called) in [
        (plain, plain),
        (with_port, plain),
        (plain, with_port),
        (with_port, with_port),
    ] {
        assert!(
            signed_for(url, called, b"").verify(provider, &keys).is_ok(),
            "{url} {called}"
        );
    }
    let elsewhere = signed_for("https://hooks.example.com:8443/x?a=1", plain, b"");
    check_refused(&elsewhere, provider, &keys, "signature_mismatch");
}

#[test]
fn a_body_that_is_no_form_is_covered_by_its_hash() {
    let provider = row("twilio");
    let keys = [key(provider, PLAIN)];
    let body = br#"[{"type":"a"}]"#;
    let hash = mac::digest(Hash::Sha256, body).unwrap();
    let url = format!(
        "https://hooks.example.com/x?bodySHA256={}",
        hex::encode(hash.as_slice())
    );
    assert!(signed_for(&url, &url, body).verify(provider, &keys).is_ok());
    check_refused(
        &signed_for(&url, &url, br#"[{"type":"b"}]"#),
        provider,
        &keys,
        "malformed_signed_part",
    );
    let without = "https://hooks.example.com/x";
    check_refused(
        &signed_for(without, without, body),
        provider,
        &keys,
        "signed_part_missing",
    );
}
