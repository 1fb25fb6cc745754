//! What `common` asks for in this engine's own words.

/// A transaction has the right to write from its start: nothing is left to lock.
pub(super) const LOCK_ISSUE: &str = include_str!("../common/sql/issue.sql");
pub(super) const LOCK_ISSUE_OF_KEY: &str = include_str!("sql/issue_of_key.sql");
pub(super) const LOCK_AUDIT_HEAD: &str = "select seq, hash from audit_head";

pub(super) const AUDIT: &str = include_str!("sql/audit.sql");
pub(super) const CREATE_TOKEN: &str = include_str!("sql/create_token.sql");
pub(super) const HEAR: &str = include_str!("sql/hear.sql");
pub(super) const STATS_DELIVERIES: &str = include_str!("sql/stats_deliveries.sql");
pub(super) const STATS_EVENTS: &str = include_str!("sql/stats_events.sql");
pub(super) const STATS_MADE: &str = include_str!("sql/stats_made.sql");
pub(super) const STATS_REJECTED: &str = include_str!("sql/stats_rejected.sql");
