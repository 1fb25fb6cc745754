//! Sending one event to one destination.
//!
//! `build` is the door. `headers` says what a handler gets besides the body, `signing` signs it, `check` finds the faults
//! of a config; each kind of destination is a file or a folder of its own that sends. What an HTTP answer means is for
//! `delivery` to judge.
//!
//! Imports: `base`, `event`, `egress`.

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "aws")]
pub mod aws;
pub mod breaker;
pub mod broker;
pub mod chat;
pub mod check;
pub mod exec;
pub mod headers;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(any(feature = "amqp", feature = "kafka", feature = "nats", feature = "redis"))]
pub mod link;
#[cfg(feature = "nats")]
pub mod nats;
pub mod oauth2;
pub mod pubsub;
pub mod queue;
#[cfg(feature = "redis")]
pub mod redis;
pub mod retry;
pub mod signing;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    base::{clock::Timestamp, ids::DeliveryId, safe_url::SafeUrl, secret::Secret},
    destination::{
        breaker::Rules,
        chat::Chat,
        check::Parts,
        exec::{Exec, Program},
        http::Http,
        queue::Queue,
        retry::Retry,
    },
    egress::guard::Reach,
    event::{Event, Hash, Origin, headers::Headers, trace::Traceparent},
};

/// What the operator says of a destination.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub kind: Kind,
    /// From the first byte out to the last byte in.
    pub timeout: Duration,
    /// Attempts in flight at once, in one process; retries get three quarters of them at most.
    pub concurrency: u32,
    /// Attempts per second, of all processes together.
    pub rate: Option<u32>,
    /// `whsec_` and base64, or plain text of at least 16 bytes. The libraries of Standard Webhooks want base64: who gives
    /// plain text here gives them its base64 form.
    pub signing_secret: Option<Secret>,
    /// In place of it while it is exchanged: what is sent carries a signature by each.
    pub signing_secrets: Vec<Secret>,
    /// Added to every request; values may be secret. They win over the sender's of the same name.
    pub headers: Vec<(String, Secret)>,
    /// Whose tokens a handler behind a URL wants to see.
    pub oauth2: Option<oauth2::Settings>,
    pub tls: Tls,
    /// Dials in gatepost's place, where HTTP is spoken.
    pub proxy: Option<SafeUrl>,
    pub retry: Retry,
    /// After so many dead letters in a row it is held until somebody resumes it.
    pub hold_after: Option<u32>,
    /// When it is left alone for a while.
    pub breaker: Rules,
}

/// What a destination's TLS differs in, all in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Authorities that are trusted besides the system's.
    pub ca_certificate: Option<Secret>,
    /// What gatepost shows of itself, and the key to it.
    pub client_certificate: Option<Secret>,
    pub client_key: Option<Secret>,
}

/// What stands at the other end.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A handler behind a URL.
    Http(SafeUrl),
    /// A command, run for each event.
    Exec(Program),
    /// Consumers fetch.
    Queue(queue::Settings),
    /// A message in a channel of Slack or Discord.
    Chat(chat::Settings),
    /// A stream of Redis.
    Redis(broker::Redis),
    /// A subject of NATS JetStream.
    Nats(broker::Nats),
    /// An exchange of RabbitMQ.
    Amqp(broker::Amqp),
    /// A topic of Kafka.
    Kafka(broker::Kafka),
    /// A queue of AWS.
    Sqs(broker::Sqs),
    /// A topic of AWS.
    Sns(broker::Sns),
    /// An event bus of AWS.
    EventBridge(broker::EventBridge),
    /// An archive in a bucket.
    S3(broker::S3),
    /// A topic of Google Pub/Sub.
    PubSub(broker::PubSub),
}

