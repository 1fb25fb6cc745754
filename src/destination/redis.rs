//! An entry in a Redis stream for each event (`XADD`).
//!
//! Redis answers once the entry is in its memory. Whether it outlives a crash is for its `appendfsync` to say; with `replicas` the
//! attempt is done only when so many replicas have it too (`WAIT`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{AsyncConnectionConfig, Client, RedisError, aio::MultiplexedConnection};
use serde_json::{Map, Value};

use crate::{
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending,
        broker::Redis as Settings,
        headers::{Outbound, one_value_each},
        link::{Held, Link},
    },
    event::headers::Headers,
};

/// Ready to add.
#[derive(Debug)]
pub struct Redis {
    settings: Settings,
    client: Client,
    link: Link<MultiplexedConnection>,
    timeout: Duration,
    outbound: Outbound,
}

impl Redis {
    pub fn new(settings: &Settings, timeout: Duration, outbound: Outbound) -> Result<Self, Fault> {
        // What the library says of a URL names parts of it.
        let client = Client::open(settings.url.expose().as_str()).map_err(|_bad| {
            let hint = "write it as `redis://host:6379/0`, or `rediss://` for TLS";
            Fault::new("redis.url", "it is not the URL of a Redis", hint)
        })?;
        Ok(Self {
            settings: settings.clone(),
            client,
            link: Link::default(),
            timeout,
            outbound,
        })
    }

    async fn add(
        &self,
        held: Arc<Held<MultiplexedConnection>>,
        message: &Message,
    ) -> Result<Response, SendError> {
        let mut connection = held.connection.clone();
        let headers = one_value_each(&self.outbound.headers(message));
        let event = &message.event;
        let headers: Map<String, Value> = headers.into_iter().map(|(name, it)| (name, it.into())).collect();
        let mut add = redis::cmd("XADD");
        add.arg(&self.settings.stream);
        if let Some(n) = self.settings.max_length {
            add.arg("MAXLEN").arg("~").arg(n);
        }
        add.arg("*")
            .arg("id")
            .arg(event.id.to_string())
            .arg("source")
            .arg(&*event.source)
            .arg("type")
            .arg(event.event_type.as_deref().unwrap_or_default())
            .arg("headers")
            .arg(Value::Object(headers).to_string())
            .arg("body")
            .arg(&event.body[..]);
        let id: Result<String, _> = add.query_async(&mut connection).await;
        let id = self.checked(id, &held)?;
        if self.settings.replicas > 0 {
            let mut wait = redis::cmd("WAIT");
            // Less than the attempt's own time, so that the answer still comes.
            let patience = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX);
            wait.arg(self.settings.replicas).arg(patience.max(1));
            let n_replicas: Result<u32, _> = wait.query_async(&mut connection).await;
            let n_replicas = self.checked(n_replicas, &held)?;
            if n_replicas < self.settings.replicas {
                let explanation = format!(
                    "Redis added it as `{id}`, but {n_replicas} of {} replicas had it in time",
                    self.settings.replicas
                );
                return Err(SendError::new("replicas", explanation, Fate::Ambiguous));
            }
        }
        Ok(Response {
            status: None,
            headers: Headers::default(),
            body: Bytes::from(id),
        })
    }

    async fn connect(&self) -> Result<MultiplexedConnection, SendError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            // The attempt has a time of its own.
            .set_response_timeout(None);
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(refused)
    }

    fn checked<T>(
        &self,
        result: Result<T, RedisError>,
        held: &Arc<Held<MultiplexedConnection>>,
    ) -> Result<T, SendError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if let Some(code) = error.code() {
            // It answered: it did not take it. A server that became a replica says so on this connection for ever.
            if code == "READONLY" {
                self.link.lost(held);
            }
            let explanation = format!("Redis refused it: {error}");
            return Err(SendError::new("refused_by_broker", explanation, Fate::Retriable));
        }
        self.link.lost(held);
        let explanation = format!("the connection to Redis broke before it answered: {error}");
        Err(SendError::new("reset", explanation, Fate::Ambiguous))
    }
}

impl Destination for Redis {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.link.attempt(
            self.timeout,
            async || self.connect().await,
            async |held| self.add(held, message).await,
        ))
    }
}

fn refused(error: RedisError) -> SendError {
    let code = if error.is_connection_refusal() {
        "refused"
    } else {
        "connect"
    };
    SendError::new(code, format!("no connection to Redis: {error}"), Fate::Retriable)
}
