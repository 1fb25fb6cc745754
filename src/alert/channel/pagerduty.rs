//! An event for PagerDuty's Events API, version 2. One issue is one alert there, which opens, is acknowledged and ends with it.

use serde_json::{Value, json};
use url::Url;

use crate::{
    alert::{channel::Request, message},
    base::secret::Secret,
    store::issue::{Change, Issue, Notice},
};

/// PagerDuty refuses a longer summary.
const MAX_SUMMARY: usize = 1024;

pub(super) fn request(
    (notice, issue): &(Notice, Issue),
    dashboard: Option<&Url>,
    routing_key: &Secret,
) -> Request {
    Request::json(event(notice, issue, dashboard, routing_key))
}

fn event(notice: &Notice, issue: &Issue, dashboard: Option<&Url>, routing_key: &Secret) -> Value {
    let place = &issue.place;
    let component = [&place.destination, &place.source, &place.route];
    let component = component.into_iter().flatten().next();
    let summary: String = issue.summary.chars().take(MAX_SUMMARY).collect();
    json!({
        "routing_key": routing_key.expose_str().unwrap_or_default(),
        "event_action": action(notice.change),
        // What is told twice is one alert.
        "dedup_key": issue.id.to_string(),
        "payload": {
            "summary": summary,
            "source": "gatepost",
            "severity": issue.severity.as_str(),
            "timestamp": notice.created_at.to_string(),
            "component": component,
            "class": issue.rule,
            "custom_details": {
                "count": issue.count,
                "cause": place.cause,
                "first_seen_at": issue.first_seen_at.to_string(),
                "changed_by": notice.changed_by,
            },
        },
        "client": "gatepost",
        "client_url": dashboard.map(|it| message::page(it, issue)),
    })
}

const fn action(change: Change) -> &'static str {
    match change {
        Change::Opened | Change::Reopened => "trigger",
        Change::Acknowledged => "acknowledge",
        // What is ignored here shall wake nobody there.
        Change::Resolved | Change::Ignored => "resolve",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::news;

    #[test]
    fn an_issue_is_one_alert_from_its_opening_to_its_end() {
        let key = Secret::new(*b"R0UTING");
        let sent = |change| {
            let request = request(&news(change, None), None, &key);
            serde_json::from_slice::<Value>(&request.body).unwrap()
        };
        let opened = sent(Change::Opened);
        assert_eq!(opened["routing_key"], "R0UTING");
        assert_eq!(opened["event_action"], "trigger");
        assert_eq!(opened["payload"]["severity"], "warning");
        assert_eq!(opened["payload"]["component"], "billing");
        assert_eq!(opened["payload"]["summary"], "3 dead letters to `billing`");
        for (change, action) in [
            (Change::Reopened, "trigger"),
            (Change::Acknowledged, "acknowledge"),
            (Change::Resolved, "resolve"),
            (Change::Ignored, "resolve"),
        ] {
            let event = sent(change);
            assert_eq!(event["event_action"], action);
            assert_eq!(event["dedup_key"], opened["dedup_key"]);
        }
    }
}
