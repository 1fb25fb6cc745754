//! What a service says where it did not take an event, and what that means for the event. Pure.

use serde_json::Value;

use crate::{
    destination::{Fate, SendError},
    egress::client::Answer,
};

/// As much of a service's words is shown.
const MAX_MESSAGE: usize = 300;

/// Of the event itself: it will never be taken.
const FOR_GOOD: &[&str] = &[
    "InvalidMessageContents",
    "MalformedDetail",
    "EntityTooLarge",
    "MessageTooLong",
    "RequestEntityTooLarge",
    "RequestEntityTooLargeException",
];
/// Of any parameter: the words say whether it is the event's size.
const UNCLEAR: &[&str] = &["InvalidParameterValue", "InvalidParameter", "ValidationException"];
const SIZE_WORDS: &[&str] = &["must be shorter than", "too long", "over the limit"];
/// There is too much at once.
const LATER: &[&str] = &[
    "SlowDown",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "BandwidthLimitExceeded",
];

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP's; 200 where one entry of several was refused.
    pub status: u16,
    /// The service's own, as in `QueueDoesNotExist`; empty where it gives none.
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// The services speak JSON or XML.
    pub fn read(answer: &Answer) -> Self {
        let status = answer.status.as_u16();
        let text = String::from_utf8_lossy(&answer.body);
        let (code, message) = in_json(&text).or_else(|| in_xml(&text)).unwrap_or_default();
        let header = answer
            .headers
            .get("x-amzn-errortype")
            .and_then(|it| it.to_str().ok());
        Self {
            status,
            code: bare(if code.is_empty() {
                header.unwrap_or_default()
            } else {
                &code
            }),
            message,
        }
    }

    fn fate(&self) -> Fate {
        let code = self.code.as_str();
        let words = self.message.to_ascii_lowercase();
        let is_about_size = UNCLEAR.contains(&code) && SIZE_WORDS.iter().any(|it| words.contains(it));
        if self.status == 413 || FOR_GOOD.contains(&code) || is_about_size {
            Fate::Permanent
        } else if self.status >= 500 && self.status != 503 || code == "InternalFailure" {
            Fate::Ambiguous
        } else {
            Fate::Retriable
        }
    }

    fn is_later(&self) -> bool {
        self.status == 429 || self.code.contains("Throttl") || LATER.contains(&self.code.as_str())
    }

    pub fn into_error(self, title: &str) -> SendError {
        let fate = self.fate();
        let code = if self.is_later() {
            "throttled"
        } else {
            "refused_by_broker"
        };
        let Self {
            status,
            code: said,
            message,
        } = self;
        let mut explanation = match (said.as_str(), fate) {
            ("", _) => format!("{title} answered {status}"),
            (said, Fate::Permanent) => format!("{title} will never take it: {said}"),
            (said, _) => format!("{title} did not take it: {said}"),
        };
        if !message.is_empty() {
            let shown = message.chars().map(|it| if it.is_control() { ' ' } else { it });
            explanation.push_str(": ");
            explanation.extend(shown.take(MAX_MESSAGE));
        }
        SendError::new(code, explanation, fate)
    }
}

/// `com.amazonaws.sqs#QueueDoesNotExist`, or with a URL after a colon.
fn bare(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or_default();
    code.split(':').next().unwrap_or_default().to_owned()
}

fn in_json(text: &str) -> Option<(String, String)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let first = |names: &[&str]| {
        let found = names.iter().find_map(|it| value[*it].as_str());
        found.unwrap_or_default().to_owned()
    };
    Some((first(&["__type", "code", "Code"]), first(&["message", "Message"])))
}

fn in_xml(text: &str) -> Option<(String, String)> {
    let document = roxmltree::Document::parse(text).ok()?;
    let first = |name: &str| {
        let found = document.descendants().find(|it| it.tag_name().name() == name);
        found.and_then(|it| it.text()).unwrap_or_default().to_owned()
    };
    Some((first("Code"), first("Message")))
}

#[cfg(test)]
mod tests {
    use ::http::{HeaderMap, StatusCode};

    use super::*;

    fn error(status: u16, body: &str) -> SendError {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
            is_cut: false,
        };
        Refusal::read(&answer).into_error("SQS")
    }

    #[test]
    fn f76_every_answer_of_a_service_is_sorted() {
        for (status, body, code, fate, said) in [
            (
                400,
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#,
                "refused_by_broker",
                Fate::Retriable,
                "SQS did not take it: QueueDoesNotExist: The specified queue does not exist.",
            ),
            (
                400,
                r#"{"__type":"com.amazonaws.sqs#InvalidMessageContents","message":"no"}"#,
                "refused_by_broker",
                Fate::Permanent,
                "SQS will never take it: InvalidMessageContents: no",
            ),
            (
                400,
                r#"{"__type":"com.amazonaws.sqs#InvalidParameterValue","message":"One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."}"#,
                "refused_by_broker",
                Fate::Permanent,
                "must be shorter",
            ),
            (
                400,
                r#"{"__type":"com.amazonaws.sqs#InvalidParameterValue","message":"Value for parameter MessageGroupId is invalid."}"#,
                "refused_by_broker",
                Fate::Retriable,
                "MessageGroupId",
            ),
            (
                400,
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>InvalidParameter</Code>\
                 <Message>Invalid parameter: Message too long</Message></Error></ErrorResponse>",
                "refused_by_broker",
                Fate::Permanent,
                "Message too long",
            ),
            (
                400,
                r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
                "throttled",
                Fate::Retriable,
                "ThrottlingException: Rate exceeded",
            ),
            (
                503,
                "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
                "throttled",
                Fate::Retriable,
                "SlowDown",
            ),
            (
                403,
                "<Error><Code>SignatureDoesNotMatch</Code><Message>no\nmatch</Message></Error>",
                "refused_by_broker",
                Fate::Retriable,
                "SignatureDoesNotMatch: no match",
            ),
            (500, "", "refused_by_broker", Fate::Ambiguous, "SQS answered 500"),
            (
                503,
                "busy",
                "refused_by_broker",
                Fate::Retriable,
                "SQS answered 503",
            ),
            (429, "", "throttled", Fate::Retriable, "SQS answered 429"),
            (413, "", "refused_by_broker", Fate::Permanent, "SQS answered 413"),
            (301, "", "refused_by_broker", Fate::Retriable, "SQS answered 301"),
        ] {
            let error = error(status, body);
            assert_eq!((error.code, error.fate), (code, fate), "{body}: {error}");
            assert!(error.explanation.contains(said), "{body}: {error}");
        }
    }

    #[test]
    fn what_a_service_says_is_cut() {
        let body = serde_json::json!({ "__type": "X", "message": "é".repeat(5000) });
        assert!(error(400, &body.to_string()).explanation.chars().count() < 400);
    }
}
