//! The config's text as it may be shown: of the same length, with everything that could be a secret starred out.
//!
//! A literal secret is itself a fault, and a fault shows its line; so the line is masked before anything is printed.

use std::ops::Range;

use crate::config::tree::{Node, Place, Table, Value};

/// A key whose name holds one of these may hold a secret.
const SECRET_WORDS: &[&str] = &[
    "secret", "token", "pass", "key", "auth", "cred", "cookie", "bearer",
];
/// Keys beside or inside those that never do.
const PLAIN_KEYS: &[&str] = &[
    "file",
    "name",
    "role",
    "routing_key",
    "header",
    "prefix",
    "query",
    "secret_encoding",
    "timestamp_header",
    "token_url",
    "client_id",
    "client_auth",
    "scopes",
    "audience",
];

/// The text of a file that parsed. `hidden`: what nobody knows the meaning of, and so may be a secret too.
pub(super) fn parsed(text: &str, tree: &Table, hidden: &[Node]) -> String {
    let mut spans = Vec::new();
    for node in hidden {
        collect_node(node, true, &mut spans);
    }
    for (key, entry) in &tree.0 {
        let named = entry
            .node
            .table()
            .filter(|_| ["sources", "destinations", "notifications"].contains(&key.as_str()));
        match named {
            // Names are chosen: a source called `auth` is not a secret as a whole.
            Some(named) => named
                .0
                .values()
                .for_each(|it| collect_node(&it.node, false, &mut spans)),
            None => collect_entry(key, &entry.node, false, &mut spans),
        }
    }
    star_out(text, spans)
}

/// The text of a file that did not: every value is masked, except where the line says that it is no secret.
pub(super) fn unparsed(text: &str, plain_keys: &[&str]) -> String {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let (key, value_at) = line
            .split_once('=')
            .map(|(key, rest)| (key.trim(), rest))
            .filter(|(key, rest)| is_key(key, rest))
            .map_or(("", 0), |(key, rest)| (key, line.len() - rest.len()));
        let is_heading = line.trim_start().starts_with('[') && !line.contains(['"', '\'', '{', '=']);
        // A second `=`, or a secret with a mark: a line end is missing, and the rest belongs to another key.
        let rest = &line[value_at..];
        let is_plain = plain_keys.contains(&key) && !rest.contains('=') && !looks_secret(rest);
        if !is_heading && !is_plain {
            for (idx, c) in rest.char_indices() {
                if c.is_alphanumeric() || matches!(c, '_' | '+' | '/' | '-' | '.' | '!') {
                    let start = at + value_at + idx;
                    spans.push(start..start + c.len_utf8());
                }
            }
        }
        at += line.len();
    }
    star_out(text, spans)
}

/// Whether a `=` stands between a key and its value, and does not end a secret in base64.
fn is_key(key: &str, rest: &str) -> bool {
    let is_bare = !key.is_empty() && key.split('.').all(|it| is_bare_key(it.trim()));
    is_bare && !looks_secret(key) && rest.contains(char::is_alphanumeric)
}

fn collect(table: &Table, is_secret: bool, spans: &mut Vec<Range<usize>>) {
    for (key, entry) in &table.0 {
        collect_entry(key, &entry.node, is_secret, spans);
    }
}

fn collect_entry(key: &str, node: &Node, is_secret: bool, spans: &mut Vec<Range<usize>>) {
    match (key.to_lowercase().as_str(), node.table()) {
        // A reference names a variable; what does not look like a name may be the secret itself.
        ("env", _) => collect_node(
            node,
            is_secret && !node.text().is_some_and(is_variable_name),
            spans,
        ),
        // The names of headers and variables are chosen too, and may be those of plain keys.
        ("headers" | "environment", Some(named)) => named
            .0
            .values()
            .for_each(|it| collect_node(&it.node, true, spans)),
        // A routing key of RabbitMQ is plain, and one of PagerDuty is a secret.
        ("pagerduty", Some(table)) => table.0.iter().for_each(|(key, it)| match key.as_str() {
            "routing_key" => collect_node(&it.node, true, spans),
            _ => collect_entry(key, &it.node, false, spans),
        }),
        (key, _) => {
            let is_secret = !PLAIN_KEYS.contains(&key) && (is_secret || is_secret_key(key));
            collect_node(node, is_secret, spans);
        }
    }
}

fn collect_node(node: &Node, is_secret: bool, spans: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Text(text) if is_secret || has_userinfo(text) || looks_secret(text) => {
            if let Place::File(span) = &node.place {
                // The quotes stay.
                spans.push(span.start + 1..span.end.saturating_sub(1));
            }
        }
        Value::Integer(_) | Value::Float(_) | Value::Other(_) if is_secret => {
            if let Place::File(span) = &node.place {
                spans.push(span.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|it| collect_node(it, is_secret, spans)),
        Value::Table(table) => collect(table, is_secret, spans),
        _ => (),
    }
}

/// Whether what stands under that key may be a secret.
pub(super) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_lowercase();
    !PLAIN_KEYS.contains(&lower.as_str())
        && (["headers", "environment"].contains(&lower.as_str())
            || SECRET_WORDS.iter().any(|word| lower.contains(word)))
}

/// Whether TOML takes the key without quotes.
pub(super) fn is_bare_key(key: &str) -> bool {
    !key.is_empty()
        && key
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-')
}

/// `scheme://user:password@host`.
pub(super) fn has_password(text: &str) -> bool {
    userinfo(text).is_some_and(|it| it.contains(':'))
}

/// Over HTTP a lone user name is often a token.
fn has_userinfo(text: &str) -> bool {
    has_password(text) || (text.starts_with("http") && userinfo(text).is_some())
}

fn userinfo(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(userinfo, _)| userinfo)
}

/// Secrets whose makers gave them a mark.
pub(super) fn looks_secret(text: &str) -> bool {
    [
        "whsec_",
        "sk_live_",
        "sk_test_",
        "ghp_",
        "github_pat_",
        "xoxb-",
        "xapp-",
        "glpat-",
    ]
    .iter()
    .any(|it| text.contains(it))
}

/// Whether a text is what a variable could be called, and nothing that somebody pasted by mistake.
pub(super) fn is_variable_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|it| it.is_ascii_alphabetic() || it == '_')
        && chars.all(|it| it.is_ascii_alphanumeric() || it == '_')
        && text.len() <= 64
        && !looks_secret(text)
}

fn star_out(text: &str, spans: Vec<Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        for byte in bytes.get_mut(span).unwrap_or_default() {
            if !matches!(byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    // Spans cover whole characters, so this loses nothing; if one ever did not, replacement characters show it.
    String::from_utf8(bytes)
        .unwrap_or_else(|_| text.chars().map(|it| if it == '\n' { it } else { '*' }).collect())
}
