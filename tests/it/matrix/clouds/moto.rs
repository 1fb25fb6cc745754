//! AWS as moto plays it: makes places for messages, and reads them back, by calls that nobody signed.

use std::net::SocketAddr;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::app::api::client;

pub(super) const REGION: &str = "eu-central-1";
pub(super) const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:webhooks";

#[derive(Debug)]
pub(super) struct Moto {
    client: reqwest::Client,
    address: SocketAddr,
}

/// One message of a queue.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) body: String,
    raw: Value,
}

impl Received {
    pub(super) fn attribute(&self, name: &str) -> String {
        let value = &self.raw["MessageAttributes"][name]["StringValue"];
        value.as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn system(&self, name: &str) -> String {
        self.raw["Attributes"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Moto {
    pub(super) fn at(address: SocketAddr) -> Self {
        Self {
            client: client(),
            address,
        }
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        format!("http://{}/123456789012/{name}", self.address)
    }

    /// moto looks at the scope of a signature for the service, and not at the signature.
    fn request(&self, method: Method, path: &str, service: &str) -> RequestBuilder {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=x"
        );
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        request.header("authorization", scope)
    }

    async fn text(request: RequestBuilder) -> String {
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{status}: {text}");
        text
    }

    async fn call(&self, service: &str, target: &str, input: Value) -> Value {
        let request = self
            .request(Method::POST, "/", service)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.0")
            .body(input.to_string());
        serde_json::from_str(&Self::text(request).await).unwrap_or_default()
    }

    async fn form(&self, service: &str, fields: &[(&str, &str)]) -> String {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .request(Method::POST, "/", service)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        Self::text(request).await
    }

    pub(super) async fn make_queue(&self, name: &str) {
        let attributes = if name.contains(".fifo") {
            json!({ "FifoQueue": "true" })
        } else {
            json!({})
        };
        let input = json!({ "QueueName": name, "Attributes": attributes });
        self.call("sqs", "AmazonSQS.CreateQueue", input).await;
    }

    /// A topic, and a queue that gets what is published there.
    pub(super) async fn make_topic(&self, queue: &str) {
        self.make_queue(queue).await;
        self.form("sns", &[("Action", "CreateTopic"), ("Name", "webhooks")])
            .await;
        let endpoint = format!("arn:aws:sqs:{REGION}:123456789012:{queue}");
        let subscription = [
            ("Action", "Subscribe"),
            ("TopicArn", TOPIC),
            ("Protocol", "sqs"),
            ("Endpoint", &endpoint),
            ("Attributes.entry.1.key", "RawMessageDelivery"),
            ("Attributes.entry.1.value", "true"),
        ];
        self.form("sns", &subscription).await;
    }

    /// An event bus, with a rule that brings events from Stripe to a queue.
    pub(super) async fn make_bus(&self, queue: &str) {
        self.make_queue(queue).await;
        self.call(
            "events",
            "AWSEvents.CreateEventBus",
            json!({ "Name": "webhooks" }),
        )
        .await;
        let pattern =
            json!({ "source": ["gatepost.stripe"], "detail": { "body": { "type": ["invoice.paid"] } } });
        let rule = json!({ "Name": "paid", "EventBusName": "webhooks", "EventPattern": pattern.to_string() });
        self.call("events", "AWSEvents.PutRule", rule).await;
        let target = json!({ "Id": "1", "Arn": format!("arn:aws:sqs:{REGION}:123456789012:{queue}") });
        let targets = json!({ "Rule": "paid", "EventBusName": "webhooks", "Targets": [target] });
        self.call("events", "AWSEvents.PutTargets", targets).await;
    }

    pub(super) async fn make_bucket(&self, name: &str) {
        let location = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let request = self
            .request(Method::PUT, &format!("/{name}"), "s3")
            .body(location);
        Self::text(request).await;
    }

    /// Takes what is in a queue out of it.
    pub(super) async fn receive(&self, queue: &str) -> Vec<Received> {
        let mut all = Vec::new();
        loop {
            let input = json!({
                "QueueUrl": self.queue_url(queue), "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0, "VisibilityTimeout": 600,
                "MessageAttributeNames": ["All"], "AttributeNames": ["All"],
            });
            let output = self.call("sqs", "AmazonSQS.ReceiveMessage", input).await;
            let messages = output["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return all;
            }
            all.extend(messages.into_iter().map(|raw| Received {
                body: raw["Body"].as_str().unwrap().to_owned(),
                raw,
            }));
        }
    }

    /// The keys and texts of all objects.
    pub(super) async fn objects(&self, bucket: &str) -> Vec<(String, String)> {
        let list = Self::text(self.request(Method::GET, &format!("/{bucket}"), "s3")).await;
        let mut all = Vec::new();
        for part in list.split("<Key>").skip(1) {
            let key = part.split("</Key>").next().unwrap().to_owned();
            // `=` is the one of them that is written otherwise in a URL.
            let path = format!("/{bucket}/{}", key.replace('=', "%3D"));
            let text = Self::text(self.request(Method::GET, &path, "s3")).await;
            all.push((key, text));
        }
        all
    }

    /// A user who may do everything: its key's id and the key.
    pub(super) async fn make_user(&self) -> (String, String) {
        let user = ("UserName", "gatepost");
        self.form("iam", &[("Action", "CreateUser"), user]).await;
        let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
        let policy = policy.to_string();
        let put = [
            ("Action", "PutUserPolicy"),
            user,
            ("PolicyName", "all"),
            ("PolicyDocument", &policy),
        ];
        self.form("iam", &put).await;
        let made = self.form("iam", &[("Action", "CreateAccessKey"), user]).await;
        let field = |name: &str| {
            let value = made.split(&format!("<{name}>")).nth(1).unwrap();
            value.split('<').next().unwrap().to_owned()
        };
        (field("AccessKeyId"), field("SecretAccessKey"))
    }

    /// Whether signatures count from now on; the calls from here have none.
    pub(super) async fn check_signatures(&self, does_check: bool) {
        let n_free_calls = if does_check { "0" } else { "inf" };
        let url = format!("http://{}/moto-api/reset-auth", self.address);
        Self::text(self.client.post(url).body(n_free_calls)).await;
    }
}
