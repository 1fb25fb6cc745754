//! A message in a channel of Slack or Discord for each event, by the URL that they call an incoming webhook.
//!
//! Of the event only what the template names leaves gatepost.

pub mod template;

use ::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use serde_json::json;

use crate::{
    base::safe_url::SafeUrl,
    destination::{
        self, Destination, Fault, Message, Response, SendError, Sending, chat::template::Template,
        check::Parts, headers::USER_AGENT, http::Post,
    },
    egress::guard::Reach,
};

/// Where a message is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Slack,
    Discord,
}

/// What the operator says of a channel.
#[derive(Debug, Clone)]
pub struct Settings {
    pub service: Service,
    /// Whoever knows it may post: its path is the secret.
    pub url: SafeUrl,
    pub text: String,
}

/// Ready to post.
#[derive(Debug)]
pub struct Chat {
    service: Service,
    template: Template,
    headers: HeaderMap,
    post: Post,
}

impl Service {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Discord => "discord",
        }
    }

    /// Characters of one message: Discord refuses more, Slack cuts it off at 40,000 and asks for less.
    const fn max_chars(self) -> usize {
        match self {
            Self::Slack => 4000,
            Self::Discord => 2000,
        }
    }

    /// What an event brings can mention nobody and link nowhere.
    const fn escape(self) -> fn(char) -> Option<&'static str> {
        match self {
            Self::Slack => |c| match c {
                '&' => Some("&amp;"),
                '<' => Some("&lt;"),
                '>' => Some("&gt;"),
                _ => None,
            },
            // Links with another text, quotes of mentions and code: Discord takes a backslash before each.
            Self::Discord => |c| match c {
                '[' => Some("\\["),
                ']' => Some("\\]"),
                '<' => Some("\\<"),
                '`' => Some("\\`"),
                _ => None,
            },
        }
    }

    /// What is posted to say a text that is no template's: escaped whole, and cut where it is too long.
    pub fn plain(self, text: &str) -> String {
        let escape = self.escape();
        let mut res = String::new();
        let mut n_chars = 0;
        for c in text.chars() {
            let escaped = escape(c).map_or_else(|| c.to_string(), str::to_owned);
            n_chars += escaped.chars().count();
            if n_chars >= self.max_chars() {
                res.push('\u{2026}');
                break;
            }
            res.push_str(&escaped);
        }
        self.message(&res)
    }

    fn body(self, text: &str) -> Bytes {
        Bytes::from(self.message(text))
    }

    fn message(self, text: &str) -> String {
        let message = match self {
            Self::Slack => json!({ "text": text }),
            Self::Discord => json!({ "content": text, "allowed_mentions": { "parse": [] } }),
        };
        message.to_string()
    }
}

impl Chat {
    pub fn new(settings: &Settings, common: &destination::Settings, parts: Parts) -> Result<Self, Fault> {
        let name = settings.service.name();
        let template = Template::parse(&settings.text, &format!("{name}.text"))?;
        let post = Post::new(
            &settings.url,
            &format!("{name}.url"),
            common,
            parts.trust,
            Reach::Private,
        )?;
        let mut headers = parts.outbound.configured_headers();
        headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self {
            service: settings.service,
            template,
            headers,
            post,
        })
    }

    async fn tell(&self, message: &Message) -> Result<Response, SendError> {
        let service = self.service;
        let text = self.template.fill(message, service.max_chars(), service.escape());
        self.post.send(self.headers.clone(), service.body(&text)).await
    }
}

