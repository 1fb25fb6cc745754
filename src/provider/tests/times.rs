use proptest::prelude::*;

use super::*;
use crate::provider::{
    message, moment,
    place::Reader,
    scheme::{Scheme, Unit},
};

#[test]
fn a_missing_time_is_named_by_its_place() {
    let reason =
        |bent: &Bent, provider: &Provider, keys: &[Key]| bent.verify(provider, keys).unwrap_err().to_string();
    let (provider, keys, mut bent) = signed("slack");
    bent.headers
        .retain(|(name, _)| name != "x-slack-request-timestamp");
    let slack = reason(&bent, provider, &keys);
    assert!(slack.contains("`header:x-slack-request-timestamp`"), "{slack}");
    let (provider, keys, mut bent) = signed("stripe");
    let value = String::from_utf8(bent.header("stripe-signature").clone()).unwrap();
    *bent.header("stripe-signature") = value.replace("t=1767225600,", "").into_bytes();
    let stripe = reason(&bent, provider, &keys);
    assert!(
        stripe.contains("field `t` of `header:stripe-signature`"),
        "{stripe}"
    );
}

#[test]
fn a16_hostile_timestamps_are_refused() {
    for text in [
        "",
        " 1767225600",
        "1767225600 ",
        "+1767225600",
        "-1",
        "1e3",
        "1767225600.0",
        "１７６７２２５６００",
        "0x1",
        "01767225600",
        "9223372036854775807",
        "-9223372036854775808",
        "1000000000000000000",
        "99999999999999999999",
    ] {
        for (name, header) in [
            ("slack", "x-slack-request-timestamp"),
            ("standard-webhooks", "webhook-timestamp"),
            ("gitlab", "webhook-timestamp"),
        ] {
            let (provider, keys, mut bent) = signed(name);
            *bent.header(header) = text.as_bytes().to_vec();
            check_refused(&bent, provider, &keys, "malformed_timestamp");
        }
        let (provider, keys, mut bent) = signed("stripe");
        let value = String::from_utf8(bent.header("stripe-signature").clone()).unwrap();
        *bent.header("stripe-signature") = value.replace("t=1767225600", &format!("t={text}")).into_bytes();
        check_refused(&bent, provider, &keys, "malformed_timestamp");
    }
    let (provider, keys, mut bent) = signed("slack");
    bent.headers.retain(|(it, _)| it != "x-slack-request-timestamp");
    check_refused(&bent, provider, &keys, "timestamp_missing");
    let (provider, keys, mut bent) = signed("stripe");
    let value = String::from_utf8(bent.header("stripe-signature").clone()).unwrap();
    *bent.header("stripe-signature") = value.replace("t=1767225600,", "").into_bytes();
    check_refused(&bent, provider, &keys, "timestamp_missing");
    *bent.header("stripe-signature") = format!("t=1767225600,{value}").into_bytes();
    check_refused(&bent, provider, &keys, "malformed_signature");
}

#[test]
fn a16_milliseconds_for_seconds_lie_far_ahead() {
    let provider = row("slack");
    let far = Timestamp::from_unix_seconds(1_767_225_600_000);
    let sample = provider.sample(&Secret::new(PLAIN), &TO_US, far).unwrap();
    check_refused(
        &Bent::from(sample),
        provider,
        &[key(provider, PLAIN)],
        "timestamp_ahead",
    );
}

#[test]
fn a16_the_tolerance_holds_in_both_directions() {
    for name in ["stripe", "slack", "standard-webhooks", "svix", "gitlab"] {
        let (provider, keys, bent) = signed(name);
        let at = |seconds: i64, tolerance: Option<u64>| {
            let now = Timestamp::from_unix_seconds(NOW.as_unix_seconds() + seconds);
            let tolerance = tolerance.map(Duration::from_secs);
            let verdict = bent.verify_at(provider, &keys, tolerance, now);
            verdict.map_err(|it| it.code())
        };
        assert_eq!(at(300, None), Ok(Binding::Body), "{name}");
        assert_eq!(at(-300, None), Ok(Binding::Body), "{name}");
        assert_eq!(at(301, None), Err("timestamp_stale"), "{name}");
        assert_eq!(at(-301, None), Err("timestamp_ahead"), "{name}");
        assert_eq!(at(60, Some(60)), Ok(Binding::Body), "{name}");
        assert_eq!(at(61, Some(60)), Err("timestamp_stale"), "{name}");
        for now in [i64::MIN, i64::MAX] {
            let now = Timestamp::from_micros(now);
            assert!(bent.verify_at(provider, &keys, None, now).is_err());
            let verdict = bent.verify_at(provider, &keys, Some(Duration::MAX), now);
            assert_eq!(verdict, Ok(Binding::Body));
        }
    }
}

#[test]
fn a16_a_forged_stale_request_is_a_mismatch_and_says_nothing_of_clocks() {
    let (provider, keys, mut bent) = signed("stripe");
    bent.body.push(b' ');
    let later = NOW.plus(Duration::from_secs(10_000));
    let refusal = bent.verify_at(provider, &keys, None, later).unwrap_err();
    assert_eq!(refusal.code(), "signature_mismatch");
}

fn signed_text(provider: &Provider, bent: &Bent, timestamp: &str) -> Option<Vec<u8>> {
    let Some(Scheme::Signature(signature)) = provider.schemes.first() else {
        return None;
    };
    bent.with(|call| {
        let reader = Reader::new(call);
        let known = message::Known {
            family: &signature.families[0],
            timestamp: Some(timestamp.as_bytes()),
            reader: &reader,
        };
        let pieces = message::assemble(&signature.signed, known).ok()?;
        Some(pieces.iter().flat_map(|it| it.bytes(&[]).to_vec()).collect())
    })
}

proptest! {
    #[test]
    fn a17_two_requests_never_make_one_signed_text(
        left in ("[a-z.]{1,6}", "[0-9.]{1,6}", "[a-z0-9.]{0,8}"),
        right in ("[a-z.]{1,6}", "[0-9.]{1,6}", "[a-z0-9.]{0,8}"),
    ) {
        let provider = row("standard-webhooks");
        let text = |(id, at, body): &(String, String, String)| {
            // What the verifier itself refuses before it builds the text.
            moment::parse_signed(at.as_bytes(), Unit::Seconds).ok()?;
            signed_text(provider, &Bent::new(&[("webhook-id", id)], body.as_bytes()), at)
        };
        if let (Some(one), Some(other)) = (text(&left), text(&right)) {
            prop_assert_eq!(one == other, left == right);
        }
    }

    #[test]
    fn a17_the_same_bytes_cut_elsewhere_are_another_text(whole in "[0-9a.]{5,12}", cuts in (1_usize..4, 1_usize..4, 1_usize..4, 1_usize..4)) {
        let cut = |first: usize, second: usize| {
            let at = first.min(whole.len() - 2);
            let then = (at + 1 + second).min(whole.len());
            Some((whole.get(..at)?.to_owned(), whole.get(at + 1..then)?.to_owned(), whole.get(then + 1..)?.to_owned()))
        };
        let provider = row("standard-webhooks");
        let text = |(id, at, body): &(String, String, String)| {
            moment::parse_signed(at.as_bytes(), Unit::Seconds).ok()?;
            signed_text(provider, &Bent::new(&[("webhook-id", id)], body.as_bytes()), at)
        };
        if let (Some(left), Some(right)) = (cut(cuts.0, cuts.1), cut(cuts.2, cuts.3))
            && let (Some(one), Some(other)) = (text(&left), text(&right)) {
            prop_assert_eq!(one == other, left == right);
        }
    }
}
