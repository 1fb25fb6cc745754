//! A message in a channel of Slack or Discord: a line for each change.

use url::Url;

use crate::{
    alert::{channel::Request, message},
    destination::chat::Service,
    store::issue::{Issue, Notice},
};

pub(super) fn request(service: Service, news: &[(Notice, Issue)], dashboard: Option<&Url>) -> Request {
    Request::json(service.plain(&message::text(news, dashboard)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{alert::message::tests::news, store::issue::Change};

    #[test]
    fn nobody_is_mentioned_whatever_a_summary_says() {
        let (notice, mut issue) = news(Change::Opened, None);
        issue.summary = "`billing` is held: <!channel> @everyone [x](http://evil.example)".to_owned();
        let body = |service| {
            let request = request(service, &[(notice.clone(), issue.clone())], None);
            serde_json::from_slice::<Value>(&request.body).unwrap()
        };
        let text = body(Service::Slack)["text"].as_str().unwrap().to_owned();
        assert!(
            text.contains("&lt;!channel&gt;") && text.starts_with("[warning] "),
            "{text}"
        );
        let discord = body(Service::Discord);
        assert_eq!(discord["allowed_mentions"]["parse"], serde_json::json!([]));
        assert!(
            discord["content"].as_str().unwrap().contains("\\[x\\]"),
            "{discord}"
        );
    }
}
