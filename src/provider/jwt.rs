//! Signed tokens (JWT in the compact form): the algorithm is the row's and never the token's, and what a claim says is believed only
//! once the signature is verified.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    base::clock::Timestamp,
    provider::{
        Call, Key, Refusal, chain, encoding,
        mac::{self, Piece},
        pattern::is_like,
        place::{Place, Reader},
        scheme::{Encoding, Hash, Jwt},
        verify::is_same,
    },
};

const MAX_TOKEN: usize = 8 * 1024;
/// Where the token holds the event.
const MAX_TOKEN_IN_BODY: usize = 4 * 1024 * 1024;

/// The key that the header of the token names (`kid`), once the rest of the header is what it has to be.
pub(super) fn key_id(jwt: &Jwt, call: &Call<'_>) -> Result<Option<String>, Refusal> {
    let token = read(jwt, call)?;
    let header = check_header(jwt, &token)?.0;
    Ok(header.get("kid").and_then(Value::as_str).map(str::to_owned))
}

pub(super) fn verify(jwt: &Jwt, keys: &[&Key], reader: &Reader<'_>, now: Timestamp) -> Result<(), Refusal> {
    let token = read(jwt, reader.call())?;
    let (header, claims, signature) = check_header(jwt, &token)?;
    let malformed = |problem: &str| malformed(jwt, problem.to_owned());
    let signed = &token[..token.len() - signature.len() - 1];
    let signature = encoding::decode_url(signature.as_bytes())
        .ok_or_else(|| malformed("its signature is no base64url"))?;
    let message = [Piece::Bytes(Cow::Borrowed(signed.as_bytes()))];
    let certificates = match &jwt.chain {
        Some(marks) => {
            let read = chain::read(header.get("x5c"), marks.len() + 1);
            read.ok_or_else(|| malformed(&format!("expected {} certificates in its `x5c`", marks.len() + 1)))?
        }
        None => Vec::new(),
    };
    let mut is_genuine = false;
    for key in keys.iter().filter(|it| it.is_public == jwt.method.is_public()) {
        let of_chain = jwt
            .chain
            .as_ref()
            .map(|marks| chain::key_of(&certificates, key.material.expose(), marks, now));
        let material = match &of_chain {
            Some(Some(key)) => key.as_slice(),
            Some(None) => continue,
            None => key.material.expose(),
        };
        is_genuine |= match key.mac(jwt.method, &message) {
            Some(expected) => is_same(expected.as_slice(), &signature),
            None => mac::is_signed_by(jwt.method, material, &message, &signature),
        };
    }
    if !is_genuine {
        return Err(Refusal::SignatureMismatch {
            place: format!("`{}`", jwt.place),
            n_signatures: 1,
            n_secrets: keys.len(),
        });
    }
    let claims = object(claims).ok_or_else(|| malformed("its claims are no JSON object"))?;
    check_times(jwt, &claims, now)?;
    check_claims(jwt, &claims, reader.call())
}

fn malformed(jwt: &Jwt, problem: String) -> Refusal {
    Refusal::MalformedCredentials {
        place: format!("`{}`", jwt.place),
        problem,
    }
}

/// A part that is a JSON object.
pub(super) fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = encoding::decode_url(part.as_bytes())?;
    serde_json::from_slice(&bytes).ok()
}

/// The token as it came, without what stands before it.
fn read(jwt: &Jwt, call: &Call<'_>) -> Result<String, Refusal> {
    let token = Reader::new(call)
        .once(&jwt.place)?
        .ok_or_else(|| Refusal::Unsigned {
            wanted: format!("`{}`", jwt.place),
        })?;
    let is_in_header = matches!(jwt.place, Place::Header(_));
    let max_token = if is_in_header {
        MAX_TOKEN
    } else {
        MAX_TOKEN_IN_BODY
    };
    token
        .strip_prefix(jwt.prefix.as_bytes())
        .and_then(|it| std::str::from_utf8(it).ok())
        .filter(|it| it.len() <= max_token)
        .map(str::to_owned)
        .ok_or_else(|| {
            malformed(
                jwt,
                format!(
                    "expected `{}` and a token of at most {max_token} bytes",
                    jwt.prefix
                ),
            )
        })
}

/// Its header, which is checked, its claims, which nobody has looked at, and its signature.
fn check_header<'t>(jwt: &Jwt, token: &'t str) -> Result<(Map<String, Value>, &'t str, &'t str), Refusal> {
    let malformed = |problem: String| malformed(jwt, problem);
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed(
            "expected three parts with dots between them".to_owned(),
        ));
    };
    let header = object(header).ok_or_else(|| malformed("its header is no JSON object".to_owned()))?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if algorithm != jwt.algorithm() || header.contains_key("crit") {
        return Err(malformed(format!(
            "it is signed with `{}`, expected `{}`",
            algorithm.escape_debug(),
            jwt.algorithm()
        )));
    }
    Ok((header, claims, signature))
}

