//! A destination behind a URL: one POST per attempt.

use std::time::Duration;

use ::http::{HeaderMap, Method, header};
use bytes::Bytes;

use crate::{
    base::trial::{self, Flaw},
    destination::{
        Destination, Message, Response, SendError, Sending, Settings, check::Parts, headers::Outbound,
    },
    egress::{
        client::{self, Answer, Call, Client},
        error::Failure,
        guard::Reach,
        target::Target,
    },
    event::headers::Headers,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As much of an answer is read, so that its connection can be used again; of more, the connection is dropped.
const MAX_READ: usize = 64 << 10;
/// As much of it is kept.
const MAX_KEPT: usize = 4 << 10;
const MAX_KEPT_HEADERS: usize = 16 << 10;

/// Ready to send. It has a client, and so connections, of its own: a destination cannot use up another's.
#[derive(Debug)]
pub struct Http {
    client: Client,
    target: Target,
    outbound: Outbound,
    timeout: Duration,
}

impl Http {
    pub fn new(settings: &Settings, parts: Parts, reach: Reach) -> Result<Self, Failure> {
        let client = Client::new(&client::Settings {
            connect_timeout: CONNECT_TIMEOUT.min(settings.timeout),
            reach,
            max_idle: usize::try_from(settings.concurrency).unwrap_or(usize::MAX),
            extra_roots: parts.extra_roots,
            identity: parts.identity,
        })?;
        Ok(Self {
            client,
            target: parts.target,
            outbound: parts.outbound,
            timeout: settings.timeout,
        })
    }

    async fn post(&self, message: &Message) -> Result<Response, SendError> {
        let call = Call {
            method: Method::POST,
            target: &self.target,
            headers: self.outbound.headers(message, rand::random()),
            body: if trial::has(Flaw::RetryIsEmpty) && message.attempt > 1 {
                Bytes::new()
            } else {
                message.event.body.clone()
            },
            timeout: self.timeout,
            max_body: MAX_READ,
        };
        let answer = self.client.send(call).await.map_err(|failure| SendError {
            code: failure.cause.code(),
            explanation: failure.explanation,
        })?;
        Ok(response(&answer))
    }
}

impl Destination for Http {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

fn response(answer: &Answer) -> Response {
    let body = if answer.body.len() > MAX_KEPT {
        // A slice would keep all of it in memory.
        Bytes::copy_from_slice(&answer.body[..MAX_KEPT])
    } else {
        answer.body.clone()
    };
    Response {
        status: answer.status.as_u16(),
        headers: kept_headers(&answer.headers),
        body,
    }
}

/// Cookies are credentials, and of use to nobody here.
fn kept_headers(headers: &HeaderMap) -> Headers {
    let mut n_bytes = 0;
    let kept = headers
        .iter()
        .filter(|(name, _)| *name != header::SET_COOKIE)
        .take_while(|(name, value)| {
            n_bytes += name.as_str().len() + value.len();
            n_bytes <= MAX_KEPT_HEADERS
        });
    Headers::from_pairs(kept.map(|(name, value)| (name.as_str(), value.as_bytes())))
}
