//! Whether a signature is right: over what was signed, with one of the source's keys, at a time that is not long ago.

use std::{borrow::Cow, time::Duration};

use crate::{
    base::{clock::Timestamp, secret::Secret},
    provider::{
        Key, Refusal, mac,
        message::{self, Known},
        moment,
        place::{Place, Reader},
        scheme::{Family, Hash, Layout, List, Part, Signature, Time},
        verify::{
            is_same,
            shown::list,
            written::{self, Candidate, MAX_SIGNATURES, Unreadable},
        },
    },
};

pub(super) fn verify_signature(
    signature: &Signature,
    keys: &[&Key],
    reader: &Reader<'_>,
    tolerance: Option<Duration>,
    now: Timestamp,
) -> Result<(), Refusal> {
    if let Some(place) = &signature.body_digest {
        check_body_digest(place, reader)?;
    }
    let signed = &signature.signed;
    let mut verdict = verify_at(signature, signed, keys, reader, tolerance, now);
    if is_mismatch(&verdict)
        && signature.any_port
        && let Some(url) = reader.url()
    {
        for url in &urls_of_any_port(url) {
            if is_mismatch(&verdict) {
                let reader = Reader::at_url(reader.call(), url);
                verdict = verify_at(signature, signed, keys, &reader, tolerance, now);
            }
        }
    }
    if is_mismatch(&verdict) && !signature.or_signed.is_empty() {
        verdict = verify_at(signature, &signature.or_signed, keys, reader, tolerance, now);
    }
    verdict
}

fn is_mismatch(verdict: &Result<(), Refusal>) -> bool {
    matches!(verdict, Err(Refusal::SignatureMismatch { .. }))
}

/// The URL with the port that it has anyway, or without the one that it has.
fn urls_of_any_port(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => {
            vec![format!("{scheme}://{host}{rest}")]
        }
        _ => {
            let port = if scheme == "http" { 80 } else { 443 };
            vec![format!("{scheme}://{host}:{port}{rest}")]
        }
    }
}

/// A body that is no form is covered by its hash alone.
fn check_body_digest(place: &Place, reader: &Reader<'_>) -> Result<(), Refusal> {
    let body = reader.call().body;
    if reader.is_form() || body.is_empty() {
        return Ok(());
    }
    let written = reader.once(place)?.ok_or_else(|| Refusal::PartMissing {
        place: format!("`{place}`, the hash of the body,"),
    })?;
    let digest = mac::digest(Hash::Sha256, body);
    let digest = hex::encode(digest.as_ref().map_or(&[][..], |it| it.as_slice()));
    if is_same(digest.as_bytes(), &written) {
        return Ok(());
    }
    Err(Refusal::MalformedPart {
        place: format!("`{place}`"),
        problem: "it is not the hash of this body, which was changed on its way".to_owned(),
    })
}

fn verify_at(
    signature: &Signature,
    signed: &[Part],
    keys: &[&Key],
    reader: &Reader<'_>,
    tolerance: Option<Duration>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let family = pick_family(&signature.families, reader)?;
    let mut values = Vec::with_capacity(family.signatures.len());
    for place in family.signatures.iter() {
        if let Some(value) = reader.once(place)? {
            values.push((place, value));
        }
    }
    let mut candidates = Vec::new();
    let mut written_at = None;
    for (place, value) in &values {
        let at = written::read(value, &signature.layout, &signature.accepted, &mut candidates)
            .map_err(|it| it.at(place))?;
        written_at = written_at.or(at.map(str::as_bytes));
    }
    let Some((place, _)) = values.first() else {
        return Err(Refusal::Unsigned {
            wanted: format!("`{}`", list(&family.signatures)),
        });
    };
    if candidates.len() > MAX_SIGNATURES {
        return Err(Refusal::MalformedSignature {
            place: format!("`{place}`"),
            problem: format!("more than {MAX_SIGNATURES} signatures"),
        });
    }
    let at = signed_time(signature, family, written_at, reader)?;
    let known = Known {
        family,
        timestamp: at.as_ref().map(|it| it.text.as_ref()),
        reader,
    };
    let pieces = message::assemble(signed, known)?;
    let key_pieces = message::assemble(&signature.key, known)?;
    // Every key is tried, also after a match, so that the time taken does not tell which one it was.
    let mut is_genuine = false;
    for key in keys {
        is_genuine |= matches_key(signature, key, &key_pieces, &pieces, &candidates);
    }
    if !is_genuine {
        return Err(Refusal::SignatureMismatch {
            place: format!("`{place}`"),
            n_signatures: candidates.len(),
            n_secrets: keys.len(),
        });
    }
    // Only now: a `stale` in the records always was a genuine signature, never a forger's guess.
    match (at.and_then(|it| it.at), signature.time) {
        (Some(at), Some(time)) => check_age(at, time, tolerance, now),
        _ => Ok(()),
    }
}

