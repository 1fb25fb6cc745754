//! Makes requests as a sender would: for `gatepost send`, the demo and tests.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        BadSecret, Call, Key, Provider, Sample, encoding, mac, message, moment,
        place::{Place, Reader, Reading},
        scheme::{Family, Layout, Part, Scheme, Signature, Unit},
    },
};

const UNIX_MARK: &str = "1500000000";
const GENERIC_TYPE: &str = "example.created";
const URL_HINT: &str = "post a real one instead: `gatepost verify` checks it offline";

pub(super) fn make(
    provider: &Provider,
    secret: &Secret,
    event_type: Option<&str>,
    body: Option<&[u8]>,
    now: Timestamp,
) -> Result<Sample, BadSecret> {
    let form = provider.sample.as_ref();
    let event_type = event_type.unwrap_or_else(|| form.map_or(GENERIC_TYPE, |it| it.event_type.as_ref()));
    let marks = Marks::new(event_type, now);
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    for (name, value) in form.map_or(&[][..], |it| it.headers.as_ref()) {
        headers.push((name.to_string(), marks.fill_header(value)));
    }
    let body = match (body, form) {
        (Some(body), _) => body.to_vec(),
        (None, Some(form)) => marks.fill_json(&form.body).into_bytes(),
        (None, None) => generic_body(provider, &marks),
    };
    if form.is_none() {
        // A scheme of the operator's own: its headers are where the row says they are.
        let wanted = [
            (&provider.event_id, "@uuid@"),
            (&provider.event_type, "@type@"),
            (&provider.event_time, "@time@"),
        ];
        for (readings, mark) in wanted {
            if let Some(Reading::At(Place::Header(name))) = readings.first() {
                headers.push((name.to_string(), marks.fill_header(mark)));
            }
        }
    }
    if provider.is_unverified() {
        return Ok(Sample { headers, body });
    }
    let key = provider.key(secret)?;
    match provider.schemes.get(key.scheme) {
        Some(Scheme::Signature(signature)) => sign(signature, &key, &mut headers, &body, &marks)?,
        Some(Scheme::Token(token)) => {
            let Place::Header(name) = &token.place else {
                return Err(cannot("the token of this scheme is not in a header", URL_HINT));
            };
            let token = [token.prefix.as_bytes(), key.material.expose()].concat();
            headers.push((name.to_string(), String::from_utf8_lossy(&token).into_owned()));
        }
        Some(Scheme::Basic) => {
            let credentials = encoding::encode_basic(key.material.expose());
            headers.push(("authorization".to_owned(), format!("Basic {credentials}")));
        }
        Some(Scheme::Unverified) | None => {}
    }
    Ok(Sample { headers, body })
}

fn sign(
    signature: &Signature,
    key: &Key,
    headers: &mut Vec<(String, String)>,
    body: &[u8],
    marks: &Marks<'_>,
) -> Result<(), BadSecret> {
    if key.is_public {
        return Err(cannot(
            "a public key checks signatures and cannot make them",
            "use a source with a `whsec_` secret",
        ));
    }
    let of_the_url = |it: &Part| {
        matches!(
            it,
            Part::Url | Part::Path | Part::Target | Part::At(Place::Query(_))
        )
    };
    if signature.signed.iter().any(of_the_url) {
        return Err(cannot(
            "this scheme signs the URL, which a sample does not know",
            URL_HINT,
        ));
    }
    let no_header = || cannot("the signature of this scheme is not in a header", URL_HINT);
    let family = signature.families.first().ok_or_else(no_header)?;
    let Some(Place::Header(signature_header)) = family.signatures.first() else {
        return Err(no_header());
    };
    let unit = signature.time.map_or(Unit::Seconds, |it| it.unit);
    let timestamp = moment::write(marks.now, unit);
    push_family(family, headers, &timestamp, marks);

    let sent = Headers::from_pairs(
        headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes())),
    );
    let call = Call {
        method: "POST",
        url: None,
        target: "/",
        headers: &sent,
        body,
    };
    let reader = Reader::new(&call);
    let written = Cow::Borrowed(timestamp.as_bytes());
    let pieces = message::assemble(&signature.signed, family, Some(&written), &reader)
        .map_err(|refusal| cannot(format!("a sample lacks something: {refusal}"), URL_HINT))?;
    let encoded = signature.accepted.iter().find_map(|rule| {
        let bytes = mac::compute(rule.method, key.material.expose(), &pieces)?;
        Some(format!(
            "{}{}",
            rule.prefix,
            encoding::encode(rule.encoding, bytes.as_slice())
        ))
    });
    let encoded =
        encoded.ok_or_else(|| cannot("this scheme signs with a key that only the sender has", URL_HINT))?;
    headers.push((
        signature_header.to_string(),
        lay_out(&signature.layout, &timestamp, &encoded),
    ));
    Ok(())
}

