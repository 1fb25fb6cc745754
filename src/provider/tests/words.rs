//! Words for stranger senders, each with a signature that Python's `hmac` and `hashlib` made.

use super::{shapes::check, *};
use crate::provider::{
    recipe::{
        Places,
        hmac::{HmacRecipe, hmac},
    },
    scheme::Hash,
};

fn made(recipe: HmacRecipe) -> Provider {
    hmac(&recipe, &Places::default()).unwrap_or_else(|it| panic!("{it:?}"))
}

#[expect(clippy::unnecessary_wraps, reason = "every field of a recipe is an option")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A signature over `signed`, in hex in `x-sig`.
#[track_caller]
fn check_signed(signed: &str, body: &str, signature: &str) {
    let provider = made(HmacRecipe {
        header: text("x-sig"),
        signed: text(signed),
        ..HmacRecipe::default()
    });
    let mut bent = Bent::new(&[("x-sig", signature)], body.as_bytes());
    bent.target = "/webhooks/x?id=AbC".to_owned();
    check(signed, &provider, PLAIN, &bent);
}

#[test]
fn a_text_made_of_others_can_be_said() {
    check_signed(
        "{base64:{sha256:{body}}}|{lower:query:id}|{upper:{body:/s}-x}",
        r#"{"s":"paid"}"#,
        "8588ccd0b2c7aaa4e31ce82b493fabbc0a32cf66fd6bc58dad5c647cc3a7e095",
    );
    check_signed(
        "{hex:{md5:{body}}}",
        "{}",
        "999cb6b2e760229db6d632137c7189965da6c8a61a22f33508ccb3fcf339a390",
    );
    check_signed(
        r#"{{"b":{quoted:{body}}}}"#,
        r#"{"s":"é\n"}"#,
        "d095612b1ba315f10f2a26fdc33d5952aeb4b75f435936838a35515f541a8653",
    );
    check_signed(
        "{base64url:1.{base64url:{body}}}",
        "{}",
        "be23cae1b45dbd49466bf13b683db98bb74c46757b82df648389a22ed9a3868f",
    );
}

#[test]
fn json_can_be_signed_as_it_is_written_and_sorted() {
    check_signed(
        "{raw:/data}",
        r#"{"x":1,"data": {"b" : 1.0}}"#,
        "b461484786ec20aef1335020641a61112bf178f556c1b50ca0eff587afa840fe",
    );
    check_signed(
        "{sorted_json}",
        r#"{"b": [1.0, {"d":1,"c":"é"}], "a":null}"#,
        "652527cee6371479ef52501cc0d28cda0a9cd1c369c6c247f820832e436feceb",
    );
    check_signed(
        "{php_json:/data}",
        r#"{"data": {"b" : "é/"}}"#,
        "5481de56b5e6f23dc641e894ac640afef9c4587a7d5e31af252ca6a6f55015b7",
    );
    check_signed(
        "{body_without_space}",
        "{\"s\": \"a b\"}\n",
        "f16f9f4f6fe615bfe399adbca5da4a270421552b8691b9ae2ecc7dee5ee254bf",
    );
    let provider = made(HmacRecipe {
        header: text("x-sig"),
        signed: text("{sorted_json}"),
        ..HmacRecipe::default()
    });
    let keys = [key(&provider, PLAIN)];
    for body in ["a=1", r#"{"a":1,"a":2}"#] {
        let bent = Bent::new(&[("x-sig", &"0".repeat(64))], body.as_bytes());
        check_refused(&bent, &provider, &keys, "malformed_signed_part");
    }
    let bent = Bent::new(&[("x-sig", &"0".repeat(64))], b"{}");
    let raw = made(HmacRecipe {
        header: text("x-sig"),
        signed: text("{raw:/data}"),
        ..HmacRecipe::default()
    });
    check_refused(&bent, &raw, &keys, "signed_part_missing");
}

