//! A POST for each change, signed the Standard Webhooks way. Its id is the notice's: a repetition has the same.

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use crate::{
    alert::{channel::Request, message},
    base::clock::Timestamp,
    destination::signing::Signer,
    store::issue::{Change, Issue, Notice, State},
};

/// `now` is the wall clock's: signatures are judged by that.
pub(super) fn request(
    (notice, issue): &(Notice, Issue),
    dashboard: Option<&Url>,
    signer: Option<&Signer>,
    now: Timestamp,
) -> Request {
    let mut request = Request::json(payload(notice, issue, dashboard));
    let seconds = now.as_unix_seconds();
    let signature = signer.map(|it| it.sign(notice.id, seconds, &request.body));
    let headers = [
        ("webhook-id", Some(notice.id.to_string())),
        ("webhook-timestamp", Some(seconds.to_string())),
        ("webhook-signature", signature),
    ];
    for (name, value) in headers {
        let value = value.and_then(|it| HeaderValue::from_str(&it).ok());
        if let Some(value) = value {
            request.headers.insert(HeaderName::from_static(name), value);
        }
    }
    request
}

fn payload(notice: &Notice, issue: &Issue, dashboard: Option<&Url>) -> Value {
    json!({
        "type": format!("issue.{}", notice.change.as_str()),
        "timestamp": notice.created_at.to_string(),
        "data": {
            "id": issue.id.to_string(),
            "rule": issue.rule,
            "severity": issue.severity.as_str(),
            "state": state_after(notice.change).as_str(),
            "source": issue.place.source,
            "destination": issue.place.destination,
            "route": issue.place.route,
            "cause": issue.place.cause,
            "summary": issue.summary,
            "count": issue.count,
            "n_opened": issue.n_opened,
            "first_seen_at": issue.first_seen_at.to_string(),
            "last_seen_at": issue.last_seen_at.to_string(),
            "changed_by": notice.changed_by,
            "url": dashboard.map(|it| message::page(it, issue)),
        },
    })
}

/// Of this change: the issue itself may have gone on meanwhile.
const fn state_after(change: Change) -> State {
    match change {
        Change::Opened | Change::Reopened => State::Open,
        Change::Acknowledged => State::Acknowledged,
        Change::Resolved => State::Resolved,
        Change::Ignored => State::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alert::message::tests::news, base::secret::Secret};

    #[test]
    fn a_change_is_told_with_its_id_and_signed() {
        let signer = Signer::new(&Secret::new(*b"a plain text of enough bytes")).unwrap();
        let now = Timestamp::from_unix_seconds(1_700_000_100);
        let news = news(Change::Resolved, Some("ops"));
        let url = "https://gatepost.example".parse().unwrap();
        let request = request(&news, Some(&url), Some(&signer), now);
        let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
        assert_eq!(header("webhook-id"), news.0.id.to_string());
        assert_eq!(header("webhook-timestamp"), "1700000100");
        assert_eq!(
            header("webhook-signature"),
            signer.sign(news.0.id, 1_700_000_100, &request.body)
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["type"], "issue.resolved");
        assert_eq!(body["data"]["state"], "resolved");
        assert_eq!(body["data"]["destination"], "billing");
        assert_eq!(body["data"]["changed_by"], "ops");
        assert_eq!(
            body["data"]["url"],
            format!("https://gatepost.example/issues/{}", news.1.id)
        );
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let request = request(&news(Change::Opened, None), None, None, Timestamp::EPOCH);
        assert!(!request.headers.contains_key("webhook-signature"));
        assert!(request.headers.contains_key("webhook-id"));
    }
}
