//! Tokens and passwords: `Authorization: Bearer ...`, a token in a query, `Authorization: Basic ...`.

use std::{path::Path, sync::OnceLock, time::Duration};

use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider::{
        self, Call, Key, Provider,
        recipe::{
            Places,
            credentials::{self, TokenRecipe},
        },
    },
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    mac,
    text::form,
};

pub const TARGET: Target = Target {
    name: "credentials",
    run: |bytes| compare(genuine, bytes),
    seeds,
};

const TOKENS: [&str; 2] = ["a token of enough characters", "another=token+of%the&kind"];
const PASSWORDS: [&str; 2] = ["user:pass:word", "other:correct horse"];

struct Sender {
    row: Provider,
    keys: Vec<Key>,
}

fn senders() -> [Sender; 3] {
    let find = |name| provider::find(name).expect("it is in the catalog").clone();
    let in_query = TokenRecipe {
        query: Some("token".to_owned()),
        ..TokenRecipe::default()
    };
    let in_query = credentials::token(&in_query, &Places::default()).expect("it is a recipe");
    [
        (find("token"), TOKENS),
        (in_query, TOKENS),
        (find("basic"), PASSWORDS),
    ]
    .map(|(row, secrets)| {
        let key = |it| row.key(&Secret::new(it)).expect("it is a secret");
        let keys = secrets.map(key).to_vec();
        Sender { row, keys }
    })
}

/// Which of the three, the `authorization` headers and the query.
pub(crate) type Reference = fn(usize, &[Vec<u8>], &str) -> bool;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    static SENDERS: OnceLock<[Sender; 3]> = OnceLock::new();
    let senders = SENDERS.get_or_init(senders);
    let mut input = Input::new(bytes);
    let which = usize::from(input.byte() % 3);
    let query = input.utf8();
    let lines = input.rest().split(|it| *it == b'\n').filter(|it| !it.is_empty());
    let values: Vec<_> = lines.take(4).map(filled_in).collect();
    let headers = Headers::from_pairs(values.iter().map(|it| ("authorization", &it[..])));
    let target = format!("/webhooks/x?{query}");
    let call = Call {
        method: "POST",
        url: None,
        target: &target,
        headers: &headers,
        body: b"{}",
    };
    let Sender { row, keys } = &senders[which];
    let verdict = row.verify(keys, &call, None::<Duration>, Timestamp::EPOCH);
    let expected = reference(which, &values, query);
    ensure!(
        verdict.is_ok() == expected,
        "{which}: gatepost says {verdict:?}, the reference {expected} of `{query}` and {:?}",
        values
            .iter()
            .map(|it| it.escape_ascii().to_string())
            .collect::<Vec<_>>()
    );
    Ok(())
}

/// `\x01` and `\x02` stand for the tokens, `\x03` and `\x04` for the passwords in base64.
fn filled_in(line: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(line.len() + 40);
    for c in line {
        match c {
            1 | 2 => text.extend(TOKENS[usize::from(c - 1)].as_bytes()),
            3 | 4 => text.extend(encoded(PASSWORDS[usize::from(c - 3)]).into_bytes()),
            _ => text.push(*c),
        }
    }
    text
}

fn encoded(password: &str) -> String {
    mac::base64(mac::STANDARD, true, password.as_bytes())
}

pub(crate) fn genuine(which: usize, authorization: &[Vec<u8>], query: &str) -> bool {
    if which == 1 {
        let tokens: Vec<_> = form(query.as_bytes())
            .into_iter()
            .filter(|(name, _)| name == "token")
            .collect();
        return matches!(&tokens[..], [(_, token)] if TOKENS.contains(&token.as_str()));
    }
    let [value] = authorization else {
        return false;
    };
    if which == 0 {
        return TOKENS
            .iter()
            .any(|it| *value == format!("Bearer {it}").as_bytes());
    }
    let is_basic = value.len() > 6 && value[..6].eq_ignore_ascii_case(b"basic ");
    is_basic && PASSWORDS.iter().any(|it| value[6..] == *encoded(it).as_bytes())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (0, "", "Bearer \x01"),
        (0, "", "Bearer \x02"),
        (0, "", "bearer \x01"),
        (0, "", "Bearer \x01\nBearer \x01"),
        (1, "token=a+token+of+enough+characters", ""),
        (1, "x=1&token=another%3Dtoken%2Bof%25the%26kind", ""),
        (1, "token=a+token+of+enough+characters&token=", ""),
        (2, "", "Basic \x03"),
        (2, "", "bASIC \x04"),
        (2, "", "Basic \x03="),
        (2, "", "Basic"),
    ]
    .into_iter()
    .map(|(which, query, lines)| joined(&[which], &[query.as_bytes(), lines.as_bytes()]))
    .collect()
}
