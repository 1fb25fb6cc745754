//! The calls by which a subscription is confirmed. Their addresses are made here, of what was verified; an address that a request
//! holds for this is never visited.

use url::form_urlencoded::Serializer;

use crate::provider::{
    address::is_region,
    place::{Reader, body},
};

/// Which call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// `ConfirmSubscription` of AWS SNS, which needs no account: the token of the request is the permission.
    Sns,
}

impl Confirmation {
    /// The address to call; `None` where the request has not what it is made of.
    pub(super) fn url(self, reader: &Reader<'_>) -> Option<String> {
        let text = |pointer| String::from_utf8(reader.first(&body(pointer))?.into_owned()).ok();
        match self {
            Self::Sns => sns(&text("/TopicArn")?, &text("/Token")?),
        }
    }
}

fn sns(topic: &str, token: &str) -> Option<String> {
    let parts: Vec<&str> = topic.splitn(6, ':').collect();
    let [_, partition, _, region, account, name] = parts[..] else {
        return None;
    };
    let domain = match partition {
        "aws" | "aws-us-gov" => "amazonaws.com",
        "aws-cn" => "amazonaws.com.cn",
        _ => return None,
    };
    let is_topic = topic.starts_with("arn:")
        && parts[2] == "sns"
        && is_region(region)
        && account.len() == 12
        && account.bytes().all(|it| it.is_ascii_digit())
        && !name.is_empty()
        && !name.contains(':');
    if !is_topic || token.is_empty() {
        return None;
    }
    let mut query = Serializer::new(format!(
        "https://sns.{region}.{domain}/?Action=ConfirmSubscription"
    ));
    query.append_pair("TopicArn", topic).append_pair("Token", token);
    Some(query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_goes_to_the_endpoint_of_the_topics_region() {
        let topic = "arn:aws:sns:us-east-1:123456789012:orders.fifo";
        assert_eq!(
            sns(topic, "2336412f37").unwrap(),
            "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&\
             TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3Aorders.fifo&Token=2336412f37"
        );
        let china = sns("arn:aws-cn:sns:cn-north-1:123456789012:orders", "a").unwrap();
        assert!(
            china.starts_with("https://sns.cn-north-1.amazonaws.com.cn/?"),
            "{china}"
        );
        // What a token holds stays in its value.
        let url = sns(topic, "a&Action=DeleteTopic#b").unwrap();
        assert!(url.ends_with("&Token=a%26Action%3DDeleteTopic%23b"), "{url}");
    }

    #[test]
    fn c01_no_topic_leads_elsewhere() {
        for topic in [
            "arn:aws:sns:evil.example/:123456789012:x",
            "arn:aws:sns:s3-us-west-2:123456789012:x",
            "arn:aws:sns:us-east-1@evil.example:123456789012:x",
            "arn:aws:sns::123456789012:x",
            "arn:aws:sqs:us-east-1:123456789012:x",
            "arn:aws-iso:sns:us-iso-east-1:123456789012:x",
            "arn:aws:sns:us-east-1:12:x",
            "arn:aws:sns:us-east-1:123456789012:",
            "arn:aws:sns:us-east-1:123456789012:x:11111111-2222-3333-4444-555555555555",
            "",
        ] {
            assert_eq!(sns(topic, "token"), None, "{topic}");
        }
        assert_eq!(sns("arn:aws:sns:us-east-1:123456789012:x", ""), None);
    }
}
