use super::*;

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
