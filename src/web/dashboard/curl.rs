//! A stored event as a command that sends it again.

use crate::{
    base::ids::EventId,
    event::{Event, headers::Headers},
    web::{
        api::shape::CREDENTIALS,
        dashboard::{room, text::is_misleading},
        view::View,
    },
};

/// Bytes of a body that still fit into a command that somebody pastes.
const MAX_BODY: usize = 32 * 1024;
/// What all of it takes of a page.
const MAX_WEIGHT: usize = 40_000;
/// Headers that the client makes itself, or that were about the connection that it came by.
const LEFT_OUT: [&str; 9] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "expect",
    "accept-encoding",
    "te",
    "trailer",
    "upgrade",
];

#[derive(Debug)]
pub(super) struct Curl {
    pub(super) command: String,
    pub(super) remark: &'static str,
}

impl Curl {
    /// `url`: where to. Of what is kept from the caller nothing is in it.
    pub(super) fn new(event: &Event, view: &View, url: &str) -> Self {
        let shown = view.bytes(&event.body).ok();
        let body = shown.as_deref().and_then(pasteable).map(quoted);
        let headers = || headers(&event.headers).filter(|(name, _)| !view.hides_header(name));
        let with_body = body.map(|it| written(url, headers(), &it));
        if let Some(command) = with_body.filter(|it| room::weight_of(it) <= MAX_WEIGHT) {
            return Self {
                command,
                remark: "Sends what came once more. Credentials are left out; a signature may be too old by now.",
            };
        }
        let without = written(url, headers(), &file(event.id));
        let command = if room::weight_of(&without) <= MAX_WEIGHT {
            without
        } else {
            written(url, std::iter::empty(), &file(event.id))
        };
        Self {
            command,
            remark: "The body does not fit into a command: download it first, under the name that is given here.",
        }
    }
}

fn written<'a>(url: &str, headers: impl Iterator<Item = (&'a str, &'a str)>, data: &str) -> String {
    let mut res = format!("curl -X POST {}", quoted(url));
    for (name, value) in headers {
        res.push_str(" \\\n  -H ");
        res.push_str(&quoted(&format!("{name}: {value}")));
    }
    res.push_str(" \\\n  --data-binary ");
    res.push_str(data);
    res
}

fn file(id: EventId) -> String {
    format!("@{id}")
}

fn headers(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    headers
        .iter()
        .filter(|(name, _)| !CREDENTIALS.contains(name) && !LEFT_OUT.contains(name))
        .filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
        .filter(|(_, value)| !value.chars().any(|c| c.is_control() || is_misleading(c)))
}

/// Text that a terminal takes as text and an eye reads as it is: a control character in what is pasted could end the quotes of
/// some shell, or more.
fn pasteable(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let is_plain = |c: char| !(c.is_control() || is_misleading(c)) || matches!(c, '\n' | '\t');
    (body.len() <= MAX_BODY && !text.starts_with('@') && text.chars().all(is_plain)).then_some(text)
}

/// For a POSIX shell: nothing means anything between single quotes but the next one.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{
        base::clock::Timestamp,
        event::{Binding, Origin},
        source::redact::Redact,
    };

    fn command(headers: &[(&str, &[u8])], body: &'static [u8]) -> String {
        let event = Event {
            id: EventId::from_uuid(uuid::Uuid::nil()),
            source: "s".into(),
            external_id: None,
            event_type: None,
            origin: Origin::Received,
            binding: Binding::Body,
            occurred_at: None,
            received_at: Timestamp::EPOCH,
            query: String::new(),
            headers: Headers::from_pairs(headers.iter().copied()),
            body: Bytes::from_static(body),
        };
        let view = View::with_rules(Redact::default());
        Curl::new(&event, &view, "http://localhost:3000/").command
    }

    #[test]
    fn nothing_that_came_can_leave_its_quotes() {
        let text = command(
            &[
                ("x-a", b"'; rm -rf ~; '"),
                ("host", b"h"),
                ("authorization", b"canary"),
                ("x-odd", b"\xff"),
                ("x-esc", b"\x1b[31m"),
            ],
            br#"{"it":"it's $(id) `id`"}"#,
        );
        let expected = "curl -X POST 'http://localhost:3000/' \\\n  -H 'x-a: '\\''; rm -rf ~; '\\''' \\\n  \
             --data-binary '{\"it\":\"it'\\''s $(id) `id`\"}'";
        assert_eq!(text, expected);
    }

    #[test]
    fn bodies_that_are_no_plain_text_come_from_a_file() {
        let large = vec![b'a'; MAX_BODY + 1].leak();
        for body in [
            &b"\xff"[..],
            b"\x1b",
            b"a\rb",
            "a\u{202e}b".as_bytes(),
            b"@/etc/passwd",
            large,
        ] {
            let text = command(&[], body);
            assert!(
                text.ends_with("--data-binary @evt_00000000000000000000000000"),
                "{text}"
            );
        }
    }
}
