//! A signed request, drafted by an input and then judged twice.

use std::time::Duration;

use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{Call, Key, Provider},
};

use super::{Verdict, input::Input};

/// 2026-01-01T00:00:00Z
pub(super) const NOW: i64 = 1_767_225_600;
const TARGET: &str = "/webhooks/x";

/// A sender as both sides know it: gatepost by its row and keys, the oracle by how to sign.
pub(crate) struct Sender {
    pub(super) provider: Provider,
    pub(super) keys: Vec<Key>,
    /// The headers that an input can set.
    pub(super) names: &'static [&'static str],
    /// The right signature as it is written, by each way that the sender has.
    pub(super) sign: fn(&Draft<'_>, which: u8) -> String,
}

/// What is to be signed.
pub(crate) struct Draft<'a> {
    pub(super) id: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What arrives.
pub(crate) struct Request<'a> {
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: &'a [u8],
    /// Unix seconds.
    pub(crate) now: i64,
}

/// Whether a request is genuine, read in the most obvious way.
pub(crate) type Reference = fn(&Request<'_>) -> bool;

impl Sender {
    pub(super) fn new(
        provider: Provider,
        secrets: &[&str],
        names: &'static [&'static str],
        sign: fn(&Draft<'_>, u8) -> String,
    ) -> Self {
        let key = |it: &&str| provider.key(&Secret::new(it.as_bytes())).expect("it is a secret");
        let keys = secrets.iter().map(key).collect();
        Self {
            provider,
            keys,
            names,
            sign,
        }
    }
}

impl Request<'_> {
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let values = self.headers.iter().filter(|(it, _)| *it == name);
        values.map(|(_, value)| &value[..]).collect()
    }

    /// The value of a header that is there once.
    pub(crate) fn only(&self, name: &str) -> Option<&[u8]> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(it, _)| *it == name)
    }

    /// Signed at most five minutes ago, and at most as far ahead.
    pub(super) fn is_fresh(&self, unix_seconds: i64) -> bool {
        (self.now - unix_seconds).abs() <= 300
    }
}

/// The verdicts of gatepost and of the reference, on one request.
pub(super) fn compare(sender: &Sender, reference: Reference, bytes: &[u8]) -> Verdict {
    let request = draft(sender, bytes);
    let pairs = request.headers.iter().map(|(name, value)| (*name, &value[..]));
    let headers = Headers::from_pairs(pairs);
    let call = Call {
        method: "POST",
        url: None,
        target: TARGET,
        headers: &headers,
        body: request.body,
    };
    let now = Timestamp::from_unix_seconds(request.now);
    let verdict = sender.provider.verify(&sender.keys, &call, None::<Duration>, now);
    let expected = reference(&request);
    ensure!(
        verdict.is_ok() == expected,
        "gatepost says {verdict:?}, the reference {expected} of {} and {} at {}",
        shown(&request),
        String::from_utf8_lossy(request.body),
        request.now
    );
    Ok(())
}

fn shown(request: &Request<'_>) -> String {
    let line = |(name, value): &(&str, Vec<u8>)| format!("{name}: {}", value.escape_ascii());
    request.headers.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// Two bytes: how far off the clock is. One: how many edits come, each of four bytes. Then the id, the timestamp, the
/// headers and the body. A header is a line of which the first letter says its name (`a` is
/// the first); in it `\x01` to `\x04` stand for the
/// right signature (by the first and the second way of the sender, then in upper case), `\x05` for the timestamp and
/// `\x06` for the id.
fn draft<'a>(sender: &Sender, bytes: &'a [u8]) -> Request<'a> {
    let mut input = Input::new(bytes);
    let now = NOW + i64::from(i16::from_be_bytes(input.array())) % 700;
    let edits: Vec<[u8; 4]> = (0..input.byte() % 4).map(|_| input.array()).collect();
    let (id, timestamp, template) = (input.text(), input.text(), input.text());
    let draft = Draft {
        id,
        timestamp,
        body: input.rest(),
    };
    let lines = template.split(|it| *it == b'\n').filter(|it| !it.is_empty());
    let mut headers: Vec<_> = lines
        .take(12)
        .map(|line| {
            let name = sender.names[usize::from(line[0].wrapping_sub(b'a')) % sender.names.len()];
            (name, filled_in(&line[1..], &draft, sender.sign))
        })
        .collect();
    for [header, op, at, value] in edits {
        let n_headers = headers.len().max(1);
        if let Some((_, text)) = headers.get_mut(usize::from(header) % n_headers) {
            edit(text, op, usize::from(at), value);
        }
    }
    Request {
        headers,
        body: draft.body,
        now,
    }
}

fn filled_in(template: &[u8], draft: &Draft<'_>, sign: fn(&Draft<'_>, u8) -> String) -> Vec<u8> {
    let mut text = Vec::with_capacity(template.len() + 100);
    for c in template {
        match c {
            1 | 2 => text.extend(sign(draft, c - 1).into_bytes()),
            3 | 4 => text.extend(sign(draft, c - 3).to_uppercase().into_bytes()),
            5 => text.extend(draft.timestamp),
            6 => text.extend(draft.id),
            _ => text.push(*c),
        }
    }
    text
}

/// One small damage.
pub(super) fn edit(text: &mut Vec<u8>, op: u8, at: usize, value: u8) {
    let at = if text.is_empty() { 0 } else { at % text.len() };
    match op % 6 {
        0 if at < text.len() => text[at] ^= value,
        1 if at < text.len() => text[at] = value,
        2 if at < text.len() => drop(text.remove(at)),
        3 => text.insert(at, value),
        4 => text.truncate(at),
        5 => {
            let tail = text[at..].to_vec();
            text.extend(tail);
        }
        _ => {}
    }
}

/// A seed for `compare`.
pub(super) fn seed(id: &[u8], timestamp: &[u8], headers: &[u8], body: &[u8]) -> Vec<u8> {
    super::input::joined(&[0, 0, 0], &[id, timestamp, headers, body])
}
