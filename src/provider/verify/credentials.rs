//! Whether a token, or a user and a password, is one of the source's secrets.

use std::borrow::Cow;

use crate::provider::{
    Key, Refusal, encoding,
    place::{Place, Reader},
    scheme::Token,
    verify::{is_same, shown::AUTHORIZATION},
};

pub(super) fn verify_token(token: &Token, keys: &[&Key], reader: &Reader<'_>) -> Result<(), Refusal> {
    let place = || format!("`{}`", token.place);
    let value = reader
        .once(&token.place)?
        .ok_or_else(|| Refusal::Unsigned { wanted: place() })?;
    let Some(shown) = value.strip_prefix(token.prefix.as_bytes()) else {
        return Err(Refusal::MalformedCredentials {
            place: place(),
            problem: format!("expected `{}` before the token", token.prefix),
        });
    };
    // With its prefix or without: both are ways to write the one secret down.
    if keys.iter().any(|key| is_same(key.material.expose(), &value)) {
        return Ok(());
    }
    check_credentials(shown, keys, place)
}

pub(super) fn verify_basic(keys: &[&Key], reader: &Reader<'_>) -> Result<(), Refusal> {
    let header = Place::Header(Cow::Borrowed(AUTHORIZATION));
    let place = || format!("`{header}`");
    let value = reader
        .once(&header)?
        .ok_or_else(|| Refusal::Unsigned { wanted: place() })?;
    let scheme = value.get(..6).unwrap_or_default();
    let shown = if scheme.eq_ignore_ascii_case(b"basic ") {
        encoding::decode_basic(&value[6..])
    } else {
        None
    };
    let Some(shown) = shown else {
        return Err(Refusal::MalformedCredentials {
            place: place(),
            problem: "expected `Basic ` and the base64 of `user:password`".to_owned(),
        });
    };
    check_credentials(&shown, keys, place)
}

fn check_credentials(shown: &[u8], keys: &[&Key], place: impl Fn() -> String) -> Result<(), Refusal> {
    let mut is_right = false;
    for key in keys {
        is_right |= is_same(key.material.expose(), shown);
    }
    if is_right {
        return Ok(());
    }
    Err(Refusal::WrongCredentials {
        place: place(),
        n_secrets: keys.len(),
    })
}
