//! Where a destination's events go: its `url`, or exactly one table of another kind.

mod aws;
mod broker;

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
        Kind,
        chat::{self, Service},
        exec::Program,
        queue,
    },
};

/// Each names a kind.
const KEYS: &[&str] = &[
    "url",
    "exec",
    "queue",
    "slack",
    "discord",
    "redis",
    "nats",
    "amqp",
    "kafka",
    "sqs",
    "sns",
    "eventbridge",
    "s3",
    "pubsub",
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
        broker::redis(section, reading).map(|it| it.map(Kind::Redis)),
        broker::nats(section, reading).map(|it| it.map(Kind::Nats)),
        broker::amqp(section, reading).map(|it| it.map(Kind::Amqp)),
        broker::kafka(section, reading).map(|it| it.map(Kind::Kafka)),
        aws::sqs(section, reading).map(|it| it.map(Kind::Sqs)),
        aws::sns(section, reading).map(|it| it.map(Kind::Sns)),
        aws::eventbridge(section, reading).map(|it| it.map(Kind::EventBridge)),
        aws::s3(section, reading).map(|it| it.map(Kind::S3)),
        broker::pubsub(section, reading).map(|it| it.map(Kind::PubSub)),
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
    url_in(
        "url",
        section,
        "destinations.*.url",
        expected,
        value::web_url,
        reading,
    )
}

/// A URL of a section, read so.
pub(super) fn url_in(
    key: &'static str,
    section: &mut Section<'_>,
    shape: &str,
    expected: &str,
    read: impl Fn(&str) -> Option<Url>,
    reading: &mut Reading<'_>,
) -> Result<Option<SafeUrl>, Bad> {
    let node = section.node(key, reading);
    let path = section.path_of(key);
    let url = secret_in(section, key, shape, Literal::Allowed, reading)?;
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
    let url = url_in("url", &mut section, &shape, expected, value::web_url, reading);
    let url = url.and_then(|it| it.ok_or_else(|| section.missing("url", reading)));
    let text = section.need("text", reading, value::text);
    section.finish(reading);
    Ok(Some(chat::Settings {
        service,
        url: url?,
        text: text?,
    }))
}

/// What an endpoint has to be.
const ENDPOINT: &str = "an http or https URL without a query, as in \"http://127.0.0.1:9000\"";

/// What is joined to it comes after it.
fn endpoint_url(text: &str) -> Option<Url> {
    let mut url = plain_url(text)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// Nothing after its path.
fn plain_url(text: &str) -> Option<Url> {
    value::web_url(text).filter(|it| it.query().is_none() && it.fragment().is_none())
}
