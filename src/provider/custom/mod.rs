//! An operator's own scheme: the words of the config made into the same row that the catalog has.
//!
//! Every function reports all faults at once.

mod template;
#[cfg(test)]
mod tests;
mod words;

use std::{borrow::Cow, time::Duration};

use crate::provider::{
    Handshake, Provider,
    custom::words::{ENCODINGS, HASHES, SECRET_ENCODINGS, UNITS, choose, header_name, parse_place},
    find,
    place::{Place, Reading},
    scheme::{
        Accepted, DEFAULT_TOLERANCE_S, Encoding, Family, Hash, Layout, Method, Part, Scheme, SecretEncoding,
        SecretForm, Signature, Text, Time, Token, Unit,
    },
};

/// A source's `hmac` table.
#[derive(Debug, Clone, Default)]
pub struct HmacRecipe {
    pub hash: Option<String>,
    /// Where the signature is. The only key that must be there.
    pub header: Option<String>,
    pub prefix: Option<String>,
    pub encoding: Option<String>,
    /// `{timestamp}.{body}`
    pub signed: Option<String>,
    pub timestamp_header: Option<String>,
    pub timestamp_unit: Option<String>,
    pub secret_encoding: Option<String>,
    /// Between several signatures, or between the fields of a `k=v,k=v` header.
    pub separator: Option<String>,
    /// The signature's field in a `k=v,k=v` header.
    pub field: Option<String>,
    /// The timestamp's field in a `k=v,k=v` header.
    pub timestamp_field: Option<String>,
    pub tolerance: Option<Duration>,
}

/// A source's `token` table. With nothing in it: `authorization: Bearer ...`.
#[derive(Debug, Clone, Default)]
pub struct TokenRecipe {
    pub header: Option<String>,
    pub prefix: Option<String>,
    pub query: Option<String>,
}

/// A source's `basic` table: nothing yet. The secret is `user:password`.
#[derive(Debug, Clone, Default)]
pub struct BasicRecipe {}

/// Where the id, the type and the time of an event are: `header:x-event-id`, `body:/id`, `query:id`, `form:id`.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub event_id: Option<String>,
    pub event_type: Option<String>,
    pub event_time: Option<String>,
}

/// What is wrong with one key of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Below the source: `hmac.hash`, `event_id`.
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

