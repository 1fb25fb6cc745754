//! What a finding, its end or an operator makes of an issue. Pure; the time is an argument.

use crate::{
    base::{clock::Timestamp, ids::IssueId},
    store::{
        error::StoreError,
        issue::{Change, Finding, Issue, Move, State},
    },
};

/// What a finding makes of what is known of it: nothing new where the change is `None`.
pub(in crate::store) fn seen(
    known: Option<Issue>,
    finding: &Finding,
    now: Timestamp,
) -> (Issue, Option<Change>) {
    let Some(issue) = known else {
        return (opened(finding, now), Some(Change::Opened));
    };
    let is_new = match finding.seen_at {
        Some(at) => issue.last_seen_at < at,
        None => issue.count < finding.count,
    };
    // What was resolved stays so while it only is still there: what happened since opens it again.
    let is_back = issue.state == State::Resolved
        && match finding.seen_at {
            Some(at) => issue.changed_at < at,
            None => is_new,
        };
    let mut next = Issue {
        severity: finding.severity,
        summary: finding.summary.clone(),
        count: finding.count,
        holds_at: issue.holds_at.max(now),
        ..issue
    };
    if is_new {
        next.last_seen_at = finding.seen_at.unwrap_or(now);
    }
    if !is_back {
        return (next, None);
    }
    let next = Issue {
        state: State::Open,
        n_opened: next.n_opened.saturating_add(1),
        changed_at: now,
        changed_by: None,
        reason: None,
        ..next
    };
    (next, Some(Change::Reopened))
}

fn opened(finding: &Finding, now: Timestamp) -> Issue {
    Issue {
        id: IssueId::new(),
        key: finding.key.clone(),
        rule: finding.rule.to_owned(),
        severity: finding.severity,
        place: finding.place.clone(),
        state: State::Open,
        summary: finding.summary.clone(),
        count: finding.count,
        n_opened: 1,
        first_seen_at: now,
        last_seen_at: finding.seen_at.unwrap_or(now),
        holds_at: now,
        changed_at: now,
        changed_by: None,
        reason: None,
    }
}

/// What becomes of an issue that was not there any more at any look since then. `None`: nothing.
pub(in crate::store) fn gone(issue: Issue, before: Timestamp, now: Timestamp) -> Option<Issue> {
    (issue.state.is_live() && issue.holds_at < before).then_some(Issue {
        state: State::Resolved,
        count: 0,
        changed_at: now,
        changed_by: None,
        reason: None,
        ..issue
    })
}

