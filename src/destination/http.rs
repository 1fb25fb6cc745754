//! A destination behind a URL: one POST per attempt.

use std::time::Duration;

use ::http::{HeaderMap, Method, header};
use bytes::Bytes;

use crate::{
    base::{
        safe_url::SafeUrl,
        trial::{self, Flaw},
    },
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending, Settings,
        check::{Parts, Trust},
        headers::Outbound,
        oauth2::{self, Tokens, grant::Grant},
    },
    egress::{
        client::{self, Answer, Call, Client},
        error::{Cause, Failure},
        guard::Reach,
        target::Target,
    },
    event::headers::Headers,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As much of an answer is read, so that its connection can be used again; of more, the connection is dropped.
pub(super) const MAX_READ: usize = 64 << 10;
/// As much of it is kept.
const MAX_KEPT: usize = 4 << 10;
const MAX_KEPT_HEADERS: usize = 16 << 10;

/// A URL that is posted to. It has a client, and so connections, of its own: a destination cannot use up another's.
#[derive(Debug)]
pub struct Post {
    client: Client,
    target: Target,
    timeout: Duration,
}

impl Post {
    /// `key` is the URL's, for faults.
    pub fn new(
        url: &SafeUrl,
        key: &str,
        settings: &Settings,
        trust: Trust,
        reach: Reach,
    ) -> Result<Self, Fault> {
        Ok(Self {
            target: target(url, key, reach)?,
            client: client(key, settings, trust, reach)?,
            timeout: settings.timeout,
        })
    }

    pub async fn send(&self, headers: HeaderMap, body: Bytes) -> Result<Response, SendError> {
        let answer = self.client.send(self.call(headers, body)).await;
        Ok(response(&answer.map_err(failed)?))
    }

    fn call(&self, headers: HeaderMap, body: Bytes) -> Call<'_> {
        Call {
            method: Method::POST,
            target: &self.target,
            headers,
            body,
            timeout: self.timeout,
            max_body: MAX_READ,
        }
    }
}

/// A handler that is ready to be sent to.
#[derive(Debug)]
pub struct Http {
    post: Post,
    tokens: Option<Tokens>,
    outbound: Outbound,
}

impl Http {
    pub fn new(url: &SafeUrl, settings: &Settings, parts: Parts, reach: Reach) -> Result<Self, Fault> {
        let tokens = settings.oauth2.as_ref();
        let tokens = tokens.map(|it| tokens_of(it, settings, &parts)).transpose()?;
        Ok(Self {
            post: Post::new(url, "url", settings, parts.trust, reach)?,
            tokens,
            outbound: parts.outbound,
        })
    }

    async fn post(&self, message: &Message) -> Result<Response, SendError> {
        let headers = self.outbound.headers(message);
        let body = if trial::has(Flaw::RetryIsEmpty) && message.attempt > 1 {
            Bytes::new()
        } else {
            message.event.body.clone()
        };
        let Some(tokens) = &self.tokens else {
            return self.post.send(headers, body).await;
        };
        let answer = tokens
            .send(&self.post.client, self.post.call(headers, body))
            .await?;
        Ok(response(&answer))
    }
}

/// Its server is trusted as the handler is, and shown no certificate.
fn tokens_of(own: &oauth2::Settings, settings: &Settings, parts: &Parts) -> Result<Tokens, Fault> {
    if settings
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    {
        let problem = "`headers` holds an `authorization` of its own";
        return Err(Fault::new("oauth2", problem, "keep one of them"));
    }
    let trust = Trust {
        extra_roots: parts.trust.extra_roots.clone(),
        identity: None,
    };
    let grant = Grant::Client(own.clone());
    Tokens::new(&own.token_url, "oauth2.token_url", grant, settings, trust)
}

impl Destination for Http {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

/// A client of a destination's own.
pub(super) fn client(key: &str, settings: &Settings, trust: Trust, reach: Reach) -> Result<Client, Fault> {
    let client = Client::new(&client::Settings {
        connect_timeout: CONNECT_TIMEOUT.min(settings.timeout),
        reach,
        max_idle: usize::try_from(settings.concurrency).unwrap_or(usize::MAX),
        extra_roots: trust.extra_roots,
        identity: trust.identity,
        proxy: settings.proxy.clone(),
    });
    client.map_err(|it| Fault::new(key, it.explanation, ""))
}

/// Where a URL leads, if it may be dialled.
pub(super) fn target(url: &SafeUrl, key: &str, reach: Reach) -> Result<Target, Fault> {
    // Credentials are the one fault with advice of its own; the text must not show them.
    let url = url.expose();
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "put them into `headers`: `headers = { authorization = { env = \"BILLING_AUTH\" } }`";
        return Err(Fault::new(key, "it holds a user name or a password", hint));
    }
    Target::new(url, reach).map_err(|failure| {
        let hint = match failure.cause {
            Cause::ForbiddenAddress => {
                "loopback and private addresses may be named; link-local, metadata and reserved ones never"
            }
            _ => "write it as `https://host/path` or `http://host:port/path`",
        };
        Fault::new(key, failure.explanation, hint)
    })
}

/// What it means that no answer came.
pub(super) fn failed(failure: Failure) -> SendError {
    let fate = match failure.cause {
        Cause::Timeout | Cause::Reset | Cause::Protocol => Fate::Ambiguous,
        _ => Fate::Retriable,
    };
    SendError::new(failure.cause.code(), failure.explanation, fate)
}

fn response(answer: &Answer) -> Response {
    let body = if answer.body.len() > MAX_KEPT {
        // A slice would keep all of it in memory.
        Bytes::copy_from_slice(&answer.body[..MAX_KEPT])
    } else {
        answer.body.clone()
    };
    Response {
        status: Some(answer.status.as_u16()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str) -> Option<Fault> {
        target(&SafeUrl::new(url.parse().unwrap()), "url", Reach::Private).err()
    }

    #[test]
    fn good_urls_pass() {
        for url in [
            "http://127.0.0.1:3000/hooks",
            "http://localhost/",
            "https://10.1.2.3/a?b=c#d",
            "http://[::1]:8080/",
            "http://[fd12::1]/",
            "https://handler.internal./x",
            "https://bücher.example/",
        ] {
            assert_eq!(fault(url), None, "{url}");
        }
    }

    #[test]
    fn bad_urls_are_refused_without_showing_credentials() {
        for url in [
            "ftp://host/x",
            "file:///etc/passwd",
            "data:text/plain,x",
            "unix:/run/x.sock",
            "http://user:hunter2@host/",
            "http://user@host/",
            "http://:hunter2@host/",
            "http://169.254.169.254/latest?key=hunter2",
            "http://[fd00:ec2::254]/",
            "http://0.0.0.0:3000/",
            "http://host:0/",
        ] {
            let fault = fault(url).unwrap();
            assert!(
                fault.hint.is_some() && !format!("{fault:?}").contains("hunter2"),
                "{url}: {fault:?}"
            );
        }
    }
}
