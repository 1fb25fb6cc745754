//! `[notifications.NAME]`: who is told.

use crate::{
    alert::{
        channel::{self, Kind},
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
        value,
    },
    destination::chat::Service,
};

/// Each names a kind.
const KEYS: &[&str] = &["webhook", "slack", "discord", "pagerduty"];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_named() {
        let names: Vec<_> = RULES.iter().map(|(name, rule)| (*name, *rule)).collect();
        assert_eq!(names, Rule::ALL.map(|it| (it.as_str(), it)));
    }
}
