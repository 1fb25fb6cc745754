//! The sender's book: what was sent, what was answered, and what of that nobody should ever see.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::{
    http::Message,
    letter::{Digest32, Key, Letter, digest},
};

/// What is known of one event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) hash: Digest32,
    /// Requests of it that may have been read.
    pub(crate) n_sent: u64,
    /// Our id of it, from the first answer with 200.
    pub(crate) event: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) events: HashMap<Key, Entry>,
    /// Bodies that must never be stored or delivered.
    pub(crate) forged: HashSet<Digest32>,
    /// Bodies that came under an id that was another's already.
    pub(crate) conflicting: HashSet<Digest32>,
    pub(crate) n_acknowledged: u64,
    pub(crate) n_duplicates: u64,
    pub(crate) n_conflicts: u64,
    pub(crate) n_rejected: u64,
    pub(crate) n_forged: u64,
    /// 503 with a time to come back.
    pub(crate) n_own_faults: u64,
    /// Cut, reset, or no answer in time.
    pub(crate) n_broken: u64,
    pub(crate) n_refused: u64,
    /// Answers that nobody should ever get.
    pub(crate) wrong: Vec<String>,
}

/// What came of one request.
#[derive(Debug)]
pub(crate) enum Tried {
    Answered(Message),
    /// It cannot have been read.
    Refused,
    /// Nobody knows.
    Broken,
}

/// What a sender wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hope {
    Taken,
    /// It was acknowledged before.
    Duplicate,
    /// Something else was acknowledged under its id before.
    Conflict,
    Rejected,
}

impl Book {
    /// Before anything of it is sent.
    pub(crate) fn expect(&mut self, letter: &Letter) {
        let entry = Entry {
            hash: digest(&letter.body),
            n_sent: 0,
            event: None,
        };
        self.events.insert(letter.key(), entry);
    }

    /// Counts a request of it that is about to be written; whether it is the first one ever.
    pub(crate) fn sending(&mut self, letter: &Letter) -> bool {
        let entry = self.events.get_mut(&letter.key()).unwrap();
        entry.n_sent += 1;
        entry.n_sent == 1
    }

    /// It was not sent after all.
    pub(crate) fn not_sent(&mut self, letter: &Letter) {
        self.events.get_mut(&letter.key()).unwrap().n_sent -= 1;
    }

    /// Whether that was the end of it; `false`: it is to be sent again.
    pub(crate) fn note(&mut self, letter: &Letter, hope: Hope, is_first: bool, tried: &Tried) -> bool {
        let answer = match tried {
            Tried::Answered(answer) => answer,
            Tried::Refused => {
                self.n_refused += 1;
                return false;
            }
            Tried::Broken => {
                self.n_broken += 1;
                return false;
            }
        };
        let retry_after = answer.header("retry-after").and_then(|it| it.parse::<u32>().ok());
        match (answer.status(), hope) {
            (503, _) if retry_after.is_some_and(|it| (1..=60).contains(&it)) => {
                self.n_own_faults += 1;
                return false;
            }
            (200, Hope::Taken | Hope::Duplicate | Hope::Conflict) => {
                self.taken(letter, hope, is_first, answer);
            }
            (401, Hope::Rejected) => self.n_rejected += 1,
            (status, _) => self.wrong(letter, &format!("answered {status}, hoped for {hope:?}")),
        }
        true
    }

    fn taken(&mut self, letter: &Letter, hope: Hope, is_first: bool, answer: &Message) {
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (status, event) = (json["status"].as_str(), json["id"].as_str());
        let (Some(status), Some(event)) = (status, event) else {
            self.wrong(letter, "200 with a body of no known form");
            return;
        };
        let entry = self.events.get_mut(&letter.key()).unwrap();
        let known = entry.event.get_or_insert_with(|| event.to_owned()).clone();
        self.n_acknowledged += 1;
        if known != event {
            self.wrong(letter, &format!("answered as {event}, and as {known} before"));
        }
        match (status, hope) {
            ("duplicate", Hope::Taken) if is_first => {
                self.wrong(letter, "answered as a duplicate, but was never sent before");
            }
            ("accepted" | "duplicate", Hope::Taken) => (),
            ("duplicate", Hope::Conflict) => self.n_conflicts += 1,
            ("duplicate", Hope::Duplicate) => (),
            _ => self.wrong(letter, &format!("answered `{status}`, hoped for {hope:?}")),
        }
        if status == "duplicate" {
            self.n_duplicates += 1;
        }
    }

    fn wrong(&mut self, letter: &Letter, what: &str) {
        let (source, id) = (letter.source.name(), &letter.id);
        self.wrong.push(format!("wrong answer: {source} {id}: {what}"));
    }
}
