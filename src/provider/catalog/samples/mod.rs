//! Requests as their senders make them, one file each beside this one, by the name of the row: see `SampleForm`.

use serde::Deserialize;

use crate::provider::{SampleForm, scheme::Text};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!($name, ".toml")))),*]
    };
}

pub(in crate::provider) const FILES: &[(&str, &str)] = files![
    "adyen",
    "asana",
    "auth0",
    "aws-sns",
    "azure-eventgrid",
    "bitbucket",
    "box",
    "braintree",
    "calendly",
    "chargebee",
    "circleci",
    "clerk",
    "coinbase-commerce",
    "discord",
    "docusign",
    "dropbox",
    "github",
    "gitlab",
    "google-channel",
    "google-pubsub",
    "hubspot",
    "intercom",
    "jira",
    "jira-connect",
    "lemon-squeezy",
    "line",
    "linear",
    "mailgun",
    "meta",
    "microsoft-graph",
    "mux",
    "notion",
    "okta",
    "openai",
    "paddle",
    "pagerduty",
    "paypal",
    "plaid",
    "postmark",
    "razorpay",
    "recurly",
    "resend",
    "salesforce",
    "sendgrid",
    "sentry",
    "shopify",
    "slack",
    "square",
    "standard-webhooks",
    "stripe",
    "svix",
    "telegram",
    "trello",
    "twilio",
    "twitch",
    "typeform",
    "vercel",
    "webex",
    "woocommerce",
    "workos",
    "x",
    "zendesk",
    "zoom",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    r#type: String,
    /// JSON where it is left out.
    content_type: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: String,
}

/// `None` where no request of this sender is known.
#[expect(
    clippy::panic,
    reason = "the samples are part of the program, and the tests read them all"
)]
pub(super) fn of(name: &str) -> Option<SampleForm> {
    let (_, text) = FILES.iter().find(|(it, _)| *it == name)?;
    let sample: Sample =
        toml::from_str(text).unwrap_or_else(|it| panic!("catalog/samples/{name}.toml: {it}"));
    let headers = sample.headers.into_iter();
    Some(SampleForm {
        event_type: Text::Owned(sample.r#type),
        content_type: sample
            .content_type
            .map_or(Text::Borrowed("application/json"), Text::Owned),
        headers: headers
            .map(|(name, value)| (Text::Owned(name), Text::Owned(value)))
            .collect(),
        body: Text::Owned(sample.body.trim_end().to_owned()),
    })
}
