use std::borrow::Cow;

use super::*;
use crate::provider::{
    mac,
    scheme::{Encoding, Hash, Method},
};

#[test]
fn a09_outdated_schemes_do_not_count() {
    let (provider, keys, whole) = signed("github");
    let body = [mac::Piece::Bytes(Cow::Borrowed(&whole.body[..]))];
    let sha1 = mac::compute(Method::Hmac(Hash::Sha1), PLAIN.as_bytes(), &body).unwrap();
    let sha1 = format!("sha1={}", hex::encode(sha1.as_slice()));
    let mut weak = whole.clone();
    weak.headers
        .push(("x-hub-signature".to_owned(), sha1.clone().into_bytes()));
    assert_eq!(weak.verify(provider, &keys), Ok(Binding::Body), "both");
    *weak.header("x-hub-signature-256") = b"sha256=".to_vec();
    check_refused(&weak, provider, &keys, "malformed_signature");
    *weak.header("x-hub-signature-256") = sha1.into_bytes();
    check_refused(&weak, provider, &keys, "malformed_signature");
    weak.headers.retain(|(it, _)| it != "x-hub-signature-256");
    check_refused(&weak, provider, &keys, "weak_signature");

    let (provider, keys, mut stripe) = signed("stripe");
    let value = String::from_utf8(stripe.header("stripe-signature").clone()).unwrap();
    *stripe.header("stripe-signature") = value.replace("v1=", "v0=").into_bytes();
    check_refused(&stripe, provider, &keys, "unsigned");
    *stripe.header("stripe-signature") = format!("{value},v0={}", "0".repeat(64)).into_bytes();
    assert_eq!(stripe.verify(provider, &keys), Ok(Binding::Body));
}

#[test]
fn a08_a_token_chooses_nothing() {
    let keys = [key(row("vonage"), PLAIN)];
    let sign = |header: &str| {
        let claims = encoding::encode(Encoding::Base64UrlUnpadded, br#"{"iss":"Vonage"}"#);
        let text = format!(
            "{}.{claims}",
            encoding::encode(Encoding::Base64UrlUnpadded, header.as_bytes())
        );
        let message = [mac::Piece::Bytes(Cow::Borrowed(text.as_bytes()))];
        let mac = mac::compute(Method::Hmac(Hash::Sha256), PLAIN.as_bytes(), &message).unwrap();
        format!(
            "Bearer {text}.{}",
            encoding::encode(Encoding::Base64UrlUnpadded, mac.as_slice())
        )
    };
    let send = |token: &str| Bent::new(&[("authorization", token)], b"{}");
    // Signed, but for no body.
    check_refused(
        &send(&sign(r#"{"alg":"HS256"}"#)),
        row("vonage"),
        &keys,
        "malformed_signed_part",
    );
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":["HS256"]}"#,
        "{}",
        "[]",
        r#"{"alg":"HS256","crit":["x"]}"#,
    ] {
        check_refused(
            &send(&sign(header)),
            row("vonage"),
            &keys,
            "malformed_credentials",
        );
    }
    let long = format!("Bearer {}", "a".repeat(9_000));
    check_refused(&send(&long), row("vonage"), &keys, "malformed_credentials");
}
