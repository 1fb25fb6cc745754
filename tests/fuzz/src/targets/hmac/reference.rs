//! The obvious reading of a recipe.

use std::{collections::BTreeSet, sync::OnceLock};

use aws_lc_rs::{digest as digests, hmac};

use super::{
    super::{
        mac,
        text::{form, whole_number},
        timestamp, tree,
    },
    PUBLIC_URL, Recipe, Request, SECRET,
};

fn only<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r [u8]> {
    let mut values = request.headers.iter().filter(|(it, _)| *it == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

pub(super) fn genuine(recipe: &Recipe, request: &Request<'_>) -> bool {
    is_genuine(recipe, request) == Some(true)
}

fn is_genuine(recipe: &Recipe, request: &Request<'_>) -> Option<bool> {
    let header = std::str::from_utf8(only(request, "x-signature")?).ok()?;
    let [signature_field, time_field] = recipe.fields;
    let has_fields = !signature_field.is_empty();
    let separator = match recipe.separator {
        "" if has_fields => ",",
        it => it,
    };
    let pieces: Vec<&str> = if separator.is_empty() {
        vec![header]
    } else {
        header.split(separator).collect()
    };
    let mut written_at = None;
    let mut signatures = Vec::new();
    for piece in &pieces {
        if !has_fields {
            signatures.push(*piece);
            continue;
        }
        let (name, value) = piece.split_once('=')?;
        if name.is_empty() || !name.chars().all(|it| it.is_ascii_graphic()) {
            return None;
        }
        if name == signature_field {
            signatures.push(value);
        } else if name == time_field && written_at.replace(value.as_bytes()).is_some() {
            return None;
        }
    }
    let time = if recipe.has_time {
        only(request, "x-time")
    } else {
        written_at
    };
    let right = format!(
        "{}{}",
        recipe.prefix,
        written(recipe, &signed(recipe, request, time.unwrap_or_default())?)
    );
    let is_any_case = recipe.encoding == "hex-any-case";
    let mut is_right = false;
    for it in &signatures {
        let is_like = it.len() == right.len()
            && it.starts_with(recipe.prefix)
            && is_spelled(recipe, &it[recipe.prefix.len()..]);
        // What claims to be a signature and is none spoils the rest; of what is no signature at all, a word may stand there.
        let is_other = !recipe.prefix.is_empty() && !it.starts_with(recipe.prefix);
        let is_word = it.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !(is_like || is_other && is_word) {
            return None;
        }
        is_right |= *it == right || (is_like && is_any_case && it.eq_ignore_ascii_case(&right));
    }
    let at = match recipe.unit {
        _ if !recipe.signed.contains("{timestamp}") => {
            return Some(is_right && is_short(header, &pieces, &signatures, has_fields));
        }
        "ms" => whole_number(time?)? * 1_000,
        "rfc3339" => {
            let text = std::str::from_utf8(time?).ok().filter(|it| it.len() <= 40)?;
            i64::try_from(timestamp::rfc3339(text)?).ok()?
        }
        "http-date" => timestamp::http_date(std::str::from_utf8(time?).ok()?)? * 1_000_000,
        // Farther away than any clock here is as stale as can be.
        _ => whole_number(time?)?.min(1 << 40) * 1_000_000,
    };
    let is_fresh = (request.now * 1_000_000 - at).abs() <= 300_000_000;
    Some(is_right && is_fresh && is_short(header, &pieces, &signatures, has_fields))
}

fn is_short(header: &str, pieces: &[&str], signatures: &[&str], has_fields: bool) -> bool {
    header.len() <= 4096 && signatures.len() <= 16 && !(has_fields && pieces.len() > 32)
}

/// Whether a text of the right length is the spelling of some bytes.
fn is_spelled(recipe: &Recipe, text: &str) -> bool {
    let text = text.as_bytes();
    let code = match recipe.encoding {
        "hex" | "hex-upper" | "hex-any-case" => mac::unhex(text),
        "base64" | "base64-unpadded" => mac::unbase64(mac::STANDARD, text),
        "base64-of-hex" => mac::unhex(&mac::unbase64(mac::STANDARD, text)),
        "base64url-of-hex" => mac::unhex(&mac::unbase64(mac::URL_SAFE, text)),
        _ => mac::unbase64(mac::URL_SAFE, text),
    };
    let again = written(recipe, &code);
    again.as_bytes() == text
        || (recipe.encoding == "hex-any-case" && again.as_bytes().eq_ignore_ascii_case(text))
}

pub(super) fn written(recipe: &Recipe, code: &[u8]) -> String {
    let hex = mac::hex(code);
    match recipe.encoding {
        "hex-upper" => hex.to_uppercase(),
        "base64" => mac::base64(mac::STANDARD, true, code),
        "base64-unpadded" => mac::base64(mac::STANDARD, false, code),
        "base64url" => mac::base64(mac::URL_SAFE, true, code),
        "base64url-unpadded" => mac::base64(mac::URL_SAFE, false, code),
        "base64-of-hex" => mac::base64(mac::STANDARD, true, hex.as_bytes()),
        "base64url-of-hex" => mac::base64(mac::URL_SAFE, true, hex.as_bytes()),
        _ => hex,
    }
}

/// The code over all that is signed; nothing where a part is not there.
pub(super) fn signed(recipe: &Recipe, request: &Request<'_>, time: &[u8]) -> Option<Vec<u8>> {
    static KEYS: OnceLock<[hmac::Key; 4]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let all = [mac::SHA1, mac::HMAC_SHA256, mac::HMAC_SHA384, mac::HMAC_SHA512];
        all.map(|it| hmac::Key::new(it, SECRET.as_bytes()))
    });
    let text = assembled(recipe, request, time)?;
    Some(match recipe.hash {
        "plain-sha256" => mac::digest(&digests::SHA256, &text),
        "sha1" => mac::hmac(&keys[0], &[&text]),
        "sha384" => mac::hmac(&keys[2], &[&text]),
        "sha512" => mac::hmac(&keys[3], &[&text]),
        _ => mac::hmac(&keys[1], &[&text]),
    })
}

