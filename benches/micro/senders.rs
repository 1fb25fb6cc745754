//! What one request costs in `provider` and `source`, without I/O: verifying a genuine request, beside a plain HMAC of the very bytes
//! that its signature covers; naming the event; and the whole of `source::receive`.
//!
//! Each sender is measured with a request of `tests/vectors`, most of them tiny, and, where the receiver has the key, with one of
//! 2.3 KB behind the headers that a proxy sends.

use std::{collections::BTreeMap, error::Error, hint::black_box, path::Path};

use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        self, Call, Key, Provider, Wanted, json,
        place::Place,
        scheme::{Hash, Method, Part, Scheme, Signature},
    },
    source::{Received, Request, Settings, Source, receive},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::ns_each;

/// One sender of each kind of scheme: the other rows are like one of these.
const SENDERS: &[&str] = &[
    "adyen",
    "aws-sns",
    "braintree",
    "chargebee",
    "github",
    "gitlab",
    "google-pubsub",
    "hubspot",
    "mailgun",
    "microsoft-graph",
    "plaid",
    "salesforce",
    "sendgrid",
    "shopify",
    "slack",
    "standard-webhooks",
    "stripe",
    "svix",
    "telnyx",
    "twilio",
];

/// A Stripe event of usual size, the same that the harness sends.
pub(crate) const REAL_BODY: &[u8] = include_bytes!("../src/sample.json");

/// What a request has besides its sender's own headers.
const OF_A_PROXY: &[(&str, &str)] = &[
    ("host", "hooks.example.com"),
    ("user-agent", "Sender/1.0 (+https://sender.example/docs/webhooks)"),
    ("accept", "*/*; q=0.5, application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("cache-control", "no-cache"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "7c9e6679-7425-40de-944b-e07fc1f90ae7"),
    ("content-length", "2300"),
];

/// A signed request of `tests/vectors`, as far as it is needed here.
#[derive(Clone, Deserialize)]
struct Vector {
    secrets: Vec<String>,
    now: i64,
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
    expect: String,
    public_url: Option<url::Url>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// One provider, ready to verify one genuine request.
pub(crate) struct Case {
    name: String,
    source: Source,
    keys: Vec<Key>,
    request: Request,
    now: Timestamp,
}

pub(crate) fn read_all() -> Result<Vec<Case>, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut cases = Vec::new();
    for name in SENDERS {
        let (case, vector) = read(name, &folder.join(format!("{name}.json")))?
            .ok_or_else(|| format!("no genuine request of `{name}`"))?;
        cases.push(case);
        cases.extend(Case::of_real_size(name, vector)?);
    }
    Ok(cases)
}

/// The first genuine request of a file; `None` where there is none that these settings verify.
fn read(name: &str, path: &Path) -> Result<Option<(Case, Vector)>, Box<dyn Error>> {
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(path)?)?;
    for vector in vectors.into_iter().filter(|it| it.expect == "accept") {
        if let Some(case) = Case::new(name, name.to_owned(), vector.clone())? {
            return Ok(Some((case, vector)));
        }
    }
    Ok(None)
}

impl Case {
    fn new(provider: &str, name: String, vector: Vector) -> Result<Option<Self>, Box<dyn Error>> {
        let Some(provider) = provider::find(provider) else {
            return Ok(None);
        };
        let secrets: Vec<_> = vector
            .secrets
            .iter()
            .map(|it| Secret::new(it.as_bytes()))
            .collect();
        let keys: Vec<_> = secrets.iter().filter_map(|it| provider.key(it).ok()).collect();
        let settings = Settings {
            name: name.clone(),
            provider: provider.clone().with_options(&vector.options),
            secrets,
            verify_token: None,
            tolerance: None,
            max_body: None,
            rate: None,
            public_url: vector.public_url,
            redact: gatepost::source::redact::Redact::default(),
        };
        let Ok(source) = Source::new(settings) else {
            return Ok(None);
        };
        let now = Timestamp::from_unix_seconds(vector.now);
        let headers = vector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let request = Request {
            method: vector.method.parse()?,
            target: vector.target.clone(),
            headers: Headers::from_pairs(headers),
            body: vector.body.into(),
            client: None,
            received_at: now,
        };
        let case = Self {
            name,
            source,
            keys,
            request,
            now,
        };
        let is_verified = matches!(receive(&case.source, &case.request, now), Received::Verified(_));
        Ok(is_verified.then_some(case))
    }

