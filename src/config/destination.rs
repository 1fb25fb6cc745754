//! `[destinations.NAME]`.

use std::time::Duration;

use crate::{
    base::{safe_url::SafeUrl, secret::Secret},
    config::{
        error::Fault,
        kind,
        process::secret_in,
        secrets::{self, Literal},
        section::{Bad, Reading, Section},
        tree::{Node, Value},
        units::show_duration,
        value::{self, DAY},
    },
    destination::{
        self, Tls,
        breaker::Rules,
        oauth2::{self, ClientAuth},
        retry::{Retry, Statuses},
    },
};

const MILLISECOND: Duration = Duration::from_millis(1);
/// What a stop, a lease and an operator can still wait for.
const MAX_TIMEOUT: Duration = Duration::from_mins(5);

pub(super) fn destination(
    name: &str,
    node: &Node,
    reading: &mut Reading<'_>,
) -> Result<destination::Settings, Bad> {
    let mut section = Section::of(node, format!("destinations.{name}"), "destinations.*", reading)?;
    let kind = kind::kind(&mut section, reading);
    let timeout = section.need("timeout", reading, |node| {
        value::duration(MILLISECOND, MAX_TIMEOUT)(node).map_err(|it| value::Mismatch {
            hint: it
                .hint
                .or_else(|| Some("a handler that needs longer should answer 202 and work on".into())),
            ..it
        })
    });
    let concurrency = section.need("concurrency", reading, value::number(1, 10_000_u32));
    let rate = section.read("rate", reading, value::rate);
    let signing_secret = secret_in(
        &mut section,
        "signing_secret",
        "destinations.*.signing_secret",
        Literal::Refused,
        reading,
    );
    let signing_secrets = signing_secrets(&mut section, reading);
    let headers = named_secrets(&mut section, "headers", "destinations.*.headers.*", reading);
    let oauth2 = oauth2(&mut section, reading);
    let hold_after = section.read("hold_after", reading, value::number(1, 1_000_000_u32));
    let tls = tls(&mut section, reading);
    let proxy = proxy(&mut section, reading);
    let retry = retry(&mut section, reading);
    let breaker = breaker(&mut section, reading);
    section.finish(reading);
    Ok(destination::Settings {
        name: name.to_owned(),
        kind: kind?,
        timeout: timeout?,
        concurrency: concurrency?,
        rate: rate?,
        signing_secret: signing_secret?,
        signing_secrets: signing_secrets?,
        headers: headers?,
        oauth2: oauth2?,
        tls: tls?,
        proxy: proxy?,
        retry: retry?,
        hold_after: hold_after?,
        breaker: breaker?,
    })
}

