//! What each source was answered, counted by handles that are looked up once per source.

use std::{collections::HashMap, sync::Arc, time::Instant};

use arc_swap::ArcSwap;

use crate::{
    base::metrics::{
        Metrics,
        handles::{RequestAnswer, SourceMetrics},
    },
    source::Source,
};

/// Handles by source name. They outlive a reload: counters do not go back.
#[derive(Debug)]
pub(crate) struct Counters {
    metrics: Metrics,
    of_source: ArcSwap<HashMap<Arc<str>, Arc<SourceMetrics>>>,
}

impl Counters {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            of_source: ArcSwap::default(),
        }
    }

    pub(crate) fn unknown_source(&self) {
        self.metrics.unknown_source();
    }

    pub(crate) fn answered(&self, source: &Source, answer: RequestAnswer) {
        self.of(source).answered(answer);
    }

    /// `cause`: why ingest rejected it.
    pub(crate) fn rejected(&self, source: &Source, cause: &'static str) {
        self.of(source).rejected(cause);
    }

    fn of(&self, source: &Source) -> Arc<SourceMetrics> {
        if let Some(handle) = self.of_source.load().get(source.name()) {
            return Arc::clone(handle);
        }
        let handle = Arc::new(self.metrics.source(source.name()));
        self.of_source.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(Arc::clone(source.name()), Arc::clone(&handle));
            all
        });
        handle
    }

    /// A request with a body was answered; `started_at` is when its head was in.
    pub(crate) fn acknowledged(&self, n_body_bytes: usize, started_at: Instant) {
        self.metrics.acknowledged(n_body_bytes, started_at.elapsed());
    }
}
