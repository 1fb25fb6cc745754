//! An `hmac` table: of a source, or of a row of the catalog.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use serde::Deserialize;

use crate::provider::{
    Provider,
    place::{Place, Reading},
    recipe::{
        Fault, Places, apply_places, fault, generic, template,
        words::{ENCODINGS, HASHES, SECRET_ENCODINGS, UNITS, choose, header_name, parse_place},
    },
    scheme::{
        Accepted, DEFAULT_TOLERANCE_S, Encoding, Family, Hash, Layout, List, Method, Part, Scheme,
        SecretEncoding, SecretForm, Signature, Text, Time, Unit, When,
    },
};

/// An `hmac` table: of a source, or of a row of the catalog.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HmacRecipe {
    pub hash: Option<String>,
    /// Where the signature is. The only key that must be there.
    pub header: Option<String>,
    pub prefix: Option<String>,
    pub encoding: Option<String>,
    /// `{timestamp}.{body}`
    pub signed: Option<String>,
    /// What may be signed in place of it.
    pub or_signed: Option<String>,
    pub timestamp_header: Option<String>,
    pub timestamp_unit: Option<String>,
    pub secret_encoding: Option<String>,
    /// Between several signatures, or between the fields of a `k=v,k=v` header.
    pub separator: Option<String>,
    /// The signature's field in a `k=v,k=v` header.
    pub field: Option<String>,
    /// The timestamp's field in a `k=v,k=v` header.
    pub timestamp_field: Option<String>,
    /// Seconds in the catalog.
    #[serde(deserialize_with = "seconds")]
    pub tolerance: Option<Duration>,
    // What follows is for senders whose ways are stranger, and only in the catalog so far.
    /// The signature is the only member of a dictionary: `label=:...:` (RFC 9421).
    pub member: bool,
    /// Where the signature is, if in no header: `body:/signature`.
    pub place: Option<String>,
    /// Where the timestamp is, if in no header.
    pub timestamp_place: Option<String>,
    /// Further headers with a signature of the same kind, each for another of the sender's keys.
    pub more_headers: Vec<String>,
    /// Other names of the same headers. A request shows one family of them.
    pub also: Vec<Names>,
    /// Where the signatures begin in a header of fields without names, counted from 0, and where its timestamp is.
    pub position: Option<usize>,
    pub timestamp_position: Option<usize>,
    /// Headers of an outdated scheme: alone they are refused, and the reason names them.
    pub weak: Vec<String>,
    /// Only for requests with these values: `{ "header:x-signature-version" = "v2" }`.
    pub when: BTreeMap<String, OneOf>,
    /// Not for requests that have something there.
    pub without: Vec<String>,
    /// `/items`: the array in the body whose elements are signed each by itself.
    pub each: Option<String>,
    /// The URL may be signed with its port or without.
    pub any_port: bool,
    /// Where the SHA-256 of a body stands that is no form, in hex: for senders that sign a URL with it.
    pub body_digest: Option<String>,
    /// Seconds that a time may lie in the future, where that is not `tolerance`.
    pub ahead: Option<u32>,
    /// `{secret}&`: what the key is made of, where that is not the secret alone.
    pub key: Option<String>,
}

/// One pattern, or several of which any will do; `*` is a text without `/`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOf {
    One(String),
    Several(Vec<String>),
}

impl OneOf {
    pub(super) fn patterns(self) -> List<Text> {
        match self {
            Self::One(it) => vec![Cow::Owned(it)],
            Self::Several(them) => them.into_iter().map(Cow::Owned).collect(),
        }
        .into()
    }
}

/// The names of the headers of one family.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    pub header: String,
    pub timestamp_header: Option<String>,
    pub id_header: Option<String>,
}

impl Names {
    fn family(&self, faults: &mut Vec<Fault>) -> Family {
        let mut header = |name: &String| header_name(name, "hmac.also", faults);
        Family {
            signatures: Cow::Owned(vec![header(&self.header)]),
            timestamp: self.timestamp_header.as_ref().map(&mut header),
            id: self.id_header.as_ref().map(&mut header),
        }
    }
}

fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Some(Duration::from_secs(u64::deserialize(deserializer)?)))
}

pub fn hmac(recipe: &HmacRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = generic("hmac");
    apply_places(&mut row, places, &mut faults);
    let id = match row.event_id.first() {
        Some(Reading::At(place @ Place::Header(_))) if places.event_id.is_some() => Some(place.clone()),
        _ => None,
    };
    let signature = signature(recipe, id, &mut faults);
    row.schemes = Cow::Owned(vec![Scheme::Signature(signature)]);
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

/// `id` is the header whose text is `{id}`.
pub(in crate::provider) fn signature(
    recipe: &HmacRecipe,
    id: Option<Place>,
    faults: &mut Vec<Fault>,
) -> Signature {
    let method =
        choose(recipe.hash.as_deref(), "hmac.hash", HASHES, faults).unwrap_or(Method::Hmac(Hash::Sha256));
    let encoding =
        choose(recipe.encoding.as_deref(), "hmac.encoding", ENCODINGS, faults).unwrap_or(Encoding::HexLower);
    let unit = choose(
        recipe.timestamp_unit.as_deref(),
        "hmac.timestamp_unit",
        UNITS,
        faults,
    )
    .unwrap_or(Some(Unit::Seconds));
    let secret_key = "hmac.secret_encoding";
    let (secret_prefix, secret_encoding) = choose(
        recipe.secret_encoding.as_deref(),
        secret_key,
        SECRET_ENCODINGS,
        faults,
    )
    .unwrap_or(("", SecretEncoding::Text));
    let mut places = Vec::new();
    match (&recipe.header, &recipe.place) {
        (Some(header), _) => places.push(header_name(header, "hmac.header", faults)),
        (None, Some(place)) => places.extend(parse_place(place, "hmac.place", faults)),
        (None, None) => {
            let hint = "name the header that carries the signature, like `header = \"x-signature\"`";
            faults.push(fault("hmac.header", "it is missing", Some(hint)));
        }
    }
    for header in &recipe.more_headers {
        places.push(header_name(header, "hmac.more_headers", faults));
    }
    let timestamp = match (&recipe.timestamp_header, &recipe.timestamp_place) {
        (Some(header), _) => Some(header_name(header, "hmac.timestamp_header", faults)),
        (None, Some(place)) => parse_place(place, "hmac.timestamp_place", faults),
        (None, None) => None,
    };
    let signed = template::parse(recipe.signed.as_deref().unwrap_or("{body}"), faults);
    if signed.contains(&Part::Id) && id.is_none() {
        let hint = "say where the id is: `event_id = \"header:x-event-id\"`, or write `{header:x-event-id}`";
        faults.push(fault("hmac.signed", "`{id}` has no header", Some(hint)));
    }
    let or_signed = recipe.or_signed.as_ref().map(|it| template::parse(it, faults));
    let has_time = check_time(recipe, &signed, faults);
    check_digest(method, &signed, faults);
    if method.is_public() && secret_encoding == SecretEncoding::Text {
        let hint = "expected `public-key`, or for ed25519 also `hex` or `base64`";
        faults.push(fault(secret_key, "a public key is no text", Some(hint)));
    } else if !method.is_public() && secret_encoding == SecretEncoding::PublicKey {
        let hint = "a public key is known to everybody: use `text`, `hex` or `base64`";
        faults.push(fault(secret_key, "an HMAC needs a secret", Some(hint)));
    }
    if signed.contains(&Part::FormFields) && recipe.body_digest.is_none() {
        let hint = "use `{sorted_form}`, which covers a body of any kind";
        faults.push(fault(
            "hmac.signed",
            "`{form_fields}` covers forms alone",
            Some(hint),
        ));
    }
    let mut families = vec![Family {
        signatures: Cow::Owned(places),
        timestamp,
        id,
    }];
    families.extend(recipe.also.iter().map(|it| it.family(faults)));
    let weak = recipe.weak.iter().map(|it| Cow::Owned(it.to_ascii_lowercase()));
    let when = recipe.when.iter();
    let when = when.filter_map(|(place, patterns)| {
        Some(When {
            place: parse_place(place, "hmac.when", faults)?,
            patterns: patterns.clone().patterns(),
        })
    });
    let when = when.collect();
    let without = recipe.without.iter();
    let without = without
        .filter_map(|it| parse_place(it, "hmac.without", faults))
        .collect();
    let body_digest = recipe.body_digest.as_ref();
    Signature {
        when,
        without,
        each: recipe.each.clone().map(Cow::Owned),
        any_port: recipe.any_port,
        body_digest: body_digest.and_then(|it| parse_place(it, "hmac.body_digest", faults)),
        families: Cow::Owned(families),
        layout: layout(recipe, faults),
        accepted: Cow::Owned(vec![Accepted {
            prefix: Cow::Owned(recipe.prefix.clone().unwrap_or_default()),
            method,
            encoding,
        }]),
        weak: weak.collect(),
        signed: Cow::Owned(signed),
        or_signed: or_signed.map(Cow::Owned).unwrap_or_default(),
        key: recipe
            .key
            .as_ref()
            .map(|it| template::parse(it, faults))
            .map(Cow::Owned)
            .unwrap_or_default(),
        time: unit.filter(|_| has_time).map(|unit| Time {
            unit,
            tolerance_s: recipe.tolerance.map_or(DEFAULT_TOLERANCE_S, |it| {
                u32::try_from(it.as_secs()).unwrap_or(u32::MAX)
            }),
            ahead_s: recipe.ahead,
        }),
        secrets: Cow::Owned(vec![SecretForm {
            prefix: Cow::Borrowed(secret_prefix),
            prefix_required: false,
            encoding: secret_encoding,
            public: method.is_public(),
        }]),
    }
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
    if recipe.member {
        return Layout::Member;
    }
    if let Some(signatures_from) = recipe.position {
        return Layout::Positions {
            separator: separator.unwrap_or(Cow::Borrowed(",")),
            timestamp: recipe.timestamp_position,
            signatures_from,
        };
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
        ("hmac.timestamp_place", recipe.timestamp_place.is_some()),
        ("hmac.timestamp_position", recipe.timestamp_position.is_some()),
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
    // A time in the body is signed with it.
    let place = recipe.timestamp_place.as_deref().unwrap_or("header:");
    let is_in_body = !place.starts_with("header:");
    let signs = |part: &Part| signed.iter().any(|it| it.is_of(&|it| it == part));
    let is_in_key = recipe.key.as_ref().is_some_and(|it| it.contains("{timestamp}"));
    // A time in the header of a JWS is signed with that.
    let is_in_token = !is_in_body
        && place.contains(":/")
        && signed
            .iter()
            .any(|it| matches!(it, Part::At(Place::HeaderPart { .. })));
    let names_it = |it: &Part| matches!(it, Part::SignatureBase(_) | Part::ListedHeaders(_));
    let is_signed = signs(&Part::Timestamp)
        || is_in_key
        || signed.iter().any(names_it)
        || (is_in_body && (signs(&Part::Body) || signed.contains(&Part::SortedJson)))
        || is_in_token;
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
    let has_secret = signed
        .iter()
        .any(|it| matches!(it, Part::Secret | Part::BodyWithSecret(_)));
    if matches!(method, Method::Digest(_)) && !has_secret {
        let hint = "put `{secret}` where the sender puts it, or use an HMAC like `sha256`";
        faults.push(fault(
            "hmac.signed",
            "a plain hash without `{secret}` proves nothing",
            Some(hint),
        ));
    }
}
