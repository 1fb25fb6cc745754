//! What each sender asks to find out whether a URL is meant for it, and what it wants to read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::*;
use crate::provider::{Answer, handshake::Asked};

/// A handshake as its sender makes it. The MACs were made by Python's `hmac` under the plain secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    row: String,
    fact: String,
    method: Option<String>,
    query: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    verify_token: Option<String>,
    /// Whoever asks is verified like an event.
    #[serde(default)]
    signed: bool,
    /// It holds the secret, and is answered while there is none.
    #[serde(default)]
    handed_over: bool,
    status: Option<u16>,
    #[serde(default)]
    answer: String,
    /// Headers of the answer.
    #[serde(default)]
    shows: BTreeMap<String, String>,
}

/// Its confirmation is a call of our own: `tests/it/senders`.
const ASKED_ELSEWHERE: [&str; 1] = ["aws-sns"];

fn questions() -> Vec<Question> {
    serde_json::from_str(include_str!("questions.json")).unwrap()
}

impl Question {
    fn bent(&self) -> Bent {
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut bent = Bent::new(&headers.collect::<Vec<_>>(), self.body.as_bytes());
        bent.method = self.method.as_deref().unwrap_or("POST").to_owned();
        if let Some(query) = &self.query {
            bent.target = format!("{TARGET}?{query}");
        }
        bent.url = Some(format!("https://hooks.example.com{}", bent.target));
        bent
    }

    fn keys(&self) -> Vec<Key> {
        let provider = row(&self.row);
        if self.handed_over || provider.is_unverified() {
            return Vec::new();
        }
        vec![key(provider, &secret_for(&self.row))]
    }

    /// As a stranger, who has signed nothing.
    fn asked(&self, verify_token: Option<&str>) -> Option<Asked> {
        let token = verify_token.map(Secret::new);
        self.bent()
            .with(|call| row(&self.row).unsigned_handshake(&self.keys(), token.as_ref(), call))
    }

    fn answered(&self) -> Option<Answer> {
        if self.signed {
            let proven = self
                .bent()
                .with(|call| row(&self.row).signed_handshake(&self.keys(), call));
            return proven.map(|it| it.answer);
        }
        match self.asked(self.verify_token.as_deref()) {
            Some(Asked::Answered(it)) if !self.handed_over => Some(it),
            Some(Asked::HandedOver(it)) if self.handed_over => Some(it),
            _ => None,
        }
    }
}

#[test]
fn every_sender_reads_what_it_wants() {
    for question in questions() {
        let case = format!("{}: {}", question.row, question.fact);
        let answer = question
            .answered()
            .unwrap_or_else(|| panic!("{case}: not answered"));
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!(
            (answer.status, body.as_str()),
            (question.status.unwrap_or(200), question.answer.as_str()),
            "{case}"
        );
        for (name, value) in &question.shows {
            let shown = answer.headers.iter().find(|(it, _)| it == name);
            assert_eq!(shown.map(|(_, it)| it), Some(value), "{case}: {name}");
        }
        assert!(
            row(&question.row)
                .methods()
                .any(|it| it == question.bent().method),
            "{case}"
        );
    }
}

#[test]
fn no_row_with_a_handshake_is_left_out() {
    let with = all().iter().filter(|it| !it.handshakes.is_empty());
    let with: BTreeSet<_> = with.map(|it| it.name.to_string()).collect();
    let asked = questions().into_iter().map(|it| it.row);
    let asked: BTreeSet<_> = asked.chain(ASKED_ELSEWHERE.map(str::to_owned)).collect();
    assert_eq!(with, asked);
}

#[test]
fn a_stranger_is_answered_nothing_that_wants_a_proof() {
    for question in questions() {
        let case = format!("{}: {}", question.row, question.fact);
        if question.signed {
            let asked = question.asked(None);
            assert!(!matches!(asked, Some(Asked::Answered(_))), "{case}: {asked:?}");
        }
        let has_token = question.verify_token.as_ref().zip(question.query.as_ref());
        if has_token.is_some() {
            for other in [Some("another-token"), None] {
                let answered = match question.asked(other) {
                    Some(Asked::Answered(it)) => Some(it),
                    _ => None,
                };
                // eBay's answer is made of the token, and wrong without the right one.
                let is_wrong = answered
                    .as_ref()
                    .is_none_or(|it| it.body != question.answer.as_bytes());
                assert!(is_wrong, "{case}: {answered:?}");
            }
        }
        if question.handed_over {
            let keys = [key(row(&question.row), &secret_for(&question.row))];
            let again = question
                .bent()
                .with(|call| row(&question.row).unsigned_handshake(&keys, None, call));
            assert_eq!(again, None, "{case}: it has a secret");
        }
    }
}