/// The headers that are signed with the body.
fn push_family(family: &Family, headers: &mut Vec<(String, String)>, timestamp: &str, marks: &Marks<'_>) {
    if let Some(Place::Header(name)) = &family.timestamp {
        headers.push((name.to_string(), timestamp.to_owned()));
    }
    if let Some(Place::Header(name)) = &family.id
        && !headers.iter().any(|(it, _)| it == name)
    {
        headers.push((name.to_string(), format!("msg_{}", marks.id)));
    }
}

fn lay_out(layout: &Layout, timestamp: &str, signature: &str) -> String {
    match layout {
        Layout::One | Layout::List { .. } => signature.to_owned(),
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
                        "1"
                    }
                })
                .collect();
            parts.join(separator)
        }
    }
}

/// A body with something at each place that the row reads.
fn generic_body(provider: &Provider, marks: &Marks<'_>) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("id".to_owned(), format!("example_{}", marks.id).into());
    body.insert("type".to_owned(), marks.event_type.into());
    body.insert("created_at".to_owned(), marks.now.to_string().into());
    body.insert(
        "data".to_owned(),
        serde_json::json!({ "note": "a sample event made by gatepost" }),
    );
    let mut body = Value::Object(body);
    let wanted = [
        (&provider.event_id, format!("example_{}", marks.id)),
        (&provider.event_type, marks.event_type.to_owned()),
        (&provider.event_time, marks.now.to_string()),
    ];
    for (readings, text) in wanted {
        if let Some(Reading::At(Place::Body(pointer))) = readings.first() {
            put(&mut body, pointer, text.into());
        }
    }
    body.to_string().into_bytes()
}

/// Puts a value at a pointer, making objects on the way; leaves the body alone where the pointer leads into an array.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
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
    event_type: &'t str,
    now: Timestamp,
}

impl<'t> Marks<'t> {
    fn new(event_type: &'t str, now: Timestamp) -> Self {
        let uuid = Uuid::now_v7();
        Self {
            id: uuid.simple().to_string(),
            uuid,
            event_type,
            now,
        }
    }

    fn fill_json(&self, text: &str) -> String {
        let quoted = Value::from(self.event_type).to_string();
        self.fill(
            text,
            quoted
                .trim_start_matches('"')
                .strip_suffix('"')
                .unwrap_or_default(),
        )
    }

    /// A header cannot hold a line end: a type that has one would otherwise start a header of its own.
    fn fill_header(&self, text: &str) -> String {
        self.fill(text, &self.event_type.replace(char::is_control, "\u{fffd}"))
    }

    fn fill(&self, text: &str, event_type: &str) -> String {
        text.replace("@id@", &self.id)
            .replace("@uuid@", &self.uuid.to_string())
            .replace("@time@", &self.now.to_string())
            .replace(UNIX_MARK, &self.now.as_unix_seconds().to_string())
            .replace("@type@", event_type)
    }
}

fn cannot(problem: impl Into<String>, hint: impl Into<String>) -> BadSecret {
    BadSecret {
        problem: problem.into(),
        hint: hint.into(),
    }
}