fn check_times(jwt: &Jwt, claims: &Map<String, Value>, now: Timestamp) -> Result<(), Refusal> {
    // Whole seconds: a fraction of one decides nothing.
    let time = |name: &str| -> Option<i64> {
        let number = claims.get(name)?.as_number()?.to_string();
        number.split('.').next()?.parse().ok()
    };
    let now_s = now.as_unix_seconds();
    let stale = |since_s: i64, tolerance_s: u32| Refusal::TimestampStale {
        age_s: u64::try_from(now_s - since_s).unwrap_or(0),
        tolerance_s: tolerance_s.into(),
    };
    let missing = |name: &str| Refusal::TimestampMissing {
        place: format!("claim `{name}` of `{}`", jwt.place),
    };
    match time("exp") {
        Some(at) if at <= now_s => return Err(stale(at, 0)),
        None if jwt.needs_end => return Err(missing("exp")),
        _ => {}
    }
    let ahead = |at: i64, tolerance_s: u32| Refusal::TimestampAhead {
        ahead_s: u64::try_from(at - now_s).unwrap_or(0),
        tolerance_s: tolerance_s.into(),
    };
    if let Some(at) = time("nbf").filter(|it| *it > now_s + i64::from(CLOCKS_APART_S)) {
        return Err(ahead(at, CLOCKS_APART_S));
    }
    if let Some(tolerance_s) = jwt.max_age_s {
        let at = time("iat").ok_or_else(|| missing("iat"))?;
        if at < now_s - i64::from(tolerance_s) {
            return Err(stale(at, tolerance_s));
        }
        if at > now_s + i64::from(tolerance_s) {
            return Err(ahead(at, tolerance_s));
        }
    }
    Ok(())
}

/// How far the sender's clock may be ahead of ours.
const CLOCKS_APART_S: u32 = 60;

fn check_claims(jwt: &Jwt, claims: &Map<String, Value>, call: &Call<'_>) -> Result<(), Refusal> {
    let wrong = |name: &str, problem: &str| Refusal::MalformedPart {
        place: format!("claim `{name}` of `{}`", jwt.place),
        problem: problem.to_owned(),
    };
    for (names, patterns) in jwt.claims.iter() {
        let is_fine = |value: &Value| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(it) => it.to_string(),
                _ => return false,
            };
            patterns.iter().any(|pattern| match pattern.as_ref() {
                "{body}" => is_same(call.body, text.as_bytes()),
                "{url}" => call.url.is_some_and(|it| is_same(it.as_bytes(), text.as_bytes())),
                pattern => is_like(text.as_bytes(), pattern.as_bytes()),
            })
        };
        let is_right = match names.iter().find_map(|it| claim(claims, it)) {
            Some(Value::Array(values)) => values.iter().any(is_fine),
            Some(value) => is_fine(value),
            None => false,
        };
        if !is_right {
            return Err(wrong(
                &names.join("` or `"),
                "it is not what this source expects: the token is meant for somebody else",
            ));
        }
    }
    let hashes = [
        (&jwt.body_claim, jwt.body_encoding, Some(Cow::Borrowed(call.body))),
        (
            &jwt.url_claim,
            Encoding::HexLower,
            call.url.map(|it| Cow::Borrowed(it.as_bytes())),
        ),
        (
            &jwt.request_claim,
            Encoding::HexLower,
            Some(Cow::Owned(canonical(call).into_bytes())),
        ),
    ];
    for (name, encoding, bytes) in hashes {
        let Some(name) = name else { continue };
        let bytes = bytes.ok_or(Refusal::UrlUnknown)?;
        let digest = mac::digest(Hash::Sha256, &bytes);
        let expected = encoding::encode(encoding, digest.as_ref().map_or(&[][..], |it| it.as_slice()));
        let said = claims
            .get(name.as_ref())
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !is_same(expected.as_bytes(), said.as_bytes()) {
            return Err(wrong(
                name,
                "it is not the hash of this request, which was changed on its way",
            ));
        }
    }
    Ok(())
}

/// By its name, or by a JSON pointer.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    match path.split_once('/') {
        Some((first, _)) => claims.get(first)?.pointer(&path[first.len()..]),
        None => claims.get(path),
    }
}

/// Atlassian's canonical request: method, path, and the sorted query.
fn canonical(call: &Call<'_>) -> String {
    let (path, query) = call.target.split_once('?').unwrap_or((call.target, ""));
    let mut pairs: Vec<&str> = query
        .split('&')
        .filter(|it| !it.is_empty() && !it.starts_with("jwt="))
        .collect();
    pairs.sort_unstable();
    format!("{}&{path}&{}", call.method.to_ascii_uppercase(), pairs.join("&"))
}

impl Jwt {
    /// What its header must say.
    pub(super) fn algorithm(&self) -> &'static str {
        self.method.algorithm()
    }
}
