//! The one door through which a request becomes a verified one, and the one place that compares secrets.
//!
//! `shown` says which proof a request shows and where, `signature` and `credentials` whether it is right; `written` takes the
//! text of a signature apart, `batch` a body whose elements are signed each by itself.

mod batch;
mod credentials;
mod shown;
mod signature;
mod written;

use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::{
    base::clock::Timestamp,
    event::Binding,
    provider::{
        Call, Key, Provider, Refusal, jwt,
        place::Reader,
        scheme::Scheme,
        verify::{
            batch::in_each,
            credentials::{verify_basic, verify_token},
            shown::{pointers_of, unsigned},
            signature::verify_signature,
        },
    },
};

pub(super) fn verify(
    provider: &Provider,
    keys: &[Key],
    call: &Call<'_>,
    tolerance: Option<Duration>,
    now: Timestamp,
) -> Result<Binding, Refusal> {
    let reader = reader_of(provider, call);
    let shown = provider.schemes.iter().position(|it| it.may_be_shown(&reader));
    let Some(index) = shown else {
        return Err(unsigned(provider, &reader));
    };
    let scheme = &provider.schemes[index];
    if matches!(scheme, Scheme::Unverified) {
        return Ok(Binding::None);
    }
    let is_mine = |key: &&Key| {
        key.scheme == index
            || provider
                .schemes
                .get(key.scheme)
                .is_some_and(|it| it.has_keys_of(scheme))
    };
    let mine: Vec<&Key> = keys.iter().filter(is_mine).collect();
    if mine.is_empty() {
        return Err(scheme.key_missing(keys.len()));
    }
    match scheme {
        Scheme::Signature(signature) => match &signature.each {
            None => verify_signature(signature, &mine, &reader, tolerance, now)?,
            Some(array) => in_each(array, call, |element| {
                let mut reader = Reader::new(element);
                reader.fetch_unique(pointers_of(signature.places()).collect());
                verify_signature(signature, &mine, &reader, tolerance, now)
            })?,
        },
        Scheme::Token(token) => match &token.each {
            None => verify_token(token, &mine, &reader)?,
            Some(array) => in_each(array, call, |element| {
                verify_token(token, &mine, &Reader::new(element))
            })?,
        },
        Scheme::Jwt(jwt) => jwt::verify(jwt, &mine, &reader, now)?,
        Scheme::Basic => verify_basic(&mine, &reader)?,
        Scheme::Unverified => {}
    }
    Ok(scheme.binding())
}

/// A reader that has taken out of a JSON body whatever a verdict can hang on.
pub(super) fn reader_of<'a>(provider: &'a Provider, call: &'a Call<'a>) -> Reader<'a> {
    let mut reader = Reader::new(call);
    let mut pointers = Vec::new();
    for scheme in provider.schemes.iter() {
        scheme.push_pointers(&mut pointers);
    }
    reader.fetch_unique(pointers);
    reader
}

/// The one compare: no byte and no position can be told from how long it takes, only the length.
pub(super) fn is_same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && bool::from(left.ct_eq(right))
}