fn signing_secrets(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Vec<Secret>, Bad> {
    let path = section.path_of("signing_secrets");
    let items = section.items("signing_secrets", reading)?;
    let read_one = |(idx, node)| {
        let path = format!("{path}[{idx}]");
        secrets::secret(
            node,
            &path,
            "destinations.*.signing_secrets[]",
            Literal::Refused,
            reading,
        )
    };
    // All of them are read before the first fault ends it.
    let secrets: Vec<_> = items.iter().enumerate().map(read_one).collect();
    secrets.into_iter().collect()
}

/// A certificate is no secret, so it may stand here as text; its key may not.
fn tls(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Tls, Bad> {
    let mut read = |key: &'static str, literal| {
        let shape = format!("destinations.*.{key}");
        secret_in(section, key, &shape, literal, reading)
    };
    let ca_certificate = read("ca_certificate", Literal::Allowed);
    let client_certificate = read("client_certificate", Literal::Allowed);
    let client_key = read("client_key", Literal::Refused);
    Ok(Tls {
        ca_certificate: ca_certificate?,
        client_certificate: client_certificate?,
        client_key: client_key?,
    })
}

/// In plain: behind TLS of its own it would be shown the certificate that is for the handler.
fn proxy(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<SafeUrl>, Bad> {
    let expected = "an http URL, as in \"http://proxy.internal:3128\"";
    let read = |text: &str| {
        let url = value::web_url(text)?;
        (url.scheme() == "http" && url.path() == "/" && url.query().is_none()).then_some(url)
    };
    let shape = "destinations.*.proxy";
    kind::url_in("proxy", section, shape, expected, read, reading)
}

const CLIENT_AUTHS: &[(&str, ClientAuth)] = &[("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];

fn oauth2(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<oauth2::Settings>, Bad> {
    let Some(mut section) = section.section("oauth2", reading)? else {
        return Ok(None);
    };
    let shape = "destinations.*.oauth2.token_url";
    let expected = "an http or https URL, as in \"https://auth.example.com/oauth/token\"";
    let token_url = kind::url_in(
        "token_url",
        &mut section,
        shape,
        expected,
        value::web_url,
        reading,
    );
    let token_url = token_url.and_then(|it| it.ok_or_else(|| section.missing("token_url", reading)));
    let client_id = section.need("client_id", reading, value::text);
    let client_secret = secret_in(
        &mut section,
        "client_secret",
        "destinations.*.oauth2.client_secret",
        Literal::Refused,
        reading,
    );
    let client_secret =
        client_secret.and_then(|it| it.ok_or_else(|| section.missing("client_secret", reading)));
    let scopes = section.list("scopes", reading, value::text);
    let audience = section.read("audience", reading, value::text);
    let client_auth = section.read("client_auth", reading, value::choice(CLIENT_AUTHS));
    section.finish(reading);
    Ok(Some(oauth2::Settings {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        audience: audience?,
        client_auth: client_auth?.unwrap_or(ClientAuth::Basic),
    }))
}

/// A table of chosen names, each with text or a reference.
pub(super) fn named_secrets(
    section: &mut Section<'_>,
    key: &'static str,
    shape: &str,
    reading: &mut Reading<'_>,
) -> Result<Vec<(String, Secret)>, Bad> {
    let path = section.path_of(key);
    let Some(node) = section.node(key, reading) else {
        return Ok(Vec::new());
    };
    let Value::Table(table) = &node.value else {
        let label = format!(
            "expected a table, as in {{ name = \"value\" }}, found {}",
            node.kind()
        );
        return Err(reading.fault(Fault::new(&node.place, format!("`{path}` is not a table")).label(label)));
    };
    let read_one = |(name, entry): (&String, &crate::config::tree::Entry)| {
        let path = format!("{path}.{}", value::shown(name));
        let value = secrets::secret(&entry.node, &path, shape, Literal::Allowed, reading)?;
        Ok((name.clone(), value))
    };
    // All of them are read before the first fault ends it.
    let named: Vec<_> = table.0.iter().map(read_one).collect();
    named.into_iter().collect()
}

/// `["429", "5xx", "500-503"]`; a plain status may stand without quotes.
fn statuses(
    section: &mut Section<'_>,
    key: &'static str,
    reading: &mut Reading<'_>,
) -> Result<Statuses, Bad> {
    let texts = section.list(key, reading, |node| {
        let text = match &node.value {
            Value::Integer(number) => number.to_string(),
            _ => node.text().unwrap_or_default().to_owned(),
        };
        match Statuses::parse([text.as_str()]) {
            Ok(_) => Ok(text),
            Err(_) => value::mismatch(
                node,
                "a status that is no success, as in 429, \"5xx\" or \"500-503\"",
            ),
        }
    })?;
    Ok(Statuses::parse(texts.iter().map(String::as_str)).unwrap_or_default())
}

fn retry(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Retry, Bad> {
    let Some(mut section) = section.section("retry", reading)? else {
        return Err(section.missing("retry", reading));
    };
    let max_attempts = section.need("max_attempts", reading, value::number(1, 1_000_u32));
    let max_age = section.need("max_age", reading, value::duration(MILLISECOND, 365 * DAY));
    let first = section.need("first", reading, value::duration(MILLISECOND, DAY));
    let cap = section.need("cap", reading, value::duration(MILLISECOND, 7 * DAY));
    let schedule = section.list("schedule", reading, value::duration(MILLISECOND, 7 * DAY));
    let on = statuses(&mut section, "on", reading);
    let never = statuses(&mut section, "never", reading);
    section.finish(reading);
    let retry = Retry {
        max_attempts: max_attempts?,
        max_age: max_age?,
        first: first?,
        cap: cap?,
        schedule: schedule?,
        on: Some(on?).filter(|it| !it.is_empty()),
        never: never?,
    };
    if retry.first > retry.cap {
        return Err(crossed(
            &section,
            ("first", retry.first),
            ("cap", retry.cap),
            reading,
        ));
    }
    if retry.max_attempts > 1 && retry.first > retry.max_age {
        return Err(crossed(
            &section,
            ("first", retry.first),
            ("max_age", retry.max_age),
            reading,
        ));
    }
    Ok(retry)
}

fn breaker(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Rules, Bad> {
    let Some(mut section) = section.section("breaker", reading)? else {
        return Err(section.missing("breaker", reading));
    };
    let is_enabled = section.need("enabled", reading, value::boolean);
    let failures = section.need("failures", reading, value::number(1, 10_000_u32));
    let percent = section.need("percent", reading, value::number(1, 100_u32));
    let min_attempts = section.need("min_attempts", reading, value::number(1, 10_000_u32));
    let window = section.need("window", reading, value::duration(MILLISECOND, DAY));
    let pause = section.need("pause", reading, value::duration(MILLISECOND, value::HOUR));
    let max_pause = section.need("max_pause", reading, value::duration(MILLISECOND, value::HOUR));
    let ramp = section.need("ramp", reading, value::duration(MILLISECOND, value::HOUR));
    section.finish(reading);
    let rules = Rules {
        is_enabled: is_enabled?,
        failures: failures?,
        percent: percent?,
        min_attempts: min_attempts?,
        window: window?,
        pause: pause?,
        max_pause: max_pause?,
        ramp: ramp?,
    };
    if rules.pause > rules.max_pause {
        return Err(crossed(
            &section,
            ("pause", rules.pause),
            ("max_pause", rules.max_pause),
            reading,
        ));
    }
    Ok(rules)
}

/// The first of two keys is longer than the second, which bounds it.
fn crossed(
    section: &Section<'_>,
    low: (&str, Duration),
    high: (&str, Duration),
    reading: &mut Reading<'_>,
) -> Bad {
    let place = section.place_of_either(low.0, high.0);
    let problem = format!(
        "`{}` is longer than `{}`",
        section.path_of(low.0),
        section.path_of(high.0)
    );
    let label = format!(
        "expected at most \"{}\", found \"{}\"",
        show_duration(high.1),
        show_duration(low.1)
    );
    reading.fault(Fault::new(&place, problem).label(label))
}
