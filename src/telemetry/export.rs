//! Sends spans to the collector, some at a time.
//!
//! What it does not take is tried again for about a minute, while new ones wait in a queue of a fixed length; what finds no room there,
//! or was tried often enough, is dropped and counted. Nobody else notices.

use std::{mem, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{ids::WorkerId, metrics::Metrics, safe_url::SafeUrl, secret::Secret},
    egress::{
        client::{self, Answer, Call, Client},
        error::{Cause, Failure},
        guard::Reach,
        target::Target,
    },
    telemetry::{
        Settings,
        otlp::{self, Resource},
        span::Span,
    },
};

/// The most spans of one export.
const MAX_BATCH: usize = 512;
/// How long the first of them waits for others.
const LINGER: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TRIES: u32 = 6;
/// Between two tries, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// As long a pause is granted to a collector that asks for one.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// As long a stop waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Of an answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;
/// What a collector adds to its base, and where one may be given whole.
const PATH: &str = "v1/traces";

/// Where the collector takes traces: `endpoint` as it is if it ends in `/v1/traces`, else that below it.
pub fn target(endpoint: &SafeUrl) -> Result<Target, Failure> {
    let mut url = endpoint.expose().clone();
    let path = url.path().trim_end_matches('/');
    if !path.ends_with(&format!("/{PATH}")) {
        let path = format!("{path}/{PATH}");
        url.set_path(&path);
    }
    // The config names it, as it names handlers: a collector is often on the same machine.
    Target::new(&url, Reach::Private)
}

/// Exports nothing, which a collector answers as it answers spans. An error where it would not take them.
pub async fn examine(settings: &Settings) -> Result<(), Failure> {
    let (client, target) = (client()?, target(&settings.endpoint)?);
    let headers = headers(&settings.headers).map_err(bad_header)?;
    let answer = client.send(call(&target, &headers, Bytes::new())).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let explanation = format!("`{}` answered {}", target.host(), answer.status.as_u16());
    Err(Failure::new(Cause::Failed, explanation))
}

fn client() -> Result<Client, Failure> {
    Client::new(&client::Settings {
        connect_timeout: TIMEOUT / 2,
        reach: Reach::Private,
        max_idle: 1,
        extra_roots: Vec::new(),
        identity: None,
        proxy: None,
    })
}

fn bad_header((name, problem): (String, &'static str)) -> Failure {
    Failure::new(Cause::Failed, format!("header `{name}`: {problem}"))
}

fn call<'a>(target: &'a Target, headers: &HeaderMap, body: Bytes) -> Call<'a> {
    Call {
        method: Method::POST,
        target,
        headers: headers.clone(),
        body,
        timeout: TIMEOUT,
        max_body: MAX_ANSWER,
    }
}

