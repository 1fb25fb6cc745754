//! A message to a topic of Google Pub/Sub for each event, over REST.
//!
//! Pub/Sub answers with the message's id once it has stored the message. Its own client library would bring gRPC, and more crates than
//! all the brokers together.

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    base::safe_url::SafeUrl,
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending, Settings,
        broker::PubSub as Own,
        check::{Parts, Trust},
        headers::{Outbound, USER_AGENT, one_value_each},
        http::{self, MAX_READ},
        oauth2::{
            Tokens,
            grant::{Account, Grant},
        },
    },
    egress::{
        client::{Answer, Call, Client},
        guard::Reach,
        target::Target,
    },
    event::headers::Headers,
};

/// Where Google has it: there nothing is taken without a token.
pub const GOOGLE: &str = "https://pubsub.googleapis.com/";
const SCOPE: &str = "https://www.googleapis.com/auth/pubsub";
/// Of one request.
const MAX_REQUEST: usize = 10_000_000;
const MAX_ATTRIBUTES: usize = 100;
const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 1024;
/// As much of its words is shown.
const MAX_MESSAGE: usize = 300;

/// Ready to publish.
#[derive(Debug)]
pub struct PubSub {
    client: Client,
    target: Target,
    /// `None`: an emulator, which wants none.
    tokens: Option<Tokens>,
    timeout: Duration,
    outbound: Outbound,
}

impl PubSub {
    pub fn new(own: &Own, settings: &Settings, parts: Parts) -> Result<Self, Fault> {
        let tokens = match &own.credentials {
            Some(credentials) => {
                let account = Account::read(credentials, SCOPE).map_err(|problem| {
                    let hint = "give the file as Google gives it: IAM > Service accounts > Keys > JSON";
                    Fault::new("pubsub.credentials", problem, hint)
                })?;
                let url = SafeUrl::new(account.token_url.clone());
                let trust = Trust {
                    extra_roots: parts.trust.extra_roots.clone(),
                    identity: None,
                };
                let grant = Grant::Account(account);
                Some(Tokens::new(&url, "pubsub.credentials", grant, settings, trust)?)
            }
            None if own.endpoint.expose().as_str() == GOOGLE => {
                let hint = "write `credentials = { file = \"...\" }`: the key of a service account, in JSON";
                return Err(Fault::new("pubsub", "it has no `credentials`", hint));
            }
            None => None,
        };
        let url = own.endpoint.expose().join(&format!("v1/{}:publish", own.topic));
        let url = url.map_err(|_bad| Fault::new("pubsub.topic", "it is no part of a URL", ""))?;
        Ok(Self {
            target: http::target(&SafeUrl::new(url), "pubsub.endpoint", Reach::Private)?,
            client: http::client("pubsub", settings, parts.trust, Reach::Private)?,
            tokens,
            timeout: settings.timeout,
            outbound: parts.outbound,
        })
    }

    async fn publish(&self, message: &Message) -> Result<Response, SendError> {
        let input = Bytes::from(self.input(message));
        if input.len() > MAX_REQUEST {
            let explanation = format!(
                "it has {} bytes in base64, and Pub/Sub takes {MAX_REQUEST} at most",
                input.len()
            );
            return Err(SendError::new("too_large", explanation, Fate::Permanent));
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::POST,
            target: &self.target,
            headers,
            body: input,
            timeout: self.timeout,
            max_body: MAX_READ,
        };
        let answer = match &self.tokens {
            None => self.client.send(call).await.map_err(http::failed)?,
            Some(tokens) => tokens.send(&self.client, call).await?,
        };
        judge(&answer)
    }

    fn input(&self, message: &Message) -> String {
        let headers = self.outbound.headers(message);
        let mut message_json = json!({
            "data": STANDARD.encode(&message.event.body),
            "attributes": attributes(&headers),
        });
        if let Some(key) = &message.order_key {
            message_json["orderingKey"] = hex::encode(key.0).into();
        }
        json!({ "messages": [message_json] }).to_string()
    }
}

