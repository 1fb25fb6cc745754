//! Where a destination's events go: its `url`, or exactly one table of another kind.

use std::time::Duration;

use url::Url;

use crate::{
    base::safe_url::SafeUrl,
    config::{
        destination::named_secrets,
        error::Fault,
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        value,
    },
    destination::{
        Kind, broker,
        chat::{self, Service},
        exec::Program,
        queue,
    },
};

/// Each names a kind.
const KEYS: &[&str] = &[
    "url", "exec", "queue", "slack", "discord", "redis", "nats", "amqp",
];

const SECOND: Duration = Duration::from_secs(1);
const DEFAULT_LEASE: Duration = Duration::from_mins(1);
const MAX_LEASE: Duration = Duration::from_hours(12);

/// Exactly one of them; all that are there are read, so that every fault shows.
pub(super) fn kind(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Kind, Bad> {
    let kinds = [
        url(section, reading).map(|it| it.map(Kind::Http)),
        exec(section, reading).map(|it| it.map(Kind::Exec)),
        queue(section, reading).map(|it| it.map(Kind::Queue)),
        chat("slack", Service::Slack, section, reading).map(|it| it.map(Kind::Chat)),
        chat("discord", Service::Discord, section, reading).map(|it| it.map(Kind::Chat)),
        redis(section, reading).map(|it| it.map(Kind::Redis)),
        nats(section, reading).map(|it| it.map(Kind::Nats)),
        amqp(section, reading).map(|it| it.map(Kind::Amqp)),
    ];
    let given: Vec<_> = KEYS.iter().copied().filter(|it| section.has(it)).collect();
    let [_] = given[..] else {
        return Err(reading.fault(not_one(section, &given)));
    };
    let kinds: Vec<_> = kinds.into_iter().collect::<Result<_, Bad>>()?;
    kinds.into_iter().flatten().next().ok_or(Bad)
}

fn not_one(section: &Section<'_>, given: &[&str]) -> Fault {
    let path = &section.path;
    let quoted = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|it| format!("`{it}`")).collect();
        keys.join(", ")
    };
    let label = format!("expected one of {}", quoted(KEYS));
    if given.is_empty() {
        return Fault::new(
            &section.place,
            format!("`{path}` does not say where its events go"),
        )
        .label(label);
    }
    let place = section.place_of(given[given.len() - 1]);
    Fault::new(
        &place,
        format!("`{path}` goes to more than one place: {}", quoted(given)),
    )
    .label(label)
    .hint("make a destination of each, and a route to each".to_owned())
}

/// A URL, or a reference to one that is secret as a whole.
fn url(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<SafeUrl>, Bad> {
    let expected = "an http or https URL, as in \"http://127.0.0.1:3000/hooks\"";
    url_in(section, "destinations.*.url", expected, value::web_url, reading)
}

/// The `url` of a section, read so.
fn url_in(
    section: &mut Section<'_>,
    shape: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<Url>,
    reading: &mut Reading<'_>,
) -> Result<Option<SafeUrl>, Bad> {
    let node = section.node("url", reading);
    let path = section.path_of("url");
    let url = secret_in(section, "url", shape, Literal::Allowed, reading)?;
    let (Some(url), Some(node)) = (url, node) else {
        return Ok(None);
    };
    if let Some(url) = url.expose_str().and_then(read) {
        return Ok(Some(SafeUrl::new(url)));
    }
    // What was found is not shown: it may be a secret.
    let fault =
        Fault::new(&node.place, format!("bad value for `{path}`")).label(format!("expected {expected}"));
    Err(reading.fault(fault))
}

fn exec(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Program>, Bad> {
    let Some(mut section) = section.section("exec", reading)? else {
        return Ok(None);
    };
    let command = section.list("command", reading, value::any_text);
    let directory = section.read("directory", reading, value::text);
    let shape = "destinations.*.exec.environment.*";
    let environment = named_secrets(&mut section, "environment", shape, reading);
    section.finish(reading);
    Ok(Some(Program {
        command: command?,
        directory: directory?,
        environment: environment?,
    }))
}

fn queue(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<queue::Settings>, Bad> {
    let Some(mut section) = section.section("queue", reading)? else {
        return Ok(None);
    };
    let lease = section.read("lease", reading, value::duration(SECOND, MAX_LEASE));
    section.finish(reading);
    Ok(Some(queue::Settings {
        lease: lease?.unwrap_or(DEFAULT_LEASE),
    }))
}

fn chat(
    key: &'static str,
    service: Service,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<chat::Settings>, Bad> {
    let Some(mut section) = section.section(key, reading)? else {
        return Ok(None);
    };
    let shape = format!("destinations.*.{key}.url");
    let expected = "the URL of an incoming webhook";
    let url = url_in(&mut section, &shape, expected, value::web_url, reading);
    let url = url.and_then(|it| it.ok_or_else(|| section.missing("url", reading)));
    let text = section.need("text", reading, value::text);
    section.finish(reading);
    Ok(Some(chat::Settings {
        service,
        url: url?,
        text: text?,
    }))
}

fn redis(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Redis>, Bad> {
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

fn nats(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Nats>, Bad> {
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

fn amqp(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<broker::Amqp>, Bad> {
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
    let url = url_in(section, shape, &expected, read, reading)?;
    url.ok_or_else(|| section.missing("url", reading))
}
