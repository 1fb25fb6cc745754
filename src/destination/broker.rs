//! What the operator says of a broker. The clients of most (`amqp`, `aws`, `kafka`, `nats`, `redis`) are cargo features; these are always
//! there, so that a build without one can say so.

use std::time::Duration;

use crate::base::{safe_url::SafeUrl, secret::Secret};

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

/// A topic of Kafka.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `kafka://host:port` each; one that answers is enough to find the others. At least one.
    pub brokers: Vec<SafeUrl>,
    pub topic: String,
    pub is_tls: bool,
    pub login: Option<KafkaLogin>,
}

impl Kafka {
    /// Whether its client has to have TLS: SCRAM's hashes come from there too.
    pub const fn needs_tls(&self) -> bool {
        match &self.login {
            _ if self.is_tls => true,
            Some(login) => !matches!(login.mechanism, Mechanism::Plain),
            None => false,
        }
    }
}

/// How gatepost logs in to Kafka (SASL).
#[derive(Debug, Clone)]
pub struct KafkaLogin {
    pub mechanism: Mechanism,
    pub username: Secret,
    pub password: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password as it is.
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    /// As the protocol names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// In whose name, and where, AWS is called, or what speaks like it.
#[derive(Debug, Clone)]
pub struct AwsAccount {
    pub region: String,
    pub access_key_id: Secret,
    pub secret_access_key: Secret,
    /// Of credentials that end.
    pub session_token: Option<Secret>,
}

/// A queue of SQS; first in, first out where its name ends in `.fifo`.
#[derive(Debug, Clone)]
pub struct Sqs {
    pub queue_url: SafeUrl,
    pub account: AwsAccount,
}

/// A topic of SNS; first in, first out where its name ends in `.fifo`.
#[derive(Debug, Clone)]
pub struct Sns {
    pub topic_arn: String,
    pub endpoint: SafeUrl,
    pub account: AwsAccount,
}

/// An event bus.
#[derive(Debug, Clone)]
pub struct EventBridge {
    /// Its name or its ARN.
    pub bus: String,
    pub endpoint: SafeUrl,
    pub account: AwsAccount,
}

/// An archive in a bucket.
#[derive(Debug, Clone)]
pub struct S3 {
    pub bucket: String,
    /// What every key begins with: empty, or with a slash at its end.
    pub prefix: String,
    /// Where the keys of the bucket begin: a slash is its end.
    pub base: SafeUrl,
    /// How long an object waits for more events, at most.
    pub gather: Duration,
    pub account: AwsAccount,
}

/// A topic of Google Pub/Sub.
#[derive(Debug, Clone)]
pub struct PubSub {
    /// `projects/PROJECT/topics/TOPIC`.
    pub topic: String,
    pub endpoint: SafeUrl,
    /// The key of a service account, in JSON. An emulator wants none.
    pub credentials: Option<Secret>,
}
