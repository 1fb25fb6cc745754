//! A record in a topic of Kafka for each event.
//!
//! Kafka answers once the leader of the partition and every replica in sync has the record (`acks = all`); how many those are at
//! least is for the topic's `min.insync.replicas` to say. What the client repeats by itself within an attempt is there once
//! (`enable.idempotence`); what an attempt repeats that was given up may be there twice.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord, Producer as _, future_producer::Delivery},
};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending, Settings,
        broker::Kafka as Own,
        headers::{Outbound, one_value_each},
        link::{Held, Link},
    },
    event::headers::Headers,
};

/// The broker's own limit counts, not the client's.
const MAX_MESSAGE: &str = "100000000";
/// How often the client looks for what has waited too long.
const CLIENT_PACE: Duration = Duration::from_secs(1);
/// As much of its words is shown.
const MAX_SHOWN: usize = 300;

/// Ready to produce.
pub struct Kafka {
    config: ClientConfig,
    topic: String,
    link: Link<Client>,
    timeout: Duration,
    outbound: Outbound,
}

impl fmt::Debug for Kafka {
    /// Without the config, which holds the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// Whether this build speaks to such a Kafka.
pub const fn can(own: &Own) -> bool {
    cfg!(feature = "kafka-tls") || !own.needs_tls()
}

impl Kafka {
    pub fn new(own: &Own, settings: &Settings, outbound: Outbound) -> Result<Self, Fault> {
        let config = client_config(own, settings);
        // What the library says of a setting names the setting alone.
        config.create_native_config().map_err(|error| {
            let hint = "compare it with what the operator of the cluster gave you";
            Fault::new("kafka", format!("its client does not take that: {error}"), hint)
        })?;
        Ok(Self {
            config,
            topic: own.topic.clone(),
            link: Link::default(),
            timeout: settings.timeout,
            outbound,
        })
    }

    /// A client that has seen the topic: what it was given for one that it has not would wait without a word.
    async fn connect(&self) -> Result<Client, SendError> {
        let (config, topic, patience) = (self.config.clone(), self.topic.clone(), self.timeout / 2);
        let made = spawn_blocking(move || {
            let client = Client::new(&config)?;
            client.look_for(&topic, patience)?;
            Ok(client)
        });
        let failed = |_panic| SendError::new("connect", "Kafka's client failed", Fate::Retriable);
        made.await.map_err(failed)?
    }

    async fn produce(&self, held: Arc<Held<Client>>, message: &Message) -> Result<Response, SendError> {
        // Without an order any partition serves.
        let key = match &message.order_key {
            Some(key) => hex::encode(key.0),
            None => message.event.id.to_string(),
        };
        let headers = one_value_each(&self.outbound.headers(message));
        let headers = headers.iter().fold(
            OwnedHeaders::new_with_capacity(headers.len()),
            |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: Some(value),
                })
            },
        );
        let record = FutureRecord::to(&self.topic)
            .key(&key)
            .payload(&message.event.body[..])
            .headers(headers);
        // A full queue is an answer like any other.
        match held.connection.producer().send(record, Duration::ZERO).await {
            Ok(Delivery {
                partition, offset, ..
            }) => Ok(Response {
                status: None,
                headers: Headers::default(),
                body: Bytes::from(format!("{}/{partition}/{offset}", self.topic)),
            }),
            Err((error, _message)) => {
                let error = refused(&error, &self.topic, &held.connection.told());
                // It may be one that never comes back; another one says so when it is made.
                if error.code != "too_large" {
                    self.link.lost(&held);
                }
                Err(error)
            }
        }
    }
}

impl Destination for Kafka {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.link.attempt(
            self.timeout,
            async || self.connect().await,
            async |held| self.produce(held, message).await,
        ))
    }
}

