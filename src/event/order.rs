//! Where an event stands among those of the same resource.

use crate::{base::clock::Timestamp, event::Hash};

/// What a route does with the events of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One at a time, the oldest first. A dead letter lets the next one go.
    Strict,
    /// The same, but a dead letter stops its key until it is retried or cancelled.
    StrictHold,
    /// One at a time, the newest first; what is older than it is skipped as `stale`.
    Latest,
    /// As it comes; what is older than the newest delivered one is marked.
    Flag,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::StrictHold => "strict-hold",
            Self::Latest => "latest",
            Self::Flag => "flag",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Strict, Self::StrictHold, Self::Latest, Self::Flag]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

/// Where one event stands among those of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// A hash of the key: keys are of any length, and may be personal.
    pub key: Hash,
    pub at: Timestamp,
    pub mode: Mode,
}