/// Exactly one family may be there: an id from one and a signature from another could mean different things to us and to
/// the sender.
fn pick_family<'s>(families: &'s List<Family>, reader: &Reader<'_>) -> Result<&'s Family, Refusal> {
    // Whether the signature of the only one is there is seen when it is read.
    if let [family] = families.as_ref() {
        return Ok(family);
    }
    let mut present = families
        .iter()
        .filter_map(|it| Some((it, it.places().find(|place| reader.is_present(place))?)));
    match (present.next(), present.next()) {
        (Some((family, _)), None) => Ok(family),
        (Some((_, left)), Some((_, right))) => Err(Refusal::MixedHeaders {
            left: left.to_string(),
            right: right.to_string(),
        }),
        (None, _) => Err(Refusal::Unsigned {
            wanted: families
                .iter()
                .map(|it| format!("`{}`", list(&it.signatures)))
                .collect::<Vec<_>>()
                .join(" or "),
        }),
    }
}

/// Each MAC is computed once for each key, however many signatures claim it.
fn matches_key(
    signature: &Signature,
    key: &Key,
    key_pieces: &[mac::Piece<'_>],
    pieces: &[mac::Piece<'_>],
    candidates: &[Candidate],
) -> bool {
    let made = (!key_pieces.is_empty()).then(|| Secret::new(mac::join(key_pieces, key.material.expose())));
    let material = made.as_ref().unwrap_or(&key.material);
    let compute = |method| match &made {
        Some(material) => mac::compute(method, material.expose(), pieces),
        None => key.mac(method, pieces),
    };
    let mut is_genuine = false;
    for (idx, rule) in signature.accepted.iter().enumerate() {
        let mut claims = candidates.iter().filter(|it| it.accepted == idx).peekable();
        if claims.peek().is_none() || key.is_public != rule.method.is_public() {
            continue;
        }
        if key.is_public {
            for claim in claims {
                let bytes = claim.bytes.as_slice();
                is_genuine |= mac::is_signed_by(rule.method, material.expose(), pieces, bytes);
            }
        } else if let Some(expected) = compute(rule.method) {
            for claim in claims {
                is_genuine |= is_same(expected.as_slice(), claim.bytes.as_slice());
            }
        }
    }
    is_genuine
}

/// A signed timestamp: as it was written, and what it means.
struct SignedTime<'a> {
    text: Cow<'a, [u8]>,
    /// `None` where it only stands in the place of a time.
    at: Option<Timestamp>,
}

fn signed_time<'a, 'r: 'a>(
    signature: &Signature,
    family: &Family,
    written: Option<&'a [u8]>,
    reader: &Reader<'r>,
) -> Result<Option<SignedTime<'a>>, Refusal> {
    if family.timestamp.is_none() && !signature.layout.has_timestamp() {
        return Ok(None);
    }
    let text = match &family.timestamp {
        Some(place) => reader.once(place)?,
        None => written.map(Cow::Borrowed),
    };
    let place = || match (&family.timestamp, &signature.layout) {
        (Some(place), _) => format!("`{place}`"),
        (
            None,
            Layout::Fields {
                timestamp: Some(name),
                ..
            },
        ) => format!("field `{name}` of `{}`", list(&family.signatures)),
        _ => format!("`{}`", list(&family.signatures)),
    };
    let Some(text) = text else {
        return Err(Refusal::TimestampMissing { place: place() });
    };
    let Some(time) = signature.time else {
        return Ok(Some(SignedTime { text, at: None }));
    };
    match moment::parse_signed(&text, time.unit) {
        Ok(at) => Ok(Some(SignedTime { text, at: Some(at) })),
        Err(expected) => Err(Refusal::MalformedTimestamp {
            place: place(),
            problem: expected.to_owned(),
        }),
    }
}

fn check_age(at: Timestamp, time: Time, tolerance: Option<Duration>, now: Timestamp) -> Result<(), Refusal> {
    let tolerance = tolerance.unwrap_or(Duration::from_secs(time.tolerance_s.into()));
    let tolerance_s = tolerance.as_secs();
    let age = now.since(at);
    let ahead = at.since(now);
    if age > tolerance {
        return Err(Refusal::TimestampStale {
            age_s: age.as_secs(),
            tolerance_s,
        });
    }
    let ahead_allowed = time
        .ahead_s
        .map_or(tolerance, |it| Duration::from_secs(it.into()));
    if ahead > ahead_allowed {
        return Err(Refusal::TimestampAhead {
            ahead_s: ahead.as_secs(),
            tolerance_s: ahead_allowed.as_secs(),
        });
    }
    Ok(())
}

impl Unreadable {
    fn at(self, place: &Place) -> Refusal {
        match self {
            Self::Nothing(what) => Refusal::Unsigned {
                wanted: format!("{what} of `{place}`"),
            },
            Self::Malformed(problem) => Refusal::MalformedSignature {
                place: format!("`{place}`"),
                problem,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_tried_with_the_port_that_it_has_or_not() {
        let other = |url: &str| urls_of_any_port(url);
        assert_eq!(
            other("https://a.example/x?y=1:2"),
            ["https://a.example:443/x?y=1:2"]
        );
        assert_eq!(other("http://a.example?y"), ["http://a.example:80?y"]);
        assert_eq!(other("https://a.example:8443/x"), ["https://a.example/x"]);
        assert_eq!(other("https://[2001:db8::a]/x"), ["https://[2001:db8::a]:443/x"]);
        assert!(other("a.example").is_empty());
    }
}
