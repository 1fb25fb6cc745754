//! One try of one delivery, and what the pool decided after it.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    base::{clock::Timestamp, ids::AttemptId, word::Word},
    event::headers::Headers,
};

/// One try of one delivery, as it is recorded.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub id: AttemptId,
    /// 1 for the first.
    pub number: u32,
    pub started_at: Timestamp,
    pub duration: Duration,
    pub trigger: Trigger,
    /// Absent where no answer came.
    pub status_code: Option<u16>,
    /// Absent where the handler took it. One sentence for an operator.
    pub error: Option<String>,
    pub response_headers: Headers,
    /// Cut to what the destination's settings allow.
    pub response_body: Bytes,
}

/// Why an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The first try.
    Initial,
    /// The schedule's next try.
    Schedule,
    /// An operator asked.
    Manual,
    /// What a newer version says of it.
    Newer(Word),
}

impl Trigger {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Newer(word) => word.as_str(),
        }
    }

    /// Also what a newer version wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Initial, Self::Schedule, Self::Manual]
            .into_iter()
            .find(|it| it.as_str() == text)
            .or_else(|| Word::new(text).map(Self::Newer))
    }
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// To be tried again at that time.
    Retry {
        at: Timestamp,
    },
    /// Given up.
    Dead,
}

impl Outcome {
    /// Stable name for traces.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retrying",
            Self::Dead => "dead",
        }
    }
}