impl Destination for Chat {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.tell(message))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::{
        base::{clock::Timestamp, ids::DeliveryId},
        event::{
            Binding, Event, Origin,
            headers::Headers,
            trace::{Trace, Traceparent},
        },
    };

    fn message(body: &str) -> Message {
        Message {
            event: Arc::new(Event {
                id: "evt_01jdq8z3e9f7v8k2m4n6p8r0st".parse().unwrap(),
                source: "stripe".into(),
                external_id: None,
                event_type: Some("invoice.paid".into()),
                origin: Origin::Received,
                binding: Binding::Body,
                occurred_at: None,
                received_at: Timestamp::EPOCH,
                query: String::new(),
                headers: Headers::from_pairs([("x-region", &b"eu"[..])]),
                body: Bytes::from(body.to_owned()),
            }),
            delivery_id: DeliveryId::new(),
            origin: Origin::Received,
            attempt: 2,
            is_stale: false,
            order_key: None,
            traceparent: Traceparent {
                trace: Trace::begun(Uuid::nil()),
                span_id: 1,
            },
            now: Timestamp::EPOCH,
        }
    }

    fn filled(service: Service, template: &str, body: &str) -> String {
        let template = Template::parse(template, "slack.text").unwrap();
        template.fill(&message(body), service.max_chars(), service.escape())
    }

    #[test]
    fn an_event_fills_the_places_of_a_text() {
        let body = r#"{"data":{"amount":1200,"to":"a&b","tags":["x"],"none":null}}"#;
        for (template, expected) in [
            ("*{type}* from {source}", "*invoice.paid* from stripe"),
            ("{body:/data/amount} to {body:/data/to}", "1200 to a&amp;b"),
            ("{body:/data/tags} {body:/data/tags/0}", "[\"x\"] x"),
            ("{external_id} {occurred_at} {body:/data/other}", "- - -"),
            (
                "{id} {attempt} {header:X-Region}",
                "evt_01jdq8z3e9f7v8k2m4n6p8r0st 2 eu",
            ),
            (
                "{{type}} & <b> {received_at}",
                "{type} & <b> 1970-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(filled(Service::Slack, template, body), expected, "{template}");
        }
        assert_eq!(filled(Service::Slack, "{body:/a}", "no JSON"), "-");
    }

    #[test]
    fn an_event_can_mention_nobody() {
        let body = r#"{"a":"<!channel> <@U1> <http://evil.example|click>"}"#;
        let text = filled(Service::Slack, "{body:/a}", body);
        assert!(!text.contains(['<', '>']), "{text}");
        let text = filled(
            Service::Discord,
            "{body:/a}",
            r#"{"a":"@everyone [x](http://evil.example)"}"#,
        );
        assert_eq!(text, "@everyone \\[x\\](http://evil.example)");
        let sent: serde_json::Value = serde_json::from_slice(&Service::Discord.body(&text)).unwrap();
        assert_eq!(sent["allowed_mentions"]["parse"], json!([]));
    }

    #[test]
    fn what_is_too_long_is_cut_and_no_escape_within_it() {
        let body = json!({ "a": "&".repeat(5000) }).to_string();
        let text = filled(Service::Slack, "{body:/a}!", &body);
        assert!(
            text.chars().count() <= 4000 && text.ends_with("&amp;\u{2026}"),
            "{}",
            text.len()
        );
        let body = json!({ "a": "é".repeat(5000) }).to_string();
        assert_eq!(
            filled(Service::Discord, "{body:/a}!", &body).chars().count(),
            2000
        );
    }

    #[test]
    fn a_plain_text_is_escaped_and_cut() {
        let said = |service: Service, text: &str| -> serde_json::Value {
            serde_json::from_str(&service.plain(text)).unwrap()
        };
        assert_eq!(said(Service::Slack, "a & <b>")["text"], "a &amp; &lt;b&gt;");
        let long = said(Service::Discord, &"[".repeat(5000));
        let text = long["content"].as_str().unwrap();
        assert!(
            text.chars().count() <= 2000 && text.ends_with("\\[\u{2026}"),
            "{}",
            text.len()
        );
    }

    #[test]
    fn places_that_are_none_are_refused_with_the_nearest() {
        for (template, hint) in [
            ("{tpye}", "did you mean `{type}`?"),
            ("{body:data}", "begins with `/`"),
            ("{", "write `{{`"),
            ("a } b", "write `{{`"),
            ("", "{type} from {source}"),
            ("{header:}", "{header:name}"),
        ] {
            let fault = Template::parse(template, "slack.text").unwrap_err();
            assert!(
                fault.hint.as_ref().unwrap().contains(hint),
                "{template}: {fault:?}"
            );
            assert_eq!(fault.key, "slack.text");
        }
    }
}
