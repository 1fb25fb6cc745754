//! The client: one call, one answer, within a time and a size.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    base::{clock::Timestamp, safe_url::SafeUrl},
    egress::{
        error::{Cause, Failure},
        guard::Reach,
        pem::Identity,
        resolver::{self, GuardedResolver, Lookup},
        target::Target,
        tls,
    },
};

/// Shorter than the five seconds after which common servers (Node's) drop an idle connection: a request that is sent in
/// that very moment would be lost, and cost an attempt.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
pub struct Settings {
    /// Name, connection and TLS together.
    pub connect_timeout: Duration,
    pub reach: Reach,
    /// Idle connections kept for each host.
    pub max_idle: usize,
    /// Certificates (DER) that are trusted besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
    /// What it shows of itself where it is asked.
    pub identity: Option<Identity>,
    /// `http`, with its credentials: it dials in our place, so that its own rules decide which names lead where.
    pub proxy: Option<SafeUrl>,
}

/// A client with connections of its own. Clones share them.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    reach: Reach,
    extra_roots: Arc<[Vec<u8>]>,
    /// `host:port` of the proxy, for error texts.
    proxy: Option<Arc<str>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub method: Method,
    pub target: &'a Target,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// From the first byte out, connecting included, to the last byte in.
    pub timeout: Duration,
    /// Where reading the answer stops; the connection is dropped then.
    pub max_body: usize,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// At most `max_body` bytes, as they came: nothing is unpacked.
    pub body: Bytes,
    /// More came, or would have.
    pub is_cut: bool,
}

impl Client {
    pub fn new(settings: &Settings) -> Result<Self, Failure> {
        Self::with_lookup(settings, resolver::system())
    }

    /// With another way to look names up; what it finds is guarded all the same.
    pub fn with_lookup(settings: &Settings, lookup: Lookup) -> Result<Self, Failure> {
        let reach = settings.reach;
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that makes a client"
        )]
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(
                &settings.extra_roots,
                settings.identity.as_ref(),
            )?)
            .dns_resolver(GuardedResolver { reach, lookup })
            .redirect(reqwest::redirect::Policy::none())
            // A delivery's attempts are counted and scheduled by us.
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_mins(1))
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(settings.max_idle);
        let unfit = |_error| Failure::new(Cause::BadUrl, "the proxy's URL cannot be used");
        let builder = match &settings.proxy {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose().clone()).map_err(unfit)?),
            None => builder,
        };
        let inner = builder
            .build()
            .map_err(|e| Failure::new(Cause::Failed, format!("no HTTP client can be made: {e}")))?;
        let authority = |it: &SafeUrl| {
            let url = it.expose();
            let host = url.host_str().unwrap_or_default();
            Arc::from(format!("{host}:{}", url.port_or_known_default().unwrap_or(0)))
        };
        Ok(Self {
            inner,
            reach,
            extra_roots: settings.extra_roots.as_slice().into(),
            proxy: settings.proxy.as_ref().map(authority),
        })
    }

    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether certificates that did not come by TLS (DER, the signer's first) lead to a root that this client trusts, at this time,
    /// for this name.
    pub fn check_chain(&self, chain: &[Vec<u8>], name: &str, at: Timestamp) -> Result<(), Failure> {
        let unix_seconds = u64::try_from(at.as_unix_seconds()).unwrap_or_default();
        tls::check_chain(chain, name, unix_seconds, &self.extra_roots)
    }

    /// Sends, and waits for the whole answer. Dropping the future drops the connection.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let target = call.target;
        target.check(self.reach)?;
        let mut status = None;
        let sending = self.exchange(
            call.method,
            target,
            call.headers,
            call.body,
            call.max_body,
            &mut status,
        );
        let waited = tokio::time::timeout(call.timeout, sending).await;
        match waited {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(self.by_way_of(Failure::sort(&e, target.host()))),
            Err(_) => Err(self.by_way_of(too_late(target.host(), call.timeout, status))),
        }
    }

    /// It may be the proxy that failed, which only the operator can tell.
    fn by_way_of(&self, failure: Failure) -> Failure {
        match &self.proxy {
            Some(proxy) => Failure {
                explanation: format!("{}, by way of the proxy `{proxy}`", failure.explanation),
                ..failure
            },
            None => failure,
        }
    }

    async fn exchange(
        &self,
        method: Method,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
        max_body: usize,
        status: &mut Option<StatusCode>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = reqwest::Request::new(method, target.url().clone());
        *request.headers_mut() = headers;
        if body.is_empty() && *request.method() == Method::POST {
            // Left out by the client below, and asked for by some servers (411).
            let zero = HeaderValue::from_static("0");
            request.headers_mut().insert(header::CONTENT_LENGTH, zero);
        }
        *request.body_mut() = Some(body.into());
        let mut response = self.inner.execute(request).await?;
        *status = Some(response.status());
        let headers = std::mem::take(response.headers_mut());
        let mut read = BytesMut::new();
        let mut is_cut = false;
        while let Some(chunk) = response.chunk().await? {
            let room = max_body - read.len();
            if chunk.len() > room {
                read.extend_from_slice(&chunk[..room]);
                is_cut = true;
                break;
            }
            read.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status(),
            headers,
            body: read.freeze(),
            is_cut,
        })
    }
}

fn too_late(host: &str, timeout: Duration, status: Option<StatusCode>) -> Failure {
    let text = match status {
        Some(status) => format!(
            "`{host}` began to answer {} but was not done within {timeout:?}",
            status.as_u16()
        ),
        None => format!("`{host}` did not answer within {timeout:?}"),
    };
    Failure::new(Cause::Timeout, text)
}
