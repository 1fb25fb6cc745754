use std::time::Duration;

use super::*;
use crate::provider::{
    place::Place,
    recipe::{
        credentials::{TokenRecipe, token},
        hmac::{HmacRecipe, hmac},
    },
};

#[expect(clippy::unnecessary_wraps, reason = "every field of a recipe is an option")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The keys of the faults, in order.
fn keys(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|it| it.key.as_str()).collect()
}

#[test]
fn every_fault_of_a_recipe_is_reported_at_once() {
    let recipe = HmacRecipe {
        hash: text("sha265"),
        header: text("x signature"),
        encoding: text("HEX"),
        signed: text("{timestmp}.{body"),
        timestamp_header: text("x-ts"),
        timestamp_unit: text("seconds"),
        secret_encoding: text("bas64"),
        separator: text(""),
        timestamp_field: text("t"),
        tolerance: Some(Duration::ZERO),
        ..HmacRecipe::default()
    };
    let places = Places {
        event_id: text("haeder:x-id"),
        event_type: text("/type"),
        event_time: text("body:created"),
        ..Places::default()
    };
    let faults = hmac(&recipe, &places).unwrap_err();
    assert_eq!(
        keys(&faults),
        [
            "event_id",
            "event_type",
            "event_time",
            "hmac.hash",
            "hmac.encoding",
            "hmac.timestamp_unit",
            "hmac.secret_encoding",
            "hmac.header",
            "hmac.signed",
            "hmac.signed",
            "hmac.timestamp_field",
            "hmac.timestamp_header",
            "hmac.tolerance",
            "hmac.separator",
            "hmac.timestamp_field",
        ]
    );
    let hint = |key: &str| {
        faults
            .iter()
            .find(|it| it.key == key)
            .unwrap()
            .hint
            .clone()
            .unwrap()
    };
    assert_eq!(hint("hmac.hash"), "did you mean `sha256`?");
    assert_eq!(hint("hmac.encoding"), "did you mean `hex`?");
    assert_eq!(hint("hmac.secret_encoding"), "did you mean `base64`?");
    assert_eq!(hint("event_id"), "did you mean `header`?");
    assert_eq!(
        hint("event_time"),
        "a JSON pointer starts with a slash: `/created`"
    );
    assert!(faults.iter().all(|it| !it.problem.ends_with('.')));
}

#[track_caller]
fn check(recipe: HmacRecipe, key: &str, problem: &str) {
    let recipe = HmacRecipe {
        header: recipe.header.or_else(|| text("x-sig")),
        ..recipe
    };
    let faults = hmac(&recipe, &Places::default()).expect_err(problem);
    assert_eq!(keys(&faults), [key], "{faults:?}");
    assert!(faults[0].problem.contains(problem), "{faults:?}");
}

#[test]
fn recipes_that_would_not_protect_are_refused() {
    let nothing = HmacRecipe::default;
    let signed = |it: &str| HmacRecipe {
        signed: text(it),
        ..nothing()
    };
    check(signed(""), "hmac.signed", "nothing of the request");
    check(signed("static"), "hmac.signed", "nothing of the request");
    check(
        signed("{timestamp}.{body}"),
        "hmac.signed",
        "`{timestamp}` has no place",
    );
    check(signed("{id}.{body}"), "hmac.signed", "`{id}` has no header");
    check(signed("{bdoy}"), "hmac.signed", "`{bdoy}` is unknown");
    check(signed("{body"), "hmac.signed", "not closed");
    check(signed("{body}}"), "hmac.signed", "has no `{`");
    check(signed("{header:no spaces}"), "hmac.signed", "not a header name");
    check(
        HmacRecipe {
            timestamp_header: text("x-ts"),
            ..nothing()
        },
        "hmac.timestamp_header",
        "not signed",
    );
    check(
        HmacRecipe {
            tolerance: Some(Duration::from_mins(1)),
            ..nothing()
        },
        "hmac.tolerance",
        "no timestamp",
    );
    check(
        HmacRecipe {
            hash: text("plain-sha256"),
            ..nothing()
        },
        "hmac.signed",
        "without `{secret}`",
    );
    let faults = hmac(&nothing(), &Places::default()).unwrap_err();
    assert_eq!(keys(&faults), ["hmac.header"]);
}

