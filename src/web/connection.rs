//! One connection, from accept to close.
//!
//! hyper reads and writes HTTP; this file adds what it leaves out: one lazy timer per connection for the head, for
//! idleness and for a client that stops reading (hyper's own header timer costs an allocation per request and doubles as
//! its idle timeout), and a close that lets a refused client read its answer.

use std::{
    io,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use futures_util::FutureExt;
use http::{HeaderValue, Request, header};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::web::{error, listener::Limits, state::Peer};

/// How long a refused client may go on sending before it is cut off. Without it the kernel answers the unread rest of
/// its request with a reset, which can destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);

/// How long connections are still taken, and idle ones kept, after the stop. A request that is on its way then gets its
/// answer, and `Connection: close` with it, where closing at once would have answered it with a reset.
const LAST_CALL: Duration = Duration::from_millis(250);

/// Ends when the stop has been announced for long enough.
pub(crate) async fn last_call(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_CALL).await;
}

/// Serves one connection to its end: until the client closes, a limit is met, or `stop` fires and the open request has
/// its answer.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    builder: Arc<http1::Builder>,
    limits: Arc<Limits>,
    stop: CancellationToken,
) {
    let activity = Arc::new(Activity::new());
    let io = TokioIo::new(Watched {
        stream,
        activity: Arc::clone(&activity),
    });
    let service = service_fn(|request| {
        answer(
            router.clone(),
            request,
            peer,
            Arc::clone(&activity),
            Arc::clone(&limits),
            stop.clone(),
        )
    });
    let mut connection = builder.serve_connection(io, service);
    let mut timer = pin!(tokio::time::sleep_until(
        activity.started_at + limits.head_timeout
    ));
    let mut last_call = pin!(last_call(&stop));
    let mut is_stopping = false;
    let (is_late, should_linger) = loop {
        tokio::select! {
            biased;
            res = &mut connection => break (false, activity.is_refused() || res.is_err_and(|it| it.is_parse())),
            () = &mut last_call, if !is_stopping => {
                is_stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            () = &mut timer => match activity.verdict(&limits) {
                Verdict::Fine { look_again_at } => timer.as_mut().reset(look_again_at),
                Verdict::SlowHead => break (true, true),
                Verdict::Close => break (false, false),
            },
        }
    };
    if !should_linger {
        return;
    }
    let mut stream = connection.into_parts().io.into_inner().stream;
    let farewell = async {
        if is_late {
            stream.write_all(SLOW_HEAD).await?;
        }
        stream.shutdown().await?;
        let mut scratch = [0_u8; 4096];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever goes wrong now, the connection ends here.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

const SLOW_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What a connection is doing, written and read by its one task.
#[derive(Debug)]
struct Activity {
    started_at: Instant,
    phase: AtomicU8,
    /// Microseconds after `started_at` at which the phase began.
    since: AtomicU64,
    /// The same, plus one, for the moment from which the client has not taken what was written to it. Zero: it has.
    blocked_since: AtomicU64,
    /// The last answer was a refusal, so the client may still be sending.
    is_refused: AtomicBool,
}

const FRESH: u8 = 0;
const IDLE: u8 = 1;
const HEAD: u8 = 2;
const BUSY: u8 = 3;

enum Verdict {
    Fine { look_again_at: Instant },
    SlowHead,
    Close,
}

impl Activity {
    fn new() -> Self {
        Self {
            started_at: Instant::now(),
            phase: AtomicU8::new(FRESH),
            since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
        }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started_at.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Relaxed);
        self.since.store(self.elapsed(), Relaxed);
    }

    fn on_bytes_read(&self) {
        if matches!(self.phase.load(Relaxed), FRESH | IDLE) {
            self.enter(HEAD);
        }
    }

    fn on_write(&self, is_blocked: bool) {
        if !is_blocked {
            self.blocked_since.store(0, Relaxed);
        } else if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.elapsed() + 1, Relaxed);
        }
    }

    fn is_refused(&self) -> bool {
        self.is_refused.load(Relaxed)
    }

    fn verdict(&self, limits: &Limits) -> Verdict {
        let now = Instant::now();
        let at = |micros: u64| self.started_at + Duration::from_micros(micros);
        let blocked_since = self.blocked_since.load(Relaxed);
        if blocked_since > 0 && at(blocked_since) + limits.idle_timeout <= now {
            return Verdict::Close;
        }
        let since = at(self.since.load(Relaxed));
        let (deadline, late) = match self.phase.load(Relaxed) {
            FRESH => (since + limits.head_timeout, Verdict::Close),
            IDLE => (since + limits.idle_timeout, Verdict::Close),
            HEAD => (since + limits.head_timeout, Verdict::SlowHead),
            // A request in hand has limits of its own; look again for the time after it.
            _ => (now + limits.head_timeout.min(limits.idle_timeout), Verdict::Close),
        };
        if deadline <= now {
            return late;
        }
        // A head may begin at any moment, and has less time than an idle connection.
        let look_again_at = deadline.min(now + limits.head_timeout.min(limits.idle_timeout));
        Verdict::Fine { look_again_at }
    }
}

/// The socket, telling `Activity` what passes through it.
#[derive(Debug)]
struct Watched {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        let res = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > n_before {
            self.activity.on_bytes_read();
        }
        res
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let res = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.on_write(res.is_pending());
        res
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let res = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.activity.on_write(res.is_pending());
        res
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The router with the peer's address; a panic becomes 500.
async fn answer(
    mut router: Router,
    mut request: Request<Incoming>,
    peer: Peer,
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    stop: CancellationToken,
) -> Result<Response<Answering>, std::convert::Infallible> {
    activity.enter(BUSY);
    request.extensions_mut().insert(peer);
    let mut response = match AssertUnwindSafe(router.call(request)).catch_unwind().await {
        Ok(Ok(response)) => response,
        // The panic hook has logged it, with its place.
        Err(_) => {
            limits.metrics.panicked();
            error::panicked()
        }
    };
    if stop.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    let is_refused = !response.status().is_success();
    activity.is_refused.store(is_refused, Relaxed);
    Ok(response.map(|body| Answering { body, activity }))
}

/// An answer's body: while it exists, the connection is not idle.
struct Answering {
    body: Body,
    activity: Arc<Activity>,
}

impl http_body::Body for Answering {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.activity.enter(IDLE);
    }
}
