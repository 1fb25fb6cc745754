use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::provider::{
    encoding,
    recipe::{
        Places,
        credentials::{self, BasicRecipe, TokenRecipe},
        hmac::{HmacRecipe, hmac},
    },
};

/// A shape that some sender uses, in the words of the config. The signatures were made by Python's `hmac`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    name: String,
    /// Keys of the `hmac` table.
    recipe: BTreeMap<String, String>,
    event_id: Option<String>,
    secret: Option<String>,
    url: Option<String>,
    target: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

impl Shape {
    fn provider(&self) -> Provider {
        let text = |name: &str| self.recipe.get(name).cloned();
        let recipe = HmacRecipe {
            hash: text("hash"),
            header: text("header"),
            prefix: text("prefix"),
            encoding: text("encoding"),
            signed: text("signed"),
            timestamp_header: text("timestamp_header"),
            timestamp_unit: text("timestamp_unit"),
            secret_encoding: text("secret_encoding"),
            separator: text("separator"),
            field: text("field"),
            timestamp_field: text("timestamp_field"),
            tolerance: text("tolerance").map(|_| Duration::from_mins(5)),
            ..HmacRecipe::default()
        };
        let places = Places {
            event_id: self.event_id.clone(),
            ..Places::default()
        };
        hmac(&recipe, &places).unwrap_or_else(|it| panic!("{}: {it:?}", self.name))
    }

    fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(PLAIN)
    }
}

fn shapes() -> Vec<Shape> {
    serde_json::from_str(include_str!("shapes.json")).unwrap()
}

/// It verifies, and neither with another secret nor with any signed thing changed.
#[track_caller]
pub(super) fn check(name: &str, provider: &Provider, secret: &str, bent: &Bent) {
    let keys = [key(provider, secret)];
    let binding = bent
        .verify(provider, &keys)
        .unwrap_or_else(|it| panic!("{name}: {it}"));
    assert_eq!(binding, provider.binding(), "{name}");
    let other: String = secret
        .chars()
        .rev()
        .map(|it| if it == '0' { '1' } else { it })
        .collect();
    if let Ok(other) = provider.key(&Secret::new(other)) {
        assert!(bent.verify(provider, &[other]).is_err(), "{name}: another secret");
    }
    for idx in 0..bent.headers.len() {
        let mut bent = bent.clone();
        if bent.headers.remove(idx).0 == "content-type" {
            continue;
        }
        assert!(bent.verify(provider, &keys).is_err(), "{name}: header {idx}");
    }
    if binding == Binding::Body {
        let mut bent = bent.clone();
        bent.body.extend(b"&zz=1");
        assert!(bent.verify(provider, &keys).is_err(), "{name}: body");
    }
}

