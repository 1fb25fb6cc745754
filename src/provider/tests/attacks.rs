use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::provider::{
    mac,
    scheme::{Encoding, Hash, Layout, Method, Scheme},
};

#[test]
fn a01_every_row_that_signs_is_attacked() {
    let signs = |it: &&Provider| match &it.schemes[0] {
        Scheme::Signature(signature) => !is_public(signature),
        _ => false,
    };
    let n_signing = crate::provider::all().iter().filter(signs).count();
    // Those with a signature in no header are attacked by their vectors.
    assert!(
        signing().len() >= 270 && n_signing - signing().len() <= 20,
        "{n_signing} {}",
        signing().len()
    );
    assert!(signing().len() - signing_any_body().len() <= 20);
}

#[test]
fn a01_prefix_signature_is_refused() {
    for (name, header) in signing() {
        let (provider, keys, whole) = signed(name);
        whole
            .verify(provider, &keys)
            .unwrap_or_else(|it| panic!("{name}: {it}"));
        let value = whole.clone().header(header).clone();
        for len in 0..value.len() {
            let mut bent = whole.clone();
            bent.header(header).truncate(len);
            assert!(bent.verify(provider, &keys).is_err(), "{name}: {len} bytes");
        }
    }
}

#[test]
fn a01_right_signature_with_a_suffix_is_refused() {
    for (name, header) in signing() {
        let (provider, keys, whole) = signed(name);
        for byte in 0..=255_u8 {
            for suffix in [vec![byte], vec![byte, byte], vec![byte, b'='], vec![b'=', byte]] {
                let mut bent = whole.clone();
                bent.header(header).extend(&suffix);
                let verdict = bent.verify(provider, &keys);
                assert!(verdict.is_err(), "{name}: {suffix:?}");
            }
        }
    }
}

