//! What one request costs in `provider` and `source`: each provider's verification of a genuine request, beside a plain HMAC
//! of the same body, and the whole of `source::receive`. No I/O.
//!
//! `benches/run --part micro` starts it; it needs the library itself, which the harness knows nothing of. Prints a JSON line
//! for each sample.

#![expect(clippy::print_stdout, reason = "what it measured is its output")]

use std::{
    collections::BTreeMap,
    error::Error,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{self, Call, Key},
    source::{Received, Request, Settings, Source, receive},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// How long one sample takes.
const SAMPLE: Duration = Duration::from_millis(40);
const N_SAMPLES: usize = 5;

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

/// A signed request of `tests/vectors`, as far as it is needed here.
#[derive(Deserialize)]
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
struct Case {
    name: String,
    source: Source,
    keys: Vec<Key>,
    request: Request,
    now: Timestamp,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut cases = Vec::new();
    for name in SENDERS {
        let case = Case::read(&folder.join(format!("{name}.json")))?;
        cases.push(case.ok_or_else(|| format!("no genuine request of `{name}`"))?);
    }
    // In turns, so that a moment's noise does not fall on one provider alone.
    for _ in 0..N_SAMPLES {
        for case in &cases {
            case.measure();
        }
    }
    Ok(())
}

impl Case {
    /// The first genuine request of a file; `None` where there is none that these settings verify.
    fn read(path: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.into_owned();
        let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(path)?)?;
        let Some(provider) = provider::find(&name) else {
            return Ok(None);
        };
        for vector in vectors.into_iter().filter(|it| it.expect == "accept") {
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
            };
            let Ok(source) = Source::new(settings) else {
                continue;
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
                name: name.clone(),
                source,
                keys,
                request,
                now,
            };
            if matches!(receive(&case.source, &case.request, now), Received::Verified(_)) {
                return Ok(Some(case));
            }
        }
        Ok(None)
    }

    fn measure(&self) {
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
        let plain_ns = ns_each(|| {
            let mut mac = Hmac::<Sha256>::new_from_slice(black_box(b"a key of thirty-two bytes, or so"))
                .expect("HMAC takes keys of every length");
            mac.update(black_box(body));
            black_box(mac.finalize());
        });
        let verify_ns = ns_each(|| {
            let verdict = provider.verify(&self.keys, black_box(&call), None, self.now);
            assert!(black_box(verdict).is_ok(), "it verified before");
        });
        let receive_ns = ns_each(|| {
            black_box(receive(&self.source, black_box(&self.request), self.now));
        });
        println!(
            "{}",
            serde_json::json!({
                "provider": self.name, "body": body.len(), "plain_ns": plain_ns, "verify_ns": verify_ns,
                "receive_ns": receive_ns,
            })
        );
    }
}

fn ns_each(mut once: impl FnMut()) -> f64 {
    // Warms the caches, and says how many calls fit between two looks at the clock.
    let started = Instant::now();
    for _ in 0..100 {
        once();
    }
    let n_each = (1e-3 / (started.elapsed().as_secs_f64() / 100.0).max(1e-9)).ceil();
    let started = Instant::now();
    let mut n_calls = 0.0;
    while started.elapsed() < SAMPLE {
        let mut n_left = n_each;
        while n_left > 0.0 {
            once();
            n_left -= 1.0;
        }
        n_calls += n_each;
    }
    started.elapsed().as_secs_f64() * 1e9 / n_calls
}