fn assembled(recipe: &Recipe, request: &Request<'_>, time: &[u8]) -> Option<Vec<u8>> {
    let body = request.body;
    let is_form = request
        .headers
        .iter()
        .find(|(name, _)| *name == "content-type")
        .is_some_and(|(_, it)| {
            it.to_ascii_lowercase()
                .starts_with(b"application/x-www-form-urlencoded")
        });
    // One value, not empty, without what ends it.
    let fenced = |value: Option<Vec<u8>>, fence: &[u8]| {
        let value = value.filter(|it| !it.is_empty())?;
        let is_in = !fence.is_empty() && value.windows(fence.len()).any(|it| it == fence);
        (!is_in).then_some(value)
    };
    let one = |fields: Vec<(String, String)>, wanted: &str| {
        let mut values = fields.into_iter().filter(|(name, _)| name == wanted);
        let (_, value) = values.next()?;
        values.next().is_none().then(|| value.into_bytes())
    };
    let header = |name| only(request, name).map(<[u8]>::to_vec);
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    Some(match recipe.signed {
        "{body}" => body.to_vec(),
        "{timestamp}.{body}" => [time, b".", body].concat(),
        "{id}.{timestamp}.{body}" => [&fenced(header("x-id"), b".")?, &b"."[..], time, b".", body].concat(),
        "{secret}{body}" => [SECRET.as_bytes(), body].concat(),
        "{method}:{target}:{timestamp}:{body_sha256}" => {
            let hash = mac::hex(&mac::digest(&digests::SHA256, body));
            [
                b"POST:",
                request.target.as_bytes(),
                b":",
                time,
                b":",
                hash.as_bytes(),
            ]
            .concat()
        }
        "{path}{sorted_form}" => {
            let mut text = path.to_owned();
            for (name, value) in form(body).into_iter().collect::<BTreeSet<_>>() {
                text.extend([name, value]);
            }
            text.into_bytes()
        }
        "{header:x-a}|{query:k}|{form:f}|{body}" => {
            let field = one(form(body), "f").filter(|_| is_form);
            let values = [header("x-a"), one(form(query.as_bytes()), "k"), field];
            let mut text = Vec::new();
            for value in values {
                text.extend(fenced(value, b"|")?);
                text.push(b'|');
            }
            text.extend(body);
            text
        }
        _ => {
            let id = if is_form {
                None
            } else {
                // What is signed must be there once, in a body that is JSON to its end.
                let whole = tree::parse_whole(body).filter(|it| it.count("id") == 1)?;
                tree::at_pointer(&whole, "/id")
            };
            let id = fenced(id.map(String::into_bytes), b"}")?;
            [
                PUBLIC_URL.as_bytes(),
                origin_form(request.target).as_bytes(),
                b"{",
                &id,
                b"}",
            ]
            .concat()
        }
    })
}

fn origin_form(target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
    let path = rest.trim_start_matches(|it| it != '/' && it != '?');
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}