/// The event's headers, ours first, as far as a message takes them.
fn attributes(headers: &HeaderMap) -> Map<String, Value> {
    let is_ours = |name: &str| name.starts_with("webhook-") || name.starts_with("gatepost-");
    let fits = |(name, value): &(String, String)| {
        name.len() <= MAX_NAME && value.len() <= MAX_VALUE && !name.starts_with("goog")
    };
    let mut all: Vec<_> = one_value_each(headers).into_iter().filter(fits).collect();
    all.sort_by_key(|(name, _)| !is_ours(name));
    let kept = all.into_iter().take(MAX_ATTRIBUTES);
    kept.map(|(name, value)| (name, value.into())).collect()
}

fn judge(answer: &Answer) -> Result<Response, SendError> {
    let output: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let status = answer.status.as_u16();
    if answer.status == StatusCode::OK {
        let id = output["messageIds"][0].as_str().filter(|it| !it.is_empty());
        return match id {
            Some(id) => Ok(Response {
                status: None,
                headers: Headers::default(),
                body: Bytes::copy_from_slice(id.as_bytes()),
            }),
            None => Err(SendError::new(
                "protocol",
                "what answered is no Pub/Sub: it names nothing that it took",
                Fate::Ambiguous,
            )),
        };
    }
    let (code, fate) = match status {
        413 => ("refused_by_broker", Fate::Permanent),
        429 => ("throttled", Fate::Retriable),
        500 | 502 | 504 => ("refused_by_broker", Fate::Ambiguous),
        _ => ("refused_by_broker", Fate::Retriable),
    };
    let text = |name: &str| output["error"][name].as_str().unwrap_or_default();
    let mut explanation = match text("status") {
        "" => format!("Pub/Sub answered {status}"),
        said => format!("Pub/Sub did not take it: {said}"),
    };
    let words = text("message").replace(char::is_control, " ");
    if !words.is_empty() {
        explanation.push_str(": ");
        explanation.extend(words.chars().take(MAX_MESSAGE));
    }
    Err(SendError::new(code, explanation, fate))
}

impl Destination for PubSub {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.publish(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Result<Response, SendError> {
        judge(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
            is_cut: false,
        })
    }

    #[test]
    fn f76_only_an_answer_with_an_id_counts() {
        assert_eq!(&judged(200, r#"{"messageIds":["17"]}"#).unwrap().body[..], b"17");
        for (status, body, code, fate) in [
            (200, "{}", "protocol", Fate::Ambiguous),
            (200, r#"{"messageIds":[]}"#, "protocol", Fate::Ambiguous),
            (
                404,
                r#"{"error":{"status":"NOT_FOUND","message":"Topic not found"}}"#,
                "refused_by_broker",
                Fate::Retriable,
            ),
            (
                429,
                r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#,
                "throttled",
                Fate::Retriable,
            ),
            (500, "", "refused_by_broker", Fate::Ambiguous),
            (503, "", "refused_by_broker", Fate::Retriable),
            (413, "", "refused_by_broker", Fate::Permanent),
        ] {
            let error = judged(status, body).unwrap_err();
            assert_eq!((error.code, error.fate), (code, fate), "{status} {body}");
        }
        let error = judged(
            404,
            r#"{"error":{"status":"NOT_FOUND","message":"Topic not found"}}"#,
        )
        .unwrap_err();
        assert_eq!(
            error.explanation,
            "Pub/Sub did not take it: NOT_FOUND: Topic not found"
        );
    }

    #[test]
    fn ours_are_always_among_the_attributes() {
        let mut headers = HeaderMap::new();
        for n in 0..200 {
            let name: ::http::HeaderName = format!("a-{n}").parse().unwrap();
            headers.insert(name, HeaderValue::from_static("1"));
        }
        let long = "x".repeat(MAX_VALUE + 1);
        headers.insert("gatepost-long", long.parse().unwrap());
        headers.insert("goog-x", HeaderValue::from_static("1"));
        headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
        let kept = attributes(&headers);
        assert_eq!(kept.len(), MAX_ATTRIBUTES);
        assert_eq!(kept["webhook-id"], "evt_1");
        assert!(!kept.contains_key("gatepost-long") && !kept.contains_key("goog-x"));
    }
}
