//! What the operator says of a broker. Their clients (`amqp`, `nats`, `redis`) are cargo features; these are always there, so that a build
//! without one can say so.

use crate::base::safe_url::SafeUrl;

/// `redis://` or, with TLS, `rediss://`.
#[derive(Debug, Clone)]
pub struct Redis {
    pub url: SafeUrl,
    pub stream: String,
    /// About so many entries are kept.
    pub max_length: Option<u64>,
    /// So many replicas must have an entry too.
    pub replicas: u32,
}

/// `nats://` or, with TLS, `tls://`.
#[derive(Debug, Clone)]
pub struct Nats {
    pub url: SafeUrl,
    pub subject: String,
}

/// `amqp://` or, with TLS, `amqps://`.
#[derive(Debug, Clone)]
pub struct Amqp {
    pub url: SafeUrl,
    /// Empty: the default one, whose routing key is the name of a queue.
    pub exchange: String,
    pub routing_key: String,
}