fn client_config(own: &Own, settings: &Settings) -> ClientConfig {
    let brokers: Vec<_> = own.brokers.iter().map(|it| it.expose().authority()).collect();
    // The client gives up before the attempt does, so that its reason is heard. It looks once a second.
    let patience = (settings.timeout * 9 / 10).saturating_sub(CLIENT_PACE);
    let patience = patience.max(settings.timeout / 4).as_millis().max(10).to_string();
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers.join(","))
        .set("client.id", "gatepost")
        .set("enable.idempotence", "true")
        .set("allow.auto.create.topics", "false")
        .set("message.timeout.ms", &patience)
        .set("message.max.bytes", MAX_MESSAGE)
        .set("linger.ms", "0")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "1000")
        // Java's: who reads by key elsewhere finds the same partition.
        .set("partitioner", "murmur2_random");
    config.set(
        "security.protocol",
        match (own.is_tls, own.login.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        },
    );
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    if let Some(login) = &own.login {
        config
            .set("sasl.mechanism", login.mechanism.name())
            .set("sasl.username", text(login.username.expose()))
            .set("sasl.password", text(login.password.expose()));
    }
    let tls = &settings.tls;
    for (key, pem) in [
        ("ssl.ca.pem", &tls.ca_certificate),
        ("ssl.certificate.pem", &tls.client_certificate),
        ("ssl.key.pem", &tls.client_key),
    ] {
        if let Some(pem) = pem {
            config.set(key, text(pem.expose()));
        }
    }
    config
}

/// What the client said last of its connections: a call that fails says no more than that it did.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl ClientContext for Told {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, text, "kafka");
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        let shown = reason.replace(char::is_control, " ");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown.chars().take(MAX_SHOWN).collect();
    }
}

/// A producer, and what it said last.
struct Client {
    /// There until it is dropped.
    producer: Option<FutureProducer<Told>>,
    told: Told,
}

impl Client {
    fn new(config: &ClientConfig) -> Result<Self, SendError> {
        let told = Told::default();
        let producer = config.create_with_context(told.clone());
        let producer = producer.map_err(|error| {
            let explanation = format!("Kafka's client could not be made: {error}");
            SendError::new("connect", explanation, Fate::Retriable)
        })?;
        Ok(Self {
            producer: Some(producer),
            told,
        })
    }

    fn producer(&self) -> &FutureProducer<Told> {
        self.producer.as_ref().expect("it is there until the drop")
    }

    fn told(&self) -> String {
        self.told.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Blocks for as long.
    fn look_for(&self, topic: &str, patience: Duration) -> Result<(), SendError> {
        let asked = self.producer().client().fetch_metadata(Some(topic), patience);
        let metadata = asked.map_err(|error| {
            let told = self.told();
            let why = if told.is_empty() { error.to_string() } else { told };
            SendError::new(
                "connect",
                format!("no connection to Kafka: {why}"),
                Fate::Retriable,
            )
        })?;
        let found = metadata.topics().iter().find(|it| it.name() == topic);
        match found.map(MetadataTopic::error) {
            Some(None) => Ok(()),
            Some(Some(error)) => Err(refused(
                &KafkaError::MessageProduction(error.into()),
                topic,
                &self.told(),
            )),
            None => Err(no_topic(topic)),
        }
    }
}

impl Drop for Client {
    /// It waits for its threads, which is nothing to do between two attempts of others.
    fn drop(&mut self) {
        let producer = self.producer.take();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(move || drop(producer));
        }
    }
}

fn no_topic(topic: &str) -> SendError {
    let explanation = format!("Kafka has no topic `{topic}`");
    SendError::new("refused_by_broker", explanation, Fate::Retriable)
}

fn refused(error: &KafkaError, topic: &str, told: &str) -> SendError {
    let Some(code) = error.rdkafka_error_code() else {
        let explanation = format!("Kafka's client did not take it: {error}");
        return SendError::new("refused_by_broker", explanation, Fate::Ambiguous);
    };
    let said = |code, fate| SendError::new(code, format!("Kafka did not take it: {error}"), fate);
    match code {
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownTopicOrPartition
        | RDKafkaErrorCode::UnknownPartition => no_topic(topic),
        RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge => {
            said("too_large", Fate::Permanent)
        }
        RDKafkaErrorCode::NotEnoughReplicas => said("replicas", Fate::Retriable),
        RDKafkaErrorCode::NotEnoughReplicasAfterAppend => said("replicas", Fate::Ambiguous),
        RDKafkaErrorCode::QueueFull
        | RDKafkaErrorCode::PurgeQueue
        | RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::InvalidTopic => said("refused_by_broker", Fate::Retriable),
        RDKafkaErrorCode::MessageTimedOut => {
            let mut explanation = "Kafka did not confirm in time".to_owned();
            if !told.is_empty() {
                explanation = format!("{explanation}; its client says: {told}");
            }
            SendError::new("timeout", explanation, Fate::Ambiguous)
        }
        _ => said("refused_by_broker", Fate::Ambiguous),
    }
}
