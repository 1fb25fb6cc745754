use std::{borrow::Cow, collections::BTreeSet, slice::from_ref};

use super::*;
use crate::provider::{
    encoding, mac,
    scheme::{Hash, Method},
};

#[test]
fn a02_bad_secrets_make_no_key() {
    let no_key = |name: &str, secret: &str| {
        let bad = row(name).key(&Secret::new(secret)).expect_err(name);
        assert!(
            secret.trim().len() < 7 || !format!("{bad:?}").contains(secret),
            "{bad:?}"
        );
    };
    for provider in crate::provider::all() {
        for secret in ["", " ", "\t\n", "pwd"] {
            no_key(&provider.name, secret);
        }
    }
    for name in ["standard-webhooks", "svix", "stripe", "gitlab"] {
        no_key(name, "whsec_");
        no_key(name, "whsec_abc");
    }
    for name in ["standard-webhooks", "svix"] {
        // Fifteen bytes, not base64, a private key, a public key that is too short.
        no_key(name, "whsec_AAAAAAAAAAAAAAAAAAAA");
        no_key(name, "whsec_not base64 at all, sorry");
        no_key(
            name,
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJoAR4Kp9lMicMFs6Kvg==",
        );
        no_key(name, "whpk_AAAAAAAAAAAAAAAAAAAAAAAA");
        no_key(name, "whpk_");
    }
    no_key("github", "a-secret-with-a-line-end\n");
    no_key("basic", "no-colon-in-here");
    no_key("basic", ":password-without-user");
    no_key("basic", "user:seven77");
    no_key("unverified", "a-long-enough-secret");
}

#[test]
fn a_short_secret_is_told_even_where_it_is_taken() {
    for (name, secret, expected) in [
        ("github", "rosebud-9", Some(9)),
        ("github", "sixteen-of-them!", None),
        ("stripe", "whsec_rosebud-9", Some(9)),
        ("basic", "user:rosebud-9:x", Some(11)),
        ("token", "rosebud-9", Some(9)),
        ("standard-webhooks", WHSEC, None),
        ("adyen", "44782def547aaa06c910c43932b1eb0c", None),
        ("unverified", "rosebud-9", None),
    ] {
        assert_eq!(
            row(name).few_chars(&Secret::new(secret)),
            expected,
            "{name} {secret}"
        );
    }
}

/// Setting one up costs as much as the hash of a short body.
#[test]
fn a_key_has_each_hmac_of_its_sender_ready_once() {
    for (name, _) in signing() {
        let provider = row(name);
        let methods = provider.schemes.iter().flat_map(|it| match it {
            Scheme::Signature(it) => it.accepted.iter().map(|it| it.method).collect(),
            Scheme::Jwt(it) => vec![it.method],
            Scheme::Token(_) | Scheme::Basic | Scheme::Unverified => Vec::new(),
        });
        let wanted: BTreeSet<_> = methods
            .filter(|it| matches!(it, Method::Hmac(_)))
            .map(|it| format!("{it:?}"))
            .collect();
        let ready = key(provider, &secret_for(name)).hmacs;
        let mut ready: Vec<_> = ready
            .iter()
            .map(|it| format!("{:?}", Method::Hmac(it.hash())))
            .collect();
        ready.sort();
        assert_eq!(ready, Vec::from_iter(wanted), "{name}");
    }
}

#[test]
fn a_prefix_that_may_be_left_out_changes_nothing() {
    let (provider, keys, whole) = signed("standard-webhooks");
    let secret = secret_for("standard-webhooks");
    let bare = secret.strip_prefix("whsec_").unwrap();
    for keys in [&keys[..], &[key(provider, bare)]] {
        assert_eq!(whole.verify(provider, keys), Ok(Binding::Body));
    }
}

