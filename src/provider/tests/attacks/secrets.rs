use super::*;

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

proptest! {
    #[test]
    fn a21_no_secret_verifies_for_another(one in "[!-~]{8,100}", other in "[!-~]{8,100}") {
        let provider = row("hmac");
        let bent = Bent::from(provider.sample(&Secret::new(one.clone()), &TO_US, NOW).unwrap());
        let verdict = bent.verify(provider, &[key(provider, &other)]);
        prop_assert_eq!(verdict.is_ok(), one == other);
    }
}
