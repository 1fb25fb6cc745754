//! Destinations that are a service of AWS, or speak like one: the tables `sqs`, `sns`, `eventbridge` and `s3`.

use std::time::Duration;

use url::Url;

use crate::{
    base::{safe_url::SafeUrl, secret::Secret},
    config::{
        error::Fault,
        kind::{ENDPOINT, endpoint_url, plain_url, url_in},
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, Read},
    },
    destination::broker::{AwsAccount, EventBridge, S3, Sns, Sqs},
};

const DEFAULT_BUS: &str = "default";
const DEFAULT_GATHER: Duration = Duration::from_secs(1);
const MAX_GATHER: Duration = Duration::from_mins(1);

pub(super) fn sqs(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Sqs>, Bad> {
    let Some(mut section) = section.section("sqs", reading)? else {
        return Ok(None);
    };
    let shape = "destinations.*.sqs.queue_url";
    let expected =
        "the URL of a queue, as in \"https://sqs.eu-central-1.amazonaws.com/123456789012/webhooks\"";
    let queue_url = url_in("queue_url", &mut section, shape, expected, queue_url, reading);
    let queue_url = queue_url.and_then(|it| it.ok_or_else(|| section.missing("queue_url", reading)));
    let told = queue_url.as_ref().ok().and_then(|it| region_of_host(it.expose()));
    let account = account("sqs", told.as_deref(), &mut section, reading);
    section.finish(reading);
    Ok(Some(Sqs {
        queue_url: queue_url?,
        account: account?,
    }))
}

pub(super) fn sns(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Sns>, Bad> {
    let Some(mut section) = section.section("sns", reading)? else {
        return Ok(None);
    };
    let topic_arn = section.need("topic_arn", reading, topic_arn);
    let told = topic_arn.as_deref().ok().and_then(|it| it.split(':').nth(3));
    let account = account("sns", told, &mut section, reading);
    let endpoint = endpoint("sns", "sns", account.as_ref().ok(), &mut section, reading);
    section.finish(reading);
    Ok(Some(Sns {
        topic_arn: topic_arn?,
        account: account?,
        endpoint: endpoint?,
    }))
}

pub(super) fn eventbridge(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<EventBridge>, Bad> {
    let Some(mut section) = section.section("eventbridge", reading)? else {
        return Ok(None);
    };
    let bus = section.read("bus", reading, value::text);
    let account = account("eventbridge", None, &mut section, reading);
    let endpoint = endpoint(
        "eventbridge",
        "events",
        account.as_ref().ok(),
        &mut section,
        reading,
    );
    section.finish(reading);
    Ok(Some(EventBridge {
        bus: bus?.unwrap_or_else(|| DEFAULT_BUS.to_owned()),
        account: account?,
        endpoint: endpoint?,
    }))
}

pub(super) fn s3(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<S3>, Bad> {
    let Some(mut section) = section.section("s3", reading)? else {
        return Ok(None);
    };
    let bucket = section.need("bucket", reading, bucket);
    let prefix = section.read("prefix", reading, prefix);
    let gather = section.read("gather", reading, value::duration(Duration::ZERO, MAX_GATHER));
    let account = account("s3", None, &mut section, reading);
    let shape = "destinations.*.s3.endpoint";
    let endpoint = url_in("endpoint", &mut section, shape, ENDPOINT, endpoint_url, reading);
    section.finish(reading);
    let (bucket, account) = (bucket?, account?);
    let base = match endpoint? {
        // The name of the bucket is a part of the path: stores of one's own seldom have a host for each.
        Some(it) => it.expose().join(&format!("{bucket}/")),
        None => own_base(&bucket, &account.region).parse(),
    };
    let base = base.map_err(|_bad| {
        let problem = format!("`{}` leads nowhere with these names", section.path);
        reading.fault(Fault::new(&section.place, problem))
    })?;
    Ok(Some(S3 {
        bucket,
        prefix: prefix?.unwrap_or_default(),
        base: SafeUrl::new(base),
        gather: gather?.unwrap_or(DEFAULT_GATHER),
        account,
    }))
}

/// `told`: the region that something else in the table names.
fn account(
    table: &'static str,
    told: Option<&str>,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<AwsAccount, Bad> {
    let given = section.read("region", reading, region);
    let region = given.and_then(|given| match (given, told) {
        (Some(given), Some(told)) if given != told => {
            let problem = format!(
                "`{}` contradicts what stands beside it",
                section.path_of("region")
            );
            let label = format!("expected \"{told}\", found \"{given}\"");
            let hint = "leave it out: the region is in the name already".to_owned();
            let fault = Fault::new(&section.place_of("region"), problem)
                .label(label)
                .hint(hint);
            Err(reading.fault(fault))
        }
        (Some(region), _) => Ok(region),
        (None, Some(told)) => Ok(told.to_owned()),
        (None, None) => Err(section.missing("region", reading)),
    });
    let mut read = |key: &'static str, literal| {
        let shape = format!("destinations.*.{table}.{key}");
        secret_in(section, key, &shape, literal, reading)
    };
    let access_key_id = read("access_key_id", Literal::Allowed);
    let secret_access_key = read("secret_access_key", Literal::Refused);
    let session_token = read("session_token", Literal::Refused);
    let mut need = |key: &str, found: Result<Option<Secret>, Bad>| {
        found.and_then(|it| it.ok_or_else(|| section.missing(key, reading)))
    };
    let access_key_id = need("access_key_id", access_key_id);
    let secret_access_key = need("secret_access_key", secret_access_key);
    Ok(AwsAccount {
        region: region?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token: session_token?,
    })
}

/// The one that is given, or AWS's own for the region.
fn endpoint(
    table: &'static str,
    service: &str,
    account: Option<&AwsAccount>,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<SafeUrl, Bad> {
    let shape = format!("destinations.*.{table}.endpoint");
    if let Some(given) = url_in("endpoint", section, &shape, ENDPOINT, endpoint_url, reading)? {
        return Ok(given);
    }
    // Without an account it has its fault already.
    let region = &account.ok_or(Bad)?.region;
    let url = format!("https://{service}.{}/", domain(region)).parse();
    url.map(SafeUrl::new).map_err(|_bad| {
        let problem = format!("`{}` leads nowhere", section.path_of("region"));
        reading.fault(Fault::new(&section.place_of("region"), problem))
    })
}

/// Each bucket of AWS has a host, unless its name does not fit into a certificate's or a host's.
fn own_base(bucket: &str, region: &str) -> String {
    let domain = domain(region);
    let is_host = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if bucket.bytes().all(is_host) {
        format!("https://{bucket}.s3.{domain}/")
    } else {
        format!("https://s3.{domain}/{bucket}/")
    }
}

/// What stands behind the name of a service.
fn domain(region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("{region}.amazonaws.com{end}")
}

fn region(node: &Node) -> Read<String> {
    let is_region = |it: &&str| {
        let is_fit = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        (1..=63).contains(&it.len()) && it.bytes().all(is_fit) && !it.starts_with('-') && !it.ends_with('-')
    };
    match node.text().filter(is_region) {
        Some(text) => Ok(text.to_owned()),
        None => value::mismatch(node, "the name of a region, as in \"eu-central-1\""),
    }
}

fn topic_arn(node: &Node) -> Read<String> {
    let is_topic = |it: &&str| {
        let parts: Vec<_> = it.split(':').collect();
        matches!(parts[..], ["arn", _, "sns", region, _, name] if !region.is_empty() && !name.is_empty())
    };
    match node.text().filter(is_topic) {
        Some(text) => Ok(text.to_owned()),
        None => value::mismatch(
            node,
            "the ARN of a topic, as in \"arn:aws:sns:eu-central-1:123456789012:webhooks\"",
        ),
    }
}

/// A name that stands in a URL as it is.
fn bucket(node: &Node) -> Read<String> {
    let is_bucket = |it: &&str| {
        let is_fit = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        (3..=255).contains(&it.len()) && it.bytes().all(is_fit) && !it.starts_with('.')
    };
    match node.text().filter(is_bucket) {
        Some(text) => Ok(text.to_owned()),
        None => value::mismatch(node, "the name of a bucket: letters, digits, `-`, `_` and `.`"),
    }
}

/// With a slash at its end, unless it is empty.
fn prefix(node: &Node) -> Read<String> {
    let is_prefix = |it: &&str| {
        let is_part = |it: &str| !matches!(it, "" | "." | "..") && !it.chars().any(char::is_control);
        it.len() <= 512 && it.trim_end_matches('/').split('/').all(is_part)
    };
    match node.text() {
        Some("") => Ok(String::new()),
        Some(text) if is_prefix(&text) => Ok(format!("{}/", text.trim_end_matches('/'))),
        _ => value::mismatch(node, "the beginning of a key, as in \"webhooks/stripe\""),
    }
}

fn queue_url(text: &str) -> Option<Url> {
    let url = plain_url(text)?;
    (url.path().trim_matches('/').split('/').count() >= 2).then_some(url)
}

/// `sqs.eu-central-1.amazonaws.com`.
fn region_of_host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let rest = host.strip_prefix("sqs.")?;
    let region = rest
        .strip_suffix(".amazonaws.com")
        .or_else(|| rest.strip_suffix(".amazonaws.com.cn"))?;
    Some(region.to_owned())
}