#[test]
fn a_public_key_may_be_written_in_hex_as_pem_or_as_a_jwk() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let raw = pair.public_key().as_ref();
    let spki = [&hex::decode("302a300506032b6570032100").unwrap(), raw].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        encoding::encode_basic(&spki)
    );
    let x = encoding::encode_basic(raw).replace('+', "-").replace('/', "_");
    let x = x.trim_end_matches('=');
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    let provider = row("discord");
    let signature = hex::encode(pair.sign(br#"1767225600{"type":1}"#));
    let headers = [
        ("x-signature-ed25519", signature.as_str()),
        ("x-signature-timestamp", "1767225600"),
    ];
    let sent = Bent::new(&headers, br#"{"type":1}"#);
    for secret in [hex::encode(raw), pem, jwk] {
        let verified = sent.verify(provider, &[key(provider, &secret)]);
        assert_eq!(verified, Ok(Binding::Body), "{secret}");
    }
}

#[test]
fn a02_nothing_verifies_without_a_key() {
    for (name, _) in signing() {
        let (provider, _, whole) = signed(name);
        assert!(whole.verify(provider, &[]).is_err(), "{name}");
    }
}

#[test]
fn a21_the_secret_of_one_source_never_verifies_another() {
    for (name, _) in signing() {
        let (provider, _, bent) = signed(name);
        let other = secret_of(name, 2);
        check_refused(&bent, provider, &[key(provider, &other)], "signature_mismatch");
    }
}

#[test]
fn gitlab_counts_the_signature_alone_where_there_is_one() {
    let provider = row("gitlab");
    let (signing, token) = (key(provider, WHSEC), key(provider, "my-gitlab-secret"));
    let plain = |token: &str| {
        Bent::new(
            &[("x-gitlab-token", token), ("x-gitlab-event", "Push Hook")],
            b"{}",
        )
    };
    assert_eq!(
        plain("my-gitlab-secret").verify(provider, from_ref(&token)),
        Ok(Binding::Origin)
    );
    check_refused(
        &plain("my-gitlab-secretx"),
        provider,
        from_ref(&token),
        "wrong_credentials",
    );
    check_refused(&plain(WHSEC), provider, from_ref(&signing), "key_missing");
    check_refused(&plain(""), provider, from_ref(&token), "wrong_credentials");

    let (_, _, whole) = signed("gitlab");
    let mut both = whole.clone();
    both.headers
        .push(("x-gitlab-token".to_owned(), b"my-gitlab-secret".to_vec()));
    let keys = [token.clone(), signing];
    assert_eq!(both.verify(provider, &keys), Ok(Binding::Body));
    both.body.push(b' ');
    check_refused(&both, provider, &keys, "signature_mismatch");
    check_refused(&both, provider, &[token], "key_missing");
}

#[test]
fn a_public_key_verifies_and_never_serves_as_a_secret() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = encoding::encode_basic(pair.public_key().as_ref());
    let provider = row("standard-webhooks");
    let keys = [key(provider, &format!("whpk_{public}"))];
    let body = br#"{"type":"x"}"#;
    let message = [&b"msg_1.1767225600."[..], body].concat();
    let signature = encoding::encode_basic(pair.sign(&message).as_ref());
    let send = |signature: &str| {
        let headers = [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1767225600"),
            ("webhook-signature", signature),
        ];
        Bent::new(&headers, body)
    };
    let right = send(&format!("v1a,{signature}"));
    assert_eq!(right.verify(provider, &keys), Ok(Binding::Body));
    // Whoever knows the public key may not use it as an HMAC key.
    let pieces = [mac::Piece::Bytes(Cow::Borrowed(&message[..]))];
    let forged = mac::compute(Method::Hmac(Hash::Sha256), pair.public_key().as_ref(), &pieces).unwrap();
    let forged = encoding::encode_basic(forged.as_slice());
    check_refused(
        &send(&format!("v1,{forged}")),
        provider,
        &keys,
        "signature_mismatch",
    );
    check_refused(&right, provider, &[key(provider, WHSEC)], "signature_mismatch");
    let mut bent = right.clone();
    bent.body.push(b' ');
    check_refused(&bent, provider, &keys, "signature_mismatch");
}

#[test]
fn who_publishes_keys_signs_with_them() {
    let publishing: Vec<_> = all().iter().filter(|it| it.published.is_some()).collect();
    assert!(publishing.len() >= 3, "{publishing:?}");
    for row in publishing {
        assert!(row.has_public_keys(), "{}", row.name);
        assert!(row.clone().without_asking().published.is_none());
    }
}

#[test]
fn a_subscription_is_confirmed_only_where_senders_are_asked() {
    let confirms = |row: &Provider| row.handshakes.iter().any(|it| it.confirmation.is_some());
    assert!(confirms(row("aws-sns")));
    assert!(!confirms(&row("aws-sns").clone().without_asking()));
    let other = row("slack");
    assert_eq!(
        other.handshakes.len(),
        other.clone().without_asking().handshakes.len()
    );
}
