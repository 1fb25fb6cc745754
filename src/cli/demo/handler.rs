//! The handler that stands in for the user's own: it checks the signature, fails once for one source, and tells what it
//! got.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use crate::{
    base::{clock::wall_now, secret::Secret},
    cli::output::{Failure, Result},
    event::{Hash, body_hash, headers::Headers},
    provider::{self, Call, Key},
};

/// The source for which the handler fails at first.
pub(crate) const FAILS_FOR: &str = "shopify";
const MAX_BODY: usize = 10 * 1024 * 1024;

/// One delivery, as the handler saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) source: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) attempt: u32,
    pub(crate) origin: String,
    pub(crate) body: Hash,
    pub(crate) n_bytes: usize,
    pub(crate) is_signed: bool,
    /// What the handler answered.
    pub(crate) status: StatusCode,
}

pub(crate) type Seens = UnboundedReceiver<Seen>;

#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    sender: Option<UnboundedSender<Seen>>,
    keys: Vec<Key>,
}

impl Handler {
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            sender: None,
            keys: Vec::new(),
        })
    }

    /// Outgoing signatures follow Standard Webhooks, so what checks that provider's requests checks ours.
    pub(crate) fn expect_signatures(&mut self, secret: &Secret) -> Result<()> {
        let row =
            provider::find("standard-webhooks").ok_or_else(|| Failure::text("no `standard-webhooks` row"))?;
        self.keys = vec![row.key(secret).map_err(Failure::new)?];
        Ok(())
    }

    pub(crate) fn seen(&mut self) -> Seens {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.sender = Some(sender);
        receiver
    }

    /// Answers until it is dropped, and every connection with it.
    pub(crate) async fn serve<T>(&self) -> io::Result<T> {
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let has_failed = Arc::clone(&has_failed);
                    let service = service_fn(move |request| {
                        let has_failed = Arc::clone(&has_failed);
                        async move { Ok::<_, Infallible>(self.answer(request, &has_failed).await) }
                    });
                    let io = TokioIo::new(accepted?.0);
                    connections.push(http1::Builder::new().serve_connection(io, service));
                }
                // A connection that broke is the sender's to notice.
                Some(_) = connections.next() => (),
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, has_failed: &AtomicBool) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return answer(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        let text = |name: &str| {
            let value = head.headers.get(name).and_then(|it| it.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let source = text("gatepost-source");
        let status = if source == FAILS_FOR && !has_failed.swap(true, Ordering::SeqCst) {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::NO_CONTENT
        };
        let target = head
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        let seen = Seen {
            source,
            event_id: text("webhook-id"),
            event_type: text("gatepost-event-type"),
            attempt: text("gatepost-attempt").parse().unwrap_or(0),
            origin: text("gatepost-origin"),
            body: body_hash(&body),
            n_bytes: body.len(),
            is_signed: self.is_signed(head.method.as_str(), target, &head.headers, &body),
            status,
        };
        // Nobody listens any more once the story has ended.
        if let Some(sender) = &self.sender {
            let _ = sender.send(seen);
        }
        answer(status)
    }

    fn is_signed(&self, method: &str, target: &str, headers: &http::HeaderMap, body: &[u8]) -> bool {
        let headers = Headers::from_pairs(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        );
        let call = Call {
            method,
            url: None,
            target,
            headers: &headers,
            body,
        };
        provider::find("standard-webhooks")
            .is_some_and(|row| row.verify(&self.keys, &call, None, wall_now()).is_ok())
    }
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