impl Kind {
    /// Stable name for the API, metrics and docs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Exec(_) => "exec",
            Self::Queue(_) => "queue",
            Self::Chat(chat) => chat.service.name(),
            Self::Redis(_) => "redis",
            Self::Nats(_) => "nats",
            Self::Amqp(_) => "amqp",
            Self::Kafka(_) => "kafka",
            Self::Sqs(_) => "sqs",
            Self::Sns(_) => "sns",
            Self::EventBridge(_) => "eventbridge",
            Self::S3(_) => "s3",
            Self::PubSub(_) => "pubsub",
        }
    }

    /// The cargo feature that it needs.
    pub const fn feature(&self) -> Option<&'static str> {
        match self {
            Self::Redis(_) => Some("redis"),
            Self::Nats(_) => Some("nats"),
            Self::Amqp(_) => Some("amqp"),
            Self::Kafka(kafka) if kafka.needs_tls() => Some("kafka-tls"),
            Self::Kafka(_) => Some("kafka"),
            Self::Sqs(_) | Self::Sns(_) | Self::EventBridge(_) | Self::S3(_) => Some("aws"),
            Self::Http(_) | Self::Exec(_) | Self::Queue(_) | Self::Chat(_) | Self::PubSub(_) => None,
        }
    }

    /// The URL that it is spoken to at, where there is one.
    pub fn url(&self) -> Option<&SafeUrl> {
        match self {
            Self::Http(url) => Some(url),
            Self::Exec(_) | Self::Queue(_) => None,
            Self::Chat(chat) => Some(&chat.url),
            Self::Redis(redis) => Some(&redis.url),
            Self::Nats(nats) => Some(&nats.url),
            Self::Amqp(amqp) => Some(&amqp.url),
            Self::Kafka(kafka) => kafka.brokers.first(),
            Self::Sqs(sqs) => Some(&sqs.queue_url),
            Self::Sns(sns) => Some(&sns.endpoint),
            Self::EventBridge(bus) => Some(&bus.endpoint),
            Self::S3(archive) => Some(&archive.base),
            Self::PubSub(pubsub) => Some(&pubsub.endpoint),
        }
    }

    /// Of that URL, where HTTP is spoken.
    pub fn scheme(&self) -> Option<&str> {
        match self {
            Self::Redis(_) | Self::Nats(_) | Self::Amqp(_) | Self::Kafka(_) => None,
            _ => self.url().map(|it| it.expose().scheme()),
        }
    }

    /// Whether it is spoken to over TLS whose authorities and certificate of ours a config may name.
    pub fn takes_certificates(&self) -> bool {
        match self {
            Self::Kafka(kafka) => kafka.is_tls,
            _ => self.scheme() == Some("https"),
        }
    }

    /// Whether what comes back has an HTTP status.
    pub const fn has_statuses(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Chat(_))
    }

    /// Whether it gets the headers of an event, and so a signature.
    pub const fn has_headers(&self) -> bool {
        !matches!(self, Self::Chat(_) | Self::S3(_))
    }

    /// Whether it keeps the order of what has one key.
    pub fn has_order(&self) -> bool {
        match self {
            Self::Sqs(sqs) => sqs.queue_url.expose().path().ends_with(FIFO),
            Self::Sns(sns) => sns.topic_arn.ends_with(FIFO),
            Self::Kafka(_) | Self::PubSub(_) => true,
            _ => false,
        }
    }

    /// Where it leads, for an operator; without credentials and arguments.
    pub fn target(&self) -> String {
        match self {
            Self::Http(url) => url.to_string(),
            Self::Exec(program) => program.command.first().cloned().unwrap_or_default(),
            Self::Queue(_) => "consumers".to_owned(),
            // Its path is a secret.
            Self::Chat(chat) => chat.url.expose().host_str().unwrap_or_default().to_owned(),
            Self::Redis(redis) => format!("{} {}", redis.url, redis.stream),
            Self::Nats(nats) => format!("{} {}", nats.url, nats.subject),
            Self::Amqp(amqp) => format!("{} {} {}", amqp.url, amqp.exchange, amqp.routing_key),
            Self::Kafka(kafka) => {
                let brokers: Vec<_> = kafka.brokers.iter().map(ToString::to_string).collect();
                format!("{} {}", brokers.join(","), kafka.topic)
            }
            Self::Sqs(sqs) => sqs.queue_url.to_string(),
            Self::Sns(sns) => sns.topic_arn.clone(),
            Self::EventBridge(bus) => format!("{} {}", bus.endpoint, bus.bus),
            Self::S3(archive) => format!("{} {}", archive.base, archive.prefix),
            Self::PubSub(pubsub) => format!("{} {}", pubsub.endpoint, pubsub.topic),
        }
    }
}

/// What the names of AWS's queues and topics end in that keep an order.
const FIFO: &str = ".fifo";

/// One event on its way to one destination.
#[derive(Debug, Clone)]
pub struct Message {
    pub event: Arc<Event>,
    pub delivery_id: DeliveryId,
    pub origin: Origin,
    /// 1 for the first.
    pub attempt: u32,
    /// A newer event of its key was delivered before, and the route marks that.
    pub is_stale: bool,
    /// What it shares with the events that it must not overtake; only for destinations that keep an order (`Kind::has_order`).
    pub order_key: Option<Hash>,
    pub traceparent: Traceparent,
    pub now: Timestamp,
}

/// What came back from the other end.
#[derive(Debug, Clone)]
pub struct Response {
    /// HTTP's, which is judged. `None`: there is no such thing, and the event was taken.
    pub status: Option<u16>,
    /// Without cookies, and only as many as fit in 16 KiB.
    pub headers: Headers,
    /// At most 4 KiB.
    pub body: Bytes,
}

/// The event was not taken, or nobody can say whether it was. `code` is stable (`timeout`, `refused`, `reset`, `dns`, `tls`,
/// `forbidden_address`, `exit`, ...).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{explanation}")]
pub struct SendError {
    pub code: &'static str,
    pub explanation: String,
    pub fate: Fate,
    /// What the other end said all the same: at most 4 KiB.
    pub output: Bytes,
}