    /// The same sender with a body of usual size; `None` where only the sender could sign it.
    fn of_real_size(name: &str, mut vector: Vector) -> Result<Option<Self>, Box<dyn Error>> {
        let provider = provider::find(name).ok_or("it was there before")?;
        let provider = provider.clone().with_options(&vector.options);
        let now = Timestamp::from_unix_seconds(vector.now);
        "/webhooks/source".clone_into(&mut vector.target);
        let base = vector.public_url.as_ref().map(ToString::to_string);
        let url = base.map(|it| format!("{}{}", it.trim_end_matches('/'), vector.target));
        let wanted = Wanted {
            event_type: None,
            body: Some(REAL_BODY),
            url: url.as_deref(),
            target: Some(&vector.target),
        };
        let Ok(sample) = provider.sample(&Secret::new(vector.secrets[0].as_bytes()), &wanted, now) else {
            return Ok(None);
        };
        let of_a_proxy = OF_A_PROXY.iter();
        let of_a_proxy = of_a_proxy.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        vector.headers = of_a_proxy.chain(sample.headers).collect();
        vector.body = String::from_utf8(sample.body)?;
        "POST".clone_into(&mut vector.method);
        Self::new(name, format!("{name}, 2.3 KB"), vector)
    }

    pub(crate) fn measure(&self) {
        let Request {
            method,
            target,
            headers,
            body,
            ..
        } = &self.request;
        let public_url = self.source.settings().public_url.as_ref();
        let url = public_url.map(|it| format!("{}{target}", it.as_str().trim_end_matches('/')));
        let call = Call {
            method: method.as_str(),
            url: url.as_deref(),
            target,
            headers,
            body,
        };
        let provider = self.source.provider();
        let (hash, n_signed) = signed(provider, &call).unwrap_or((Hash::Sha256, body.len()));
        let text = vec![b'x'; n_signed];
        let plain_ns = ns_each(|| plain(hash, black_box(&text)));
        let verify_ns = ns_each(|| {
            let verdict = provider.verify(&self.keys, black_box(&call), None, self.now);
            assert!(black_box(verdict).is_ok(), "it verified before");
        });
        let names_ns = ns_each(|| {
            black_box(provider.names(black_box(&call)));
        });
        let receive_ns = ns_each(|| {
            black_box(receive(&self.source, black_box(&self.request), self.now));
        });
        println!(
            "{}",
            serde_json::json!({
                "provider": self.name, "body": body.len(), "signed": n_signed, "plain_ns": plain_ns,
                "verify_ns": verify_ns, "names_ns": names_ns, "receive_ns": receive_ns,
            })
        );
    }
}

/// The hash of a sender's HMAC and the number of bytes that it covers; `None` for senders that have none.
fn signed(provider: &Provider, call: &Call<'_>) -> Option<(Hash, usize)> {
    let hash_of = |it: &Signature| match it.accepted.first()?.method {
        Method::Hmac(hash) | Method::Digest(hash) => Some(hash),
        _ => None,
    };
    let is_shown = |it: &&Signature| {
        let mut places = it.families.iter().flat_map(|it| it.signatures.iter());
        places.any(|it| match it {
            Place::Header(name) => call.headers.first(name).is_some(),
            _ => true,
        })
    };
    let signatures = provider.schemes.iter().filter_map(|it| match it {
        Scheme::Signature(it) => Some(it),
        _ => None,
    });
    let signature = signatures.into_iter().find(is_shown)?;
    let n_bytes = signature.signed.iter().map(|it| n_bytes(it, signature, call));
    Some((hash_of(signature)?, n_bytes.sum()))
}

fn n_bytes(part: &Part, signature: &Signature, call: &Call<'_>) -> usize {
    let each = signature
        .each
        .as_ref()
        .map(|it| format!("{it}/*"))
        .unwrap_or_default();
    let of_place = |place: &Place| match place {
        Place::Header(name) => call.headers.first(name).map_or(0, <[u8]>::len),
        Place::Body(pointer) => {
            json::find_one(call.body, &format!("{each}{pointer}")).map_or(0, |it| it.len())
        }
        Place::Form(name) => url::form_urlencoded::parse(call.body)
            .find(|(it, _)| it == name)
            .map_or(0, |(_, value)| value.len()),
        _ => 0,
    };
    match part {
        Part::Literal(text) => text.len(),
        Part::Body | Part::SortedForm | Part::FormFields | Part::BodyHash(_) => call.body.len(),
        Part::Timestamp => 10,
        Part::Id => signature.families[0].id.as_ref().map_or(0, of_place),
        Part::Url => call.url.map_or(0, str::len),
        Part::Method => call.method.len(),
        Part::Path | Part::Target => call.target.len(),
        _ => part.place().map_or(0, of_place),
    }
}

fn plain(hash: Hash, text: &[u8]) {
    fn mac<M: KeyInit + Mac>(text: &[u8]) {
        let mut mac = <M as KeyInit>::new_from_slice(black_box(b"a key of thirty-two bytes, or so"))
            .expect("HMAC takes keys of every length");
        mac.update(text);
        black_box(mac.finalize());
    }
    match hash {
        Hash::Sha1 => mac::<Hmac<Sha1>>(text),
        // None of the senders above has another one.
        Hash::Sha256 | Hash::Md5 | Hash::Keccak256 => mac::<Hmac<Sha256>>(text),
        Hash::Sha384 => mac::<Hmac<Sha384>>(text),
        Hash::Sha512 => mac::<Hmac<Sha512>>(text),
    }
}
