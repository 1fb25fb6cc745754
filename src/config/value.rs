//! How one value is read: each reader says what it expected and what it found.

use std::{fmt::Display, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use url::Url;

use crate::base::nearest::nearest;
use crate::config::{
    mask::looks_secret,
    tree::{Node, Value},
    units::{self, show_duration, show_size},
};

/// A value is not what its key wants.
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) hint: Option<String>,
}

pub(super) type Read<T> = Result<T, Mismatch>;

pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) fn mismatch<T>(node: &Node, expected: impl Into<String>) -> Read<T> {
    Err(Mismatch {
        expected: expected.into(),
        found: found(node),
        hint: None,
    })
}

fn with_hint<T>(node: &Node, expected: impl Into<String>, hint: impl Into<String>) -> Read<T> {
    Err(Mismatch {
        expected: expected.into(),
        found: found(node),
        hint: Some(hint.into()),
    })
}

/// What stands there, for a message. Only for values that are no secrets.
fn found(node: &Node) -> String {
    match &node.value {
        Value::Text(text) if text.is_empty() => "nothing between the quotes".to_owned(),
        Value::Text(text) => format!("`{}`", shown(text)),
        Value::Integer(number) => format!("`{number}`"),
        Value::Boolean(it) => format!("`{it}`"),
        _ => node.kind().to_owned(),
    }
}

/// A value on one short line.
pub(super) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    if looks_secret(text) {
        return "***".to_owned();
    }
    let mut res: String = text
        .chars()
        .take(MAX_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        res.push_str("...");
    }
    res
}

pub(super) fn text(node: &Node) -> Read<String> {
    match node.text() {
        Some("") => mismatch(node, "some text"),
        Some(text) => Ok(text.to_owned()),
        None => mismatch(node, "text in quotes"),
    }
}

/// Text that may be empty.
pub(super) fn any_text(node: &Node) -> Read<String> {
    node.text()
        .map_or_else(|| mismatch(node, "text in quotes"), |it| Ok(it.to_owned()))
}

/// A tree of tables, lists and plain values, for what the rooms read themselves.
pub(super) fn json(node: &Node) -> Read<serde_json::Value> {
    Ok(match &node.value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(it) => (*it).into(),
        Value::Array(items) => items.iter().map(json).collect::<Read<Vec<_>>>()?.into(),
        Value::Table(table) => {
            let entry =
                |(key, entry): (&String, &crate::config::tree::Entry)| Ok((key.clone(), json(&entry.node)?));
            serde_json::Value::Object(table.0.iter().map(entry).collect::<Read<_>>()?)
        }
        Value::Other(_) => return mismatch(node, "text, a number, true or false, a list or a table"),
    })
}

pub(super) fn boolean(node: &Node) -> Read<bool> {
    match &node.value {
        Value::Boolean(it) => Ok(*it),
        _ => mismatch(node, "true or false, without quotes"),
    }
}

pub(super) fn number<T>(min: T, max: T) -> impl Fn(&Node) -> Read<T>
where
    T: TryFrom<i64> + PartialOrd + Display + Copy,
{
    move |node| {
        let expected = || format!("a whole number from {min} to {max}, without quotes");
        let Value::Integer(number) = &node.value else {
            return mismatch(node, expected());
        };
        match T::try_from(*number) {
            Ok(number) if min <= number && number <= max => Ok(number),
            _ => mismatch(node, expected()),
        }
    }
}

pub(super) fn duration(min: Duration, max: Duration) -> impl Fn(&Node) -> Read<Duration> {
    move |node| {
        let expected = format!(
            "a duration from \"{}\" to \"{}\"",
            show_duration(min),
            show_duration(max)
        );
        if let Value::Integer(number) = &node.value {
            let hint = format!("a duration needs its unit: \"{number}s\", \"{number}m\", \"{number}h\"");
            return with_hint(node, expected, hint);
        }
        let Some(text) = node.text() else {
            return mismatch(node, expected);
        };
        match units::duration(text) {
            Some(it) if (min..=max).contains(&it) => Ok(it),
            Some(_) => mismatch(node, expected),
            None => with_hint(
                node,
                expected,
                "a duration is a whole number and one of ms, s, m, h, d: \"500ms\", \"30s\", \"5m\", \"72h\", \"30d\"",
            ),
        }
    }
}

