//! The words of a message: what changed, one line each, and where to look.

use url::Url;

use crate::store::issue::{Change, Issue, Notice};

/// What changed, in one line whatever is in it: `[critical] the ledger does not add up: ...`.
pub(super) fn headline(notice: &Notice, issue: &Issue) -> String {
    let by = notice
        .changed_by
        .as_ref()
        .map(|it| format!(" by `{it}`"))
        .unwrap_or_default();
    let word = match notice.change {
        Change::Opened => issue.severity.as_str().to_owned(),
        Change::Reopened if by.is_empty() => format!("{} again", issue.severity.as_str()),
        Change::Reopened => format!("opened again{by}"),
        Change::Acknowledged | Change::Resolved | Change::Ignored => {
            format!("{}{by}", notice.change.as_str())
        }
    };
    let is_break = |it: char| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}');
    format!("[{word}] {}", issue.summary).replace(is_break, " ")
}

/// A line for each, and the way to its page below it.
pub(super) fn text(news: &[(Notice, Issue)], dashboard: Option<&Url>) -> String {
    let mut res = String::new();
    for (notice, issue) in news {
        if !res.is_empty() {
            res.push('\n');
        }
        res.push_str(&headline(notice, issue));
        if let Some(url) = dashboard {
            res.push('\n');
            res.push_str(&page(url, issue));
        }
    }
    res
}

/// Where the dashboard shows it.
pub(super) fn page(dashboard: &Url, issue: &Issue) -> String {
    let base = dashboard.as_str().trim_end_matches('/');
    format!("{base}/issues/{}", issue.id)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        base::{
            clock::Timestamp,
            ids::{IssueId, NoticeId},
        },
        store::issue::{Place, Severity, State},
    };

    pub(in crate::alert) fn news(change: Change, by: Option<&str>) -> (Notice, Issue) {
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        let issue = Issue {
            id: "iss_00000000000000000000000001".parse::<IssueId>().unwrap(),
            key: "dead_letters:destination:billing".to_owned(),
            rule: "dead_letters".to_owned(),
            severity: Severity::Warning,
            place: Place {
                destination: Some("billing".to_owned()),
                ..Place::default()
            },
            state: State::Open,
            summary: "3 dead letters to `billing`".to_owned(),
            count: 3,
            n_opened: 1,
            first_seen_at: at,
            last_seen_at: at,
            holds_at: at,
            changed_at: at,
            changed_by: None,
            reason: None,
        };
        let notice = Notice {
            id: "ntc_00000000000000000000000002".parse::<NoticeId>().unwrap(),
            notification: "ops".to_owned(),
            change,
            changed_by: by.map(str::to_owned),
            created_at: at,
            due_at: Some(at),
            n_tries: 0,
            last_error: None,
            sent_at: None,
        };
        (notice, issue)
    }

    #[test]
    fn a_line_says_what_changed_and_by_whom() {
        let check = |change, by, expected: &str| {
            let (notice, issue) = news(change, by);
            assert_eq!(
                headline(&notice, &issue),
                format!("[{expected}] 3 dead letters to `billing`")
            );
        };
        check(Change::Opened, None, "warning");
        check(Change::Reopened, None, "warning again");
        check(Change::Reopened, Some("ops"), "opened again by `ops`");
        check(Change::Acknowledged, Some("ops"), "acknowledged by `ops`");
        check(Change::Resolved, None, "resolved");
        check(Change::Ignored, Some("ops"), "ignored by `ops`");
    }

    #[test]
    fn nobody_begins_a_line_of_his_own() {
        let (notice, mut issue) = news(Change::Acknowledged, Some("ops\r\n[critical] x"));
        issue.summary = "held:\n[critical] y\u{2028}z".to_owned();
        assert_eq!(
            headline(&notice, &issue),
            "[acknowledged by `ops  [critical] x`] held: [critical] y z"
        );
    }

    #[test]
    fn a_message_leads_to_the_page_of_each() {
        let both = [news(Change::Opened, None), news(Change::Resolved, None)];
        let url = "https://gatepost.example/".parse().unwrap();
        assert_eq!(
            text(&both, Some(&url)),
            "[warning] 3 dead letters to `billing`\n\
             https://gatepost.example/issues/iss_00000000000000000000000001\n\
             [resolved] 3 dead letters to `billing`\n\
             https://gatepost.example/issues/iss_00000000000000000000000001"
        );
        assert_eq!(text(&both, None).lines().count(), 2);
    }
}
