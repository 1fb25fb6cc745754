//! A message to a topic of SNS for each event.
//!
//! SNS answers with the message's id once it has stored the message; what its subscribers make of it is theirs.

use ::http::{HeaderMap, HeaderValue, Method, header};
use url::form_urlencoded;

use crate::{
    destination::{
        Destination, Fault, Message, Response, SendError, Sending, Settings,
        aws::{
            Aws,
            envelope::{self, Envelope},
            sqs::group_of,
            taken,
        },
        broker::Sns as Own,
        check::Parts,
        headers::Outbound,
        http,
    },
    egress::{guard::Reach, target::Target},
};

const TITLE: &str = "SNS";
/// With its attributes.
const MAX_MESSAGE: usize = 256 << 10;

/// Ready to publish.
#[derive(Debug)]
pub struct Sns {
    aws: Aws,
    target: Target,
    topic_arn: String,
    /// Where it keeps an order: the group of what has no key.
    group: Option<String>,
    outbound: Outbound,
}

impl Sns {
    pub fn new(own: &Own, settings: &Settings, parts: Parts) -> Result<Self, Fault> {
        Ok(Self {
            aws: Aws::new("sns", "sns", TITLE, &own.account, settings, parts.trust)?,
            target: http::target(&own.endpoint, "sns.endpoint", Reach::Private)?,
            topic_arn: own.topic_arn.clone(),
            group: settings.kind.has_order().then(|| settings.name.clone()),
            outbound: parts.outbound,
        })
    }

    async fn publish(&self, message: &Message) -> Result<Response, SendError> {
        let form = self.form(message)?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
        );
        let call = self.aws.call(Method::POST, &self.target, headers, form.into());
        let id = message_id(&String::from_utf8_lossy(&call.await?.body));
        id.map(|it| taken(&it)).ok_or_else(|| self.aws.unclear())
    }

    fn form(&self, message: &Message) -> Result<String, SendError> {
        let Envelope { text, attributes } = envelope::of(message, &self.outbound, TITLE, MAX_MESSAGE)?;
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(2 * text.len()));
        form.append_pair("Action", "Publish")
            .append_pair("Version", "2010-03-31")
            .append_pair("TopicArn", &self.topic_arn)
            .append_pair("Message", &text);
        for (idx, (name, value)) in attributes.iter().enumerate() {
            let entry = format!("MessageAttributes.entry.{}", idx + 1);
            form.append_pair(&format!("{entry}.Name"), name)
                .append_pair(&format!("{entry}.Value.DataType"), "String")
                .append_pair(&format!("{entry}.Value.StringValue"), value);
        }
        if let Some(group) = &self.group {
            form.append_pair("MessageGroupId", &group_of(message, group))
                .append_pair("MessageDeduplicationId", &message.delivery_id.to_string());
        }
        Ok(form.finish())
    }
}

fn message_id(text: &str) -> Option<String> {
    let document = roxmltree::Document::parse(text).ok()?;
    let found = document
        .descendants()
        .find(|it| it.tag_name().name() == "MessageId")?;
    found.text().filter(|it| !it.is_empty()).map(str::to_owned)
}

impl Destination for Sns {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.publish(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_with_an_id_counts() {
        let good = "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
                    <MessageId>94f20ce6</MessageId></PublishResult></PublishResponse>";
        assert_eq!(message_id(good).unwrap(), "94f20ce6");
        for bad in ["", "{}", "<a/>", "<a><MessageId/></a>", "<MessageId>x"] {
            assert_eq!(message_id(bad), None, "{bad}");
        }
    }
}