/// What a failure means for the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was not taken, and may be later.
    Retriable,
    /// It may have been taken, and the word of that was lost: it is sent again, and may arrive twice.
    Ambiguous,
    /// As it is, it will never be taken.
    Permanent,
}

impl SendError {
    pub fn new(code: &'static str, explanation: impl Into<String>, fate: Fate) -> Self {
        Self {
            code,
            explanation: explanation.into(),
            fate,
            output: Bytes::new(),
        }
    }
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, SendError>> + Send + 'a>>;

/// Somewhere events go. The only open set of gatepost. Dropping the future gives the attempt up.
pub trait Destination: Send + Sync + std::fmt::Debug {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

/// A destination that is ready.
#[derive(Debug, Clone)]
pub enum Way {
    /// The delivery pool sends.
    Push(Arc<dyn Destination>),
    /// Consumers fetch, and the pool leaves it alone.
    Pull(Arc<Queue>),
}

/// A fault in a destination's settings: which key of it, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

impl Fault {
    /// An empty hint is none.
    fn new(key: impl Into<String>, problem: impl Into<String>, hint: &str) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        }
    }
}

/// Builds the destination that the settings name; every fault at once.
///
/// It may reach private addresses: whoever writes the config file names its own handlers. Settings from anywhere else
/// must not come here.
pub fn build(settings: &Settings) -> Result<Way, Vec<Fault>> {
    let (parts, mut faults) = check::common(settings);
    match build_kind(settings, parts) {
        Ok(way) if faults.is_empty() => Ok(way),
        Ok(_) => Err(faults),
        Err(fault) => {
            faults.push(fault);
            Err(faults)
        }
    }
}

/// The same at another URL, which did not come from the config file: no further than that reach, and without the operator's
/// headers, tokens and certificate, which are for the one that the config names; nor by its proxy, which would dial what is out
/// of reach.
pub fn elsewhere(settings: &Settings, url: SafeUrl, reach: Reach) -> Result<(Settings, Way), Vec<Fault>> {
    let settings = Settings {
        kind: Kind::Http(url.clone()),
        headers: Vec::new(),
        oauth2: None,
        proxy: None,
        tls: Tls {
            client_certificate: None,
            client_key: None,
            ..settings.tls.clone()
        },
        ..settings.clone()
    };
    let (parts, faults) = check::common(&settings);
    if !faults.is_empty() {
        return Err(faults);
    }
    match Http::new(&url, &settings, parts, reach) {
        Ok(http) => Ok((settings, push(http))),
        Err(fault) => Err(vec![fault]),
    }
}

fn build_kind(settings: &Settings, parts: Parts) -> Result<Way, Fault> {
    let timeout = settings.timeout;
    Ok(match &settings.kind {
        Kind::Http(url) => push(Http::new(url, settings, parts, Reach::Private)?),
        Kind::Exec(program) => push(Exec::new(program, timeout, parts.outbound)?),
        Kind::Queue(queue) => Way::Pull(Arc::new(Queue::new(queue.clone(), parts.outbound))),
        Kind::Chat(chat) => push(Chat::new(chat, settings, parts)?),
        Kind::PubSub(it) => push(pubsub::PubSub::new(it, settings, parts)?),
        #[cfg(feature = "redis")]
        Kind::Redis(it) => push(redis::Redis::new(it, timeout, parts.outbound)?),
        #[cfg(feature = "nats")]
        Kind::Nats(it) => push(nats::Nats::new(it, timeout, parts.outbound)?),
        #[cfg(feature = "amqp")]
        Kind::Amqp(it) => push(amqp::Amqp::new(it, timeout, parts.outbound)?),
        #[cfg(feature = "kafka")]
        Kind::Kafka(it) if kafka::can(it) => push(kafka::Kafka::new(it, settings, parts.outbound)?),
        #[cfg(feature = "aws")]
        Kind::Sqs(it) => push(aws::sqs::Sqs::new(it, settings, parts)?),
        #[cfg(feature = "aws")]
        Kind::Sns(it) => push(aws::sns::Sns::new(it, settings, parts)?),
        #[cfg(feature = "aws")]
        Kind::EventBridge(it) => push(aws::eventbridge::EventBridge::new(it, settings, parts)?),
        #[cfg(feature = "aws")]
        Kind::S3(it) => push(aws::s3::S3::new(it, settings, parts)?),
        // Whether Kafka can be spoken to is seen only now, so that this stands in every build.
        other => return Err(left_out(other)),
    })
}

/// Of a kind that is a cargo feature.
fn left_out(kind: &Kind) -> Fault {
    let feature = kind.feature().unwrap_or(kind.name());
    Fault::new(
        kind.name(),
        format!("this gatepost was built without {feature}"),
        &format!("use the official image, or build it with `cargo build --release --features {feature}`"),
    )
}

fn push(destination: impl Destination + 'static) -> Way {
    Way::Push(Arc::new(destination))
}
