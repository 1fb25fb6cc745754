//! The load: keep-alive connections on one thread, closed loop, or open loop with coordinated omission corrected.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::http::{HeaderValue, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::LocalSet, time::timeout};

use crate::{
    event::{self, Signed},
    samples::Latencies,
};

/// After this long without an answer a request has failed.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Load {
    pub address: SocketAddr,
    /// The next event goes to the next of them.
    pub paths: Vec<String>,
    pub n_connections: usize,
    /// Requests per second of an open loop; without it, each connection sends when it has its answer.
    pub rate: Option<f64>,
    pub warm_up: Duration,
    pub window: Duration,
    /// Begin again when the events are used up, instead of ending.
    pub is_endless: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Answered 200 per second of the window.
    pub per_second: f64,
    /// From request (in an open loop: from when it was due) to answer.
    pub latencies: Latencies,
    /// Answered 200, from the first to the last, the warm-up included.
    pub acknowledged: Vec<Acknowledged>,
    /// Any other answer, or none.
    pub n_failed: u64,
    pub began_us: u64,
}

impl Outcome {
    pub fn n_acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// Index of the event.
    pub idx: usize,
    /// When the answer was there.
    pub at_us: u64,
}

struct Shared {
    load: Load,
    events: Arc<[Signed]>,
    host: HeaderValue,
    start: Instant,
    measured_from: Instant,
    end: Instant,
    next_event: Cell<usize>,
    next_slot: Cell<u64>,
    acknowledged: RefCell<Vec<Acknowledged>>,
    n_failed: Cell<u64>,
    n_in_window: Cell<u64>,
    last_at: Cell<Instant>,
    latencies_us: RefCell<Vec<u32>>,
}

/// Blocks until the load is over and every request has its answer.
pub fn run(load: &Load, events: &Arc<[Signed]>) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = Instant::now() + Duration::from_millis(20);
    let began_us = event::unix_us() + 20_000;
    let measured_from = start + load.warm_up;
    let shared = Rc::new(Shared {
        load: load.clone(),
        events: Arc::clone(events),
        host: HeaderValue::from_str(&load.address.to_string())?,
        start,
        measured_from,
        end: measured_from + load.window,
        next_event: Cell::new(0),
        next_slot: Cell::new(0),
        acknowledged: RefCell::default(),
        n_failed: Cell::new(0),
        n_in_window: Cell::new(0),
        last_at: Cell::new(measured_from),
        latencies_us: RefCell::default(),
    });
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let connections: Vec<_> = (0..load.n_connections)
            .map(|_| {
                let shared = Rc::clone(&shared);
                tokio::task::spawn_local(async move { shared.connection().await })
            })
            .collect();
        for it in connections {
            it.await??;
        }
        anyhow::Ok(())
    })?;
    Ok(Outcome {
        began_us,
        ..shared.outcome()
    })
}

impl Shared {
    async fn connection(&self) -> anyhow::Result<()> {
        let mut sender = self.connect().await?;
        tokio::time::sleep_until(self.start.into()).await;
        while let Some(due_at) = self.due().await {
            let Some(idx) = self.next_idx() else {
                return Ok(());
            };
            let answer = match timeout(PATIENCE, self.send(&mut sender, idx)).await {
                Ok(answer) => answer,
                Err(late) => Err(late.into()),
            };
            self.record(idx, due_at, matches!(answer, Ok(StatusCode::OK)));
            if answer.is_err() || sender.is_closed() {
                sender = self.connect().await?;
            }
        }
        Ok(())
    }

    /// When the next request should go out; waits until then. `None`: the load is over.
    async fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let due_at = match self.load.rate {
            None => now,
            Some(rate) => {
                let slot = self.next_slot.replace(self.next_slot.get() + 1);
                self.start + Duration::from_secs_f64(slot as f64 / rate)
            }
        };
        if due_at >= self.end {
            return None;
        }
        if due_at > now {
            tokio::time::sleep_until(due_at.into()).await;
        }
        Some(due_at)
    }

    fn next_idx(&self) -> Option<usize> {
        let idx = self.next_event.replace(self.next_event.get() + 1);
        if self.load.is_endless {
            return Some(idx % self.events.len());
        }
        (idx < self.events.len()).then_some(idx)
    }

    async fn send(&self, sender: &mut SendRequest<Full<Bytes>>, idx: usize) -> anyhow::Result<StatusCode> {
        let event = &self.events[idx];
        let path = &self.load.paths[idx % self.load.paths.len()];
        let mut request = Request::post(path.as_str()).body(Full::new(event.body.clone()))?;
        *request.headers_mut() = event.headers.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }

    /// The latency counts from when the request was due, not from when a connection was free to send it.
    fn record(&self, idx: usize, due_at: Instant, is_acknowledged: bool) {
        let now = Instant::now();
        if !is_acknowledged {
            self.n_failed.set(self.n_failed.get() + 1);
            return;
        }
        let at_us = event::unix_us();
        self.acknowledged.borrow_mut().push(Acknowledged { idx, at_us });
        if now >= self.measured_from && now < self.end {
            self.n_in_window.set(self.n_in_window.get() + 1);
            self.last_at.set(now);
        }
        if due_at >= self.measured_from {
            let latency_us = now.duration_since(due_at).as_micros();
            self.latencies_us
                .borrow_mut()
                .push(u32::try_from(latency_us).unwrap_or(u32::MAX));
        }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.load.address)
            .await
            .with_context(|| format!("could not connect to `{}`", self.load.address))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Its error is the request's error too.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(sender)
    }

    fn outcome(&self) -> Outcome {
        let elapsed = self.last_at.get().duration_since(self.measured_from);
        Outcome {
            per_second: self.n_in_window.get() as f64 / elapsed.as_secs_f64().max(0.001),
            latencies: Latencies::new(self.latencies_us.take()),
            acknowledged: self.acknowledged.take(),
            n_failed: self.n_failed.get(),
            began_us: 0,
        }
    }
}