/// What an operator's move makes of an issue; no change where it stands there already. `Conflict` where it cannot be.
pub(in crate::store) fn moved(
    issue: Issue,
    to: &Move,
    now: Timestamp,
) -> Result<(Issue, Option<Change>), StoreError> {
    if issue.state == to.to {
        return Ok((issue, None));
    }
    let change = match (issue.state, to.to) {
        (State::Open | State::Acknowledged, State::Acknowledged) => Change::Acknowledged,
        (State::Resolved | State::Ignored, State::Acknowledged) => {
            return Err(StoreError::Conflict {
                what: "issue",
                id: issue.id.to_string(),
                status: issue.state.as_str().to_owned(),
                wanted: "acknowledged",
            });
        }
        (_, State::Open) => Change::Reopened,
        (_, State::Resolved) => Change::Resolved,
        (_, State::Ignored) => Change::Ignored,
    };
    let next = Issue {
        state: to.to,
        n_opened: issue
            .n_opened
            .saturating_add(u32::from(change == Change::Reopened)),
        changed_at: now,
        changed_by: Some(to.by.clone()),
        reason: to.reason.clone(),
        ..issue
    };
    Ok((next, Some(change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::issue::{Place, Severity};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn finding(count: u64, seen_at: Option<Timestamp>) -> Finding {
        Finding {
            key: "dead_letters:billing".to_owned(),
            rule: "dead_letters",
            severity: Severity::Warning,
            place: Place::default(),
            summary: format!("{count} dead letters"),
            count,
            seen_at,
            tell: Vec::new(),
        }
    }

    fn by(to: State) -> Move {
        Move {
            to,
            by: "ops".to_owned(),
            reason: None,
            tell: Vec::new(),
        }
    }

    /// The states and changes that findings, ends and moves lead to, one after the other.
    #[track_caller]
    fn stands(issue: &Issue, change: Option<Change>, state: State, expected: Option<Change>) {
        assert_eq!((issue.state, change), (state, expected), "{issue:?}");
    }

    #[test]
    fn what_is_counted_comes_back_when_there_is_more_of_it() {
        let (issue, change) = seen(None, &finding(3, None), at(1));
        stands(&issue, change, State::Open, Some(Change::Opened));
        // Still there, and no more of it: nothing new, and it goes on being there.
        let (issue, change) = seen(Some(issue), &finding(3, None), at(2));
        stands(&issue, change, State::Open, None);
        assert_eq!((issue.last_seen_at, issue.holds_at), (at(1), at(2)));
        let (issue, _) = moved(issue, &by(State::Resolved), at(3)).unwrap();
        let (issue, change) = seen(Some(issue), &finding(2, None), at(4));
        stands(&issue, change, State::Resolved, None);
        let (issue, change) = seen(Some(issue), &finding(3, None), at(5));
        stands(&issue, change, State::Open, Some(Change::Reopened));
        assert_eq!(
            (issue.n_opened, issue.last_seen_at, issue.changed_by),
            (2, at(5), None)
        );
    }

    #[test]
    fn what_has_a_time_comes_back_when_it_happens_after_it_was_resolved() {
        let (issue, _) = seen(None, &finding(20, Some(at(1))), at(2));
        let (issue, _) = moved(issue, &by(State::Resolved), at(5)).unwrap();
        let (issue, change) = seen(Some(issue), &finding(21, Some(at(4))), at(6));
        stands(&issue, change, State::Resolved, None);
        let (issue, change) = seen(Some(issue), &finding(21, Some(at(7))), at(8));
        stands(&issue, change, State::Open, Some(Change::Reopened));
    }

    #[test]
    fn what_is_gone_for_long_enough_is_resolved_and_comes_back_at_the_first() {
        let (issue, _) = seen(None, &finding(3, None), at(1));
        assert!(gone(issue.clone(), at(1), at(9)).is_none());
        let (acknowledged, _) = moved(issue, &by(State::Acknowledged), at(2)).unwrap();
        let issue = gone(acknowledged, at(2), at(9)).unwrap();
        assert_eq!(
            (issue.state, issue.count, issue.changed_by.as_deref()),
            (State::Resolved, 0, None)
        );
        assert!(gone(issue.clone(), at(8), at(9)).is_none(), "it is resolved");
        let (issue, change) = seen(Some(issue), &finding(1, None), at(10));
        stands(&issue, change, State::Open, Some(Change::Reopened));
    }

    #[test]
    fn what_is_ignored_stays_so_until_somebody_opens_it() {
        let (issue, _) = seen(None, &finding(3, None), at(1));
        let (issue, change) = moved(issue, &by(State::Ignored), at(2)).unwrap();
        stands(&issue, change, State::Ignored, Some(Change::Ignored));
        let (issue, change) = seen(Some(issue), &finding(9, None), at(3));
        stands(&issue, change, State::Ignored, None);
        assert_eq!(issue.count, 9);
        assert!(gone(issue.clone(), at(50), at(60)).is_none());
        let (issue, change) = moved(issue, &by(State::Open), at(4)).unwrap();
        stands(&issue, change, State::Open, Some(Change::Reopened));
        let (issue, change) = moved(issue, &by(State::Open), at(5)).unwrap();
        stands(&issue, change, State::Open, None);
    }

    #[test]
    fn what_is_over_cannot_be_acknowledged() {
        let (issue, _) = seen(None, &finding(3, None), at(1));
        for state in [State::Resolved, State::Ignored] {
            let (over, _) = moved(issue.clone(), &by(state), at(2)).unwrap();
            let refused = moved(over, &by(State::Acknowledged), at(3));
            assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{state:?}");
        }
    }
}