pub fn hmac(recipe: &HmacRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = generic("hmac");
    apply_places(&mut row, places, &mut faults);

    let method = choose(recipe.hash.as_deref(), "hmac.hash", HASHES, &mut faults)
        .unwrap_or(Method::Hmac(Hash::Sha256));
    let encoding = choose(
        recipe.encoding.as_deref(),
        "hmac.encoding",
        ENCODINGS,
        &mut faults,
    )
    .unwrap_or(Encoding::HexLower);
    let unit = choose(
        recipe.timestamp_unit.as_deref(),
        "hmac.timestamp_unit",
        UNITS,
        &mut faults,
    )
    .unwrap_or(Unit::Seconds);
    let secret_key = "hmac.secret_encoding";
    let (secret_prefix, secret_encoding) = choose(
        recipe.secret_encoding.as_deref(),
        secret_key,
        SECRET_ENCODINGS,
        &mut faults,
    )
    .unwrap_or(("", SecretEncoding::Text));
    if recipe.header.is_none() {
        let hint = "name the header that carries the signature, like `header = \"x-signature\"`";
        faults.push(fault("hmac.header", "it is missing", Some(hint)));
    }
    let header = header_name(
        recipe.header.as_deref().unwrap_or("x-signature"),
        "hmac.header",
        &mut faults,
    );
    let timestamp = recipe
        .timestamp_header
        .as_ref()
        .map(|it| header_name(it, "hmac.timestamp_header", &mut faults));
    let signed = template::parse(recipe.signed.as_deref().unwrap_or("{body}"), &mut faults);
    let id = match row.event_id.first() {
        Some(Reading::At(place @ Place::Header(_))) if places.event_id.is_some() => Some(place.clone()),
        _ => None,
    };
    if signed.contains(&Part::Id) && id.is_none() {
        let hint = "say where the id is: `event_id = \"header:x-event-id\"`, or write `{header:x-event-id}`";
        faults.push(fault("hmac.signed", "`{id}` has no header", Some(hint)));
    }
    let has_time = check_time(recipe, &signed, &mut faults);
    check_digest(method, &signed, &mut faults);
    let signature = Signature {
        families: Cow::Owned(vec![Family {
            signatures: Cow::Owned(vec![header]),
            timestamp,
            id,
        }]),
        layout: layout(recipe, &mut faults),
        accepted: Cow::Owned(vec![Accepted {
            prefix: Cow::Owned(recipe.prefix.clone().unwrap_or_default()),
            method,
            encoding,
        }]),
        weak: Cow::Borrowed(&[]),
        signed: Cow::Owned(signed),
        time: has_time.then(|| Time {
            unit,
            tolerance_s: recipe.tolerance.map_or(DEFAULT_TOLERANCE_S, |it| {
                u32::try_from(it.as_secs()).unwrap_or(u32::MAX)
            }),
        }),
        secrets: Cow::Owned(vec![SecretForm {
            prefix: Cow::Borrowed(secret_prefix),
            prefix_required: false,
            encoding: secret_encoding,
            public: false,
        }]),
    };
    row.schemes = Cow::Owned(vec![Scheme::Signature(signature)]);
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

pub fn token(recipe: &TokenRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = generic("token");
    apply_places(&mut row, places, &mut faults);
    let prefix = || Cow::Owned(recipe.prefix.clone().unwrap_or_default());
    let scheme = match (&recipe.header, &recipe.query) {
        (Some(name), None) => Token {
            place: header_name(name, "token.header", &mut faults),
            prefix: prefix(),
        },
        (None, Some(name)) => {
            if name.is_empty() {
                faults.push(fault("token.query", "it is empty", None));
            }
            Token {
                place: Place::Query(Cow::Owned(name.clone())),
                prefix: prefix(),
            }
        }
        (Some(_), Some(_)) => {
            let hint = "a token comes in one place: keep `header` or `query`";
            faults.push(fault("token.query", "`header` is there too", Some(hint)));
            return Err(faults);
        }
        (None, None) => Token {
            place: Place::Header(Cow::Borrowed("authorization")),
            prefix: recipe.prefix.clone().map_or(Cow::Borrowed("Bearer "), Cow::Owned),
        },
    };
    row.schemes = Cow::Owned(vec![Scheme::Token(scheme)]);
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

pub fn basic(_recipe: &BasicRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    with_places(&generic("basic"), places)
}

/// A row with other places for the id, the type and the time of an event; the rest as it is.
pub fn with_places(provider: &Provider, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = provider.clone();
    apply_places(&mut row, places, &mut faults);
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

fn generic(name: &'static str) -> Provider {
    find(name).cloned().unwrap_or(Provider {
        name: Cow::Borrowed(name),
        title: Cow::Borrowed(name),
        docs: None,
        register: Cow::Borrowed(""),
        schemes: Cow::Borrowed(&[]),
        event_id: Cow::Borrowed(&[]),
        event_type: Cow::Borrowed(&[]),
        event_time: Cow::Borrowed(&[]),
        resource: Cow::Borrowed(&[]),
        handshake: Handshake::None,
        sample: None,
    })
}

fn layout(recipe: &HmacRecipe, faults: &mut Vec<Fault>) -> Layout {
    let separator = recipe.separator.clone().map(Text::Owned);
    if separator.as_ref().is_some_and(|it| it.is_empty()) {
        faults.push(fault(
            "hmac.separator",
            "it is empty",
            Some("leave it out where there is one signature"),
        ));
    }
    match (&recipe.field, separator) {
        (Some(field), separator) => Layout::Fields {
            separator: separator.unwrap_or(Cow::Borrowed(",")),
            signature: Cow::Owned(field.clone()),
            timestamp: recipe.timestamp_field.clone().map(Cow::Owned),
        },
        (None, separator) => {
            if recipe.timestamp_field.is_some() {
                let hint = "name the signature's field too: `field = \"v1\"`";
                faults.push(fault("hmac.timestamp_field", "there is no `field`", Some(hint)));
            }
            separator.map_or(Layout::One, |separator| Layout::List { separator })
        }
    }
}

/// Whether the signature carries a time. One that is not signed would protect from nothing.
fn check_time(recipe: &HmacRecipe, signed: &[Part], faults: &mut Vec<Fault>) -> bool {
    let places = [
        ("hmac.timestamp_header", recipe.timestamp_header.is_some()),
        ("hmac.timestamp_field", recipe.timestamp_field.is_some()),
    ];
    let given: Vec<_> = places.iter().filter(|(_, is_given)| *is_given).collect();
    if given.len() > 1 {
        let hint = "the timestamp comes in one place: keep one of the two";
        faults.push(fault(
            "hmac.timestamp_field",
            "`timestamp_header` is there too",
            Some(hint),
        ));
    }
    let is_signed = signed.contains(&Part::Timestamp);
    match given.first() {
        Some((key, _)) if !is_signed => {
            let hint = "put `{timestamp}` into `signed`, or leave this out: a timestamp that is not signed proves nothing";
            faults.push(fault(key, "the timestamp is not signed", Some(hint)));
        }
        None if is_signed => {
            let hint = "say where the timestamp is: `timestamp_header` or `timestamp_field`";
            faults.push(fault("hmac.signed", "`{timestamp}` has no place", Some(hint)));
        }
        None => {
            for (key, is_given) in [
                ("hmac.tolerance", recipe.tolerance.is_some()),
                ("hmac.timestamp_unit", recipe.timestamp_unit.is_some()),
            ] {
                if is_given {
                    let hint = "leave it out, or say where the timestamp is: `timestamp_header` or `timestamp_field`";
                    faults.push(fault(key, "there is no timestamp", Some(hint)));
                }
            }
        }
        Some(_) => {}
    }
    if recipe.tolerance.is_some_and(|it| it.as_secs() == 0) {
        let hint = "expected at least `1s`; `5m` is usual";
        faults.push(fault("hmac.tolerance", "it is under one second", Some(hint)));
    }
    is_signed && !given.is_empty()
}

/// A bare hash without the secret in it could be made by anybody.
fn check_digest(method: Method, signed: &[Part], faults: &mut Vec<Fault>) {
    let has_secret = signed.contains(&Part::Secret);
    if matches!(method, Method::Digest(_)) && !has_secret {
        let hint = "put `{secret}` where the sender puts it, or use an HMAC like `sha256`";
        faults.push(fault(
            "hmac.signed",
            "a plain hash without `{secret}` proves nothing",
            Some(hint),
        ));
    }
}

fn apply_places(row: &mut Provider, places: &Places, faults: &mut Vec<Fault>) {
    let targets = [
        (&places.event_id, "event_id", &mut row.event_id),
        (&places.event_type, "event_type", &mut row.event_type),
        (&places.event_time, "event_time", &mut row.event_time),
    ];
    for (text, key, readings) in targets {
        if let Some(place) = text.as_ref().and_then(|it| parse_place(it, key, faults)) {
            *readings = Cow::Owned(vec![Reading::At(place)]);
        }
    }
}

fn fault(key: &str, problem: impl Into<String>, hint: Option<&str>) -> Fault {
    Fault {
        key: key.to_owned(),
        problem: problem.into(),
        hint: hint.map(str::to_owned),
    }
}
