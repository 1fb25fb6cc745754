//! Makes requests as a sender would: for `gatepost send`, the demo and tests.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        BadSecret, Call, Key, Provider, Sample, Wanted, encoding,
        header_part::HeaderPart,
        json, mac,
        message::{self, Known},
        moment,
        place::{Place, Reader, Reading},
        scheme::{Family, Layout, Part, Scheme, Signature, Unit, When},
    },
};

const FORM: &str = "application/x-www-form-urlencoded";
const UNIX_MARK: &str = "1500000000";
const NUMBER_MARK: &str = "1400000000";
const TOKEN_MARK: &str = "@token@";
const GENERIC_TYPE: &str = "example.created";
const URL_HINT: &str = "post a real one instead: `gatepost verify` checks it offline";

pub(super) fn make(
    provider: &Provider,
    secret: &Secret,
    wanted: &Wanted<'_>,
    now: Timestamp,
) -> Result<Sample, BadSecret> {
    let form = provider.sample.as_ref();
    let own_type = || form.map_or(GENERIC_TYPE, |it| it.event_type.as_ref());
    let event_type = wanted.event_type.unwrap_or_else(own_type);
    let marks = Marks::new(event_type, secret, now);
    let named = named(provider, &marks);
    let is_proof_in = |is_there: fn(&Place) -> bool| {
        let mut schemes = provider.schemes.iter();
        schemes.any(|it| it.places().iter().any(is_there))
    };
    let is_form = form.is_none()
        && (is_proof_in(|it| matches!(it, Place::Form(_)))
            || wanted.body.is_none()
                && named
                    .iter()
                    .any(|(it, _)| matches!(it, Place::Form(_) | Place::FormJson { .. }))
                && !is_proof_in(|it| matches!(it, Place::Body(_))));
    let content_type = match form {
        Some(form) => form.content_type.as_ref(),
        None if is_form => FORM,
        None => "application/json",
    };
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    for (name, value) in form.map_or(&[][..], |it| it.headers.as_ref()) {
        headers.push((name.to_string(), marks.fill(value, without_controls)));
    }
    let mut body = match (wanted.body, form) {
        (Some(body), _) => body.to_vec(),
        (None, Some(form)) => marks.fill(&form.body, escape_for(content_type)).into_bytes(),
        (None, None) if is_form => form_body(&named, &marks),
        (None, None) => generic_body(&named, &marks),
    };
    if form.is_none() {
        // No request of this sender is known: its headers are where the row says they are.
        for (place, text) in &named {
            if let Place::Header(name) = place {
                push_new(&mut headers, name, without_controls(text));
            }
        }
    }
    if provider.is_unverified() {
        return Ok(Sample { headers, body });
    }
    let key = provider.key(secret)?;
    match provider.schemes.get(key.scheme) {
        Some(Scheme::Signature(signature)) => sign(signature, &key, &mut headers, &mut body, wanted, &marks)?,
        Some(Scheme::Token(token)) => {
            let value = [token.prefix.as_bytes(), key.material.expose()].concat();
            let value = String::from_utf8_lossy(&value).into_owned();
            match &token.place {
                Place::Header(name) => headers.push((name.to_string(), value)),
                Place::Body(pointer) => {
                    let array = token
                        .each
                        .as_ref()
                        .map(|it| format!("{it}/*"))
                        .unwrap_or_default();
                    put_into(&mut body, &format!("{array}{pointer}"), value.into());
                }
                Place::Form(name) => put_into_form(&mut body, name, &value),
                _ if form.is_some_and(|it| it.body.contains(TOKEN_MARK)) => {}
                _ => {
                    return Err(cannot(
                        "the token of this scheme is in the URL or inside another field",
                        URL_HINT,
                    ));
                }
            }
        }
        Some(Scheme::Basic) => {
            let credentials = encoding::encode_basic(key.material.expose());
            headers.push(("authorization".to_owned(), format!("Basic {credentials}")));
        }
        Some(Scheme::Jwt(_)) => {
            return Err(cannot(
                "the token of this scheme is made by its sender alone",
                URL_HINT,
            ));
        }
        Some(Scheme::Unverified) | None => {}
    }
    Ok(Sample { headers, body })
}

/// What the body looks like, signed by nobody; `None` where no request of this sender is known.
pub(super) fn body(provider: &Provider, now: Timestamp) -> Option<String> {
    let form = provider.sample.as_ref()?;
    let nobodys = Secret::new(Vec::new());
    let marks = Marks::new(&form.event_type, &nobodys, now);
    Some(marks.fill(&form.body, escape_for(&form.content_type)))
}