#[test]
fn the_secret_can_stand_in_the_body() {
    let provider = made(HmacRecipe {
        place: text("body:/auth"),
        hash: text("plain-md5"),
        signed: text("{body_with_secret:/auth}"),
        ..HmacRecipe::default()
    });
    assert_eq!(provider.binding(), Binding::Body);
    // Made by Python's hashlib of the body with the secret in its place.
    let body = r#"{"x": "a", "auth" : "0de9081711fb51c2e31397b7f217e8bc"}"#;
    check(
        "body_with_secret",
        &provider,
        PLAIN,
        &Bent::new(&[], body.as_bytes()),
    );
    let keys = [key(&provider, PLAIN)];
    let number = Bent::new(&[], br#"{"auth":7}"#);
    assert!(number.verify(&provider, &keys).is_err());
}

#[test]
fn a_key_can_be_made_of_more_than_the_secret() {
    let provider = made(HmacRecipe {
        header: text("x-sig"),
        timestamp_header: text("x-time"),
        timestamp_unit: text("none"),
        key: text("{timestamp}&{secret}"),
        ..HmacRecipe::default()
    });
    let headers = [
        (
            "x-sig",
            "24b12e01da96478d73e7fc5d57f3b6cf6acf611262abd99273969b8f8d3d292f",
        ),
        ("x-time", "soon"),
    ];
    check("key", &provider, PLAIN, &Bent::new(&headers, b"{}"));
    assert!(!provider.signs_time());
}

#[test]
fn a_nonce_is_no_time() {
    let provider = made(HmacRecipe {
        header: text("x-sig"),
        field: text("s"),
        timestamp_field: text("t"),
        timestamp_unit: text("none"),
        signed: text("{timestamp}.{body}"),
        ..HmacRecipe::default()
    });
    check(
        "nonce",
        &provider,
        PLAIN,
        &Bent::new(
            &[(
                "x-sig",
                "t=abc,s=1a74cad043f01875e05d2203ec85cee2c61492467318a0a76c39d1e3dfea081f",
            )],
            b"{}",
        ),
    );
    let keys = [key(&provider, PLAIN)];
    let without = Bent::new(
        &[(
            "x-sig",
            "s=1a74cad043f01875e05d2203ec85cee2c61492467318a0a76c39d1e3dfea081f",
        )],
        b"{}",
    );
    check_refused(&without, &provider, &keys, "timestamp_missing");
}

#[test]
fn seconds_and_milliseconds_are_told_apart() {
    let provider = made(HmacRecipe {
        header: text("x-sig"),
        timestamp_header: text("x-time"),
        timestamp_unit: text("s-or-ms"),
        signed: text("{timestamp}"),
        ..HmacRecipe::default()
    });
    for (time, signature) in [
        (
            "1767225600",
            "08222a1feb22fa3f4f5468a28c0b6fe69dde71a4e5ac07f264a6564c97a80232",
        ),
        (
            "1767225600123",
            "7a4885a1643fa05de4e64b6e497b22657ca9d1f4e04ce953dbdc0dfbd9456e88",
        ),
    ] {
        let bent = Bent::new(&[("x-sig", signature), ("x-time", time)], b"");
        let keys = [key(&provider, PLAIN)];
        assert_eq!(bent.verify(&provider, &keys), Ok(Binding::Origin), "{time}");
        let later = NOW.plus(Duration::from_secs(302));
        let refusal = bent.verify_at(&provider, &keys, None, later).unwrap_err();
        assert_eq!(refusal.code(), "timestamp_stale", "{time}");
    }
}

#[test]
fn old_and_odd_hashes_can_be_said() {
    let with = |hash: &str, signed: &str, secret_encoding: &str| {
        made(HmacRecipe {
            header: text("x-sig"),
            hash: text(hash),
            signed: text(signed),
            secret_encoding: text(secret_encoding),
            ..HmacRecipe::default()
        })
    };
    for (provider, signature) in [
        (with("md5", "{body}", "text"), "ae6f49c9e01e64fc96cdc7b700098f52"),
        (
            with("plain-md5", "{body}{secret}", "text"),
            "43afa45b3b5b4bdeee0f6fe12c3be987",
        ),
        (
            with("plain-keccak256", "{body}{secret}", "text"),
            "f21ed847909568fcbc6ffb4e00d7483d7c1a021c332ba5e4bd1b7c07f76c2a82",
        ),
        (
            with("sha256", "{body}", "sha256-of-text"),
            "a859f4312db9dc7ea9656eefd6cf13e3e53fccca09018d7d0edbcae987a9f10c",
        ),
        (
            with("plain-sha256", "{secret}{body}", "reversed"),
            "eb0dc9c97425e2510463eb90b68b4372d78559b423fa29ee4049c5a211808be8",
        ),
    ] {
        check(
            signature,
            &provider,
            PLAIN,
            &Bent::new(&[("x-sig", signature)], b"{}"),
        );
    }
    assert_eq!(row("patreon").weak_hash().map(Hash::as_str), Some("md5"));
    assert_eq!(row("ebay").weak_hash().map(Hash::as_str), Some("sha1"));
    assert_eq!(row("github").weak_hash(), None);
    assert_eq!(
        row("mandrill").weak_hash(),
        None,
        "an HMAC with SHA-1 still holds"
    );
}