#[test]
fn every_shape_of_hmac_can_be_said_in_the_config() {
    let shapes = shapes();
    assert!(shapes.len() >= 40, "{}", shapes.len());
    for shape in shapes {
        let provider = shape.provider();
        let body = shape.body.as_deref().unwrap_or(r#"{"id":"e1","type":"t.x"}"#);
        let mut bent = Bent::new(&[], body.as_bytes());
        let headers = shape.headers.iter();
        bent.headers = headers
            .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
            .collect();
        bent.target = shape.target.clone().unwrap_or(bent.target);
        bent.url.clone_from(&shape.url);
        check(&shape.name, &provider, shape.secret(), &bent);
        if shape.url.is_some() {
            bent.url = None;
            let keys = [key(&provider, shape.secret())];
            let refusal = bent.verify(&provider, &keys).unwrap_err();
            assert_eq!((refusal.code(), provider.signs_url()), ("url_unknown", true));
        }
    }
}

#[test]
fn what_a_recipe_signs_its_row_verifies() {
    for shape in shapes() {
        let provider = shape.provider();
        match provider.sample(&Secret::new(shape.secret()), &Wanted::default(), NOW) {
            Ok(sample) => {
                let verdict = Bent::from(sample).verify(&provider, &[key(&provider, shape.secret())]);
                assert_eq!(verdict, Ok(provider.binding()), "{}", shape.name);
            }
            Err(bad) => assert!(!bad.problem.is_empty() && !bad.hint.is_empty()),
        }
    }
}

#[test]
fn tokens_and_passwords_can_be_said_in_the_config() {
    type Shape<'a> = (&'a str, TokenRecipe, &'a [(&'a str, &'a str)], &'a str);
    let tokens: &[Shape<'_>] = &[
        (
            "bearer",
            TokenRecipe::default(),
            &[("authorization", "Bearer a-long-enough-plain-secret")],
            "/",
        ),
        (
            "header",
            TokenRecipe {
                header: Some("X-Vapi-Secret".to_owned()),
                ..TokenRecipe::default()
            },
            &[("x-vapi-secret", PLAIN)],
            "/",
        ),
        (
            "prefix",
            TokenRecipe {
                header: Some("authorization".to_owned()),
                prefix: Some("Token token=".to_owned()),
                ..TokenRecipe::default()
            },
            &[("authorization", "Token token=a-long-enough-plain-secret")],
            "/",
        ),
        (
            "query",
            TokenRecipe {
                query: Some("secret".to_owned()),
                ..TokenRecipe::default()
            },
            &[],
            "/webhooks/x?secret=a-long-enough-plain-secret",
        ),
    ];
    for (name, recipe, headers, target) in tokens {
        let provider = credentials::token(recipe, &Places::default()).unwrap();
        let mut bent = Bent::new(headers, b"{}");
        bent.target = (*target).to_owned();
        check(name, &provider, PLAIN, &bent);
        assert_eq!(provider.binding(), Binding::Origin);
        let keys = [key(&provider, PLAIN)];
        for wrong in [
            "a-long-enough-plain-secre",
            "a-long-enough-plain-secretx",
            "A-long-enough-plain-secret",
            "",
        ] {
            let mut bent = bent.clone();
            bent.target = bent.target.replace(PLAIN, wrong);
            for (_, value) in &mut bent.headers {
                *value = String::from_utf8(value.clone())
                    .unwrap()
                    .replace(PLAIN, wrong)
                    .into_bytes();
            }
            assert!(bent.verify(&provider, &keys).is_err(), "{name} {wrong:?}");
        }
    }
    let mut twice = Bent::new(&[], b"{}");
    twice.target = "/?secret=a-long-enough-plain-secret&secret=x".to_owned();
    let provider = credentials::token(&tokens[3].1, &Places::default()).unwrap();
    assert_eq!(
        twice
            .verify(&provider, &[key(&provider, PLAIN)])
            .unwrap_err()
            .code(),
        "duplicate_header"
    );

    let provider = credentials::basic(&BasicRecipe {}, &Places::default()).unwrap();
    let secret = "user:a-long-enough-password";
    let basic = |text: &str| Bent::new(&[("authorization", text)], b"{}");
    let right = format!("Basic {}", encoding::encode_basic(secret.as_bytes()));
    check("basic", &provider, secret, &basic(&right));
    check(
        "basic",
        &provider,
        secret,
        &basic(&right.replace("Basic", "basic")),
    );
    for wrong in [
        right.trim_end_matches('=').to_owned() + "==",
        format!("Basic {}", encoding::encode_basic(b"user:a-long-enough-passwor")),
        format!("Basic {}", encoding::encode_basic(b"USER:a-long-enough-password")),
        format!("Basic {secret}"),
        "Basic ".to_owned(),
        "Basic".to_owned(),
        "Bearer x".to_owned(),
        "é".to_owned(),
    ] {
        assert!(
            basic(&wrong)
                .verify(&provider, &[key(&provider, secret)])
                .is_err(),
            "{wrong}"
        );
    }
}
