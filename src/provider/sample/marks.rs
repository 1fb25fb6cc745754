//! What is another one in each request: ids, times, numbers, and the type that is wanted.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    provider::{moment, sample::FORM},
};

const UNIX_MARK: &str = "1500000000";
const NUMBER_MARK: &str = "1400000000";
pub(super) const TOKEN_MARK: &str = "@token@";

/// What the marks of a sample stand for.
pub(super) struct Marks<'t> {
    pub(super) id: String,
    uuid: Uuid,
    /// Of ten digits.
    number: u32,
    pub(super) event_type: &'t str,
    token: &'t str,
    pub(super) now: Timestamp,
}

impl<'t> Marks<'t> {
    pub(super) fn new(event_type: &'t str, secret: &'t Secret, now: Timestamp) -> Self {
        let uuid = Uuid::now_v7();
        Self {
            id: uuid.simple().to_string(),
            uuid,
            // Ends in 7, so that with zeros behind it no mark comes out of it.
            number: rand::random_range(100_000_000..200_000_000) * 10 + 7,
            event_type,
            token: secret.expose_str().unwrap_or_default(),
            now,
        }
    }

    /// What somebody else chose goes in last, so that a mark in it stays what it is.
    pub(super) fn fill(&self, text: &str, escape: fn(&str) -> String) -> String {
        let (before, after) = self
            .event_type
            .split_once('.')
            .unwrap_or((self.event_type, "example"));
        text.replace("@id@", &self.id)
            .replace("@uuid@", &self.uuid.to_string())
            .replace("@time@", &self.now.to_string())
            .replace("@date@", &escape(&moment::write_rfc2822(self.now)))
            .replace(UNIX_MARK, &self.now.as_unix_seconds().to_string())
            .replace(NUMBER_MARK, &self.number.to_string())
            .replace(TOKEN_MARK, &escape(self.token))
            .replace("@type1@", &escape(before))
            .replace("@type2@", &escape(after))
            .replace("@type@", &escape(self.event_type))
    }
}

/// How a text is written in a body of that kind.
pub(super) fn escape_for(content_type: &str) -> fn(&str) -> String {
    if content_type.starts_with(FORM) {
        |text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
    } else if content_type.contains("xml") {
        |text| {
            text.replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
        }
    } else {
        |text| {
            let quoted = Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    }
}

/// A header cannot hold a line end: a text that has one would otherwise start a header of its own.
pub(super) fn without_controls(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
