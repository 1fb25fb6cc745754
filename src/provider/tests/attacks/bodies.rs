use super::*;

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
}
