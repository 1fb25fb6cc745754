//! The accept loop.
//!
//! `axum::serve` has no limit on connections and never arms hyper's timers, so a handful of slow clients hold its
//! sockets for ever; this loop takes a place before it accepts and gives every phase of a connection a deadline.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    base::{
        metrics::Metrics,
        trial::{self, Point},
    },
    web::{ServerSettings, connection, state::Peer},
};

/// hyper keeps room for so many headers on the stack; another limit costs an allocation per request.
const HYPER_MAX_HEADERS: usize = 100;
/// The least that hyper takes as `max_buf_size`, and what reads of large bodies come in.
const MIN_BUFFER: usize = 64 * 1024;
/// How long the loop rests after an error that will not go away by itself (no file descriptors left).
const REST: Duration = Duration::from_millis(50);

/// What one listener grants its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_connections: usize,
    /// Bytes of the request line and headers together.
    pub max_head: usize,
    pub max_headers: usize,
    /// From the first byte of a head to its last; also how long a new connection may stay silent.
    pub head_timeout: Duration,
    /// How long a connection may rest between two requests, and how long a client may take nothing of its answer.
    pub idle_timeout: Duration,
    /// How long open requests have to finish after the stop.
    pub drain: Duration,
    pub metrics: Metrics,
}

impl Limits {
    pub fn new(settings: &ServerSettings, drain: Duration, metrics: Metrics) -> Self {
        Self {
            max_connections: settings.max_connections,
            max_head: settings.max_head,
            max_headers: settings.max_headers,
            head_timeout: settings.head_timeout,
            idle_timeout: settings.idle_timeout,
            drain,
            metrics,
        }
    }
}

/// Serves `router` until a moment after `stop`; then closes the listener, lets open requests finish within `limits.drain`, and cuts
/// the rest. Returns when no connection is left.
pub async fn serve(listener: TcpListener, router: Router, limits: &Limits, stop: CancellationToken) {
    let limits = Arc::new(limits.clone());
    let builder = Arc::new(builder(&limits));
    let places = Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let take = |connections: &mut JoinSet<()>, place: OwnedSemaphorePermit, stream: TcpStream, address| {
        // Small answers must not wait for more to send; a socket that refuses the option still works.
        let _ = stream.set_nodelay(true);
        // A token of its own: all connections polling one token would meet at its lock.
        let stop = stop.child_token();
        let (builder, limits) = (Arc::clone(&builder), Arc::clone(&limits));
        let connection = connection::serve(stream, Peer(address), router.clone(), builder, limits, stop);
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    };
    let mut is_resting = false;
    let mut last_call = pin!(connection::last_call(&stop));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place.expect("nobody closes the semaphore"),
            () = &mut last_call => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut last_call => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (stream, address) = match accepted {
            Ok(it) => it,
            Err(err) if is_about_one_connection(&err) => {
                debug!(error = %err, "a connection ended before it was accepted");
                continue;
            }
            Err(err) => {
                if !is_resting {
                    warn!(error = %err, "cannot accept connections; trying again until it works");
                }
                is_resting = true;
                drop(place);
                tokio::select! {
                    () = tokio::time::sleep(REST) => continue,
                    () = &mut last_call => break,
                }
            }
        };
        is_resting = false;
        trial::point(Point::Accepted);
        take(&mut connections, place, stream, address);
    }
    // What the kernel has taken already would be reset with the listener. Asked of the kernel itself: the runtime knows only of
    // connections that came before it last looked, and senders told to close open a new one for each request.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, address)) = listener.accept() {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                break;
            };
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                take(&mut connections, place, stream, address);
            }
        }
    }
    drain(connections, limits.drain).await;
}

async fn drain(mut connections: JoinSet<()>, within: Duration) {
    let deadline = Instant::now() + within;
    while !connections.is_empty() {
        if tokio::time::timeout_at(deadline, connections.join_next())
            .await
            .is_err()
        {
            warn!(
                n_connections = connections.len(),
                "cutting connections whose requests did not end in time"
            );
            connections.shutdown().await;
        }
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(limits.max_head)
        .max_buf_size(limits.max_head.max(MIN_BUFFER));
    if limits.max_headers != HYPER_MAX_HEADERS {
        builder.max_headers(limits.max_headers);
    }
    builder
}

/// Whether accepting the next connection may work at once.
fn is_about_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
    )
}
