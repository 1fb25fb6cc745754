//! Requests that were not accepted, kept for an operator to see and to accept after mending a secret.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    base::{clock::Timestamp, ids::RequestId},
    event::headers::Headers,
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
    pub accepted_as: Option<crate::base::ids::EventId>,
}

/// Rejections that were only counted: more came than are kept.
#[derive(Debug, Clone)]
pub struct RejectedCount {
    pub source: Arc<str>,
    pub n_requests: u64,
}
