//! Destinations that are a broker: the tables `redis`, `nats` and `amqp`.

use url::Url;

use crate::{
    base::safe_url::SafeUrl,
    config::{
        kind::url_in,
        section::{Bad, Reading, Section},
        value,
    },
    destination::broker,
};

pub(super) fn redis(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Redis>, Bad> {
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

pub(super) fn nats(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Nats>, Bad> {
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

pub(super) fn amqp(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Amqp>, Bad> {
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
