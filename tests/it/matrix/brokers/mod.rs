//! Brokers as destinations: real ones that are down, slow, killed, and that have no place for what they get.

#[cfg(feature = "kafka")]
mod kafka;
pub(crate) mod server;

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    app::{app_case, eventually, sender::event, site::Site},
    matrix::{
        beside::{BREAKER, until_said},
        brokers::server::{Broker, Software},
        observed,
    },
};

/// Stripe to a broker, tried again for as long as the test lasts.
fn configure(site: &Site, kind: &str) {
    site.configure(&format!(
        "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{{ file = \"stripe.secret\" }}]\n\
         [destinations.broker]\n{kind}\ntimeout = \"2s\"\n{BREAKER}\nsigning_secret = {{ file = \"signing.secret\" }}\n\
         retry = {{ max_attempts = 1000, max_age = \"1h\", first = \"20ms\", cap = \"100ms\" }}\n\
         [[routes]]\nsource = \"stripe\"\ndestination = \"broker\"\n"
    ));
}

/// What a test does with its broker besides: makes a place for messages, and reads them back.
trait Place {
    async fn make(&self);
    /// The body and the headers of each, in order.
    async fn messages(&self) -> Vec<(Vec<u8>, Value)>;
}

/// Down from the start, without a place for what comes, slow, and killed in the middle: what was acknowledged arrives, whole, and
/// is `delivered` only once the broker said so.
async fn play(site: &Site, broker: &mut Broker, place: &impl Place, without_place: Option<&str>) {
    let app = site.start().await;
    let signed = event("evt_down");
    let mut ids = vec![app.accept(&signed).await];
    until_said(&app, "broker", "no connection").await;
    broker.start().await;
    let started_at = Instant::now();
    if let Some(said) = without_place {
        until_said(&app, "broker", said).await;
        place.make().await;
    }
    app.until_status(&ids[0], "delivered").await;
    let took = started_at.elapsed();

    broker.hang();
    ids.push(app.accept(&event("evt_slow")).await);
    until_said(&app, "broker", "did not confirm").await;
    broker.go_on();
    app.until_status(&ids[1], "delivered").await;

    broker.kill();
    ids.push(app.accept(&event("evt_killed")).await);
    app.until_status(&ids[2], "retrying").await;
    broker.start().await;
    app.until_status(&ids[2], "delivered").await;

    let messages = place.messages().await;
    let text = |headers: &Value, name: &str| headers[name].as_str().unwrap_or_default().to_owned();
    let found: BTreeSet<_> = messages
        .iter()
        .map(|(_, headers)| text(headers, "webhook-id"))
        .collect();
    assert_eq!(found, ids.iter().cloned().collect(), "{messages:?}");
    let (body, headers) = &messages[0];
    assert_eq!(*body, signed.body);
    assert_eq!(text(headers, "gatepost-source"), "stripe");
    assert_eq!(text(headers, "gatepost-verified"), "body");
    assert!(text(headers, "webhook-signature").starts_with("v1,"), "{headers}");
    observed("F76", site, "200", Some(took));
    app.finish().await;
}

#[cfg(feature = "redis")]
mod redis {
    use super::{Broker, Place, Software, Value, app_case, configure, event, play, until_said};

    struct Stream(String);

    /// Its id, and its fields in order.
    type Entry = (String, Vec<(String, Vec<u8>)>);

    impl Place for Stream {
        /// A stream is there with its first entry.
        async fn make(&self) {}

        async fn messages(&self) -> Vec<(Vec<u8>, Value)> {
            let client = redis::Client::open(self.0.as_str()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let mut read = redis::cmd("XRANGE");
            read.arg("webhooks").arg("-").arg("+");
            let entries: Vec<Entry> = read.query_async(&mut connection).await.unwrap();
            let message = |(_, fields): Entry| {
                let field = |name: &str| fields.iter().find(|it| it.0 == name).unwrap().1.clone();
                (field("body"), serde_json::from_slice(&field("headers")).unwrap())
            };
            entries.into_iter().map(message).collect()
        }
    }

    app_case!(f76_redis_down_slow_and_killed, |site| {
        let mut broker = Broker::new(Software::Redis);
        let url = format!("redis://{}", broker.address);
        configure(
            &site,
            &format!("redis = {{ url = \"{url}\", stream = \"webhooks\", max_length = 1000 }}"),
        );
        play(&site, &mut broker, &Stream(url), None).await;
    });

