use std::borrow::Cow;

use super::{shapes::check, *};
use crate::provider::{
    place::{Place, body, header},
    scheme::{
        Accepted, Encoding, Family, Function, Hash, Layout, Method, Part, Scheme, SecretEncoding, SecretForm,
        Signature, Time, Token, Unit,
    },
};

/// A row that only the catalog writes, since the config has no words for it.
fn custom_row(signature: Signature) -> Provider {
    let mut provider = row("hmac").clone();
    provider.schemes = Cow::Owned(vec![Scheme::Signature(signature)]);
    provider
}

const HEX: Accepted = Accepted {
    prefix: Cow::Borrowed(""),
    method: Method::Hmac(Hash::Sha256),
    encoding: Encoding::HexLower,
};

fn signature(place: Place, signed: Vec<Part>) -> Signature {
    Signature {
        when: Cow::Borrowed(&[]),
        without: Cow::Borrowed(&[]),
        each: None,
        or_signed: Cow::Borrowed(&[]),
        key: Cow::Borrowed(&[]),
        any_port: false,
        body_digest: None,
        families: Cow::Owned(vec![Family {
            signatures: Cow::Owned(vec![place]),
            timestamp: None,
            id: None,
        }]),
        layout: Layout::One,
        accepted: Cow::Owned(vec![HEX]),
        weak: Cow::Borrowed(&[]),
        signed: Cow::Owned(signed),
        time: None,
        secrets: Cow::Owned(vec![SecretForm::TEXT]),
    }
}

#[test]
fn positions_in_a_list_can_be_said_in_a_row() {
    let signed = vec![Part::Timestamp, Part::Literal(Cow::Borrowed(".")), Part::Body];
    let mut it = signature(header("x-sig"), signed);
    it.layout = Layout::Positions {
        separator: Cow::Borrowed(","),
        timestamp: Some(0),
        signatures_from: 1,
    };
    it.time = Some(Time {
        unit: Unit::Millis,
        tolerance_s: 300,
        ahead_s: None,
    });
    let value = "1767225600123,0000000000000000000000000000000000000000000000000000000000000000,0f992db4eb731213e5d80bc6b3e562ba9e0d396aadc9603e0f5d78014d6c7282";
    check(
        "recurly",
        &custom_row(it.clone()),
        PLAIN,
        &Bent::new(&[("x-sig", value)], b"{}"),
    );
    it.layout = Layout::Positions {
        separator: Cow::Borrowed(";"),
        timestamp: Some(2),
        signatures_from: 3,
    };
    let value = "hmac;1;1767225600123;0f992db4eb731213e5d80bc6b3e562ba9e0d396aadc9603e0f5d78014d6c7282";
    check(
        "words before it",
        &custom_row(it),
        PLAIN,
        &Bent::new(&[("x-sig", value)], b"{}"),
    );
}

#[test]
fn a_signature_in_the_body_can_be_said_in_a_row() {
    let signed = vec![Part::At(body("/event/time")), Part::At(body("/event/type"))];
    let provider = custom_row(signature(body("/event/hash"), signed));
    let body = r#"{"event":{"time":"1348177752","type":"sent","hash":"95d0712a4aa8114c0ccaf87b5440586ef0320cdcd34902425ccb2cea6489ac17"},"unsigned":1}"#;
    check("dropbox sign", &provider, PLAIN, &Bent::new(&[], body.as_bytes()));
    let forged = body.replace("sent", "gone");
    let keys = [key(&provider, PLAIN)];
    assert!(
        Bent::new(&[], forged.as_bytes())
            .verify(&provider, &keys)
            .is_err()
    );
    assert_eq!(provider.binding(), Binding::Partial, "the body is not covered");
}

#[test]
fn parts_in_another_case_can_be_said_in_a_row() {
    let literal = |text| Part::Literal(Cow::Borrowed(text));
    let signed = vec![
        literal("id:"),
        Part::Of(
            Function::LowerCase,
            vec![Part::At(Place::Query(Cow::Borrowed("data.id")))],
        ),
        literal(";request-id:"),
        Part::At(header("x-request-id")),
        literal(";ts:"),
        Part::Timestamp,
        literal(";"),
    ];
    let mut it = signature(header("x-signature"), signed);
    it.layout = Layout::Fields {
        separator: Cow::Borrowed(","),
        signature: Cow::Borrowed("v1"),
        timestamp: Some(Cow::Borrowed("ts")),
    };
    it.time = Some(Time::SECONDS);
    let headers = [
        (
            "x-signature",
            "ts=1767225600,v1=1dbfd66348b838db1ee75db7e5b070dc1acd655c0c849e15e03e20fc3947f65a",
        ),
        ("x-request-id", "r1"),
    ];
    let mut bent = Bent::new(&headers, b"{}");
    bent.target = "/webhooks/x?data.id=ABC".to_owned();
    check("mercado pago", &custom_row(it), PLAIN, &bent);
}