pub(super) fn size(min: u64, max: u64) -> impl Fn(&Node) -> Read<u64> {
    move |node| {
        let expected = format!("a size from \"{}\" to \"{}\"", show_size(min), show_size(max));
        if let Value::Integer(number) = &node.value {
            return with_hint(
                node,
                expected,
                format!("a size needs its unit: \"{number} B\", \"{number} KiB\", \"{number} MiB\""),
            );
        }
        let Some(text) = node.text() else {
            return mismatch(node, expected);
        };
        match units::size(text) {
            Some(it) if (min..=max).contains(&it) => Ok(it),
            Some(_) => mismatch(node, expected),
            None => with_hint(
                node,
                expected,
                "a size is a whole number and one of B, KiB, MiB, GiB, KB, MB, GB: \"10 MiB\"",
            ),
        }
    }
}

/// `"100/s"`.
pub(super) fn rate(node: &Node) -> Read<u32> {
    const EXPECTED: &str = "a rate from \"1/s\" to \"1000000/s\"";
    let hint = "a rate is a whole number per second: \"100/s\"";
    let Some(text) = node.text() else {
        return with_hint(node, EXPECTED, hint);
    };
    match units::rate(text).map(u32::try_from) {
        Some(Ok(rate)) if (1..=1_000_000).contains(&rate) => Ok(rate),
        Some(_) => mismatch(node, EXPECTED),
        None => with_hint(node, EXPECTED, hint),
    }
}

pub(super) fn address(node: &Node) -> Read<SocketAddr> {
    const EXPECTED: &str = "an IP address and a port, as in \"127.0.0.1:8080\"";
    let Some(text) = node.text() else {
        return mismatch(node, EXPECTED);
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
    match port.and_then(|it| it.parse::<u16>().ok()) {
        Some(port) if text.starts_with(':') => with_hint(
            node,
            EXPECTED,
            format!("for every interface of this machine write \"0.0.0.0:{port}\""),
        ),
        Some(port) => with_hint(
            node,
            EXPECTED,
            format!("write \"127.0.0.1:{port}\": a name could mean several addresses"),
        ),
        None => mismatch(node, EXPECTED),
    }
}

pub(super) fn network(node: &Node) -> Read<IpNet> {
    const EXPECTED: &str = "a network in CIDR notation, as in \"10.0.0.0/8\"";
    let Some(text) = node.text() else {
        return mismatch(node, EXPECTED);
    };
    match text.parse::<IpNet>() {
        Ok(network) if network.trunc() == network => Ok(network),
        Ok(network) => with_hint(
            node,
            EXPECTED,
            format!(
                "bits are set beyond the prefix; did you mean \"{}\"?",
                network.trunc()
            ),
        ),
        Err(_) => match text.parse::<std::net::IpAddr>() {
            Ok(address) => with_hint(
                node,
                EXPECTED,
                format!("for this one address write \"{}\"", IpNet::from(address)),
            ),
            Err(_) => mismatch(node, EXPECTED),
        },
    }
}

pub(super) fn public_url(node: &Node) -> Read<Url> {
    const EXPECTED: &str = "an http or https URL without a query, as in \"https://hooks.example.com\"";
    let Some(url) = node.text().and_then(web_url) else {
        return mismatch(node, EXPECTED);
    };
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(Mismatch {
            expected: EXPECTED.to_owned(),
            found: "a URL with more than a host and a path".to_owned(),
            hint: None,
        });
    }
    Ok(url)
}

/// Where a set of keys is: public, so nothing in it is secret.
pub(super) fn keys_url(node: &Node) -> Read<Url> {
    public_url(node)
        .ok()
        .filter(|it| it.scheme() == "https")
        .map_or_else(
            || {
                mismatch(
                    node,
                    "an https URL without a query, as in \"https://auth.example.com/.well-known/jwks.json\"",
                )
            },
            Ok,
        )
}

/// An absolute URL over HTTP with a host. The text is not trimmed: what is dialled is what was written.
pub(super) fn web_url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let is_clean = !text.contains(|it: char| it.is_whitespace() || it.is_control());
    (is_clean && matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// One of a few words.
pub(super) fn choice<T: Copy>(choices: &'static [(&'static str, T)]) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let text = node.text();
        if let Some((_, value)) = choices.iter().find(|(name, _)| Some(*name) == text) {
            return Ok(*value);
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let quoted: Vec<_> = names().map(|it| format!("\"{it}\"")).collect();
        let expected = format!("one of {}", quoted.join(", "));
        match text.and_then(|it| nearest(it, names())) {
            Some(near) => with_hint(node, expected, format!("did you mean \"{near}\"?")),
            None => mismatch(node, expected),
        }
    }
}
