//! Destinations that are a broker: the tables `redis`, `nats`, `amqp`, `kafka` and `pubsub`.

use url::Url;

use crate::{
    base::safe_url::SafeUrl,
    config::{
        kind::{ENDPOINT, endpoint_url, url_in},
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, Read},
    },
    destination::{
        broker::{self, KafkaLogin, Mechanism},
        pubsub::GOOGLE,
    },
};

pub(super) fn redis(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<broker::Redis>, Bad> {
    let Some(mut section) = section.section("redis", reading)? else {
        return Ok(None);
    };
    let url = broker_url(
        &mut section,
        &["redis", "rediss"],
        "destinations.*.redis.url",
        reading,
    );
    let stream = section.need("stream", reading, value::text);
    let max_length = section.read("max_length", reading, value::number(1, u64::MAX >> 1));
    let replicas = section.read("replicas", reading, value::number(1, 100_u32));
    section.finish(reading);
    Ok(Some(broker::Redis {
        url: url?,
        stream: stream?,
        max_length: max_length?,
        replicas: replicas?.unwrap_or(0),
    }))
}

pub(super) fn nats(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<broker::Nats>, Bad> {
    let Some(mut section) = section.section("nats", reading)? else {
        return Ok(None);
    };
    let url = broker_url(&mut section, &["nats", "tls"], "destinations.*.nats.url", reading);
    let subject = section.need("subject", reading, value::text);
    section.finish(reading);
    Ok(Some(broker::Nats {
        url: url?,
        subject: subject?,
    }))
}

pub(super) fn amqp(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<broker::Amqp>, Bad> {
    let Some(mut section) = section.section("amqp", reading)? else {
        return Ok(None);
    };
    let url = broker_url(
        &mut section,
        &["amqp", "amqps"],
        "destinations.*.amqp.url",
        reading,
    );
    let exchange = section.read("exchange", reading, value::any_text);
    let routing_key = section.need("routing_key", reading, value::any_text);
    section.finish(reading);
    Ok(Some(broker::Amqp {
        url: url?,
        exchange: exchange?.unwrap_or_default(),
        routing_key: routing_key?,
    }))
}

pub(super) fn kafka(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<broker::Kafka>, Bad> {
    let Some(mut section) = section.section("kafka", reading)? else {
        return Ok(None);
    };
    let brokers = section.list("brokers", reading, kafka_broker);
    let brokers = match brokers {
        Ok(none) if none.is_empty() => Err(section.missing("brokers", reading)),
        other => other,
    };
    let topic = section.need("topic", reading, kafka_topic);
    let is_tls = section.read("tls", reading, value::boolean);
    let login = kafka_login(&mut section, reading);
    section.finish(reading);
    Ok(Some(broker::Kafka {
        brokers: brokers?,
        topic: topic?,
        is_tls: is_tls?.unwrap_or(false),
        login: login?,
    }))
}

fn kafka_login(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<KafkaLogin>, Bad> {
    const MECHANISMS: &[(&str, Mechanism)] = &[
        (Mechanism::Plain.name(), Mechanism::Plain),
        (Mechanism::ScramSha256.name(), Mechanism::ScramSha256),
        (Mechanism::ScramSha512.name(), Mechanism::ScramSha512),
    ];
    let mechanism = section.read("mechanism", reading, value::choice(MECHANISMS));
    let shape = "destinations.*.kafka.username";
    let username = secret_in(section, "username", shape, Literal::Allowed, reading);
    let shape = "destinations.*.kafka.password";
    let password = secret_in(section, "password", shape, Literal::Refused, reading);
    match (mechanism?, username?, password?) {
        (None, None, None) => Ok(None),
        (mechanism, Some(username), Some(password)) => Ok(Some(KafkaLogin {
            mechanism: mechanism.unwrap_or(Mechanism::ScramSha512),
            username,
            password,
        })),
        (_, None, _) => Err(section.missing("username", reading)),
        (_, _, None) => Err(section.missing("password", reading)),
    }
}

fn kafka_broker(node: &Node) -> Read<SafeUrl> {
    let url = |text: &str| {
        let url: Url = format!("kafka://{text}").parse().ok()?;
        let is_plain = url.has_host() && url.username().is_empty() && url.path().is_empty();
        (is_plain && url.query().is_none() && url.fragment().is_none()).then_some(url)
    };
    match node.text().and_then(url) {
        Some(mut url) => {
            if url.port().is_none() {
                // It has a host, so it takes a port.
                let _ = url.set_port(Some(9092));
            }
            Ok(SafeUrl::new(url))
        }
        None => value::mismatch(node, "a host and a port, as in \"kafka-1.internal:9092\""),
    }
}

/// As Kafka takes it.
fn kafka_topic(node: &Node) -> Read<String> {
    let is_part = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let is_topic =
        |it: &&str| (1..=249).contains(&it.len()) && !matches!(*it, "." | "..") && it.bytes().all(is_part);
    match node.text().filter(is_topic) {
        Some(text) => Ok(text.to_owned()),
        None => value::mismatch(
            node,
            "the name of a topic: at most 249 letters, digits, `-`, `_` and `.`",
        ),
    }
}

pub(super) fn pubsub(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<broker::PubSub>, Bad> {
    let Some(mut section) = section.section("pubsub", reading)? else {
        return Ok(None);
    };
    let topic = section.need("topic", reading, topic);
    let shape = "destinations.*.pubsub.endpoint";
    let endpoint = url_in("endpoint", &mut section, shape, ENDPOINT, endpoint_url, reading);
    let credentials = secret_in(
        &mut section,
        "credentials",
        "destinations.*.pubsub.credentials",
        Literal::Refused,
        reading,
    );
    section.finish(reading);
    let endpoint = match endpoint? {
        Some(it) => it,
        None => SafeUrl::new(GOOGLE.parse().expect("it is a URL")),
    };
    Ok(Some(broker::PubSub {
        topic: topic?,
        endpoint,
        credentials: credentials?,
    }))
}

/// Of characters that stand in a URL as they are.
fn topic(node: &Node) -> Read<String> {
    let is_fit = |it: &str| {
        let is_part =
            |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'~' | b'+' | b':');
        !it.is_empty() && it.bytes().all(is_part)
    };
    let is_topic = |it: &&str| {
        let parts: Vec<_> = it.split('/').collect();
        matches!(parts[..], ["projects", project, "topics", topic] if is_fit(project) && is_fit(topic))
    };
    match node.text().filter(is_topic) {
        Some(text) => Ok(text.to_owned()),
        None => value::mismatch(node, "a topic, as in \"projects/PROJECT/topics/TOPIC\""),
    }
}

/// A broker's URL, in plain or over TLS; it may hold a password.
fn broker_url(
    section: &mut Section<'_>,
    schemes: &[&str; 2],
    shape: &str,
    reading: &mut Reading<'_>,
) -> Result<SafeUrl, Bad> {
    let expected = format!("a URL that begins with {}:// or {}://", schemes[0], schemes[1]);
    let read = |text: &str| {
        let url: Url = text.parse().ok()?;
        (schemes.contains(&url.scheme()) && url.has_host()).then_some(url)
    };
    let url = url_in("url", section, shape, &expected, read, reading)?;
    url.ok_or_else(|| section.missing("url", reading))
}
