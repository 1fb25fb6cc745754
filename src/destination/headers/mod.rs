//! The headers that a handler gets. Pure.
//!
//! The sender's come first, as they were, without those that belong to one connection, to the way here, or to us; then
//! the operator's; then ours. The sender's are dropped by a form of their names in which every separator is a dash: CGI,
//! WSGI and PHP show `gatepost_verified` and `gatepost-verified` to the handler as one and the same.

use std::{borrow::Cow, fmt::Write};

use ::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

use crate::destination::{Message, signing::Signer};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const SOURCE: HeaderName = HeaderName::from_static("gatepost-source");
const EVENT_TYPE: HeaderName = HeaderName::from_static("gatepost-event-type");
const EXTERNAL_ID: HeaderName = HeaderName::from_static("gatepost-external-id");
const ATTEMPT: HeaderName = HeaderName::from_static("gatepost-attempt");
const VERIFIED: HeaderName = HeaderName::from_static("gatepost-verified");
const ORIGIN: HeaderName = HeaderName::from_static("gatepost-origin");
const STALE: HeaderName = HeaderName::from_static("gatepost-stale");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Who sends, where nobody else is named.
pub const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("gatepost/", env!("CARGO_PKG_VERSION")));

/// The most bytes of a value that the sender chose (a type, an id), escapes included; the rest is cut off.
pub const MAX_VALUE: usize = 1024;

/// What is the same for every message to one destination.
#[derive(Debug, Clone)]
pub struct Outbound {
    configured: Vec<(HeaderName, HeaderValue)>,
    /// Their names as the sender's are compared.
    configured_names: Vec<String>,
    /// One, or several while a secret is exchanged.
    signers: Vec<Signer>,
}

impl Outbound {
    pub fn new(
        configured: Vec<(HeaderName, HeaderValue)>,
        signers: impl IntoIterator<Item = Signer>,
    ) -> Self {
        let configured_names = configured
            .iter()
            .map(|(name, _)| dashed(name.as_str()).into_owned())
            .collect();
        Self {
            configured,
            configured_names,
            signers: signers.into_iter().collect(),
        }
    }

    /// The operator's own alone.
    pub fn configured_headers(&self) -> HeaderMap {
        self.configured.iter().cloned().collect()
    }

    /// All headers of one attempt, but for those that HTTP itself adds (`host`, `content-length`, `accept`).
    pub fn headers(&self, message: &Message) -> HeaderMap {
        let event = &*message.event;
        let mut map = HeaderMap::with_capacity(32);
        self.append_original(&mut map, message);
        for (name, value) in &self.configured {
            map.insert(name, value.clone());
        }
        map.entry(header::USER_AGENT).or_insert(USER_AGENT);

        let id = event.id.to_string();
        let unix_seconds = message.now.as_unix_seconds();
        // What nobody vouched for must not carry our word.
        if !self.signers.is_empty() && event.binding.is_verified() {
            let sign = |it: &Signer| it.sign(event.id, unix_seconds, &event.body);
            let signatures: Vec<_> = self.signers.iter().map(sign).collect();
            map.insert(WEBHOOK_SIGNATURE, plain(signatures.join(" ")));
        }
        map.insert(WEBHOOK_ID, plain(id));
        map.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(unix_seconds));
        map.insert(SOURCE, escaped(&event.source));
        if let Some(it) = &event.event_type {
            map.insert(EVENT_TYPE, escaped(it));
        }
        if let Some(it) = &event.external_id {
            map.insert(EXTERNAL_ID, escaped(it));
        }
        map.insert(ATTEMPT, HeaderValue::from(message.attempt));
        map.insert(VERIFIED, HeaderValue::from_static(event.binding.as_str()));
        map.insert(ORIGIN, HeaderValue::from_static(message.origin.as_str()));
        if message.is_stale {
            map.insert(STALE, HeaderValue::from_static("true"));
        }
        map.insert(TRACEPARENT, plain(message.traceparent.to_string()));
        map
    }

    fn append_original(&self, map: &mut HeaderMap, message: &Message) {
        let with_tracestate = message.traceparent.trace.is_continued();
        let headers = &message.event.headers;
        let named_by_connection: Vec<&str> = headers
            .all("connection")
            .filter_map(|it| std::str::from_utf8(it).ok())
            .flat_map(|it| it.split(','))
            .map(|it| it.trim_matches([' ', '\t']))
            .collect();
        for (name, value) in headers.iter() {
            let shown = dashed(name);
            let is_dropped = (is_not_forwarded(&shown) && !(with_tracestate && name == "tracestate"))
                || named_by_connection.iter().any(|it| it.eq_ignore_ascii_case(name))
                || self.configured_names.iter().any(|it| **it == *shown);
            if is_dropped {
                continue;
            }
            // The value is a part of the stored buffer and not copied. What is no legal name or value (CR, LF and NUL
            // among it) has no way through.
            let shared = headers.as_encoded().slice_ref(value);
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_maybe_shared(shared),
            ) {
                // It fails beyond 32,768 headers, which no server lets in.
                let _ = map.try_append(name, value);
            }
        }
    }
}

