//! Puts a signature into a request, and beside it whatever else is signed.

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::{
    event::headers::Headers,
    provider::{
        BadSecret, Call, Key, Sample, Wanted, encoding,
        header_part::HeaderPart,
        json, mac,
        message::{self, Known},
        moment,
        place::{Place, Reader},
        sample::{
            URL_HINT,
            body::{put_into, put_into_form},
            cannot,
            marks::Marks,
        },
        scheme::{Family, Layout, Part, Signature, Unit, When},
    },
};

pub(super) fn sign(
    signature: &Signature,
    key: &Key,
    sample: &mut Sample,
    wanted: &Wanted<'_>,
    marks: &Marks<'_>,
) -> Result<(), BadSecret> {
    if let Some(array) = &signature.each {
        let whole = serde_json::from_slice::<Value>(&sample.body).unwrap_or(Value::Null);
        let element = whole.pointer(&format!("{array}/0")).cloned().unwrap_or_default();
        let element = if element.is_object() {
            element
        } else {
            Value::Object(Map::new())
        };
        let of_one = Signature {
            each: None,
            ..signature.clone()
        };
        let whole = std::mem::replace(&mut sample.body, element.to_string().into_bytes());
        sign(&of_one, key, sample, wanted, marks)?;
        let element = serde_json::from_slice(&sample.body).unwrap_or(Value::Null);
        sample.body = whole;
        put_into(&mut sample.body, &format!("{array}/*"), element);
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
    let no_place = || cannot("the signature of this scheme is inside another field", URL_HINT);
    let family = signature.families.first().ok_or_else(no_place)?;
    let place = family.signatures.first().ok_or_else(no_place)?;
    if !matches!(
        place,
        Place::Header(_) | Place::Query(_) | Place::Body(_) | Place::Form(_)
    ) {
        return Err(no_place());
    }
    let Sample { headers, query, body } = sample;
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
        Place::Query(name) => *query = Some((name.to_string(), value)),
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
            // Of the signature itself it says how it begins.
            _ if family.signatures.contains(place) => {}
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
            // Written anew, as it will be when the signature is put there.
            Part::BodyWithSecret(pointer) => put_into(body, pointer, "".into()),
            Part::Raw(pointer) | Part::PhpJson(pointer) if json::raw(body, pointer).is_none() => {
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

fn name_of(place: &Place) -> String {
    match place {
        Place::Header(name) => name.to_string(),
        _ => String::new(),
    }
}

/// Unless the header is there.
pub(super) fn push_new(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    if !headers.iter().any(|(it, _)| it == name) {
        headers.push((name.to_owned(), value));
    }
}
