//! The calls to senders: for a key that they publish, and to confirm a subscription. Short, small, and not many.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::{
    base::{clock::Timestamp, metrics::Metrics},
    egress::{
        client::{self, Answer, Call, Client},
        error::{Cause, Failure},
        guard::Reach,
        resolver::{self, Lookup},
        target::Target,
    },
    provider::published::Chain,
    source::Source,
};

/// Shorter than `ingest.ack_timeout` by default: the request waits for it.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Sets of keys and certificates are a few KiB.
const MAX_BODY: usize = 64 << 10;
/// Of one kind for one source, where a stranger's requests say what is called, so that they cannot make us call in a loop.
const MAX_CALLS: usize = 10;
const PER: Duration = Duration::from_mins(1);

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    Keys,
    Confirm,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Confirm => "confirm",
        }
    }
}

/// Why a sender gave no answer that is of use. The text is for the operator.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{explanation}")]
pub struct NoAnswer {
    pub explanation: String,
}

/// Calls senders. Clones share everything.
#[derive(Debug, Clone)]
pub struct Asking(Arc<Inner>);

/// When calls were made, the oldest first.
type CallTimes = VecDeque<Instant>;

#[derive(Debug)]
struct Inner {
    /// For addresses that the rows and requests name.
    public: Client,
    /// For those that the operator named.
    own: Client,
    metrics: Metrics,
    calls: Mutex<HashMap<(Arc<str>, Purpose), CallTimes>>,
}

impl Asking {
    pub fn new(metrics: Metrics) -> Result<Self, Failure> {
        Self::with_lookup(metrics, Reach::Public, Vec::new(), resolver::system())
    }

    /// With another reach for what the rows and requests name, other roots (DER) besides the system's, and another way to look names up.
    pub fn with_lookup(
        metrics: Metrics,
        reach: Reach,
        extra_roots: Vec<Vec<u8>>,
        lookup: Lookup,
    ) -> Result<Self, Failure> {
        let client = |reach| {
            let settings = client::Settings {
                connect_timeout: TIMEOUT,
                reach,
                // Nothing is asked twice in a row.
                max_idle: 0,
                proxy: None,
                extra_roots: extra_roots.clone(),
                identity: None,
            };
            Client::with_lookup(&settings, Arc::clone(&lookup))
        };
        Ok(Self(Arc::new(Inner {
            public: client(reach)?,
            own: client(Reach::Private)?,
            metrics,
            calls: Mutex::default(),
        })))
    }

    /// What is at an address of the sender: 200 and a body that is whole, or nothing. `is_own` is for what the operator named.
    pub async fn get(
        &self,
        source: &Arc<str>,
        purpose: Purpose,
        url: &str,
        is_own: bool,
    ) -> Result<Answer, NoAnswer> {
        let client = if is_own { &self.0.own } else { &self.0.public };
        let res = send(client, url).await;
        let outcome = match &res {
            Ok(answer) if is_whole(answer) => "ok",
            Ok(_) => "unfit",
            Err(failure) => failure.cause.code(),
        };
        self.0.metrics.called_sender(source, purpose.as_str(), outcome);
        let answer = res.map_err(|it| NoAnswer {
            explanation: it.explanation,
        })?;
        if is_whole(&answer) {
            return Ok(answer);
        }
        Err(NoAnswer {
            explanation: if answer.status == StatusCode::OK {
                format!("it answered with more than {MAX_BODY} bytes")
            } else if answer.status.is_redirection() {
                format!(
                    "it answered {}, and no redirect is followed",
                    answer.status.as_u16()
                )
            } else {
                format!("it answered {}", answer.status.as_u16())
            },
        })
    }

    /// Confirms a subscription of the source, once its request was verified. `url` was made by the provider's row.
    pub async fn confirm(&self, source: &Source, url: &str) -> Result<(), NoAnswer> {
        if !self.may_call(source.name(), Purpose::Confirm, Instant::now()) {
            return Err(too_many());
        }
        self.get(source.name(), Purpose::Confirm, url, false).await?;
        Ok(())
    }

    /// Counts a call of this source; false where it has made as many as it may.
    pub(super) fn may_call(&self, source: &Arc<str>, purpose: Purpose, now: Instant) -> bool {
        let mut calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = calls.entry((Arc::clone(source), purpose)).or_default();
        while of_source.front().is_some_and(|it| now.duration_since(*it) >= PER) {
            of_source.pop_front();
        }
        if of_source.len() >= MAX_CALLS {
            return false;
        }
        of_source.push_back(now);
        true
    }

    /// Whether certificates lead to a root that is trusted.
    pub(super) fn check_chain(&self, chain: &Chain, at: Timestamp) -> Result<(), NoAnswer> {
        let res = self.0.public.check_chain(&chain.certificates, &chain.name, at);
        res.map_err(|it| NoAnswer {
            explanation: it.explanation,
        })
    }
}

pub(super) fn too_many() -> NoAnswer {
    NoAnswer {
        explanation: format!("it was called {MAX_CALLS} times within {} s", PER.as_secs()),
    }
}

fn is_whole(answer: &Answer) -> bool {
    answer.status == StatusCode::OK && !answer.is_cut
}

async fn send(client: &Client, url: &str) -> Result<Answer, Failure> {
    let bad = |text: &str| Failure {
        cause: Cause::BadUrl,
        explanation: text.to_owned(),
    };
    let url: Url = url.parse().map_err(|_malformed| bad("its address is no URL"))?;
    if url.scheme() != "https" {
        return Err(bad("its address is not https"));
    }
    let target = Target::new(&url, client.reach())?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("gatepost"));
    let call = Call {
        method: Method::GET,
        target: &target,
        headers,
        body: Bytes::new(),
        timeout: TIMEOUT,
        max_body: MAX_BODY,
    };
    client.send(call).await
}
