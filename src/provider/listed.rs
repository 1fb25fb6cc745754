//! Signed texts of which the request itself says what is in them: HTTP message signatures (RFC 9421), and lists of headers.
//!
//! What has to be in them is the row's to say: a list of nothing proves nothing.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::provider::{
    Refusal, mac,
    place::{Place, Reader},
    scheme::{Hash, Text},
};

/// More are signed by nobody.
const MAX_NAMES: usize = 32;

/// The signature base of RFC 9421, for the one signature of the request. `covered` are the components that must be in it.
pub(super) fn signature_base(covered: &[Text], reader: &Reader<'_>) -> Result<Vec<u8>, Refusal> {
    let malformed = |problem: &str| Refusal::MalformedPart {
        place: "`header:signature-input`".to_owned(),
        problem: problem.to_owned(),
    };
    let input = text_of("signature-input", reader)?;
    let signature = text_of("signature", reader)?;
    let (label, parameters) = input
        .split_once('=')
        .ok_or_else(|| malformed("expected `label=(...)`"))?;
    if signature.split_once('=').is_none_or(|(it, _)| it != label) {
        return Err(malformed("it has another label than the signature"));
    }
    let names = parameters.strip_prefix('(').and_then(|it| it.split_once(')'));
    let (names, _) = names.ok_or_else(|| malformed("expected components in parentheses"))?;
    let names: Option<Vec<&str>> = names
        .split(' ')
        .map(|it| it.strip_prefix('"')?.strip_suffix('"'))
        .collect();
    let names = names
        .filter(|it| it.len() <= MAX_NAMES)
        .ok_or_else(|| malformed("expected quoted names of components, with a space between them"))?;
    if let Some(missing) = covered.iter().find(|it| !names.contains(&it.as_ref())) {
        return Err(malformed(&format!("`{missing}` is not signed")));
    }
    let mut lines = Vec::with_capacity(names.len() + 1);
    for name in names {
        lines.push(format!("\"{name}\": {}", component(name, reader)?));
    }
    lines.push(format!("\"@signature-params\": {parameters}"));
    Ok(lines.join("\n").into_bytes())
}

fn component(name: &str, reader: &Reader<'_>) -> Result<String, Refusal> {
    let call = reader.call();
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    Ok(match name {
        "@method" => call.method.to_ascii_uppercase(),
        "@request-target" => call.target.to_owned(),
        "@path" => path.to_owned(),
        "@query" => format!("?{query}"),
        "@target-uri" => reader.url().ok_or(Refusal::UrlUnknown)?.to_owned(),
        "@authority" => {
            let url = reader.url().ok_or(Refusal::UrlUnknown)?;
            let host = url.split_once("://").map_or(url, |(_, rest)| rest);
            host.split(['/', '?'])
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        }
        "content-digest" => {
            let digest = text_of(name, reader)?;
            check_digest(&digest, call.body)?;
            digest
        }
        name => text_of(name, reader)?,
    })
}

/// `sha-256=:BASE64:` (RFC 9530), which must be the body's.
fn check_digest(written: &str, body: &[u8]) -> Result<(), Refusal> {
    let hash_of = |name: &str| match name {
        "sha-256" => Some(Hash::Sha256),
        "sha-512" => Some(Hash::Sha512),
        _ => None,
    };
    let expected = written.split_once('=').and_then(|(name, _)| {
        let digest = mac::digest(hash_of(name)?, body)?;
        Some(format!("{name}=:{}:", STANDARD.encode(digest.as_slice())))
    });
    if expected.as_deref() == Some(written) {
        return Ok(());
    }
    Err(Refusal::MalformedPart {
        place: "`header:content-digest`".to_owned(),
        problem: "it is not the SHA-256 or SHA-512 of this body, which was changed on its way".to_owned(),
    })
}

/// `name:value;name:value`, sorted, for the headers that the one at `list` names. The one with the time must be among them.
pub(super) fn headers(
    list: &Place,
    timestamp: Option<&Place>,
    reader: &Reader<'_>,
) -> Result<Vec<u8>, Refusal> {
    let written = text_of(list.name(), reader)?.to_ascii_lowercase();
    let mut names: Vec<&str> = written.split(',').map(str::trim).collect();
    names.sort_unstable();
    if let Some(missing) = timestamp.filter(|it| !names.contains(&it.name()) || names.len() > MAX_NAMES) {
        return Err(Refusal::MalformedPart {
            place: format!("`{list}`"),
            problem: format!("`{missing}` is not signed, or too many are"),
        });
    }
    let mut pairs = Vec::with_capacity(names.len());
    for name in names {
        pairs.push(format!("{name}:{}", text_of(name, reader)?.trim()));
    }
    Ok(pairs.join(";").into_bytes())
}

