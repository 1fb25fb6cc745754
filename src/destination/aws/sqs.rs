//! A message in a queue of SQS for each event.
//!
//! SQS answers with the message's id once the message is stored in several places.

use ::http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value, json};

use crate::{
    base::safe_url::SafeUrl,
    destination::{
        Destination, Fault, Message, Response, SendError, Sending, Settings,
        aws::{
            Aws,
            envelope::{self, Envelope},
            taken,
        },
        broker::Sqs as Own,
        check::Parts,
        headers::Outbound,
        http,
    },
    egress::{guard::Reach, target::Target},
};

const TITLE: &str = "SQS";
/// With its attributes. A queue may be told to take less.
const MAX_MESSAGE: usize = 1 << 20;

/// Ready to send.
#[derive(Debug)]
pub struct Sqs {
    aws: Aws,
    target: Target,
    queue_url: String,
    /// Where it keeps an order: the group of what has no key.
    group: Option<String>,
    outbound: Outbound,
}

impl Sqs {
    pub fn new(own: &Own, settings: &Settings, parts: Parts) -> Result<Self, Fault> {
        let mut origin = own.queue_url.expose().clone();
        origin.set_path("/");
        Ok(Self {
            aws: Aws::new("sqs", "sqs", TITLE, &own.account, settings, parts.trust)?,
            target: http::target(&SafeUrl::new(origin), "sqs.queue_url", Reach::Private)?,
            queue_url: own.queue_url.expose().to_string(),
            group: settings.kind.has_order().then(|| settings.name.clone()),
            outbound: parts.outbound,
        })
    }

    async fn put(&self, message: &Message) -> Result<Response, SendError> {
        let Envelope { text, attributes } = envelope::of(message, &self.outbound, TITLE, MAX_MESSAGE)?;
        let attribute = |(name, value): (&str, String)| {
            (
                name.to_owned(),
                json!({ "DataType": "String", "StringValue": value }),
            )
        };
        let attributes: Map<_, _> = attributes.into_iter().map(attribute).collect();
        let mut input = json!({
            "QueueUrl": self.queue_url,
            "MessageBody": text,
            "MessageAttributes": attributes,
        });
        if let Some(group) = &self.group {
            input["MessageGroupId"] = group_of(message, group).into();
            input["MessageDeduplicationId"] = message.delivery_id.to_string().into();
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_static("AmazonSQS.SendMessage"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.0"),
        );
        let call = self
            .aws
            .call(Method::POST, &self.target, headers, input.to_string().into());
        let output: Value = serde_json::from_slice(&call.await?.body).unwrap_or_default();
        let id = output["MessageId"].as_str().filter(|it| !it.is_empty());
        id.map(taken).ok_or_else(|| self.aws.unclear())
    }
}

/// What must keep its order among itself: the events of one key, else all of a destination.
pub(super) fn group_of(message: &Message, destination: &str) -> String {
    match &message.order_key {
        Some(key) => hex::encode(key.0),
        None => destination.to_owned(),
    }
}

impl Destination for Sqs {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.put(message))
    }
}