/// As they are sent. `Err`: the name of the faulty one, and what is wrong with it.
pub fn headers(given: &[(String, Secret)]) -> Result<HeaderMap, (String, &'static str)> {
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for (name, secret) in given {
        let fault = |problem| (name.clone(), problem);
        let key = HeaderName::from_bytes(name.as_bytes());
        let key = key.map_err(|_invalid| fault("it is not the name of a header"))?;
        let ours = [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            header::HOST,
            header::TRANSFER_ENCODING,
        ];
        if ours.contains(&key) {
            return Err(fault("it is a header that gatepost or HTTP itself sets"));
        }
        let value = HeaderValue::from_bytes(secret.expose());
        let mut value =
            value.map_err(|_invalid| fault("its value holds a line break or another control character"))?;
        // Keeps it out of the debug prints of the libraries below.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    let user_agent = HeaderValue::from_static(concat!("gatepost/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(user_agent);
    let protobuf = HeaderValue::from_static("application/x-protobuf");
    headers.insert(header::CONTENT_TYPE, protobuf);
    Ok(headers)
}

/// The task that exports.
#[derive(Debug)]
pub struct Exporter {
    client: Client,
    target: Target,
    headers: HeaderMap,
    resource: Resource,
    metrics: Metrics,
    spans: mpsc::Receiver<Span>,
    /// The last export failed, and that was logged.
    is_down: bool,
}

/// Why spans were not taken.
struct Refused {
    why: String,
    /// `None`: as it is, it never will be.
    pause: Option<Duration>,
}

impl Exporter {
    pub fn new(
        settings: &Settings,
        instance: WorkerId,
        metrics: Metrics,
        spans: mpsc::Receiver<Span>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            client: client()?,
            target: target(&settings.endpoint)?,
            headers: headers(&settings.headers).map_err(bad_header)?,
            resource: Resource {
                attributes: vec![
                    ("service.name", settings.service_name.clone().into()),
                    ("service.version", env!("CARGO_PKG_VERSION").into()),
                    ("service.instance.id", instance.to_string().into()),
                ],
            },
            metrics,
            spans,
            is_down: false,
        })
    }

    /// Until `stop`, and then for a moment.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let work = async {
                self.gather(&mut batch).await;
                self.export(&batch).await;
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = work => batch.clear(),
            }
        }
        self.flush(batch).await;
    }

    /// What came within a moment.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        let mut until = None;
        while batch.len() < MAX_BATCH {
            let n_free = MAX_BATCH - batch.len();
            let more = self.spans.recv_many(batch, n_free);
            let n_more = match until {
                None => more.await,
                Some(until) => match timeout_at(until, more).await {
                    Ok(n_more) => n_more,
                    Err(_elapsed) => return,
                },
            };
            if n_more == 0 {
                // Nobody is left to make any: the stop is next.
                std::future::pending::<()>().await;
            }
            until.get_or_insert_with(|| Instant::now() + LINGER);
        }
    }

    /// Until the collector took it, or too many tries.
    async fn export(&mut self, batch: &[Span]) {
        let mut backoff = FIRST_PAUSE;
        for n_tries in 1.. {
            let Err(Refused { why, pause }) = self.send(batch).await else {
                return self.is_up();
            };
            self.is_down(&why);
            let Some(pause) = pause else {
                return self.metrics.spans_dropped("refused", batch.len());
            };
            if n_tries == MAX_TRIES {
                return self.metrics.spans_dropped("not_taken", batch.len());
            }
            sleep(pause.max(backoff).min(MAX_PAUSE)).await;
            backoff *= 2;
        }
    }

    /// What is left, each once. `batch` may be on its way already: a span that comes twice is one to a collector.
    async fn flush(&mut self, mut batch: Vec<Span>) {
        let until = Instant::now() + LAST_WORDS;
        loop {
            while batch.len() < MAX_BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            if !matches!(timeout_at(until, self.send(&batch)).await, Ok(Ok(()))) {
                let n_left = batch.len() + self.spans.len();
                self.metrics.spans_dropped("stopped", n_left);
                tracing::warn!(
                    n_left,
                    "stopped before the collector took the last {n_left} spans"
                );
                return;
            }
            batch.clear();
        }
    }

    async fn send(&self, batch: &[Span]) -> Result<(), Refused> {
        let body = Bytes::from(otlp::request(&self.resource, batch));
        let call = call(&self.target, &self.headers, body);
        let answer = self.client.send(call).await.map_err(|failure| Refused {
            why: failure.explanation,
            pause: Some(Duration::ZERO),
        })?;
        if !answer.status.is_success() {
            return Err(refused(&answer));
        }
        let n_rejected = usize::try_from(otlp::n_rejected(&answer.body)).unwrap_or(usize::MAX);
        let n_rejected = n_rejected.min(batch.len());
        self.metrics.spans_exported(batch.len() - n_rejected);
        if n_rejected > 0 {
            self.metrics.spans_dropped("refused", n_rejected);
        }
        Ok(())
    }

    /// Said once, and not with each batch.
    fn is_down(&mut self, why: &str) {
        if !mem::replace(&mut self.is_down, true) {
            let host = self.target.host();
            tracing::warn!(
                "`{host}` does not take traces: {why}; what it does not take is dropped, and nothing else waits for it"
            );
        }
    }

    fn is_up(&mut self) {
        if mem::take(&mut self.is_down) {
            tracing::info!("`{}` takes traces again", self.target.host());
        }
    }
}

/// By OTLP, these four are worth another try.
fn refused(answer: &Answer) -> Refused {
    let is_passing = matches!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let asked_for = || {
        let text = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?;
        text.parse().ok().map(Duration::from_secs)
    };
    Refused {
        why: format!("it answered {}", answer.status.as_u16()),
        pause: is_passing.then(|| asked_for().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_traces_is_added_once() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example/otlp", "https://otlp.example/otlp/v1/traces"),
            ("https://otlp.example/v1/traces", "https://otlp.example/v1/traces"),
            (
                "https://otlp.example/v1/traces/",
                "https://otlp.example/v1/traces/",
            ),
        ] {
            let target = target(&SafeUrl::new(endpoint.parse().unwrap())).unwrap();
            assert_eq!(target.url().as_str(), expected);
        }
        let metadata = SafeUrl::new("http://169.254.169.254/".parse().unwrap());
        assert_eq!(target(&metadata).unwrap_err().cause, Cause::ForbiddenAddress);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_faults() {
        let header = |name: &str, value: &str| vec![(name.to_owned(), Secret::new(value))];
        for (name, value) in [("a b", "x"), ("content-type", "x"), ("Host", "x"), ("x", "a\nb")] {
            assert_eq!(headers(&header(name, value)).unwrap_err().0, name);
        }
        let sent = headers(&header("Authorization", "Bearer hunter2")).unwrap();
        assert_eq!(sent["authorization"], "Bearer hunter2");
        assert!(!format!("{sent:?}").contains("hunter2"));
    }
}
