//! Senders that are asked for their keys and to confirm: a server that stands in for all of them, behind names that lead to it.

mod certificates;
mod ingest;
mod keys;
mod process;
mod shell;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, metrics::Metrics, secret::Secret},
    egress::{guard::Reach, resolver::Lookup, tls::install_crypto},
    event::headers::Headers,
    provider,
    source::{self, Request, Source, asking::Asking, keys::Moment},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::handler::{Handler, read_request};

/// Every name that a sender's keys are at.
const NAMES: [&str; 5] = [
    "www.googleapis.com",
    "sns.us-east-1.amazonaws.com",
    "api.paypal.com",
    "webhooks.truelayer.com",
    "127.0.0.1",
];
const GOOGLE: &str = "www.googleapis.com/oauth2/v3/certs";
const AUDIENCE: &str = "https://hooks.example.com/webhooks/pubsub";
const ACCOUNT: &str = "push@project.iam.gserviceaccount.com";
/// 2027-01-01T00:00:00Z: the certificates of the vectors are in force.
const NOW: i64 = 1_798_761_600;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// All senders at once, over TLS.
struct StandIn {
    authority: Issuer,
    handler: Handler,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Whole answers, by host and path.
    answers: Mutex<HashMap<String, Vec<u8>>>,
    /// Hosts with path and query, as they were asked for.
    asked: Mutex<Vec<String>>,
    looked_up: Mutex<Vec<String>>,
    is_down: AtomicBool,
}

impl StandIn {
    async fn start() -> Self {
        install_crypto();
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
        let chain = vec![params.signed_by(&key, &authority).unwrap().der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let handler = Handler::start(move |stream, _| {
            let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
            async move {
                if state.is_down.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                while let Some(received) = read_request(&mut stream).await {
                    let target = received.lines()[0].split(' ').nth(1).unwrap().to_owned();
                    let address = format!("{}{target}", received.header("host")[0]);
                    state.asked.lock().unwrap().push(address.clone());
                    let address = address.split('?').next().unwrap();
                    let answer = state.answers.lock().unwrap().get(address).cloned();
                    let answer = answer.unwrap_or_else(|| answer_of("404 Not Found", "", "nothing"));
                    let _ = stream.write_all(&answer).await;
                }
            }
        })
        .await;
        Self {
            authority,
            handler,
            state,
        }
    }

    /// What is at an address from now on.
    fn serve(&self, address: &str, body: impl AsRef<[u8]>) {
        self.answer(address, answer_of("200 OK", "", body));
    }

    fn answer(&self, address: &str, whole: Vec<u8>) {
        self.state
            .answers
            .lock()
            .unwrap()
            .insert(address.to_owned(), whole);
    }

    fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::SeqCst);
    }

    fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }

    fn looked_up(&self) -> Vec<String> {
        self.state.looked_up.lock().unwrap().clone()
    }

    /// Leads every name here.
    fn lookup(&self) -> Lookup {
        let (address, state): (SocketAddr, _) = (self.handler.address, Arc::clone(&self.state));
        Arc::new(move |name| {
            state.looked_up.lock().unwrap().push(name);
            Box::pin(async move { Ok(vec![address]) })
        })
    }

    fn asking_within(&self, reach: Reach) -> (Asking, Metrics) {
        let metrics = Metrics::new();
        let roots = vec![self.authority.der().to_vec()];
        let asking = Asking::with_lookup(metrics.clone(), reach, roots, self.lookup()).unwrap();
        (asking, metrics)
    }

    fn asking(&self) -> Asking {
        self.asking_within(Reach::Private).0
    }
}

fn answer_of(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A key of Google's.
struct Signer {
    id: String,
    pair: RsaKeyPair,
}

impl Signer {
    fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        // In DER: a sequence of a number of 257 bytes, the first a zero, and of one of three.
        let key = self.pair.public_key().as_ref();
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(&key[9..265]),
            "e": URL_SAFE_NO_PAD.encode(&key[267..]),
        })
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            .unwrap();
        signature
    }

    /// As Google signs for the subscription of `source`, at `now` in Unix seconds.
    fn token(&self, now: i64) -> String {
        self.token_with(&json!({ "alg": "RS256", "typ": "JWT", "kid": self.id }), now)
    }

    fn token_with(&self, header: &Value, now: i64) -> String {
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": true,
            "iat": now, "exp": now + 3600,
        });
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let signed = format!("{}.{}", part(header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn set_of(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|it| it.jwk()).collect::<Vec<_>>() }).to_string()
}

/// A source without keys of its own.
fn source_of(name: &str, provider: &str, options: &[(&str, &str)]) -> Arc<Source> {
    let options: BTreeMap<_, _> = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let settings = source::Settings {
        name: name.to_owned(),
        provider: provider::find(provider).unwrap().clone().with_options(&options),
        secrets: Vec::<Secret>::new(),
        verify_token: None,
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: None,
        redact: gatepost::source::redact::Redact::default(),
    };
    Arc::new(Source::new(settings).unwrap())
}

fn pubsub() -> Arc<Source> {
    source_of(
        "pubsub",
        "google-pubsub",
        &[("audience", AUDIENCE), ("service_account_email", ACCOUNT)],
    )
}

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:MyTopic";

fn sns() -> Arc<Source> {
    source_of("sns", "aws-sns", &[("topic_arn", TOPIC)])
}

fn request(headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request {
    Request {
        method: http::Method::POST,
        target: "/webhooks/x".to_owned(),
        headers: Headers::from_pairs(headers.iter().map(|(name, value)| (*name, value.as_bytes()))),
        body: body.into(),
        client: None,
        received_at: Timestamp::from_unix_seconds(NOW),
    }
}

fn pushed(token: &str) -> Request {
    let bearer = format!("Bearer {token}");
    request(
        &[("authorization", &bearer)],
        r#"{"message":{"messageId":"1","data":""},"subscription":"s"}"#,
    )
}

/// A signed request of the vectors, and the certificate or public key that it was signed with.
fn vector(provider: &str, id: &str) -> (Request, String) {
    let path = format!("{}/tests/vectors/{provider}.json", env!("CARGO_MANIFEST_DIR"));
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let vector = vectors.as_array().unwrap().iter().find(|it| it["id"] == id);
    let vector = vector.unwrap_or_else(|| panic!("no vector `{id}`"));
    let headers: Vec<_> = vector["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let body = vector["body"].as_str().unwrap().to_owned();
    let certificate = vector["secrets"][0].as_str().unwrap().to_owned();
    let mut request = request(&headers, body);
    vector["target"].as_str().unwrap().clone_into(&mut request.target);
    (request, certificate)
}

/// Where the vectors of SNS have their certificate.
const SNS_CERTIFICATE: &str = "sns.us-east-1.amazonaws.com/SimpleNotificationService-test.pem";

/// Moments of a day that no test has to wait for.
#[derive(Clone, Copy)]
struct Day(Instant);

impl Day {
    fn begin() -> Self {
        Self(Instant::now())
    }

    fn after(self, seconds: u64) -> Moment {
        Moment {
            instant: self.0 + Duration::from_secs(seconds),
            wall: Timestamp::from_unix_seconds(NOW).plus(Duration::from_secs(seconds)),
        }
    }
}