/// Each header with all of its values in one, as RFC 9110 (5.3) joins them: for what knows only names and texts. What is not
/// UTF-8 is replaced.
pub fn one_value_each(headers: &HeaderMap) -> Vec<(String, String)> {
    let joined = |name: &HeaderName| {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|it| String::from_utf8_lossy(it.as_bytes()))
            .collect();
        (name.as_str().to_owned(), values.join(", "))
    };
    headers.keys().map(joined).collect()
}

/// All headers as one JSON object of at most so many bytes, and whether some did not fit.
pub fn as_json(headers: &HeaderMap, max_len: usize) -> (String, bool) {
    let mut n_bytes = 2;
    let mut is_cut = false;
    let mut kept = Map::new();
    for (name, value) in one_value_each(headers) {
        // Quotes, colon and comma; an escaped byte takes at most six.
        let n_more = name.len() + 6 + value.chars().map(json_len).sum::<usize>();
        if n_bytes + n_more > max_len {
            is_cut = true;
            continue;
        }
        n_bytes += n_more;
        kept.insert(name, Value::String(value));
    }
    (Value::Object(kept).to_string(), is_cut)
}

const fn json_len(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        '\0'..='\x1f' => 6,
        _ => c.len_utf8(),
    }
}

/// Whether an operator may set this header. Those of HTTP's framing and ours are not theirs to set.
pub fn may_be_configured(name: &HeaderName) -> bool {
    let shown = dashed(name.as_str());
    !(is_hop_by_hop(&shown) || is_ours(&shown) || matches!(&*shown, "content-length" | "expect"))
}

/// The name with a dash for all but letters and digits.
fn dashed(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-') {
        return Cow::Borrowed(name);
    }
    let dash = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
    Cow::Owned(name.chars().map(dash).collect())
}

fn is_not_forwarded(name: &str) -> bool {
    is_hop_by_hop(name) || is_ours(name) || is_about_the_way(name) || is_for_us(name)
}

/// Belongs to one connection (RFC 9110, 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "trailers"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    ) || name.starts_with("proxy-")
}

/// A sender can never set these: not by name, and not by a name that a handler's framework takes for one.
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "webhook-id" | "webhook-timestamp" | "webhook-signature" | "traceparent" | "tracestate"
    ) || name.starts_with("gatepost-")
}

/// Meant for gatepost, or fulfilled by it.
fn is_for_us(name: &str) -> bool {
    matches!(
        name,
        "host" | "content-length" | "expect" | "cookie" | "cookie2" | "authorization" | "accept-encoding"
    )
}

/// Says which way a request came or what it was before, so that a handler behind it would believe the sender.
fn is_about_the_way(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "via"
            | "cdn-loop"
            | "x-real-ip"
            | "x-client-ip"
            | "x-cluster-client-ip"
            | "x-original-forwarded-for"
            | "x-original-host"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-host"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-envoy-external-address"
            | "x-envoy-original-path"
            | "x-appengine-user-ip"
            | "x-azure-clientip"
            | "x-azure-socketip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "cf-pseudo-ipv4"
            | "cf-ipcountry"
            | "cf-ray"
            | "cf-visitor"
            | "cf-worker"
            | "true-client-ip"
            | "fastly-client-ip"
            | "fly-client-ip"
            | "do-connecting-ip"
            | "wl-proxy-client-ip"
    ) || name.starts_with("x-forwarded")
}

/// Our own text, which is printable ASCII.
fn plain(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// A sender's text as a value. Control characters, what is not ASCII, blanks at the ends and `%` are percent-encoded, so
/// that decoding always gives back what was there; cut to `MAX_VALUE`, never within a character.
fn escaped(text: &str) -> HeaderValue {
    let mut value = String::with_capacity(text.len().min(MAX_VALUE));
    let last = text.len().saturating_sub(1);
    for (at, c) in text.char_indices() {
        let is_plain = c.is_ascii_graphic() && c != '%' || c == ' ' && at != 0 && at != last;
        let n_bytes = if is_plain { 1 } else { 3 * c.len_utf8() };
        if value.len() + n_bytes > MAX_VALUE {
            break;
        }
        if is_plain {
            value.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing into a `String` does not fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    // A cut may leave a blank at the end, which no parser keeps.
    value.truncate(value.trim_end_matches(' ').len());
    plain(value)
}

#[cfg(test)]
mod tests;