#[test]
fn a_time_in_the_body_can_be_said_in_a_row() {
    let mut it = signature(header("linear-signature"), vec![Part::Body]);
    it.families.to_mut()[0].timestamp = Some(body("/webhookTimestamp"));
    it.time = Some(Time {
        unit: Unit::Millis,
        tolerance_s: 60,
        ahead_s: None,
    });
    let provider = custom_row(it);
    let bent = Bent::new(
        &[(
            "linear-signature",
            "847e230a5cc1b741ce557d4bd694b25a03620507c49028429864da43422bace8",
        )],
        br#"{"webhookTimestamp":1767225600123}"#,
    );
    check("linear", &provider, PLAIN, &bent);
    let later = NOW.plus(Duration::from_secs(61));
    let refusal = bent
        .verify_at(&provider, &[key(&provider, PLAIN)], None, later)
        .unwrap_err();
    assert_eq!(refusal.code(), "timestamp_stale");
}

#[test]
fn two_signature_headers_can_be_said_in_a_row() {
    let mut it = signature(header("box-signature-primary"), vec![Part::Body]);
    let both = vec![header("box-signature-primary"), header("box-signature-secondary")];
    it.families.to_mut()[0].signatures = Cow::Owned(both);
    let provider = custom_row(it);
    let keys = [key(&provider, PLAIN)];
    let wrong = "0".repeat(64);
    for headers in [
        &[(
            "box-signature-primary",
            "b37eecd05a961c01c01377285002767ab9fa79ff6286112efaea88d3bee45479",
        )][..],
        &[(
            "box-signature-secondary",
            "b37eecd05a961c01c01377285002767ab9fa79ff6286112efaea88d3bee45479",
        )],
        &[
            ("box-signature-primary", &wrong),
            (
                "box-signature-secondary",
                "b37eecd05a961c01c01377285002767ab9fa79ff6286112efaea88d3bee45479",
            ),
        ],
    ] {
        assert_eq!(
            Bent::new(headers, b"{}").verify(&provider, &keys),
            Ok(Binding::Body)
        );
    }
}

#[test]
fn an_algorithm_named_before_the_signature_can_be_said_in_a_row() {
    let mut it = signature(header("x-sig"), vec![Part::Body]);
    it.accepted = Cow::Owned(
        [("sha256=", Hash::Sha256), ("sha512=", Hash::Sha512)]
            .map(|(prefix, hash)| Accepted {
                prefix: Cow::Borrowed(prefix),
                method: Method::Hmac(hash),
                encoding: Encoding::HexLower,
            })
            .to_vec(),
    );
    let provider = custom_row(it);
    check(
        "sha256",
        &provider,
        PLAIN,
        &Bent::new(
            &[(
                "x-sig",
                "sha256=b37eecd05a961c01c01377285002767ab9fa79ff6286112efaea88d3bee45479",
            )],
            b"{}",
        ),
    );
    check(
        "sha512",
        &provider,
        PLAIN,
        &Bent::new(
            &[(
                "x-sig",
                "sha512=8e7eb2e7ab39326d96f8619cc6d75e4a3a5421beb866cedcced9e340347bed9ab9a74c79bc0cc011bbd498080d4fea232e34c4ae0057edc8846bf52d0238131f",
            )],
            b"{}",
        ),
    );
}

#[test]
fn an_ed25519_signature_in_hex_can_be_said_in_a_row() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let mut it = signature(header("x-signature-ed25519"), vec![Part::Timestamp, Part::Body]);
    it.families.to_mut()[0].timestamp = Some(header("x-signature-timestamp"));
    it.time = Some(Time::SECONDS);
    it.accepted = Cow::Owned(vec![Accepted {
        method: Method::Ed25519,
        ..HEX
    }]);
    it.secrets = Cow::Owned(vec![SecretForm {
        encoding: SecretEncoding::Hex,
        public: true,
        ..SecretForm::TEXT
    }]);
    let signed = hex::encode(pair.sign(br#"1767225600{"type":1}"#));
    let headers = [
        ("x-signature-ed25519", signed.as_str()),
        ("x-signature-timestamp", "1767225600"),
    ];
    let public = hex::encode(pair.public_key());
    check(
        "discord",
        &custom_row(it),
        &public,
        &Bent::new(&headers, br#"{"type":1}"#),
    );
}

#[test]
fn a_token_in_the_body_can_be_said_in_a_row() {
    let mut provider = row("token").clone();
    provider.schemes = Cow::Owned(vec![Scheme::Token(Token {
        each: None,
        place: body("/clientState"),
        prefix: Cow::Borrowed(""),
    })]);
    let body = format!(r#"{{"clientState":"{PLAIN}"}}"#);
    check("client state", &provider, PLAIN, &Bent::new(&[], body.as_bytes()));
}