#[test]
fn the_example_of_the_reference_is_a_row() {
    let recipe = HmacRecipe {
        hash: text("sha256"),
        header: text("x-signature"),
        prefix: text("sha256="),
        encoding: text("hex"),
        signed: text("{timestamp}.{body}"),
        timestamp_header: text("x-timestamp"),
        tolerance: Some(Duration::from_mins(5)),
        ..HmacRecipe::default()
    };
    let places = Places {
        event_id: text("header:X-Event-Id"),
        event_type: text("body:/type"),
        ..Places::default()
    };
    let row = hmac(&recipe, &places).unwrap();
    assert_eq!(
        row.event_id.as_ref(),
        [Reading::At(Place::Header("x-event-id".into()))]
    );
    assert_eq!(
        row.event_type.as_ref(),
        [Reading::At(Place::Body("/type".into()))]
    );
    assert!(row.signs_time() && !row.signs_url());
}

#[test]
fn a_token_comes_in_one_place() {
    let both = TokenRecipe {
        header: text("x-token"),
        query: text("token"),
        ..TokenRecipe::default()
    };
    assert_eq!(
        keys(&token(&both, &Places::default()).unwrap_err()),
        ["token.query"]
    );
    let empty = TokenRecipe {
        query: text(""),
        ..TokenRecipe::default()
    };
    assert_eq!(
        keys(&token(&empty, &Places::default()).unwrap_err()),
        ["token.query"]
    );
    let bad = TokenRecipe {
        header: text("no spaces"),
        ..TokenRecipe::default()
    };
    assert_eq!(
        keys(&token(&bad, &Places::default()).unwrap_err()),
        ["token.header"]
    );
}

#[test]
fn places_of_a_preset_can_be_replaced() {
    let github = find("github").unwrap();
    let places = Places {
        event_type: text("body:/action"),
        event_time: text("form:payload:/created_at"),
        ..Places::default()
    };
    let row = with_places(github, &places).unwrap();
    assert_eq!(row.event_id.as_ref(), github.event_id.as_ref());
    assert_eq!(row.event_type[0].places()[0].to_string(), "body:/action");
    assert_eq!(
        row.event_time[0].places()[0].to_string(),
        "form:payload:/created_at"
    );
    for bad in ["", ":", "header:", "body:id", "cookie:x", "x"] {
        let places = Places {
            event_id: text(bad),
            ..Places::default()
        };
        assert_eq!(
            keys(&with_places(github, &places).unwrap_err()),
            ["event_id"],
            "{bad}"
        );
    }
}

#[test]
fn a_key_and_its_method_must_agree() {
    let with = |hash: &str, secret_encoding: &str| {
        let recipe = HmacRecipe {
            hash: text(hash),
            header: text("x-signature"),
            secret_encoding: text(secret_encoding),
            ..HmacRecipe::default()
        };
        hmac(&recipe, &Places::default()).map_err(|faults| faults[0].key.clone())
    };
    assert_eq!(with("ed25519", "text").unwrap_err(), "hmac.secret_encoding");
    assert_eq!(with("sha256", "public-key").unwrap_err(), "hmac.secret_encoding");
    for (hash, encoding) in [
        ("ed25519", "hex"),
        ("rsa-sha256", "public-key"),
        ("sha256", "base64"),
    ] {
        assert!(with(hash, encoding).is_ok(), "{hash} {encoding}");
    }
    let forms_alone = HmacRecipe {
        header: text("x-signature"),
        signed: text("{url}{form_fields}"),
        ..HmacRecipe::default()
    };
    assert_eq!(
        keys(&hmac(&forms_alone, &Places::default()).unwrap_err()),
        ["hmac.signed"]
    );
}
