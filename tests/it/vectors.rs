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

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::{Binding, body_hash, deduplication_key, headers::Headers},
    provider::{
        self,
        place::Place,
        scheme::{Layout, Scheme},
    },
    source::{Received, Request, Settings, Source, Verified, receive},
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    why: String,
    /// Who signed it.
    from: String,
    secrets: Vec<String>,
    now: i64,
    method: String,
    public_url: Option<url::Url>,
    target: String,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    /// In place of it, where it is no text.
    body_base64: Option<String>,
    expect: String,
    /// The code of the refusal; any where there is none.
    cause: Option<String>,
    /// What a handshake is answered.
    answer: Option<Wanted>,
    verify_token: Option<String>,
    #[serde(default)]
    options: std::collections::BTreeMap<String, String>,
    /// Where the sender's own packages do not agree, or say nothing: this is what we do.
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    policy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    status: u16,
    body: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The provider's name and its vectors.
fn load(path: &Path) -> (String, Vec<Vector>) {
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let vectors = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    (name, vectors)
}

fn all() -> Vec<(String, Vec<Vector>)> {
    let mut paths: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|it| load(it)).collect()
}

fn source(name: &str, provider_name: &str, vector: &Vector) -> Source {
    let provider = provider::find(provider_name).unwrap_or_else(|| panic!("no row `{provider_name}`"));
    let secrets = vector.secrets.iter();
    let settings = Settings {
        name: name.to_owned(),
        provider: provider.clone().with_options(&vector.options),
        secrets: secrets.map(|it| Secret::new(it.as_bytes())).collect(),
        verify_token: vector.verify_token.as_ref().map(|it| Secret::new(it.as_bytes())),
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: vector.public_url.clone(),
        redact: gatepost::source::redact::Redact::default(),
    };
    Source::new(settings).unwrap_or_else(|it| panic!("{}: {it:?}", vector.id))
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
            body: self.body_base64.as_ref().map_or_else(
                || Bytes::from(self.body.clone()),
                |it| STANDARD.decode(it).unwrap().into(),
            ),
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
    let (mut n_run, mut wrong) = (0, Vec::new());
    for (name, vectors) in all() {
        for vector in vectors {
            let source = source(&name, &name, &vector);
            let received = receive(&source, &vector.request(), vector.now());
            let case = format!("{}: {}", vector.id, vector.why);
            match (vector.expect.as_str(), received) {
                ("accept", Received::Verified(_)) => {}
                (
                    "answer",
                    Received::Answer(answer) | Received::HandedOver(answer, _) | Received::Noted(answer, _),
                ) => {
                    let wanted = vector.answer.as_ref().unwrap();
                    let body = String::from_utf8(answer.body).unwrap();
                    if answer.status != wanted.status || wanted.body.as_ref().is_some_and(|it| *it != body) {
                        wrong.push(format!("{case}: answered {} {body}", answer.status));
                    }
                }
                ("reject", Received::Rejected(rejection)) => {
                    let cause = vector.cause.as_deref().unwrap_or(rejection.code);
                    if rejection.code != cause {
                        wrong.push(format!("{case}: {} and not {cause}: {rejection}", rejection.code));
                    }
                    for secret in vector.secrets.iter().filter(|it| it.len() >= 8) {
                        assert!(!rejection.explanation.contains(secret.as_str()), "{case}");
                    }
                }
                (_, received) => wrong.push(format!("{case}: {received:?}")),
            }
            n_run += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {n_run}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(n_run >= 1500, "{n_run}");
}

/// Those of which no request can be made here, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("ko-fi", "its token is in a form's JSON"),
    ("wufoo", "its token is in a form"),
];

#[test]
fn every_row_has_an_accepted_and_four_refused_vectors() {
    let files = all();
    let generic = ["basic", "hmac", "token", "unverified"];
    for row in provider::all() {
        let name = row.name.as_ref();
        if row.is_unverified() || generic.contains(&name) || WITHOUT.iter().any(|(it, _)| *it == name) {
            continue;
        }
        let of_row = files
            .iter()
            .find(|(it, _)| it == name)
            .map_or(&[][..], |(_, it)| it);
        let n_refused = of_row.iter().filter(|it| it.expect == "reject").count();
        let n_accepted = of_row.len() - n_refused;
        assert!(
            n_accepted >= 1 && n_refused >= 4,
            "tests/vectors/{name}.json: {n_accepted} accepted, {n_refused} refused; `tests/vectors/make.py` makes some",
        );
    }
}

/// Signed or judged by code that nobody here wrote: `from` names a package with its version, or the package's own tests.
fn is_by_others(vector: &Vector) -> bool {
    let has_version = |it: &str| it.starts_with(|c: char| c.is_ascii_digit());
    vector.from.split('@').skip(1).any(has_version) || vector.from.contains("(sdk-tests)")
}

#[test]
fn sixty_rows_are_signed_or_judged_by_others() {
    let files = all();
    let has =
        |vectors: &[Vector], expect: &str| vectors.iter().any(|it| it.expect == expect && is_by_others(it));
    let of_others = files
        .iter()
        .filter(|(_, it)| has(it, "accept") && has(it, "reject"))
        .map(|(name, _)| name)
        .collect::<Vec<_>>();
    assert!(
        of_others.len() >= 60,
        "{} rows: `tests/vectors/judge` asks the packages; {of_others:?}",
        of_others.len()
    );
}

fn verified(id: &str) -> Verified {
    let (name, vector) = all()
        .into_iter()
        .find_map(|(name, vectors)| Some((name, vectors.into_iter().find(|it| it.id == id)?)))
        .unwrap();
    match receive(&source("s", &name, &vector), &vector.request(), vector.now()) {
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
fn a13_a_checksum_of_the_body_is_not_taken_for_the_body() {
    let forged = verified("paypal-p10");
    assert_eq!(forged.binding(), Binding::Partial);
}

/// Whether the signature, its time or its id is in this header.
fn is_of_signature(name: &str, header: &str) -> bool {
    let header = Place::Header(header.to_ascii_lowercase().into());
    let schemes = provider::find(name).unwrap().schemes.iter();
    let mut families = schemes.flat_map(|it| match it {
        Scheme::Signature(it) => it.families.as_ref(),
        _ => &[],
    });
    families.any(|it| it.signatures.contains(&header) || it.timestamp.as_ref() == Some(&header))
}

/// Whether the row's sender may send several signatures in one header, so that two joined ones are right.
fn is_list(name: &str) -> bool {
    let row = provider::find(name).unwrap();
    row.schemes.iter().any(|it| match it {
        Scheme::Signature(it) => match &it.layout {
            Layout::List { separator } => separator == ",",
            Layout::Fields { timestamp, .. } => timestamp.is_none(),
            Layout::One | Layout::Member | Layout::Positions { .. } => false,
        },
        _ => false,
    })
}

#[test]
fn every_vector_survives_every_damage_to_its_headers() {
    for (name, vectors) in all() {
        for vector in vectors.iter().filter(|it| it.expect == "accept") {
            let source = source(&name, &name, vector);
            for header in vector.headers.keys().filter(|it| is_of_signature(&name, it)) {
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
                // Box signs twice, each time with another key of two.
                if !header.starts_with("box-signature-") {
                    assert!(refused(&with(&|_| vec![])), "a03 absent {header}");
                }
                assert!(refused(&with(&|_| vec![vec![]])), "a03 empty {header}");
                assert!(
                    refused(&with(&|it| vec![bytes(it), bytes(it)])),
                    "a19 duplicated {header}"
                );
                if !is_list(&name) {
                    assert!(
                        refused(&with(&|it| vec![bytes(&format!("{it},{it}"))])),
                        "a19 joined {header}"
                    );
                    assert!(
                        refused(&with(&|it| vec![bytes(&format!("{it}, {it}"))])),
                        "a19 joined {header}"
                    );
                }
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
