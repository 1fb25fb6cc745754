//! Answers to "is this URL really yours?".

use crate::provider::{
    Answer, Call,
    place::{Place, Reader, body, form},
};

/// Slack sends 50 to 100 characters.
const MAX_CHALLENGE: usize = 512;

/// Slack signs both with the key of its events, so the caller has verified them: nobody else can make us echo a text.
pub(super) fn slack(call: &Call<'_>) -> Option<Answer> {
    let mut reader = Reader::new(call);
    reader.fetch(vec!["/type", "/challenge"]);
    let is = |place: &Place, text: &[u8]| reader.first(place).is_some_and(|it| it == text);
    if is(&body("/type"), b"url_verification") {
        let challenge = reader.first(&body("/challenge"))?;
        if challenge.is_empty() || challenge.len() > MAX_CHALLENGE {
            return None;
        }
        return Some(Answer {
            status: 200,
            content_type: Some("text/plain"),
            body: challenge.into_owned(),
        });
    }
    // A slash command carries `ssl_check` beside its own fields only when it is a check.
    if is(&form("ssl_check"), b"1") && reader.first(&form("command")).is_none_or(|it| it.is_empty()) {
        return Some(Answer {
            status: 200,
            content_type: None,
            body: Vec::new(),
        });
    }
    None
}
