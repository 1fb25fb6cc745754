//! Requests that were not accepted, kept for an operator to see and to accept after mending a secret.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    base::{
        clock::Timestamp,
        ids::{EventId, RequestId},
    },
    event::headers::Headers,
    store::{
        Engine, Store, detached,
        error::StoreError,
        query::{Page, RequestCount, RequestQuery, RequestSummary},
        record::{NewEvent, Recorded},
        run,
        window::Patience,
    },
};

/// A request that was rejected, or that conflicted with a stored event.
#[derive(Debug, Clone)]
pub struct RejectedRequest {
    pub id: RequestId,
    pub source: Arc<str>,
    /// Stable name: `unsigned`, `signature_mismatch`, `conflict`, ...
    pub cause: String,
    /// One sentence for an operator.
    pub explanation: String,
    pub received_at: Timestamp,
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The peer, or the client that a trusted proxy named.
    pub client: Option<String>,
    pub headers: Headers,
    /// Absent where it was larger than what is kept of rejected requests; such a request cannot be accepted later.
    pub body: Option<Bytes>,
    /// The body's size in bytes.
    pub size: u64,
    /// Set once it was accepted after all: the event that it became.
    pub accepted_as: Option<EventId>,
}

/// Rejections that were only counted: more came than are kept.
#[derive(Debug, Clone)]
pub struct RejectedCount {
    pub source: Arc<str>,
    pub n_requests: u64,
}

impl Store {
    /// Keeps and counts rejected requests, and counts those that are not kept.
    pub async fn reject(
        &self,
        batch: Vec<RejectedRequest>,
        only_counted: Vec<RejectedCount>,
    ) -> Result<(), StoreError> {
        run!(self, reject(batch, only_counted))
    }

    /// Records the event that a rejected request became after all, and marks the request. It counts as received a second
    /// time. A request that was accepted before answers with the event that it became.
    pub async fn accept_rejected(
        &self,
        request: RequestId,
        event: NewEvent,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        run!(self, accept_rejected(request, event, now))
    }

    pub async fn request(&self, id: RequestId) -> Result<RejectedRequest, StoreError> {
        run!(self, request(id))
    }

    pub async fn requests(
        &self,
        query: &RequestQuery,
    ) -> Result<Page<RequestSummary, RequestId>, StoreError> {
        let query = query.clone();
        run!(self, requests(query))
    }

    /// Counts the rejected requests that the filter finds, the newest first. Looks at no cursor.
    pub async fn count_requests(
        &self,
        query: &RequestQuery,
        patience: Patience,
    ) -> Result<RequestCount, StoreError> {
        let query = query.clone();
        run!(self, count_requests(query, patience))
    }
}
