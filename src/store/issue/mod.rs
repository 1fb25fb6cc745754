//! Issues: what is wrong, grouped by a key, and the notices of its changes.
//!
//! A change of an issue and the notices of it are one transaction, and a notice stays until it was taken: a process that dies
//! between the two leaves nobody untold. What a finding makes of an issue is decided in `step`, for both engines.

pub(super) mod step;

use std::sync::Arc;

use crate::{
    base::{
        clock::Timestamp,
        ids::{IssueId, NoticeId},
    },
    store::{Engine, Store, detached, error::StoreError, query::Page, run},
};

/// The most issues that are live at once, as far as they are looked at.
pub const MAX_LIVE: u32 = 1_000;
/// The most notices that one issue shows.
pub const MAX_NOTICES: u32 = 100;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 2] = [Self::Warning, Self::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Where an issue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    /// Open, and somebody knows.
    Acknowledged,
    /// Gone, or said to be. It opens again when it comes back.
    Resolved,
    /// Not to be heard of again until somebody opens it.
    Ignored,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Open, Self::Acknowledged, Self::Resolved, Self::Ignored];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// Whether it is still there, as far as anybody knows, and somebody may want to do something.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged)
    }
}

/// What became of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Opened,
    /// It came back, or an operator opened it again.
    Reopened,
    Acknowledged,
    Resolved,
    Ignored,
}

impl Change {
    pub const ALL: [Self; 5] = [
        Self::Opened,
        Self::Reopened,
        Self::Acknowledged,
        Self::Resolved,
        Self::Ignored,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Where a trouble is. Names of the config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub source: Option<String>,
    pub destination: Option<String>,
    pub route: Option<String>,
    /// What exactly, where a rule tells several apart: of refused requests, why.
    pub cause: Option<String>,
}

/// What a rule found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The same for the same trouble at the same place, always.
    pub key: String,
    pub rule: &'static str,
    pub severity: Severity,
    pub place: Place,
    /// One sentence for an operator.
    pub summary: String,
    /// How many failures it stands for; 1 where there is nothing to count.
    pub count: u64,
    /// When it last happened. `None`: nobody knows, and it is new where there are more than there were.
    pub seen_at: Option<Timestamp>,
    /// Names of the notifications that want to hear of it.
    pub tell: Vec<Arc<str>>,
}

/// What is wrong at one place, or was.
#[derive(Debug, Clone)]
pub struct Issue {
    pub id: IssueId,
    pub key: String,
    pub rule: String,
    pub severity: Severity,
    pub place: Place,
    pub state: State,
    pub summary: String,
    /// How many failures it stood for at the last look; 0 once it is gone.
    pub count: u64,
    pub n_opened: u32,
    pub first_seen_at: Timestamp,
    /// When it last happened, or became worse.
    pub last_seen_at: Timestamp,
    /// When it was last found to be there.
    pub holds_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    /// `None`: gatepost itself.
    pub changed_by: Option<String>,
    pub reason: Option<String>,
}

/// Which issues to list. All given conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct IssueQuery {
    pub state: Option<State>,
    /// Open or acknowledged.
    pub is_live: bool,
    pub rule: Option<String>,
    pub severity: Option<Severity>,
    pub source: Option<String>,
    pub destination: Option<String>,
    pub limit: u32,
    pub cursor: Option<IssueId>,
}

/// What an operator does with an issue.
#[derive(Debug, Clone)]
pub struct Move {
    pub to: State,
    /// Name of the token.
    pub by: String,
    pub reason: Option<String>,
    /// Names of the notifications that want to hear of it.
    pub tell: Vec<Arc<str>>,
}

/// One change of an issue, for one notification.
#[derive(Debug, Clone)]
pub struct Notice {
    pub id: NoticeId,
    pub notification: String,
    pub change: Change,
    /// `None`: gatepost itself.
    pub changed_by: Option<String>,
    /// When the issue changed.
    pub created_at: Timestamp,
    /// When it is tried, or tried again. `None`: it was sent, or given up.
    pub due_at: Option<Timestamp>,
    pub n_tries: u32,
    pub last_error: Option<String>,
    pub sent_at: Option<Timestamp>,
}