#[test]
fn a01_right_signature_with_one_bit_changed_is_refused() {
    for (name, header) in signing() {
        let (provider, keys, whole) = signed(name);
        // Where the sender's hex has no case, the bit that is the case changes nothing.
        let has_no_case = format!("{:?}", provider.schemes[0]).contains("HexAny");
        for idx in 0..whole.clone().header(header).len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent.header(header)[idx] ^= 1 << bit;
                assert!(
                    bent.verify(provider, &keys).is_err() || (has_no_case && bit == 5),
                    "{name}: byte {idx}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a03_absent_empty_and_duplicated_headers_are_refused() {
    for (name, header) in signing()
        .into_iter()
        .chain([("token", "authorization"), ("basic", "authorization")])
    {
        let (provider, keys, whole) = signed(name);
        let mut absent = whole.clone();
        absent.headers.retain(|(it, _)| it != header);
        check_refused(&absent, provider, &keys, "unsigned");

        let mut empty = whole.clone();
        empty.header(header).clear();
        assert!(empty.verify(provider, &keys).is_err(), "{name}");

        let mut twice = whole.clone();
        let value = twice.header(header).clone();
        twice.headers.push((header.to_owned(), value));
        check_refused(&twice, provider, &keys, "duplicate_header");

        // Names of headers have no case: this is the same request.
        let mut shouted = whole.clone();
        for (name, _) in &mut shouted.headers {
            name.make_ascii_uppercase();
        }
        shouted
            .verify(provider, &keys)
            .unwrap_or_else(|it| panic!("{name}: {it}"));
    }
}

#[test]
fn a05_odd_bodies_verify_as_they_are() {
    let bodies: &[&[u8]] = &[
        b"",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{\"id\":\"a\"}",
        b"{\"id\":\"a\",\"id\":\"b\"}\r\n",
        b"{\"n\":1e400,\"s\":\"\\u0041\\ud800\"}",
        b"payload=%7B%22type%22%3A%22x%22%7D&payload=2",
        b"\0",
    ];
    for (name, _) in signing_any_body() {
        let provider = row(name);
        let keys = [key(provider, &secret_for(name))];
        for body in bodies {
            let wanted = Wanted {
                body: Some(body),
                ..TO_US
            };
            let sample = sample_of(name, &wanted).unwrap();
            assert_eq!(sample.body, *body);
            let mut bent = Bent::from(sample);
            assert_eq!(bent.verify(provider, &keys), Ok(Binding::Body), "{name} {body:?}");
            let _ = bent.with(|call| (provider.names(call), provider.signed_handshake(&keys, call)));
            bent.body.push(b'\n');
            check_refused(&bent, provider, &keys, "signature_mismatch");
        }
    }
}

#[test]
fn a07_the_right_signature_counts_at_every_position() {
    for n in 1..=17_usize {
        for at in 0..n {
            let (provider, keys, mut bent) = signed("standard-webhooks");
            let right = String::from_utf8(bent.header("webhook-signature").clone()).unwrap();
            let wrong = format!("v1,{}=", "A".repeat(43));
            let list: Vec<&str> = (0..n)
                .map(|it| if it == at { right.as_str() } else { &wrong })
                .collect();
            *bent.header("webhook-signature") = list.join(" ").into_bytes();
            check_count(n, &bent, provider, &keys);

            let (provider, keys, mut bent) = signed("stripe");
            let value = String::from_utf8(bent.header("stripe-signature").clone()).unwrap();
            let (time, right) = value.split_once(',').unwrap();
            let wrong = format!("v1={}", "0".repeat(64));
            let mut list = vec![time];
            list.extend((0..n).map(|it| if it == at { right } else { wrong.as_str() }));
            *bent.header("stripe-signature") = list.join(",").into_bytes();
            check_count(n, &bent, provider, &keys);
        }
    }
}

#[track_caller]
fn check_count(n: usize, bent: &Bent, provider: &Provider, keys: &[Key]) {
    if n <= 16 {
        assert_eq!(bent.verify(provider, keys), Ok(Binding::Body), "{n}");
    } else {
        check_refused(bent, provider, keys, "malformed_signature");
    }
}

#[test]
fn a07_the_right_secret_counts_at_every_position() {
    for (name, _) in signing_any_body() {
        let (provider, right, bent) = signed(name);
        let other = &secret_of(name, 1);
        let binding = bent.verify(provider, &right);
        for at in 0..4 {
            let mut keys = vec![key(provider, other); 3];
            keys.insert(at, right[0].clone());
            assert_eq!(bent.verify(provider, &keys), binding, "{name} {at}");
        }
        check_refused(&bent, provider, &[key(provider, other)], "signature_mismatch");
    }
}

#[test]
fn a08_a_header_full_of_signatures_is_refused_unread() {
    let (provider, keys, mut bent) = signed("stripe");
    for text in [
        "t=1,".repeat(2_000),
        format!("t=1{}", ",v1=0".repeat(500)),
        "x=1,".repeat(900),
    ] {
        *bent.header("stripe-signature") = text.into_bytes();
        check_refused(&bent, provider, &keys, "malformed_signature");
    }
}

#[test]
fn a08_a_forger_costs_one_mac_for_each_secret() {
    let mut dearer = Vec::new();
    for (name, _) in signing() {
        let (provider, _, whole) = signed(name);
        let keys: Vec<_> = (1..=8).map(|it| key(provider, &secret_of(name, it))).collect();
        let n_macs = mac::count::during(|| check_refused(&whole, provider, &keys, "signature_mismatch"));
        if n_macs > keys.len() {
            dearer.push((name, n_macs));
        }
    }
    // Two sign a hash of the body, made once. The other signs its URL with the port or without: two texts.
    assert_eq!(dearer, [("tebex", 9), ("twilio", 16), ("walmart", 9)]);
}

#[test]
fn a08_many_signatures_cost_no_more_than_one() {
    let stuffed = |name: &str, header: &str, more: &str| {
        let (provider, _, mut bent) = signed(name);
        let keys: Vec<_> = (1..=8).map(|it| key(provider, &secret_of(name, it))).collect();
        let value = bent.header(header);
        for _ in 0..15 {
            value.extend_from_slice(more.as_bytes());
        }
        mac::count::during(|| check_refused(&bent, provider, &keys, "signature_mismatch"))
    };
    let hex = format!(",v1={}", "0f".repeat(32));
    let base64 = format!(" v1,{}", encoding::encode_basic(&[7; 32]));
    assert_eq!(stuffed("stripe", "stripe-signature", &hex), 8);
    assert_eq!(stuffed("standard-webhooks", "webhook-signature", &base64), 8);
}

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
fn a17_an_id_with_a_dot_is_refused() {
    let (provider, keys, mut bent) = signed("standard-webhooks");
    *bent.header("webhook-id") = b"msg.1".to_vec();
    check_refused(&bent, provider, &keys, "malformed_signed_part");
    bent.header("webhook-id").clear();
    check_refused(&bent, provider, &keys, "signed_part_missing");
    bent.headers.retain(|(it, _)| it != "webhook-id");
    check_refused(&bent, provider, &keys, "signed_part_missing");
}

#[test]
fn a18_families_do_not_mix() {
    for name in ["standard-webhooks", "svix"] {
        for extra in [
            "svix-id",
            "svix-timestamp",
            "svix-signature",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        ] {
            let (provider, keys, mut bent) = signed(name);
            if bent.headers.iter().any(|(it, _)| it == extra) {
                continue;
            }
            bent.headers.push((extra.to_owned(), b"1".to_vec()));
            check_refused(&bent, provider, &keys, "mixed_headers");
        }
    }
    let (provider, keys, mut bent) = signed("shopify");
    let value = bent.header("x-shopify-hmac-sha256").clone();
    bent.headers.push(("shopify-hmac-sha256".to_owned(), value));
    check_refused(&bent, provider, &keys, "mixed_headers");
}

#[test]
fn a19_joined_headers_are_refused() {
    for (name, header) in signing() {
        for between in [",", ", ", " , "] {
            let (provider, keys, mut bent) = signed(name);
            let value = bent.header(header).clone();
            *bent.header(header) = [&value[..], &value[..]].join(between.as_bytes());
            // A list of signatures is what some send.
            let is_list = match &provider.schemes[0] {
                Scheme::Signature(it) => match &it.layout {
                    Layout::List { separator } => separator == between,
                    Layout::Fields {
                        separator, timestamp, ..
                    } => timestamp.is_none() && separator == between,
                    _ => false,
                },
                _ => false,
            };
            assert_eq!(
                bent.verify(provider, &keys).is_ok(),
                is_list,
                "{name} {between:?}"
            );
        }
    }
    for header in ["webhook-id", "webhook-timestamp", "x-slack-request-timestamp"] {
        let name = if header.starts_with("x-slack") {
            "slack"
        } else {
            "standard-webhooks"
        };
        let (provider, keys, mut bent) = signed(name);
        let value = bent.header(header).clone();
        bent.headers.push((header.to_owned(), value));
        check_refused(&bent, provider, &keys, "duplicate_header");
    }
}

#[test]
fn a20_one_mac_has_one_spelling() {
    let (provider, keys, whole) = signed("github");
    let value = String::from_utf8(whole.clone().header("x-hub-signature-256").clone()).unwrap();
    for text in [
        value.to_uppercase(),
        value.replace("sha256=", "SHA256="),
        format!("sha256={}", value.strip_prefix("sha256=").unwrap().to_uppercase()),
        value.replace('=', "= "),
        format!(" {value}"),
        value.replace("sha256=", "sha256=0x"),
    ] {
        let mut bent = whole.clone();
        *bent.header("x-hub-signature-256") = text.into_bytes();
        check_refused(&bent, provider, &keys, "malformed_signature");
    }
    let (provider, keys, whole) = signed("shopify");
    let value = String::from_utf8(whole.clone().header("x-shopify-hmac-sha256").clone()).unwrap();
    for text in [
        value.trim_end_matches('=').to_owned(),
        format!("{value}\n"),
        format!("{value}="),
    ] {
        let mut bent = whole.clone();
        *bent.header("x-shopify-hmac-sha256") = text.into_bytes();
        check_refused(&bent, provider, &keys, "malformed_signature");
    }
}

#[test]
fn a_refusal_never_shows_the_secret_or_the_right_signature() {
    for (name, header) in signing_any_body() {
        let (provider, keys, whole) = signed(name);
        let right = String::from_utf8(whole.clone().header(header).clone()).unwrap();
        let right = right
            .rsplit([',', '=', '.', ';'])
            .find(|it| it.len() > 20)
            .unwrap();
        let mut bent = whole.clone();
        bent.body.push(b' ');
        let mut refusals = vec![bent.verify(provider, &keys).unwrap_err()];
        let mut bent = whole.clone();
        *bent.header(header) = b"nonsense".to_vec();
        refusals.push(bent.verify(provider, &keys).unwrap_err());
        refusals.push(whole.verify(provider, &[]).unwrap_err());
        for refusal in refusals {
            let text = format!("{refusal} {refusal:?} {keys:?}");
            assert!(
                !text.contains(right) && !text.contains(&secret_for(name)),
                "{text}"
            );
        }
    }
}

#[test]
fn d10_hostile_bodies_are_refused_and_never_too_deep() {
    let deep = |open: &str, n: usize| open.repeat(n).into_bytes();
    let bodies = [
        deep("[", 100_000),
        deep("{\"notificationItems\":", 20_000),
        deep("{\"value\":[", 20_000),
        deep("<a>", 100_000),
        deep("a=1&", 10_000),
        b"<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]><OrganizationId>&b;</OrganizationId>".to_vec(),
    ];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for name in [
        "adyen",
        "microsoft-graph",
        "salesforce",
        "aws-sns",
        "braintree",
        "twilio",
        "mailgun",
        "plaid",
    ] {
        let keys = [key(row(name), &secret_for(name))];
        for body in &bodies {
            for headers in [&form[..], &[]] {
                assert!(
                    Bent::new(headers, body).verify(row(name), &keys).is_err(),
                    "{name}"
                );
            }
        }
    }
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

proptest! {
    #[test]
    fn a04_any_body_verifies_and_no_other(body in proptest::collection::vec(any::<u8>(), 0..300), at in any::<proptest::sample::Index>(), bit in 0..8_u8) {
        for (name, _) in signing_any_body() {
            let provider = row(name);
            let keys = [key(provider, &secret_for(name))];
            let wanted = Wanted { body: Some(&body), ..TO_US };
            let mut bent = Bent::from(sample_of(name, &wanted).unwrap());
            prop_assert_eq!(bent.verify(provider, &keys), Ok(Binding::Body));
            if body.is_empty() {
                bent.body.push(bit);
            } else {
                bent.body[at.index(body.len())] ^= 1 << bit;
            }
            prop_assert!(bent.verify(provider, &keys).is_err());
        }
    }

    #[test]
    fn a21_no_secret_verifies_for_another(one in "[!-~]{8,100}", other in "[!-~]{8,100}") {
        let provider = row("hmac");
        let bent = Bent::from(provider.sample(&Secret::new(one.clone()), &TO_US, NOW).unwrap());
        let verdict = bent.verify(provider, &[key(provider, &other)]);
        prop_assert_eq!(verdict.is_ok(), one == other);
    }

    #[test]
    fn a23_no_bytes_panic_and_none_verify(
        value in proptest::collection::vec(any::<u8>(), 0..200),
        other in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        target in "[ -~]{0,40}",
    ) {
        for provider in crate::provider::all().iter().filter(|it| !it.is_unverified()) {
            let keys = [key(provider, &secret_for(&provider.name))];
            let mut bent = Bent::new(&[], &body);
            bent.target.clone_from(&target);
            for name in ["stripe-signature", "x-hub-signature-256", "x-slack-signature", "x-shopify-hmac-sha256",
                "webhook-signature", "x-signature", "authorization", "x-gitlab-token"] {
                bent.headers.push((name.to_owned(), value.clone()));
            }
            for name in ["webhook-id", "webhook-timestamp", "x-slack-request-timestamp", "content-type", "x-github-event"] {
                bent.headers.push((name.to_owned(), other.clone()));
            }
            prop_assert!(bent.verify(provider, &keys).is_err());
            bent.with(|call| { let _ = (provider.names(call), provider.unsigned_handshake(&keys, None, call)); });
        }
    }
}
