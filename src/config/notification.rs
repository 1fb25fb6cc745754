//! `[notifications.NAME]`: who is told.

use crate::{
    alert::{
        channel::{
            self, Kind,
            email::{self, Address, Login, Security},
        },
        rule::Rule,
    },
    base::safe_url::SafeUrl,
    config::{
        error::Fault,
        issue::SEVERITIES,
        kind::url_in,
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, Read},
    },
    destination::chat::Service,
};

/// Each names a kind.
const KEYS: &[&str] = &["webhook", "slack", "discord", "pagerduty", "email"];

const RULES: &[(&str, Rule)] = &[
    ("dead_letters", Rule::DeadLetters),
    ("failing", Rule::Failing),
    ("held", Rule::Held),
    ("refusals", Rule::Refusals),
    ("backlog", Rule::Backlog),
    ("ledger", Rule::Ledger),
    ("silence", Rule::Silence),
    ("store", Rule::Store),
    ("expiry", Rule::Expiry),
];

const SECURITIES: &[(&str, Security)] = &[
    ("starttls", Security::StartTls),
    ("tls", Security::Tls),
    ("none", Security::Plain),
];

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

pub(super) fn notification(
    name: &str,
    node: &Node,
    reading: &mut Reading<'_>,
) -> Result<channel::Settings, Bad> {
    let mut section = Section::of(node, format!("notifications.{name}"), "notifications.*", reading)?;
    let kind = kind(&mut section, reading);
    let max_per_hour = section.need("max_per_hour", reading, value::number(1, 100_000_u32));
    let severity = section.need("severity", reading, value::choice(SEVERITIES));
    let rules = section.list("rules", reading, value::choice(RULES));
    section.finish(reading);
    Ok(channel::Settings {
        name: name.to_owned(),
        kind: kind?,
        max_per_hour: max_per_hour?,
        severity: severity?,
        rules: rules?,
    })
}