/// The one value of a header.
fn text_of(name: &str, reader: &Reader<'_>) -> Result<String, Refusal> {
    let place = Place::Header(Text::Owned(name.to_owned()));
    let value = reader.once(&place)?.ok_or_else(|| Refusal::PartMissing {
        place: format!("`{place}`"),
    })?;
    let text = String::from_utf8(value.into_owned()).ok();
    text.ok_or_else(|| Refusal::MalformedPart {
        place: format!("`{place}`"),
        problem: "it is no UTF-8".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::headers::Headers, provider::Call};

    fn base(covered: &[&str], input: &str, body: &[u8]) -> Result<String, String> {
        let headers = [
            ("signature-input", input),
            ("signature", "sig=:c2ln:"),
            (
                "content-digest",
                "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
            ),
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ];
        let headers = Headers::from_pairs(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let call = Call {
            method: "post",
            url: Some("https://Hooks.example.com/webhooks/x?a=1"),
            target: "/webhooks/x?a=1",
            headers: &headers,
            body,
        };
        let covered: Vec<_> = covered.iter().map(|it| Text::Owned((*it).to_owned())).collect();
        let base = signature_base(&covered, &Reader::new(&call));
        base.map(|it| String::from_utf8(it).unwrap())
            .map_err(|it| it.to_string())
    }

    #[test]
    fn the_base_is_that_of_the_standard() {
        let input = r#"sig=("@method" "@authority" "@path" "@query" "@request-target" "@target-uri" "content-digest" "date");created=1618884473;keyid="k""#;
        let expected = r#""@method": POST
"@authority": hooks.example.com
"@path": /webhooks/x
"@query": ?a=1
"@request-target": /webhooks/x?a=1
"@target-uri": https://Hooks.example.com/webhooks/x?a=1
"content-digest": sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:
"date": Tue, 20 Apr 2021 02:07:55 GMT
"@signature-params": ("@method" "@authority" "@path" "@query" "@request-target" "@target-uri" "content-digest" "date");created=1618884473;keyid="k""#;
        assert_eq!(
            base(&["content-digest", "date"], input, b"{}").as_deref(),
            Ok(expected)
        );
    }

    #[test]
    fn what_is_not_covered_or_not_this_request_is_refused() {
        let digest = r#"sig=("content-digest");created=1"#;
        assert!(base(&["content-digest"], digest, b"{}").is_ok());
        for (covered, input, body) in [
            ("content-digest", digest, &b"{ }"[..]),
            ("content-digest", r#"sig=("date");created=1"#, b"{}"),
            ("date", "sig=();created=1", b"{}"),
            ("date", r#"other=("date");created=1"#, b"{}"),
            ("date", r#"sig=("date";sf);created=1"#, b"{}"),
            ("date", "sig=(date);created=1", b"{}"),
            ("date", r#"sig=("date" "absent");created=1"#, b"{}"),
            ("date", "sig", b"{}"),
        ] {
            assert!(base(&[covered], input, body).is_err(), "{input}");
        }
    }

    #[test]
    fn listed_headers_are_sorted_and_hold_the_time() {
        let pairs = [
            ("x-signed", "X-Time, x-signed,A-First"),
            ("x-time", " 17 "),
            ("a-first", "é"),
        ];
        let headers_of_it = Headers::from_pairs(pairs.iter().map(|(name, value)| (*name, value.as_bytes())));
        let call = Call {
            method: "POST",
            url: None,
            target: "/",
            headers: &headers_of_it,
            body: b"",
        };
        let reader = Reader::new(&call);
        let place = |name: &'static str| Place::Header(Text::Borrowed(name));
        let joined = headers(&place("x-signed"), Some(&place("x-time")), &reader).unwrap();
        assert_eq!(
            String::from_utf8(joined).unwrap(),
            "a-first:é;x-signed:X-Time, x-signed,A-First;x-time:17"
        );
        assert!(headers(&place("x-signed"), Some(&place("date")), &reader).is_err());
        assert!(headers(&place("a-first"), None, &reader).is_err());
    }
}