/// Why notices were not taken, and when they are tried again; never, if there is no such time.
#[derive(Debug, Clone)]
pub struct NotTaken {
    pub reason: String,
    pub due_at: Option<Timestamp>,
}

/// Dead letters to one destination, as far as they are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    pub destination: String,
    pub count: u64,
}

/// Requests to one source that were refused for one cause, among the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    pub source: String,
    pub cause: String,
    pub count: u64,
    pub last_at: Timestamp,
}

/// What waits past its time for one destination, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    pub count: u64,
    pub oldest_due: Timestamp,
}

impl Store {
    /// Notes what a rule found, and what is to be told of it. Says what changed.
    pub async fn see_issue(&self, finding: Finding, now: Timestamp) -> Result<Option<Change>, StoreError> {
        run!(self, see_issue(finding, now))
    }

    /// Resolves a live issue that was not found any more since then. Whether it did.
    pub async fn end_issue(
        &self,
        id: IssueId,
        not_since: Timestamp,
        tell: Vec<Arc<str>>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        run!(self, end_issue(id, not_since, tell, now))
    }

    /// An operator's deed. Says what changed, if anything did; `Conflict` where what is over is to be acknowledged.
    pub async fn move_issue(
        &self,
        id: IssueId,
        to: Move,
        now: Timestamp,
    ) -> Result<(Issue, Option<Change>), StoreError> {
        run!(self, move_issue(id, to, now))
    }

    pub async fn issue(&self, id: IssueId) -> Result<Issue, StoreError> {
        let found = run!(self, issue(id))?;
        found.ok_or_else(|| StoreError::NotFound {
            what: "issue",
            id: id.to_string(),
        })
    }

    /// Newest first.
    pub async fn issues(&self, query: &IssueQuery) -> Result<Page<Issue, IssueId>, StoreError> {
        let query = query.clone();
        run!(self, issues(query))
    }

    /// All that are open or acknowledged, the oldest first; at most `MAX_LIVE`.
    pub async fn live_issues(&self) -> Result<Vec<Issue>, StoreError> {
        run!(self, live_issues())
    }

    /// What was told of an issue, and is to be, newest first; at most `MAX_NOTICES`.
    pub async fn notices(&self, issue: IssueId) -> Result<Vec<Notice>, StoreError> {
        run!(self, notices(issue))
    }

    /// What is due for a notification, the oldest first, each with its issue as it stands now. What was not taken holds up what came
    /// later, so that nobody hears of an end before the beginning; but not for ever.
    pub async fn due_notices(
        &self,
        notification: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Notice, Issue)>, StoreError> {
        let notification = notification.to_owned();
        run!(self, due_notices(notification, now, limit))
    }

    /// How many messages went to a notification since then: notices that went in one are one.
    pub async fn n_messages(&self, notification: &str, since: Timestamp) -> Result<u64, StoreError> {
        let notification = notification.to_owned();
        run!(self, n_messages(notification, since))
    }

    /// They were taken, in one message.
    pub async fn notices_taken(&self, ids: Vec<NoticeId>, now: Timestamp) -> Result<(), StoreError> {
        run!(self, notices_taken(ids, now))
    }

    /// They were not taken.
    pub async fn notices_not_taken(&self, ids: Vec<NoticeId>, why: NotTaken) -> Result<(), StoreError> {
        run!(self, notices_not_taken(ids, why))
    }

    /// Removes at most `limit` resolved issues that changed before, as many notices that were made before, and what is no longer
    /// remembered of the sources' rhythm.
    pub async fn prune_issues(
        &self,
        before: Timestamp,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        run!(self, prune_issues(before, limit, now))
    }

    /// Dead letters by destination; of each at most `limit` are counted.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetters>, StoreError> {
        run!(self, dead_letters(limit))
    }

    /// Requests that were refused since then, by source and cause, among the newest `limit`.
    pub async fn refusals(&self, since: Timestamp, limit: u32) -> Result<Vec<Refusals>, StoreError> {
        run!(self, refusals(since, limit))
    }

    /// What became due for a destination before then and still waits, held or not; at most `limit` are counted. `None`: nothing.
    pub async fn backlog(
        &self,
        destination: &str,
        before: Timestamp,
        limit: u32,
    ) -> Result<Option<Backlog>, StoreError> {
        let destination = destination.to_owned();
        run!(self, backlog(destination, before, limit))
    }
}
