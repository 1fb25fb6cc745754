use super::*;
use crate::provider::scheme::Layout;

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
