//! What is signed, as a source's own config writes it: `{timestamp}.{body}`.

use std::path::Path;

use gatepost::provider::{
    place::Place,
    recipe::{
        Places,
        hmac::{HmacRecipe, hmac},
    },
    scheme::{Hash, Part, Scheme},
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    text::is_token,
};

pub const TARGET: Target = Target {
    name: "template",
    run: |bytes| compare(parts, bytes),
    seeds,
};

pub(crate) fn compare(reference: fn(&str) -> Option<Vec<Part>>, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let flags = input.byte();
    let [has_time, has_id, is_plain] = [1, 2, 4].map(|it| flags & it != 0);
    let text = input.utf8();
    if is_beyond(text) {
        return Ok(());
    }
    let recipe = HmacRecipe {
        header: Some("x-signature".to_owned()),
        hash: is_plain.then(|| "plain-sha256".to_owned()),
        signed: Some(text.to_owned()),
        timestamp_header: has_time.then(|| "x-time".to_owned()),
        ..HmacRecipe::default()
    };
    let places = Places {
        event_id: has_id.then(|| "header:x-id".to_owned()),
        ..Places::default()
    };
    let row = hmac(&recipe, &places);
    let expected = reference(text).filter(|parts| {
        let has = |part| parts.contains(&part);
        has(Part::Timestamp) == has_time && (has_id || !has(Part::Id)) && (!is_plain || has(Part::Secret))
    });
    let found = match &row {
        Ok(row) => match row.schemes.first() {
            Some(Scheme::Signature(signature)) => Some(signature.signed.to_vec()),
            _ => return Err(format!("`{text}` gives no signature")),
        },
        Err(faults) => {
            ensure!(!faults.is_empty(), "`{text}` is refused for no reason");
            None
        }
    };
    ensure!(
        found == expected,
        "`{text}` is read as {found:?}, expected {expected:?}"
    );
    Ok(())
}

/// Whether a part is made of others, or is of a kind that the reference does not know.
fn is_beyond(text: &str) -> bool {
    const PLAIN: &[&str] = &[
        "body",
        "timestamp",
        "id",
        "url",
        "method",
        "path",
        "target",
        "secret",
        "sorted_form",
        "body_sha1",
        "body_sha256",
        "body_sha384",
        "body_sha512",
    ];
    let text = text.replace("{{", "").replace("}}", "");
    let mut rest = text.as_str();
    while let Some((_, inner)) = rest.split_once('{') {
        let Some(end) = inner.find('}') else {
            return inner.contains('{');
        };
        let name = &inner[..end];
        let is_plain_place = ["header:", "query:", "form:", "body:"]
            .iter()
            .filter_map(|kind| name.strip_prefix(kind))
            .any(|it| !it.contains(':') && !it.ends_with('?'));
        let is_nothing = !name.contains([':', '?', '_']);
        if name.contains('{') || !(PLAIN.contains(&name) || is_plain_place || is_nothing) {
            return true;
        }
        rest = &inner[end + 1..];
    }
    false
}

/// The parts, with texts that stand side by side joined.
pub(crate) fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, n_bytes) = if rest.starts_with("{{") || rest.starts_with("}}") {
            (literal(&rest[..1]), 2)
        } else if rest.starts_with('{') {
            let end = rest.find('}')?;
            (named(&rest[1..end])?, end + 1)
        } else if rest.starts_with('}') {
            return None;
        } else {
            let end = rest.find(['{', '}']).unwrap_or(rest.len());
            (literal(&rest[..end]), end)
        };
        rest = &rest[n_bytes..];
        match (parts.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(more)) => before.to_mut().push_str(&more),
            (_, part) => parts.push(part),
        }
    }
    parts
        .iter()
        .any(|it| !matches!(it, Part::Literal(_)))
        .then_some(parts)
}

fn literal(text: &str) -> Part {
    Part::Literal(text.to_owned().into())
}

fn named(name: &str) -> Option<Part> {
    let hash = |text: &str| {
        let all = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];
        all.into_iter().find(|it| it.as_str() == text)
    };
    let plain = [
        ("body", Part::Body),
        ("timestamp", Part::Timestamp),
        ("id", Part::Id),
        ("url", Part::Url),
        ("method", Part::Method),
        ("path", Part::Path),
        ("target", Part::Target),
        ("secret", Part::Secret),
        ("sorted_form", Part::SortedForm),
    ];
    if let Some((_, part)) = plain.into_iter().find(|(it, _)| *it == name) {
        return Some(part);
    }
    if let Some(hash) = name.strip_prefix("body_").and_then(hash) {
        return Some(Part::BodyHash(hash));
    }
    let (kind, rest) = name.split_once(':')?;
    let owned = rest.to_owned().into();
    Some(Part::At(match kind {
        "header" if is_token(rest) => Place::Header(rest.to_ascii_lowercase().into()),
        "query" => Place::Query(owned),
        "form" => Place::Form(owned),
        "body" if rest.starts_with('/') => Place::Body(owned),
        _ => return None,
    }))
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (0, "{body}"),
        (1, "{timestamp}.{body}"),
        (3, "v0:{id}.{timestamp}.{body_sha256}"),
        (4, "{secret}{sorted_form}"),
        (0, "{method}\n{path}{{literal}}{target}{url}"),
        (0, "{header:X-A}|{query:k}|{form:f}|{body:/id}"),
        (0, "{body:id}"),
        (0, "no parts"),
        (0, "{body"),
        (0, "body}"),
        (0, "{unknown}{header:}"),
    ]
    .into_iter()
    .map(|(flags, text)| joined(&[flags], &[text.as_bytes()]))
    .collect()
}
