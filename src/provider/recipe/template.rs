//! `{timestamp}.{body}`: what is signed, as the config writes it.

use std::borrow::Cow;

use crate::provider::{
    recipe::{
        Fault, fault,
        words::{FUNCTIONS, json_pointer, parse_place},
    },
    scheme::{Function, Hash, Part},
};

const KEY: &str = "hmac.signed";
const HINT: &str = "known are `{body}`, `{timestamp}`, `{id}`, `{url}`, `{method}`, `{path}`, `{target}`, `{secret}`, `{sorted_form}`, \
     `{sorted_json}`, `{body_sha256}` (and `sha1`, `sha384`, `sha512`), `{header:NAME}`, `{query:NAME}`, `{form:FIELD}`, \
     `{body:/POINTER}`, `{raw:/POINTER}`, and `{base64:{sha256:{body}}}` for a text made of others; `{{` and `}}` are braces";

/// Braces hold a part, everything else is literal text.
pub(super) fn parse(text: &str, faults: &mut Vec<Fault>) -> Vec<Part> {
    let n_faults = faults.len();
    let parts = pieces(text, faults);
    if parts.iter().all(|it| matches!(it, Part::Literal(_))) && faults.len() == n_faults {
        faults.push(fault(
            KEY,
            format!("`{text}` has nothing of the request in it"),
            Some(HINT),
        ));
    }
    parts
}

fn pieces(text: &str, faults: &mut Vec<Fault>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((name, after)) = split_at_end(after) else {
                faults.push(fault(
                    KEY,
                    format!("`{rest}` is not closed with `}}`"),
                    Some(HINT),
                ));
                break;
            };
            flush(&mut literal, &mut parts);
            parts.extend(part(name, faults));
            rest = after;
        } else if c == '}' {
            faults.push(fault(KEY, "a `}` has no `{`", Some(HINT)));
            break;
        } else {
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    flush(&mut literal, &mut parts);
    parts
}

/// What stands before the brace that closes this part, and after it.
fn split_at_end(text: &str) -> Option<(&str, &str)> {
    let mut n_open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => n_open += 1,
            '}' if n_open == 0 => return Some((&text[..at], &text[at + 1..])),
            '}' => n_open -= 1,
            _ => {}
        }
    }
    None
}

/// `{lower:form:Status}`, `{hex:{md5:{form:id}{form:amount}}}`
fn made_of(function: Function, inner: &str, faults: &mut Vec<Fault>) -> Option<Part> {
    let parts = if inner.contains('{') {
        pieces(inner, faults)
    } else {
        part(inner, faults).into_iter().collect()
    };
    let is_in_none = |it: &Part| matches!(it, Part::Secret | Part::BodyWithSecret(_) | Part::Option(_));
    if parts.iter().any(|it| it.is_of(&is_in_none)) {
        faults.push(fault(
            KEY,
            "a secret or an option cannot stand inside another part",
            None,
        ));
        return None;
    }
    Some(Part::Of(function, parts))
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(Cow::Owned(std::mem::take(literal))));
    }
}

fn part(name: &str, faults: &mut Vec<Fault>) -> Option<Part> {
    Some(match name {
        "body" => Part::Body,
        "timestamp" => Part::Timestamp,
        "id" => Part::Id,
        "url" => Part::Url,
        "method" => Part::Method,
        "path" => Part::Path,
        "target" => Part::Target,
        "secret" => Part::Secret,
        "sorted_form" => Part::SortedForm,
        "sorted_json" => Part::SortedJson,
        "form_fields" => Part::FormFields,
        "body_sha1" => Part::BodyHash(Hash::Sha1),
        "body_sha256" => Part::BodyHash(Hash::Sha256),
        "body_sha384" => Part::BodyHash(Hash::Sha384),
        "body_sha512" => Part::BodyHash(Hash::Sha512),
        "body_crc32" => Part::BodyCrc32,
        "body_without_space" => Part::BodyWithoutSpace,
        _ => {
            if let Some(name) = name.strip_prefix("option:") {
                return Some(Part::Option(Cow::Owned(name.to_owned())));
            }
            if let Some(place) = name.strip_prefix("line:") {
                return Some(Part::Line(parse_place(place, KEY, faults)?));
            }
            if let Some(place) = name.strip_suffix('?') {
                return Some(Part::Optional(parse_place(place, KEY, faults)?));
            }
            let known = name.split_once(':');
            let function = known.and_then(|(word, inner)| {
                let found = FUNCTIONS.iter().find(|(it, _)| *it == word)?;
                Some((found.1, inner))
            });
            if let Some((function, inner)) = function {
                return made_of(function, inner, faults);
            }
            match known {
                Some(("signature_base", covered)) => {
                    let covered = covered.split(',').map(|it| Cow::Owned(it.to_owned()));
                    Part::SignatureBase(covered.collect())
                }
                Some(("listed", place)) => Part::ListedHeaders(parse_place(place, KEY, faults)?),
                Some(("raw", pointer)) => Part::Raw(json_pointer(pointer, KEY, faults)),
                Some(("php_json", pointer)) => Part::PhpJson(json_pointer(pointer, KEY, faults)),
                Some(("body_with_secret", pointer)) => {
                    Part::BodyWithSecret(json_pointer(pointer, KEY, faults))
                }
                Some(("header" | "query" | "form" | "body", _)) => Part::At(parse_place(name, KEY, faults)?),
                _ => {
                    faults.push(fault(KEY, format!("`{{{name}}}` is unknown"), Some(HINT)));
                    return None;
                }
            }
        }
    })
}
