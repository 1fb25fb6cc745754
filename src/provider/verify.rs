//! The one door through which a request becomes a verified one, and the one place that compares secrets.

use std::{borrow::Cow, time::Duration};

use subtle::ConstantTimeEq;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    event::Binding,
    provider::{
        Call, Key, Provider, Refusal,
        batch::in_each,
        encoding, json, jwt, mac,
        message::{self, Known},
        moment,
        place::{Place, Reader},
        scheme::{Family, Hash, Layout, List, Part, Scheme, Signature, Time, Token},
        written::{self, Candidate, MAX_SIGNATURES, Unreadable},
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

fn verify_signature(
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

fn verify_token(token: &Token, keys: &[&Key], reader: &Reader<'_>) -> Result<(), Refusal> {
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

fn verify_basic(keys: &[&Key], reader: &Reader<'_>) -> Result<(), Refusal> {
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

const AUTHORIZATION: &str = "authorization";

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

impl Signature {
    /// What tells whose request it is.
    fn conditions(&self) -> impl Iterator<Item = &Place> {
        self.when.iter().map(|it| &it.place).chain(self.without.iter())
    }

    /// What is read to verify it: in the request, or in each element of a batch.
    fn places(&self) -> impl Iterator<Item = &Place> {
        let signed = self
            .signed
            .iter()
            .chain(self.or_signed.iter())
            .chain(self.key.iter());
        let families = self.families.iter().flat_map(Family::places);
        families
            .chain(signed.filter_map(Part::place))
            .chain(&self.body_digest)
    }
}

/// Those in a JSON body.
fn pointers_of<'p>(places: impl Iterator<Item = &'p Place>) -> impl Iterator<Item = &'p str> {
    places.filter_map(|it| match it {
        Place::Body(pointer) => Some(pointer.as_ref()),
        _ => None,
    })
}

impl Family {
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.signatures.iter().chain(&self.timestamp).chain(&self.id)
    }
}

impl Scheme {
    /// Where its proof sits.
    pub(super) fn places(&self) -> Vec<Place> {
        match self {
            Self::Signature(signature) => {
                let places = signature.families.iter().flat_map(|it| it.signatures.iter());
                places.cloned().collect()
            }
            Self::Token(token) => vec![token.place.clone()],
            Self::Jwt(jwt) => vec![jwt.place.clone()],
            Self::Basic => vec![Place::Header(Cow::Borrowed(AUTHORIZATION))],
            Self::Unverified => Vec::new(),
        }
    }

    /// Adds what is read of a JSON body to verify a request, each pointer once.
    fn push_pointers<'s>(&'s self, pointers: &mut Vec<&'s str>) {
        let mut push = |it: &'s str| {
            if !pointers.contains(&it) {
                pointers.push(it);
            }
        };
        match self {
            Self::Signature(signature) => {
                pointers_of(signature.conditions()).for_each(&mut push);
                if signature.each.is_none() {
                    pointers_of(signature.places()).for_each(&mut push);
                }
            }
            Self::Token(token) if token.each.is_none() => {
                pointers_of(std::iter::once(&token.place)).for_each(&mut push);
            }
            Self::Jwt(jwt) => pointers_of(std::iter::once(&jwt.place)).for_each(&mut push),
            Self::Token(_) | Self::Basic | Self::Unverified => {}
        }
    }

    /// Whether the request shows this kind of proof, right or wrong.
    pub(super) fn is_shown(&self, reader: &Reader<'_>) -> bool {
        let has_elements = self
            .each()
            .is_none_or(|it| json::elements(reader.call().body, it).is_some());
        has_elements && self.may_be_shown(reader)
    }

    /// The same, but of a batch, which shows its proofs in its elements: those are looked for when they are verified.
    fn may_be_shown(&self, reader: &Reader<'_>) -> bool {
        match self {
            Self::Signature(signature) => {
                let mut places = signature.families.iter().flat_map(|it| it.signatures.iter());
                let is_there = signature.each.is_some() || places.any(|it| reader.is_present(it));
                is_there
                    && signature.when.iter().all(|it| it.holds(reader))
                    && !signature.without.iter().any(|it| reader.is_present(it))
            }
            Self::Token(token) => token.each.is_some() || reader.is_present(&token.place),
            Self::Jwt(jwt) => reader.is_present(&jwt.place),
            Self::Basic => reader.call().headers.first(AUTHORIZATION).is_some(),
            Self::Unverified => true,
        }
    }

    /// The array in the body whose elements show a proof each.
    fn each(&self) -> Option<&str> {
        match self {
            Self::Signature(signature) => signature.each.as_deref(),
            Self::Token(token) => token.each.as_deref(),
            Self::Jwt(_) | Self::Basic | Self::Unverified => None,
        }
    }

    /// Whether a secret is the same key for both.
    fn has_keys_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Signature(left), Self::Signature(right)) => left.secrets == right.secrets,
            _ => false,
        }
    }

    fn key_missing(&self, n_secrets: usize) -> Refusal {
        let hint = match self {
            Self::Signature(signature) => match signature.secrets.first() {
                Some(form) if !form.prefix.is_empty() => {
                    format!("add the signing secret, which starts with `{}`", form.prefix)
                }
                _ => "add the signing secret".to_owned(),
            },
            _ => "add the token".to_owned(),
        };
        Refusal::KeyMissing {
            place: format!("`{}`", list(&self.places())),
            n_secrets,
            hint,
        }
    }
}

fn unsigned(provider: &Provider, reader: &Reader<'_>) -> Refusal {
    let places: Vec<_> = provider.schemes.iter().flat_map(Scheme::places).collect();
    if let Some(twice) = places.iter().find_map(|it| reader.once(it).err()) {
        return twice;
    }
    let wanted = places
        .iter()
        .map(|it| format!("`{it}`"))
        .collect::<Vec<_>>()
        .join(" or ");
    let weak = provider.schemes.iter().filter_map(|it| match it {
        Scheme::Signature(signature) => signature
            .weak
            .iter()
            .find(|it| reader.call().headers.first(it).is_some()),
        _ => None,
    });
    match weak.into_iter().next() {
        Some(found) => Refusal::WeakSignature {
            found: found.to_string(),
            wanted,
        },
        None => Refusal::Unsigned { wanted },
    }
}

fn list(places: &[Place]) -> String {
    places
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("`, `")
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