fn sign(
    signature: &Signature,
    key: &Key,
    headers: &mut Vec<(String, String)>,
    body: &mut Vec<u8>,
    wanted: &Wanted<'_>,
    marks: &Marks<'_>,
) -> Result<(), BadSecret> {
    if let Some(array) = &signature.each {
        let whole = serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
        let element = whole.pointer(&format!("{array}/0")).cloned().unwrap_or_default();
        let element = if element.is_object() {
            element
        } else {
            Value::Object(Map::new())
        };
        let (mut element, of_one) = (
            element.to_string().into_bytes(),
            Signature {
                each: None,
                ..signature.clone()
            },
        );
        sign(&of_one, key, headers, &mut element, wanted, marks)?;
        let element = serde_json::from_slice(&element).unwrap_or(Value::Null);
        put_into(body, &format!("{array}/*"), element);
        return Ok(());
    }
    if key.is_public {
        return Err(cannot(
            "a public key checks signatures and cannot make them",
            "use a source with a `whsec_` secret",
        ));
    }
    let of_the_url = |it: &Part| matches!(it, Part::Path | Part::Target | Part::At(Place::Query(_)));
    let lacks_url = signature.signs_url() && wanted.url.is_none();
    if lacks_url || (wanted.target.is_none() && signature.signed.iter().any(of_the_url)) {
        return Err(cannot(
            "this scheme signs the URL, and it is not known",
            "set `server.public_url`, or give `--url`",
        ));
    }
    let no_place = || {
        cannot(
            "the signature of this scheme is in the URL or inside another field",
            URL_HINT,
        )
    };
    let family = signature.families.first().ok_or_else(no_place)?;
    let place = family.signatures.first().ok_or_else(no_place)?;
    if !matches!(place, Place::Header(_) | Place::Body(_) | Place::Form(_)) {
        return Err(no_place());
    }
    let unit = signature.time.map_or(Unit::Seconds, |it| it.unit);
    let timestamp = moment::write(marks.now, unit);
    push_family(family, headers, &timestamp, marks);
    push_signed(signature, family, headers, body, &timestamp, marks);
    let fields = fields_beside(signature, place, marks);
    if !fields.is_empty() {
        headers.push((name_of(place), fields.clone()));
    }

    let sent = Headers::from_pairs(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    let call = Call {
        method: "POST",
        url: wanted.url,
        target: wanted.target.unwrap_or("/"),
        headers: &sent,
        body,
    };
    let reader = Reader::new(&call);
    let known = Known {
        family,
        timestamp: Some(timestamp.as_bytes()),
        reader: &reader,
    };
    let lacks = |refusal| cannot(format!("a sample lacks something: {refusal}"), URL_HINT);
    let pieces = message::assemble(&signature.signed, known).map_err(lacks)?;
    let key_pieces = message::assemble(&signature.key, known).map_err(lacks)?;
    let made = (!key_pieces.is_empty()).then(|| mac::join(&key_pieces, key.material.expose()));
    let material = made.as_deref().unwrap_or(key.material.expose());
    let encoded = signature.accepted.iter().find_map(|rule| {
        let bytes = mac::compute(rule.method, material, &pieces)?;
        Some(format!(
            "{}{}",
            rule.prefix,
            encoding::encode(rule.encoding, bytes.as_slice())
        ))
    });
    let encoded =
        encoded.ok_or_else(|| cannot("this scheme signs with a key that only the sender has", URL_HINT))?;
    let value = format!("{fields}{}", lay_out(signature, &timestamp, &encoded));
    match place {
        Place::Body(pointer) => put_into(body, pointer, value.into()),
        Place::Form(name) => put_into_form(body, name, &value),
        _ => {
            let name = name_of(place);
            headers.retain(|(it, _)| *it != name);
            headers.push((name, value));
        }
    }
    Ok(())
}

/// Fields of the signature's own header that are signed: `env=...,`.
fn fields_beside(signature: &Signature, place: &Place, marks: &Marks<'_>) -> String {
    let Layout::Fields { separator, .. } = &signature.layout else {
        return String::new();
    };
    let own = |(it, value): (&Place, &str)| match it {
        Place::HeaderPart {
            name,
            part: HeaderPart::Field(field),
        } if *name == place.name() => Some(format!("{field}={value}{separator}")),
        _ => None,
    };
    let signed = places_in(&signature.signed)
        .into_iter()
        .map(|it| (it, marks.id.as_str()));
    let asked = signature
        .when
        .iter()
        .filter_map(|it| Some((&it.place, it.patterns.first()?.as_ref())));
    signed.chain(asked).filter_map(own).collect()
}

/// Where the parts are that must be there.
fn places_in(parts: &[Part]) -> Vec<&Place> {
    let mut places = Vec::new();
    for part in parts {
        match part {
            Part::At(place) => places.push(place),
            Part::Of(_, inner) => places.extend(places_in(inner)),
            _ => {}
        }
    }
    places
}

/// What stands in the request only because it is signed, or because it tells which scheme it is.
fn push_signed(
    signature: &Signature,
    family: &Family,
    headers: &mut Vec<(String, String)>,
    body: &mut Vec<u8>,
    timestamp: &str,
    marks: &Marks<'_>,
) {
    for When { place, patterns } in signature.when.iter() {
        match (place, patterns.first()) {
            (Place::Header(name), Some(text)) => push_new(headers, name, text.to_string()),
            (Place::Form(name), Some(text)) if !form_urlencoded::parse(body).any(|(it, _)| it == *name) => {
                put_into_form(body, name, text);
            }
            _ => {}
        }
    }
    for place in places_in(&signature.signed) {
        match place {
            Place::Header(name) => push_new(headers, name, marks.id.clone()),
            Place::HeaderPart {
                name,
                part: HeaderPart::Position(separator, position),
            } => {
                let before = format!("example{separator}").repeat(*position);
                push_new(headers, name, format!("{before}{}", marks.id));
            }
            Place::Body(pointer) if json::find_one(body, pointer).is_none() => {
                put_into(body, pointer, marks.id.clone().into());
            }
            Place::Form(name) if !form_urlencoded::parse(body).any(|(it, _)| it == *name) => {
                put_into_form(body, name, &marks.id);
            }
            _ => {}
        }
    }
    for part in signature.signed.iter() {
        match part {
            Part::Raw(pointer) if json::raw(body, pointer).is_none() => {
                put_into(body, pointer, serde_json::json!({ "id": marks.id }));
            }
            Part::ListedHeaders(list) => {
                let time = family.timestamp.as_ref().map_or("", Place::name);
                push_new(headers, list.name(), format!("{},{time}", list.name()));
            }
            _ => {}
        }
    }
    if let Some(Place::Form(name)) = &family.timestamp {
        put_into_form(body, name, timestamp);
    }
    if let Some(Place::Body(pointer)) = &family.timestamp {
        let number = timestamp
            .parse::<i64>()
            .map_or_else(|_| timestamp.into(), Value::from);
        put_into(body, pointer, number);
    }
}

fn name_of(place: &Place) -> String {
    match place {
        Place::Header(name) => name.to_string(),
        _ => String::new(),
    }
}

/// Unless the header is there.
fn push_new(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    if !headers.iter().any(|(it, _)| it == name) {
        headers.push((name.to_owned(), value));
    }
}

/// Leaves a body alone that is no JSON: then the request lacks something, and says so when it is signed.
fn put_into(body: &mut Vec<u8>, pointer: &str, value: Value) {
    if let Ok(mut whole) = serde_json::from_slice::<Value>(body) {
        put(&mut whole, pointer, value);
        *body = whole.to_string().into_bytes();
    }
}

/// In place of another value of that name.
fn put_into_form(body: &mut Vec<u8>, name: &str, value: &str) {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(form_urlencoded::parse(body).filter(|(it, _)| it != name));
    *body = form.append_pair(name, value).finish().into_bytes();
}

/// The headers that are signed with the body.
fn push_family(family: &Family, headers: &mut Vec<(String, String)>, timestamp: &str, marks: &Marks<'_>) {
    if let Some(Place::Header(name)) = &family.timestamp {
        headers.retain(|(it, _)| it != name);
        headers.push((name.to_string(), timestamp.to_owned()));
    }
    if let Some(Place::Header(name)) = &family.id {
        push_new(headers, name, format!("msg_{}", marks.id));
    }
}

fn lay_out(row: &Signature, timestamp: &str, signature: &str) -> String {
    let asked_at = |wanted: usize| {
        row.when.iter().find_map(|it| match &it.place {
            Place::HeaderPart {
                part: HeaderPart::Position(_, position),
                ..
            } if *position == wanted => it.patterns.first().map(AsRef::as_ref),
            _ => None,
        })
    };
    match &row.layout {
        Layout::One | Layout::List { .. } => signature.to_owned(),
        Layout::Member => format!("sig1=:{signature}:"),
        Layout::Fields {
            separator,
            signature: name,
            timestamp: Some(time_name),
        } => format!("{time_name}={timestamp}{separator}{name}={signature}"),
        Layout::Fields { signature: name, .. } => format!("{name}={signature}"),
        Layout::Positions {
            separator,
            timestamp: time_at,
            signatures_from,
        } => {
            let parts: Vec<_> = (0..=*signatures_from)
                .map(|position| {
                    if position == *signatures_from {
                        signature
                    } else if *time_at == Some(position) {
                        timestamp
                    } else {
                        asked_at(position).unwrap_or("1")
                    }
                })
                .collect();
            parts.join(separator)
        }
    }
}

/// A body with something at each place that the row reads.
fn generic_body(named: &[(&Place, String)], marks: &Marks<'_>) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("id".to_owned(), format!("example_{}", marks.id).into());
    body.insert("type".to_owned(), marks.event_type.into());
    body.insert("created_at".to_owned(), marks.now.to_string().into());
    body.insert(
        "data".to_owned(),
        serde_json::json!({ "note": "a sample event made by gatepost" }),
    );
    let mut body = Value::Object(body);
    for (place, text) in named {
        if let Place::Body(pointer) = place {
            put(&mut body, pointer, text.clone().into());
        }
    }
    body.to_string().into_bytes()
}

/// The same as a form.
fn form_body(named: &[(&Place, String)], marks: &Marks<'_>) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("note", "a sample event made by gatepost")
        .append_pair("sample_id", &marks.id);
    let mut inner: BTreeMap<&str, Value> = BTreeMap::new();
    for (place, text) in named {
        match place {
            Place::Form(name) => {
                form.append_pair(name, text);
            }
            Place::FormJson { field, pointer } => {
                let value = inner.entry(field.as_ref()).or_insert(Value::Null);
                put(value, pointer, text.clone().into());
            }
            _ => {}
        }
    }
    for (name, value) in inner {
        form.append_pair(name, &value.to_string());
    }
    form.finish().into_bytes()
}

/// What stands at each place that the row reads first. A name of several places is shared out at its dots.
fn named<'p>(provider: &'p Provider, marks: &Marks<'_>) -> Vec<(&'p Place, String)> {
    let texts = [
        (&provider.event_id, format!("example_{}", marks.id)),
        (&provider.event_type, marks.event_type.to_owned()),
        (&provider.event_time, marks.now.to_string()),
    ];
    let mut named = Vec::new();
    for (readings, text) in texts {
        let places = readings.first().map_or(&[][..], Reading::places);
        let shares = text.splitn(places.len().max(1), '.');
        named.extend(
            places
                .iter()
                .zip(shares.chain(std::iter::repeat("example")).map(str::to_owned)),
        );
    }
    named
}

