//! Signed requests of real senders' own libraries and documents, through `source::receive`: `tests/vectors/<provider>.json`.
//!
//! Nowhere are we stricter than a file's `expect`: each verdict must be the expected one. Beyond the files we are: Stripe's own
//! libraries take times in the future, GitHub's and others' take a second spelling of a signature (see `provider::tests`).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::{Binding, body_hash, deduplication_key, headers::Headers},
    provider,
    source::{Received, Request, Settings, Source, Verified, receive},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    why: String,
    /// Who signed it.
    #[serde(rename = "from")]
    _from: String,
    secrets: Vec<String>,
    now: i64,
    method: String,
    target: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    expect: String,
    /// The code of the refusal.
    cause: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The provider's name and its vectors.
fn load(path: &Path) -> (String, Vec<Vector>) {
    let name = path.file_stem().unwrap().to_str().unwrap().replace('_', "-");
    let vectors = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    (name, vectors)
}

fn all() -> Vec<(String, Vec<Vector>)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 7, "{paths:?}");
    paths.iter().map(|it| load(it)).collect()
}

fn source(name: &str, provider_name: &str, secrets: &[String]) -> Source {
    let settings = Settings {
        name: name.to_owned(),
        provider: provider::find(provider_name).unwrap().clone(),
        secrets: secrets.iter().map(|it| Secret::new(it.as_bytes())).collect(),
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: None,
    };
    Source::new(settings).unwrap()
}

impl Vector {
    fn request(&self) -> Request {
        Request {
            method: self.method.parse().unwrap(),
            target: self.target.clone(),
            headers: Headers::from_pairs(
                self.headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_bytes())),
            ),
            body: Bytes::from(self.body.clone()),
            client: None,
            received_at: self.now(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.now)
    }
}

#[test]
fn every_vector_gets_the_expected_verdict() {
    let mut n_run = 0;
    for (name, vectors) in all() {
        for vector in vectors {
            let source = source(&name, &name, &vector.secrets);
            let received = receive(&source, &vector.request(), vector.now());
            let case = format!("{}: {}", vector.id, vector.why);
            match (vector.expect.as_str(), received) {
                ("accept", Received::Verified(_)) => {}
                ("reject", Received::Rejected(rejection)) => {
                    assert_eq!(
                        Some(rejection.code),
                        vector.cause.as_deref(),
                        "{case}: {rejection}"
                    );
                    for secret in &vector.secrets {
                        assert!(!rejection.explanation.contains(secret.as_str()), "{case}");
                    }
                }
                (_, received) => panic!("{case}: {received:?}"),
            }
            n_run += 1;
        }
    }
    assert!(n_run >= 43, "{n_run}");
}

fn verified(id: &str) -> Verified {
    let (name, vector) = all()
        .into_iter()
        .find_map(|(name, vectors)| Some((name, vectors.into_iter().find(|it| it.id == id)?)))
        .unwrap();
    match receive(
        &source("s", &name, &vector.secrets),
        &vector.request(),
        vector.now(),
    ) {
        Received::Verified(verified) => verified,
        other => panic!("{id}: {other:?}"),
    }
}

/// Checks what an accepted vector is called: id, type, time in Unix seconds.
#[track_caller]
fn check_names(id: &str, external_id: Option<&str>, event_type: Option<&str>, seconds: Option<i64>) {
    let verified = verified(id);
    assert_eq!(verified.external_id(), external_id.map(str::as_bytes), "{id}");
    assert_eq!(verified.event_type(), event_type, "{id}");
    assert_eq!(
        verified.occurred_at().map(Timestamp::as_unix_seconds),
        seconds,
        "{id}"
    );
}

#[test]
fn accepted_vectors_are_named_as_their_senders_name_them() {
    let delivery = Some("72d3162e-cc78-11e3-81ab-4c9367dc0958");
    check_names("github-n01", delivery, Some("push"), None);
    check_names("github-n09", delivery, Some("ping"), None);
    check_names(
        "stripe-n01",
        Some("evt_1SkTestAAAAAAAAAAAA"),
        Some("payment_intent.succeeded"),
        Some(1_767_225_590),
    );
    check_names(
        "slack-p05",
        Some("Ev123ABC456"),
        Some("message"),
        Some(1_767_225_590),
    );
    check_names("slack-p09", None, Some("block_actions"), None);
    check_names("slack-n01", None, Some("/webhook-collect"), None);
    check_names("shopify-n05", Some("c1"), Some("Product"), Some(1_767_225_600));
    let key = Some("f5e5f430-f57b-4e6e-9fac-d9128cd7232f");
    check_names("gitlab-n01", key, Some("push"), None);
    check_names(
        "standard_webhooks-n08",
        Some("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
        Some("contact.created"),
        Some(1_667_507_170),
    );
    check_names("svix-n05", Some("msg_2abc"), Some("invoice.paid"), None);
}

#[test]
fn a04_verified_bytes_are_the_hashed_and_deduplicated_ones() {
    let verified = verified("slack-n01");
    let (_, vectors) = load(&folder().join("slack.json"));
    let body = &vectors.iter().find(|it| it.id == "slack-n01").unwrap().body;
    assert_eq!(verified.body_hash(), body_hash(body.as_bytes()));
    assert_eq!(
        verified.key(),
        Some(deduplication_key("s", None, verified.body_hash()))
    );
    assert_eq!(verified.binding(), Binding::Body);
}

#[test]
fn every_vector_survives_every_damage_to_its_headers() {
    for (name, vectors) in all() {
        for vector in vectors.iter().filter(|it| it.expect == "accept") {
            let source = source(&name, &name, &vector.secrets);
            let signed =
                |it: &str| it.contains("signature") || it.contains("hmac") || it.contains("timestamp");
            for header in vector.headers.keys().filter(|it| signed(it)) {
                let with = |change: &dyn Fn(&str) -> Vec<Vec<u8>>| {
                    let pairs: Vec<_> = vector
                        .headers
                        .iter()
                        .flat_map(|(name, value)| {
                            let values = if name == header {
                                change(value)
                            } else {
                                vec![value.clone().into_bytes()]
                            };
                            values.into_iter().map(move |it| (name.as_str(), it))
                        })
                        .collect();
                    let mut request = vector.request();
                    request.headers =
                        Headers::from_pairs(pairs.iter().map(|(name, value)| (*name, &value[..])));
                    receive(&source, &request, vector.now())
                };
                let refused = |it: &Received| matches!(it, Received::Rejected(_));
                let bytes = |it: &str| it.as_bytes().to_vec();
                assert!(refused(&with(&|_| vec![])), "a03 absent {header}");
                assert!(refused(&with(&|_| vec![vec![]])), "a03 empty {header}");
                assert!(
                    refused(&with(&|it| vec![bytes(it), bytes(it)])),
                    "a19 duplicated {header}"
                );
                assert!(
                    refused(&with(&|it| vec![bytes(&format!("{it},{it}"))])),
                    "a19 joined {header}"
                );
                assert!(
                    refused(&with(&|it| vec![bytes(&format!("{it}, {it}"))])),
                    "a19 joined {header}"
                );
                assert!(refused(&with(&|it| vec![
                    bytes(&it.replace('=', "\u{ff1d}")),
                    bytes(it)
                ])));
                let utf_16 = |it: &str| it.encode_utf16().flat_map(u16::to_be_bytes).collect();
                assert!(
                    refused(&with(&|it| vec![utf_16(it)])),
                    "a03 other charset {header}"
                );
                assert!(
                    matches!(with(&|it| vec![bytes(it)]), Received::Verified(_)),
                    "{header}"
                );
            }
        }
    }
}
