//! Rejected requests on their way into the store: in batches, bounded, never in the way of an answer.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{
    base::{ids::RequestId, metrics::Metrics},
    source::{Rejection, Request, Source},
    store::{
        Store,
        rejected::{RejectedCount, RejectedRequest},
    },
};

/// More than this many wait: what comes is counted, not kept. A flood of forgeries must not fill the memory.
const MAX_WAITING: usize = 512;

/// The queue and its writer. Clones share everything.
#[derive(Debug, Clone)]
pub struct Rejections {
    shared: Arc<Shared>,
    store: Store,
    metrics: Metrics,
    max_body: u64,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    pushed: Notify,
    is_closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    kept: Vec<RejectedRequest>,
    only_counted: HashMap<Arc<str>, u64>,
}

impl Rejections {
    pub fn new(store: Store, metrics: Metrics, max_body: u64) -> Self {
        Self {
            shared: Arc::default(),
            store,
            metrics,
            max_body,
        }
    }

    pub fn push(&self, source: &Source, request: Request, rejection: &Rejection) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.kept.len() >= MAX_WAITING {
            *waiting.only_counted.entry(Arc::clone(source.name())).or_default() += 1;
        } else {
            waiting.kept.push(self.row(source, request, rejection));
        }
        drop(waiting);
        self.shared.pushed.notify_one();
    }

    /// No more requests; the writer writes what waits, and ends.
    pub fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        self.shared.pushed.notify_one();
    }

    pub async fn run(self) {
        loop {
            self.shared.pushed.notified().await;
            // Looked at before the queue: a push that came before `close` is then still written.
            let is_closed = self.shared.is_closed.load(Ordering::Relaxed);
            let waiting = mem::take(&mut *self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            self.write(waiting).await;
            if is_closed {
                return;
            }
        }
    }

    async fn write(&self, waiting: Waiting) {
        let n_requests = waiting.kept.len();
        if n_requests == 0 && waiting.only_counted.is_empty() {
            return;
        }
        let only_counted = waiting
            .only_counted
            .into_iter()
            .map(|(source, n_requests)| RejectedCount { source, n_requests })
            .collect();
        if let Err(error) = self.store.reject(waiting.kept, only_counted).await {
            // Nothing of them was promised to anybody: they are gone, and said to be.
            self.metrics.store_error(error.kind());
            tracing::warn!(n_requests, "could not keep rejected requests: {error}");
        }
    }

    fn row(&self, source: &Source, request: Request, rejection: &Rejection) -> RejectedRequest {
        let size = request.body.len() as u64;
        RejectedRequest {
            id: RequestId::new(),
            source: Arc::clone(source.name()),
            cause: rejection.code.to_owned(),
            explanation: rejection.explanation.clone(),
            received_at: request.received_at,
            method: request.method.to_string(),
            target: request.target,
            client: request.client,
            headers: request.headers,
            body: (size <= self.max_body).then_some(request.body),
            size,
            accepted_as: None,
        }
    }
}
