//! `{timestamp}.{body}`: what is signed, as the config writes it.

use std::borrow::Cow;

use crate::provider::{
    place::Place,
    recipe::{
        Fault, fault,
        words::{header_name, json_pointer, parse_place},
    },
    scheme::{Hash, Part},
};

const KEY: &str = "hmac.signed";
const HINT: &str = "known are `{body}`, `{timestamp}`, `{id}`, `{url}`, `{method}`, `{path}`, `{target}`, `{secret}`, `{sorted_form}`, \
     `{body_sha256}` (and `sha1`, `sha384`, `sha512`), `{header:NAME}`, `{query:NAME}`, `{form:FIELD}`, `{body:/POINTER}`; \
     `{{` and `}}` are braces";

/// Braces hold a part, everything else is literal text.
pub(super) fn parse(text: &str, faults: &mut Vec<Fault>) -> Vec<Part> {
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
            let Some((name, after)) = after.split_once('}') else {
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
    if parts.iter().all(|it| matches!(it, Part::Literal(_))) && faults.is_empty() {
        faults.push(fault(
            KEY,
            format!("`{text}` has nothing of the request in it"),
            Some(HINT),
        ));
    }
    parts
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
        "form_fields" => Part::FormFields,
        "body_sha1" => Part::BodyHash(Hash::Sha1),
        "body_sha256" => Part::BodyHash(Hash::Sha256),
        "body_sha384" => Part::BodyHash(Hash::Sha384),
        "body_sha512" => Part::BodyHash(Hash::Sha512),
        "body_crc32" => Part::BodyCrc32,
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
            let place = match name.split_once(':') {
                Some(("header", name)) => header_name(name, KEY, faults),
                Some(("query", name)) => Place::Query(Cow::Owned(name.to_owned())),
                Some(("form", name)) => Place::Form(Cow::Owned(name.to_owned())),
                Some(("body", pointer)) => Place::Body(json_pointer(pointer, KEY, faults)),
                _ => {
                    faults.push(fault(KEY, format!("`{{{name}}}` is unknown"), Some(HINT)));
                    return None;
                }
            };
            Part::At(place)
        }
    })
}
