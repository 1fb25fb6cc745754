//! A message in NATS JetStream for each event.
//!
//! JetStream answers once its stream has the message, on as many servers as the stream has replicas. A subject that no stream listens
//! to is a failure: core NATS would drop the message in silence.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, HeaderMap,
    connection::State,
    header::{HeaderName, HeaderValue},
    jetstream::{self, context::PublishErrorKind},
};
use bytes::Bytes;

use crate::{
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending,
        broker::Nats as Settings,
        headers::{Outbound, one_value_each},
        link::Link,
    },
    event::headers::Headers,
};

/// Ready to publish.
#[derive(Debug)]
pub struct Nats {
    settings: Settings,
    link: Link<Client>,
    timeout: Duration,
    outbound: Outbound,
}

impl Nats {
    pub fn new(settings: &Settings, timeout: Duration, outbound: Outbound) -> Result<Self, Fault> {
        let is_fit = |it: &str| !it.is_empty() && !it.contains(['*', '>', ' ']);
        if !settings.subject.split('.').all(is_fit) {
            let hint = "write one subject, without `*` and `>`: `webhooks.stripe`";
            return Err(Fault::new("nats.subject", "nothing can be published to it", hint));
        }
        Ok(Self {
            settings: settings.clone(),
            link: Link::default(),
            timeout,
            outbound,
        })
    }

    async fn publish(&self, client: Client, message: &Message) -> Result<Response, SendError> {
        // It comes back by itself; meanwhile it would keep what is published, and send it later.
        if client.connection_state() != State::Connected {
            let explanation = "no connection to NATS: it broke, and is being made anew";
            return Err(SendError::new("connect", explanation, Fate::Retriable));
        }
        let mut context = jetstream::new(client);
        context.set_timeout(self.timeout);
        let subject = self.settings.subject.clone();
        let body = message.event.body.clone();
        let sent = context
            .publish_with_headers(subject, self.headers(message), body)
            .await;
        let ack = match sent {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        let ack = ack.map_err(|error| {
            let fate = match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => Fate::Permanent,
                PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Fate::Ambiguous,
                _ => Fate::Retriable,
            };
            let explanation = match error.kind() {
                PublishErrorKind::StreamNotFound => {
                    format!(
                        "no stream of JetStream has the subject `{}`",
                        self.settings.subject
                    )
                }
                _ => format!("JetStream did not take it: {error}"),
            };
            SendError::new("refused_by_broker", explanation, fate)
        })?;
        let known = if ack.duplicate { ", known already" } else { "" };
        Ok(Response {
            status: None,
            headers: Headers::default(),
            body: Bytes::from(format!("{}/{}{known}", ack.stream, ack.sequence)),
        })
    }

    async fn connect(&self) -> Result<Client, SendError> {
        let options = ConnectOptions::new()
            .name("gatepost")
            .connection_timeout(self.timeout);
        let connected = options.connect(self.settings.url.expose().as_str()).await;
        connected.map_err(|error| {
            let explanation = format!("no connection to NATS: {error}");
            SendError::new("connect", explanation, Fate::Retriable)
        })
    }

    /// And the delivery's id, by which JetStream knows a repetition within its window: it is the same on every retry, and another one
    /// on a replay, which is meant to arrive.
    fn headers(&self, message: &Message) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in one_value_each(&self.outbound.headers(message)) {
            // What NATS cannot carry has no way through.
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
                headers.insert(name, value);
            }
        }
        headers.insert("Nats-Msg-Id", message.delivery_id.to_string());
        headers
    }
}

impl Destination for Nats {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.link.attempt(
            self.timeout,
            async || self.connect().await,
            async |held| self.publish(held.connection.clone(), message).await,
        ))
    }
}
