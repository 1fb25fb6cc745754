//! A message to a RabbitMQ exchange for each event.
//!
//! Published as persistent and mandatory, with publisher confirms: the broker confirms once every queue that it was routed to has it
//! (a durable queue on disk, a quorum queue on a majority). What it can route to no queue it sends back, and that is a failure.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
    uri::AMQPUri,
};

use crate::{
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending,
        broker::Amqp as Settings,
        headers::{Outbound, one_value_each},
        link::{Held, Link},
    },
    event::headers::Headers,
};

const PERSISTENT: u8 = 2;

/// A channel that confirms, and the connection that it lives on.
struct Line {
    _connection: Connection,
    channel: Channel,
}

/// Ready to publish.
#[derive(Debug)]
pub struct Amqp {
    uri: AMQPUri,
    exchange: ShortString,
    routing_key: ShortString,
    link: Link<Line>,
    timeout: Duration,
    outbound: Outbound,
}

impl Amqp {
    pub fn new(settings: &Settings, timeout: Duration, outbound: Outbound) -> Result<Self, Fault> {
        // What the library says of a URL names parts of it.
        let uri = settings.url.expose().as_str().parse().map_err(|_bad: String| {
            let hint = "write it as `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS";
            Fault::new("amqp.url", "it is not the URL of a RabbitMQ", hint)
        })?;
        let short = |key: &str, text: &str| {
            ShortString::try_new(text.to_owned())
                .map_err(|_long| Fault::new(key, "it has more than 255 bytes", ""))
        };
        Ok(Self {
            uri,
            exchange: short("amqp.exchange", &settings.exchange)?,
            routing_key: short("amqp.routing_key", &settings.routing_key)?,
            link: Link::default(),
            timeout,
            outbound,
        })
    }

    async fn publish(&self, held: Arc<Held<Line>>, message: &Message) -> Result<Response, SendError> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let sent = held
            .connection
            .channel
            .basic_publish(
                self.exchange.clone(),
                self.routing_key.clone(),
                options,
                &message.event.body,
                self.properties(message),
            )
            .await;
        let confirmation = match sent {
            Ok(confirmation) => confirmation.await,
            Err(error) => Err(error),
        };
        match confirmation {
            Ok(Confirmation::Ack(None)) => Ok(Response {
                status: None,
                headers: Headers::default(),
                body: Bytes::from_static(b"confirmed"),
            }),
            Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
                Err(SendError::new(
                    "unroutable",
                    format!(
                        "RabbitMQ sent it back: {} {}; is a queue bound to the exchange with this routing key?",
                        returned.reply_code, returned.reply_text
                    ),
                    Fate::Retriable,
                ))
            }
            Ok(Confirmation::Nack(None)) => Err(SendError::new(
                "refused_by_broker",
                "RabbitMQ refused it: a queue is full, or failed",
                Fate::Retriable,
            )),
            Ok(Confirmation::NotRequested) => Err(self.lost(&held, "it confirms nothing")),
            Err(error) => Err(self.lost(&held, error)),
        }
    }

    fn lost(&self, held: &Arc<Held<Line>>, why: impl std::fmt::Display) -> SendError {
        // A channel that the broker closed (no such exchange) is of no more use than a broken connection.
        self.link.lost(held);
        let explanation = format!("RabbitMQ did not confirm: {why}");
        SendError::new("reset", explanation, Fate::Ambiguous)
    }

    async fn connect(&self) -> Result<Line, SendError> {
        self.open().await.map_err(|error| {
            let explanation = format!("no connection to RabbitMQ: {error}");
            SendError::new("connect", explanation, Fate::Retriable)
        })
    }

    async fn open(&self) -> Result<Line, lapin::Error> {
        let properties = ConnectionProperties::default().with_connection_name("gatepost".into());
        let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Line {
            _connection: connection,
            channel,
        })
    }

    fn properties(&self, message: &Message) -> BasicProperties {
        let mut table = FieldTable::default();
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(message.event.id.to_string().into());
        for (name, value) in one_value_each(&self.outbound.headers(message)) {
            if name == "content-type"
                && let Ok(value) = ShortString::try_new(value.clone())
            {
                properties = properties.with_content_type(value);
            }
            // A longer name than AMQP carries has no way through.
            if let Ok(name) = ShortString::try_new(name) {
                table.insert(name, AMQPValue::LongString(value.into()));
            }
        }
        properties.with_headers(table)
    }
}

impl Destination for Amqp {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.link.attempt(
            self.timeout,
            async || self.connect().await,
            async |held| self.publish(held, message).await,
        ))
    }
}