    app_case!(f76_h05_redis_without_the_replicas_that_are_wanted, |site| {
        let mut broker = Broker::new(Software::Redis);
        broker.start().await;
        let kind = format!(
            "redis = {{ url = \"redis://{}\", stream = \"webhooks\", replicas = 1 }}",
            broker.address
        );
        configure(&site, &kind);
        let app = site.start().await;
        app.accept(&event("evt_1")).await;
        until_said(&app, "broker", "0 of 1 replicas").await;
        app.finish_with_open(1).await;
    });
}

#[cfg(feature = "nats")]
mod nats {
    use async_nats::jetstream::{self, stream};

    use super::{Broker, Place, Software, Value, app_case, configure, eventually, play};

    struct Stream(String);

    impl Stream {
        async fn context(&self) -> jetstream::Context {
            let client = eventually("NATS answers", || async {
                async_nats::connect(&self.0).await.ok()
            })
            .await;
            jetstream::new(client)
        }
    }

    impl Place for Stream {
        async fn make(&self) {
            let config = stream::Config {
                name: "WEBHOOKS".to_owned(),
                subjects: vec!["webhooks.>".to_owned()],
                ..stream::Config::default()
            };
            self.context().await.create_stream(config).await.unwrap();
        }

        async fn messages(&self) -> Vec<(Vec<u8>, Value)> {
            let context = self.context().await;
            let mut stream = context.get_stream("WEBHOOKS").await.unwrap();
            let last = stream.info().await.unwrap().state.last_sequence;
            let mut messages = Vec::new();
            for sequence in 1..=last {
                let message = stream.get_raw_message(sequence).await.unwrap();
                let headers: serde_json::Map<_, _> = message
                    .headers
                    .iter()
                    .map(|(name, values)| (name.to_string(), values[0].to_string().into()))
                    .collect();
                messages.push((message.payload.to_vec(), headers.into()));
            }
            messages
        }
    }

    app_case!(f76_h03_nats_down_unroutable_slow_and_killed, |site| {
        let mut broker = Broker::new(Software::Nats);
        let url = format!("nats://{}", broker.address);
        configure(
            &site,
            &format!("nats = {{ url = \"{url}\", subject = \"webhooks.stripe\" }}"),
        );
        play(&site, &mut broker, &Stream(url), Some("no stream")).await;
    });
}

#[cfg(feature = "amqp")]
mod amqp {
    use lapin::{
        Connection, ConnectionProperties,
        options::{BasicGetOptions, QueueDeclareOptions},
        types::FieldTable,
    };

    use super::{Broker, Place, Site, Software, Value, configure, eventually, play};

    struct Queue(String);

    impl Queue {
        async fn connection(&self) -> Connection {
            eventually("RabbitMQ answers", || async {
                Connection::connect(&self.0, ConnectionProperties::default())
                    .await
                    .ok()
            })
            .await
        }
    }

    impl Place for Queue {
        async fn make(&self) {
            let connection = self.connection().await;
            let channel = connection.create_channel().await.unwrap();
            let declared = channel.queue_declare(
                "webhooks".into(),
                QueueDeclareOptions::durable(),
                FieldTable::default(),
            );
            declared.await.unwrap();
        }

        async fn messages(&self) -> Vec<(Vec<u8>, Value)> {
            let connection = self.connection().await;
            let channel = connection.create_channel().await.unwrap();
            let mut messages = Vec::new();
            while let Some(got) = channel
                .basic_get("webhooks".into(), BasicGetOptions::default())
                .await
                .unwrap()
            {
                assert_eq!(*got.properties.delivery_mode(), Some(2));
                let headers: serde_json::Map<_, _> = got
                    .properties
                    .headers()
                    .iter()
                    .flat_map(FieldTable::inner)
                    .map(|(name, value)| {
                        let text = value.as_long_string().unwrap().to_string();
                        (name.to_string(), text.into())
                    })
                    .collect();
                messages.push((got.data.clone(), headers.into()));
            }
            messages
        }
    }

    /// On one store alone: RabbitMQ takes long to start, and which store it is makes no difference to it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn f76_h01_h02_rabbitmq_down_unroutable_slow_and_killed() {
        let site = Site::sqlite().await;
        let mut broker = Broker::new(Software::RabbitMq);
        let url = format!("amqp://guest:guest@{}/%2f", broker.address);
        configure(
            &site,
            &format!("amqp = {{ url = \"{url}\", routing_key = \"webhooks\" }}"),
        );
        play(&site, &mut broker, &Queue(url), Some("sent it back")).await;
    }
}
