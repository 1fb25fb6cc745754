//! What `common` asks for in this engine's own words.

/// Keeps others from changing an issue until the transaction ends.
pub(super) const LOCK_ISSUE: &str = include_str!("sql/lock_issue.sql");
pub(super) const LOCK_ISSUE_OF_KEY: &str = include_str!("sql/issue_of_key.sql");
/// Whoever appends waits here for the one before.
pub(super) const LOCK_AUDIT_HEAD: &str = "select seq, hash from audit_head for update";

pub(super) const AUDIT: &str = include_str!("sql/audit.sql");
pub(super) const CREATE_TOKEN: &str = include_str!("sql/create_token.sql");
pub(super) const HEAR: &str = include_str!("sql/hear.sql");
pub(super) const STATS_DELIVERIES: &str = include_str!("sql/stats_deliveries.sql");
pub(super) const STATS_EVENTS: &str = include_str!("sql/stats_events.sql");
pub(super) const STATS_MADE: &str = include_str!("sql/stats_made.sql");
pub(super) const STATS_REJECTED: &str = include_str!("sql/stats_rejected.sql");