/// Puts a value at a pointer, making objects on the way, and arrays of one element where it says `*` or `0`.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        if name == "*" || name == "0" {
            if !at.is_array() {
                *at = Value::Array(vec![at.take()]);
            }
            let Some(first) = at.as_array_mut().and_then(|it| it.first_mut()) else {
                return;
            };
            at = first;
            continue;
        }
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(name).or_insert(Value::Null);
    }
    *at = value;
}

/// What the marks of a sample stand for.
struct Marks<'t> {
    id: String,
    uuid: Uuid,
    /// Of ten digits.
    number: u32,
    event_type: &'t str,
    token: &'t str,
    now: Timestamp,
}

impl<'t> Marks<'t> {
    fn new(event_type: &'t str, secret: &'t Secret, now: Timestamp) -> Self {
        let uuid = Uuid::now_v7();
        Self {
            id: uuid.simple().to_string(),
            uuid,
            // Ends in 7, so that with zeros behind it no mark comes out of it.
            number: rand::random_range(100_000_000..200_000_000) * 10 + 7,
            event_type,
            token: secret.expose_str().unwrap_or_default(),
            now,
        }
    }

    /// What somebody else chose goes in last, so that a mark in it stays what it is.
    fn fill(&self, text: &str, escape: fn(&str) -> String) -> String {
        let (before, after) = self
            .event_type
            .split_once('.')
            .unwrap_or((self.event_type, "example"));
        text.replace("@id@", &self.id)
            .replace("@uuid@", &self.uuid.to_string())
            .replace("@time@", &self.now.to_string())
            .replace("@date@", &escape(&moment::write_rfc2822(self.now)))
            .replace(UNIX_MARK, &self.now.as_unix_seconds().to_string())
            .replace(NUMBER_MARK, &self.number.to_string())
            .replace(TOKEN_MARK, &escape(self.token))
            .replace("@type1@", &escape(before))
            .replace("@type2@", &escape(after))
            .replace("@type@", &escape(self.event_type))
    }
}

/// How a text is written in a body of that kind.
fn escape_for(content_type: &str) -> fn(&str) -> String {
    if content_type.starts_with(FORM) {
        |text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
    } else if content_type.contains("xml") {
        |text| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        }
    } else {
        |text| {
            let quoted = Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    }
}

/// A header cannot hold a line end: a text that has one would otherwise start a header of its own.
fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn cannot(problem: impl Into<String>, hint: impl Into<String>) -> BadSecret {
    BadSecret {
        problem: problem.into(),
        hint: hint.into(),
    }
}