/// Exactly one of them; all that are there are read, so that every fault shows.
fn kind(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Kind, Bad> {
    let kinds = [
        webhook(section, reading),
        chat("slack", Service::Slack, section, reading),
        chat("discord", Service::Discord, section, reading),
        pagerduty(section, reading),
        email(section, reading),
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
    let quoted: Vec<_> = KEYS.iter().map(|it| format!("`{it}`")).collect();
    let label = format!("expected one of {}", quoted.join(", "));
    let Some(last) = given.last() else {
        return Fault::new(&section.place, format!("`{path}` does not say who is told")).label(label);
    };
    let given: Vec<_> = given.iter().map(|it| format!("`{it}`")).collect();
    Fault::new(
        &section.place_of(last),
        format!("`{path}` tells more than one: {}", given.join(", ")),
    )
    .label(label)
    .hint("make a notification of each".to_owned())
}

/// A URL that must be there.
fn url(
    section: &mut Section<'_>,
    shape: &str,
    expected: &str,
    reading: &mut Reading<'_>,
) -> Result<SafeUrl, Bad> {
    let url = url_in("url", section, shape, expected, value::web_url, reading)?;
    url.ok_or_else(|| section.missing("url", reading))
}

fn webhook(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Kind>, Bad> {
    let Some(mut section) = section.section("webhook", reading)? else {
        return Ok(None);
    };
    let expected = "an http or https URL, as in \"https://ops.example.com/gatepost\"";
    let url = url(&mut section, "notifications.*.webhook.url", expected, reading);
    let signing_secret = secret_in(
        &mut section,
        "signing_secret",
        "notifications.*.webhook.signing_secret",
        Literal::Refused,
        reading,
    );
    section.finish(reading);
    Ok(Some(Kind::Webhook {
        url: url?,
        signing_secret: signing_secret?,
    }))
}

fn chat(
    key: &'static str,
    service: Service,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<Kind>, Bad> {
    let Some(mut section) = section.section(key, reading)? else {
        return Ok(None);
    };
    let shape = format!("notifications.*.{key}.url");
    let url = url(&mut section, &shape, "the URL of an incoming webhook", reading);
    section.finish(reading);
    Ok(Some(Kind::Chat { service, url: url? }))
}

fn pagerduty(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Kind>, Bad> {
    let Some(mut section) = section.section("pagerduty", reading)? else {
        return Ok(None);
    };
    let routing_key = secret_in(
        &mut section,
        "routing_key",
        "notifications.*.pagerduty.routing_key",
        Literal::Refused,
        reading,
    );
    let routing_key = routing_key.and_then(|it| it.ok_or_else(|| section.missing("routing_key", reading)));
    let endpoint = url_in(
        "endpoint",
        &mut section,
        "notifications.*.pagerduty.endpoint",
        "an http or https URL, as in \"https://events.eu.pagerduty.com/v2/enqueue\"",
        value::web_url,
        reading,
    );
    section.finish(reading);
    let usual = || SafeUrl::new(PAGERDUTY.parse().expect("it is a URL"));
    Ok(Some(Kind::PagerDuty {
        routing_key: routing_key?,
        endpoint: endpoint?.unwrap_or_else(usual),
    }))
}

fn email(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Kind>, Bad> {
    let Some(mut section) = section.section("email", reading)? else {
        return Ok(None);
    };
    let host = section.need("host", reading, value::text);
    let security = section.read("tls", reading, value::choice(SECURITIES));
    let port = section.read("port", reading, value::number(1, u16::MAX));
    let security = security.map(|it| it.unwrap_or(Security::StartTls));
    let login = login(&mut section, security, reading);
    let shape = "notifications.*.email.ca_certificate";
    let ca_certificate = secret_in(&mut section, "ca_certificate", shape, Literal::Allowed, reading);
    let from = section.need("from", reading, address);
    let to = match section.list("to", reading, address) {
        Ok(none) if none.is_empty() => Err(section.missing("to", reading)),
        other => other,
    };
    section.finish(reading);
    let security = security?;
    let usual = match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::Plain => 25,
    };
    Ok(Some(Kind::Email(email::Settings {
        host: host?,
        port: port?.unwrap_or(usual),
        security,
        login: login?,
        ca_certificate: ca_certificate?,
        from: from?,
        to: to?,
    })))
}

/// A password goes where others can read it only if the config says that it may.
fn login(
    section: &mut Section<'_>,
    security: Result<Security, Bad>,
    reading: &mut Reading<'_>,
) -> Result<Option<Login>, Bad> {
    let username = section.read("username", reading, value::text);
    let shape = "notifications.*.email.password";
    let password = secret_in(section, "password", shape, Literal::Refused, reading);
    let may_be_plain = section.read("login_without_tls", reading, value::boolean);
    let login = match (username?, password?) {
        (None, None) => return Ok(None),
        (Some(username), Some(password)) => Login { username, password },
        (None, Some(_)) => return Err(section.missing("username", reading)),
        (Some(_), None) => return Err(section.missing("password", reading)),
    };
    if security? == Security::Plain && may_be_plain? != Some(true) {
        let problem = format!(
            "with `tls = \"none\"` everybody on the way could read `{}`",
            section.path_of("password")
        );
        let fault = Fault::new(&section.place_of("tls"), problem)
            .label("expected \"starttls\" or \"tls\" where there is a password")
            .hint("`login_without_tls = true` says that the way is trusted".to_owned());
        return Err(reading.fault(fault));
    }
    Ok(Some(login))
}

fn address(node: &Node) -> Read<Address> {
    match node.text().and_then(Address::parse) {
        Some(address) => Ok(address),
        None => value::mismatch(node, "an address, as in \"ops@example.com\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_named() {
        let names: Vec<_> = RULES.iter().map(|(name, rule)| (*name, *rule)).collect();
        assert_eq!(names, Rule::ALL.map(|it| (it.as_str(), it)));
    }
}
