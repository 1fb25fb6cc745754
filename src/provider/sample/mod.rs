//! Makes requests as a sender would: for `gatepost send`, the demo and tests.
//!
//! `body` writes one where none of the sender's own is known, `marks` fills in what is another one each time, `sign` signs.

mod body;
mod marks;
mod sign;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    provider::{
        BadSecret, Provider, Sample, Wanted, encoding,
        place::Place,
        sample::{
            body::{form_body, generic_body, named, put_into, put_into_form},
            marks::{Marks, TOKEN_MARK, escape_for, without_controls},
            sign::{push_new, sign},
        },
        scheme::Scheme,
    },
};

const FORM: &str = "application/x-www-form-urlencoded";
const GENERIC_TYPE: &str = "example.created";
const URL_HINT: &str = "post a real one instead: `gatepost verify` checks it offline";

pub(super) fn make(
    provider: &Provider,
    secret: &Secret,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Sample, BadSecret> {
    let form = provider.sample.as_ref();
    let own_type = || form.map_or(GENERIC_TYPE, |it| it.event_type.as_ref());
    let event_type = wanted.event_type.unwrap_or_else(own_type);
    let marks = Marks::new(event_type, secret, now);
    let named = named(provider, &marks);
    let is_proof_in = |is_there: fn(&Place) -> bool| {
        let mut schemes = provider.schemes.iter();
        schemes.any(|it| it.places().iter().any(is_there))
    };
    let is_form = form.is_none()
        && (is_proof_in(|it| matches!(it, Place::Form(_)))
            || wanted.body.is_none()
                && named
                    .iter()
                    .any(|(it, _)| matches!(it, Place::Form(_) | Place::FormJson { .. }))
                && !is_proof_in(|it| matches!(it, Place::Body(_))));
    let content_type = match form {
        Some(form) => form.content_type.as_ref(),
        None if is_form => FORM,
        None => "application/json",
    };
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    for (name, value) in form.map_or(&[][..], |it| it.headers.as_ref()) {
        headers.push((name.to_string(), marks.fill(value, without_controls)));
    }
    let body = match (wanted.body, form) {
        (Some(body), _) => body.to_vec(),
        (None, Some(form)) => marks.fill(&form.body, escape_for(content_type)).into_bytes(),
        (None, None) if is_form => form_body(&named, &marks),
        (None, None) => generic_body(&named, &marks),
    };
    if form.is_none() {
        // No request of this sender is known: its headers are where the row says they are.
        for (place, text) in &named {
            if let Place::Header(name) = place {
                push_new(&mut headers, name, without_controls(text));
            }
        }
    }
    let mut sample = Sample {
        headers,
        query: None,
        body,
    };
    if provider.is_unverified() {
        return Ok(sample);
    }
    let key = provider.key(secret)?;
    match provider.schemes.get(key.scheme) {
        Some(Scheme::Signature(signature)) => sign(signature, &key, &mut sample, wanted, &marks)?,
        Some(Scheme::Token(token)) => {
            let value = [token.prefix.as_bytes(), key.material.expose()].concat();
            let value = String::from_utf8_lossy(&value).into_owned();
            match &token.place {
                Place::Header(name) => sample.headers.push((name.to_string(), value)),
                Place::Query(name) => sample.query = Some((name.to_string(), value)),
                Place::Body(pointer) => {
                    let array = token
                        .each
                        .as_ref()
                        .map(|it| format!("{it}/*"))
                        .unwrap_or_default();
                    put_into(&mut sample.body, &format!("{array}{pointer}"), value.into());
                }
                Place::Form(name) => put_into_form(&mut sample.body, name, &value),
                _ if form.is_some_and(|it| it.body.contains(TOKEN_MARK)) => {}
                _ => {
                    return Err(cannot(
                        "the token of this scheme is inside another field",
                        URL_HINT,
                    ));
                }
            }
        }
        Some(Scheme::Basic) => {
            let credentials = encoding::encode_basic(key.material.expose());
            let header = ("authorization".to_owned(), format!("Basic {credentials}"));
            sample.headers.push(header);
        }
        Some(Scheme::Jwt(_)) => {
            return Err(cannot(
                "the token of this scheme is made by its sender alone",
                URL_HINT,
            ));
        }
        Some(Scheme::Unverified) | None => {}
    }
    Ok(sample)
}

/// What the body looks like, signed by nobody; `None` where no request of this sender is known.
pub(super) fn body(provider: &Provider, now: Timestamp) -> Option<String> {
    let form = provider.sample.as_ref()?;
    let nobodys = Secret::new(Vec::new());
    let marks = Marks::new(&form.event_type, &nobodys, now);
    Some(marks.fill(&form.body, escape_for(&form.content_type)))
}

fn cannot(problem: impl Into<String>, hint: impl Into<String>) -> BadSecret {
    BadSecret {
        problem: problem.into(),
        hint: hint.into(),
    }
}
