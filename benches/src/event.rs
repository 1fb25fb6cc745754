//! Distinct, correctly signed Stripe events, made before the clock starts.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

pub const SECRET: &str = "whsec_bench_5b1f0c7de2a94c6e8f3ab0d4";
/// Where gatepost finds the secret.
pub const SECRET_VARIABLE: &str = "GATEPOST_BENCH_STRIPE_SECRET";
pub const EVENT_TYPE: &str = "invoice.payment_succeeded";

/// Pretty-printed as Stripe sends it, 2.3 KB.
const SAMPLE: &str = include_str!("sample.json");
/// Where its id stands; every id is as long.
const ID: &str = "evt_00000000000000000000000000000000";
const PREFIX: &str = "evt_";

#[derive(Debug, Clone)]
pub struct Signed {
    /// The sender's own id, without what stands before it.
    pub id: Uuid,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The body of the event of that id.
pub fn body(id: &str) -> Bytes {
    debug_assert_eq!(id.len(), ID.len(), "the length of all bodies is one");
    SAMPLE.replacen(ID, id, 1).into()
}

/// The id as the sender writes it.
pub fn external(id: Uuid) -> String {
    format!("{PREFIX}{}", id.simple())
}

/// The id again, of how the sender writes it.
pub fn internal(external: &str) -> Option<Uuid> {
    Uuid::try_parse(external.strip_prefix(PREFIX)?).ok()
}

/// Microseconds since 1970: what two processes of one machine can compare.
pub fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |it| it.as_secs())
}

/// Signs on every core.
pub fn sign_many(n_events: usize) -> Vec<Signed> {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let n_each = n_events.div_ceil(n_threads);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads)
            .map(|_| scope.spawn(move || (0..n_each).map(|_| sign(Uuid::now_v7())).collect::<Vec<_>>()))
            .collect();
        threads
            .into_iter()
            .flat_map(|it| it.join().expect("signing does not panic"))
            .collect()
    })
}

fn sign(id: Uuid) -> Signed {
    let body = body(&external(id));
    let timestamp = unix_now().to_string();
    let mut mac = key();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(&body);
    let signature = format!("t={timestamp},v1={}", hex::encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("application/json; charset=utf-8"));
    headers.insert(
        header::USER_AGENT,
        fixed("Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
    );
    headers.insert(header::ACCEPT, fixed("*/*; q=0.5, application/xml"));
    headers.insert(
        "stripe-signature",
        signature.try_into().expect("hex digits are a legal header value"),
    );
    Signed { id, headers, body }
}

/// The MAC keyed with the secret.
pub fn key() -> Hmac<Sha256> {
    Hmac::new_from_slice(SECRET.as_bytes()).expect("HMAC takes keys of every length")
}

/// Whether the bytes carry a fresh signature of ours: what every bare server here does, and no more.
pub fn is_signed(key: &Hmac<Sha256>, headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(header) = headers.get("stripe-signature").and_then(|it| it.to_str().ok()) else {
        return false;
    };
    let (mut timestamp, mut signature) = ("", "");
    for field in header.split(',') {
        match field.split_once('=') {
            Some(("t", value)) => timestamp = value,
            Some(("v1", value)) => signature = value,
            _ => {}
        }
    }
    let mut expected = [0; 32];
    let is_fresh = timestamp
        .parse()
        .is_ok_and(|at: u64| unix_now().abs_diff(at) <= 300);
    if !is_fresh || hex::decode_to_slice(signature, &mut expected).is_err() {
        return false;
    }
    let mut mac = key.clone();
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(&expected).is_ok()
}
