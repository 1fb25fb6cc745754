//! A sender that has no row of its own: every key of a source's `hmac` table, in recipes that between them use all.

mod reference;

use std::{path::Path, sync::OnceLock};

use aws_lc_rs::digest as digests;
use bytes::Bytes;
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::{deduplication_key, headers::Headers},
    provider::recipe::{
        Places,
        hmac::{HmacRecipe, hmac},
    },
    source::{self, Received, Settings, Source},
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    mac,
    request::{NOW, edit},
    tree,
};
use reference::{genuine, signed, written};

pub const TARGET: Target = Target {
    name: "hmac",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const SECRET: &str = "a secret of enough characters";
const PUBLIC_URL: &str = "https://hooks.example.com/base";
const NAMES: &[&str] = &["x-signature", "x-time", "x-id", "x-a", "content-type"];

/// A recipe as the config writes it, and what an obvious reading of it needs.
pub(crate) struct Recipe {
    hash: &'static str,
    encoding: &'static str,
    prefix: &'static str,
    separator: &'static str,
    /// The fields of the signature and of the timestamp.
    fields: [&'static str; 2],
    unit: &'static str,
    /// In a header of its own.
    has_time: bool,
    has_id: bool,
    signed: &'static str,
}

const PLAIN: Recipe = Recipe {
    hash: "sha256",
    encoding: "hex",
    prefix: "",
    separator: "",
    fields: ["", ""],
    unit: "",
    has_time: false,
    has_id: false,
    signed: "{body}",
};

const RECIPES: &[Recipe] = &[
    Recipe {
        prefix: "sha256=",
        ..PLAIN
    },
    Recipe {
        hash: "sha1",
        encoding: "hex-any-case",
        prefix: "sha1=",
        ..PLAIN
    },
    Recipe {
        hash: "sha512",
        encoding: "base64",
        separator: ",",
        ..PLAIN
    },
    Recipe {
        hash: "sha384",
        encoding: "base64url-unpadded",
        has_time: true,
        signed: "{timestamp}.{body}",
        ..PLAIN
    },
    Recipe {
        fields: ["v1", "t"],
        unit: "ms",
        signed: "{timestamp}.{body}",
        ..PLAIN
    },
    Recipe {
        fields: ["sig", ""],
        separator: "; ",
        encoding: "base64-of-hex",
        prefix: "x",
        ..PLAIN
    },
    Recipe {
        has_id: true,
        has_time: true,
        unit: "rfc3339",
        signed: "{id}.{timestamp}.{body}",
        encoding: "base64url",
        ..PLAIN
    },
    Recipe {
        hash: "plain-sha256",
        encoding: "hex-upper",
        signed: "{secret}{body}",
        ..PLAIN
    },
    Recipe {
        has_time: true,
        unit: "http-date",
        signed: "{method}:{target}:{timestamp}:{body_sha256}",
        ..PLAIN
    },
    Recipe {
        encoding: "base64-unpadded",
        signed: "{path}{sorted_form}",
        ..PLAIN
    },
    Recipe {
        signed: "{header:x-a}|{query:k}|{form:f}|{body}",
        separator: " ",
        ..PLAIN
    },
    Recipe {
        signed: "{url}{{{body:/id}}}",
        encoding: "base64url-of-hex",
        ..PLAIN
    },
];

pub(crate) struct Request<'a> {
    headers: Vec<(&'static str, Vec<u8>)>,
    target: &'a str,
    body: &'a [u8],
    now: i64,
}

pub(crate) type Reference = fn(&Recipe, &Request<'_>) -> bool;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    let sources = SOURCES.get_or_init(|| RECIPES.iter().map(source).collect());
    let mut input = Input::new(bytes);
    let which = usize::from(input.byte()) % RECIPES.len();
    let (source, recipe) = (&sources[which], &RECIPES[which]);
    let request = draft(recipe, input);
    // What stands before a fault in the JSON is found too, which the tree cannot say.
    if recipe.signed.contains("{body:") && tree::parse(request.body).is_none() {
        return Ok(());
    }
    let pairs = request.headers.iter().map(|(name, value)| (*name, &value[..]));
    let arrived = source::Request {
        method: http::Method::POST,
        target: request.target.to_owned(),
        headers: Headers::from_pairs(pairs),
        body: Bytes::copy_from_slice(request.body),
        client: None,
        received_at: Timestamp::EPOCH,
    };
    let received = source::receive(source, &arrived, Timestamp::from_unix_seconds(request.now));
    let expected = reference(recipe, &request);
    ensure!(
        matches!(received, Received::Verified(_)) == expected,
        "`{}`: gatepost says {received:?}, the reference {expected} of {} to {} with {:?}",
        recipe.signed,
        request.body.escape_ascii(),
        request.target,
        request
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect::<Vec<_>>()
    );
    if let Received::Verified(verified) = received {
        let hash = mac::digest(&digests::SHA256, request.body);
        ensure!(verified.body_hash().0[..] == hash, "the hash is of another body");
        let key = deduplication_key("s", verified.external_id(), verified.body_hash());
        ensure!(verified.key() == Some(key), "the key is of another id");
    }
    Ok(())
}

fn source(recipe: &Recipe) -> Source {
    let some = |it: &str| (!it.is_empty()).then(|| it.to_owned());
    let words = HmacRecipe {
        hash: some(recipe.hash),
        header: some("x-signature"),
        prefix: some(recipe.prefix),
        encoding: some(recipe.encoding),
        signed: some(recipe.signed),
        timestamp_header: recipe.has_time.then(|| "x-time".to_owned()),
        timestamp_unit: some(recipe.unit),
        secret_encoding: None,
        separator: some(recipe.separator),
        field: some(recipe.fields[0]),
        timestamp_field: some(recipe.fields[1]),
        ..HmacRecipe::default()
    };
    let places = Places {
        event_id: recipe.has_id.then(|| "header:x-id".to_owned()),
        ..Places::default()
    };
    Source::new(Settings {
        name: "s".to_owned(),
        provider: hmac(&words, &places).expect("it is a recipe"),
        secrets: vec![Secret::new(SECRET)],
        verify_token: None,
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: Some(PUBLIC_URL.parse().expect("it is a URL")),
        redact: gatepost::source::redact::Redact::default(),
    })
    .expect("it is a source")
}

/// As in `request`: an offset of the clock, edits, the timestamp, the target, the headers, the body. `\x01` stands for the
/// right signature of everything else, `\x05` for the timestamp.
fn draft<'a>(recipe: &Recipe, mut input: Input<'a>) -> Request<'a> {
    let now = NOW + i64::from(i16::from_be_bytes(input.array())) % 700;
    let edits: Vec<[u8; 4]> = (0..input.byte() % 3).map(|_| input.array()).collect();
    let (time, target, template) = (input.text(), input.utf8(), input.text());
    let mut request = Request {
        headers: Vec::new(),
        target,
        body: input.rest(),
        now,
    };
    for line in template
        .split(|it| *it == b'\n')
        .filter(|it| !it.is_empty())
        .take(8)
    {
        let name = NAMES[usize::from(line[0].wrapping_sub(b'a')) % NAMES.len()];
        let mut value = Vec::new();
        for c in &line[1..] {
            if *c == 5 {
                value.extend(time);
            } else {
                value.push(*c);
            }
        }
        request.headers.push((name, value));
    }
    let code = signed(recipe, &request, time)
        .map(|it| written(recipe, &it))
        .unwrap_or_default();
    for (_, value) in &mut request.headers {
        if value.contains(&1) {
            let pieces: Vec<_> = value.split(|it| *it == 1).map(<[u8]>::to_vec).collect();
            *value = pieces.join(code.as_bytes());
        }
    }
    let n_headers = request.headers.len().max(1);
    for [header, op, at, value] in edits {
        if let Some((_, text)) = request.headers.get_mut(usize::from(header) % n_headers) {
            edit(text, op, usize::from(at), value);
        }
    }
    request
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let form = "\neapplication/x-www-form-urlencoded";
    let cases: [(u8, &str, &str, String, &str); 21] = [
        (0, "", "/", "asha256=\x01".into(), "{}"),
        (1, "", "/", "asha1=\x01".into(), "{}"),
        (2, "", "/", "a\x01".into(), "{}"),
        (2, "", "/", "a\x01,\x01".into(), "{}"),
        (3, "1767225600", "/", "a\x01\nb\x05".into(), "{}"),
        (4, "1767225600123", "/", "at=\x05,v1=\x01,v0=x".into(), "{}"),
        (4, "1767225600123", "/", "av1=\x01,v1=\x01,t=\x05".into(), "{}"),
        (5, "", "/", "asig=x\x01; other=1".into(), "{}"),
        (6, "2026-01-01T00:00:00Z", "/", "a\x01\nb\x05\ncid-1".into(), "{}"),
        (6, "2026-01-01T00:00:00Z", "/", "a\x01\nb\x05\ncid.1".into(), "{}"),
        (7, "", "/", "a\x01".into(), "{}"),
        (
            8,
            "Thu, 01 Jan 2026 00:00:00 GMT",
            "/webhooks/x?a=1",
            "a\x01\nb\x05".into(),
            "{}",
        ),
        (9, "", "/webhooks/x?a=1", format!("a\x01{form}"), "b=2&a=1&a=%31"),
        (10, "", "/x?k=1", format!("a\x01\ndvalue{form}"), "f=x&g=y"),
        (10, "", "/x?k=1", format!("a\x01 \x01\ndva|ue{form}"), "f=x&g=y"),
        (10, "", "/x?k=1&k=2", format!("a\x01\ndvalue{form}"), "f=x&g=y"),
        (11, "", "/x?y=1", "a\x01".into(), r#"{"id":"a"}"#),
        (11, "", "http://host/x?y=1", "a\x01".into(), r#"{"id":"a"}"#),
        (11, "", "http://host?y=1", "a\x01".into(), r#"{"id":"}"}"#),
        (0, "", "/", "asha256=\x01\nasha256=\x01".into(), "{}"),
        (0, "", "/", "asha256=\x01,sha256=\x01".into(), "{}"),
    ];
    cases
        .into_iter()
        .map(|(which, time, target, headers, body)| {
            joined(
                &[which, 0, 0, 0],
                &[
                    time.as_bytes(),
                    target.as_bytes(),
                    headers.as_bytes(),
                    body.as_bytes(),
                ],
            )
        })
        .collect()
}
