//! Where messages go: an endpoint of the operator's, a channel of Slack or Discord, PagerDuty, a mail server.
//!
//! Each kind is a file that makes requests, or a mail, of what changed. All of them go out by way of `egress`.

mod chat;
pub mod email;
mod pagerduty;
mod smtp;
mod webhook;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use crate::{
    alert::{
        channel::{
            email::{BadSettings, Mailer},
            smtp::Refusal,
        },
        rule::Rule,
    },
    base::{
        clock::{Timestamp, wall_now},
        ids::{IssueId, NoticeId},
        safe_url::SafeUrl,
        secret::Secret,
    },
    destination::{chat::Service, headers::USER_AGENT, signing::Signer},
    egress::{
        client::{Answer, Call, Client},
        error::Failure,
        guard::Reach,
        target::Target,
    },
    registry::Fault,
    store::issue::{Change, Issue, Notice, Place, Severity, State},
};

/// From the first byte out to the last byte in; of a mail, the whole conversation.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer, as much is read.
const MAX_ANSWER: usize = 16 << 10;
/// Of an answer that refuses, as much is shown.
const MAX_SHOWN: usize = 200;

/// What the operator says of one notification.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub kind: Kind,
    /// Messages; what is over it waits, and goes together where the kind can.
    pub max_per_hour: u32,
    /// What matters less is not told.
    pub severity: Severity,
    /// Empty: all of them.
    pub rules: Vec<Rule>,
}

/// Who is told.
#[derive(Debug, Clone)]
pub enum Kind {
    Webhook {
        url: SafeUrl,
        signing_secret: Option<Secret>,
    },
    /// A message in a channel, by the URL of an incoming webhook.
    Chat {
        service: Service,
        url: SafeUrl,
    },
    PagerDuty {
        routing_key: Secret,
        /// Of the Events API, version 2.
        endpoint: SafeUrl,
    },
    Email(email::Settings),
}

impl Kind {
    /// Stable name for the API and docs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Chat { service, .. } => service.name(),
            Self::PagerDuty { .. } => "pagerduty",
            Self::Email(_) => "email",
        }
    }

    /// Where it leads, for an operator: the host, because a path may be a secret.
    pub fn target(&self) -> String {
        let url = match self {
            Self::Webhook { url, .. } | Self::Chat { url, .. } | Self::PagerDuty { endpoint: url, .. } => url,
            Self::Email(settings) => return settings.host.clone(),
        };
        url.expose().host_str().unwrap_or_default().to_owned()
    }
}

/// Ready to tell.
#[derive(Debug)]
pub struct Channel {
    settings: Settings,
    way: Way,
}

/// How it tells, and with what.
#[derive(Debug)]
enum Way {
    Webhook(Http, Option<Signer>),
    Chat(Http, Service),
    PagerDuty(Http, Secret),
    Mail(Mailer),
}

#[derive(Debug)]
struct Http {
    client: Client,
    target: Target,
}

/// It was not taken, or nobody knows whether it was.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{explanation}")]
pub struct NotSent {
    pub explanation: String,
    /// How long the other end wants to be left alone.
    pub wait: Option<Duration>,
}

impl From<Failure> for NotSent {
    fn from(it: Failure) -> Self {
        Self {
            explanation: it.explanation,
            wait: None,
        }
    }
}

/// One request.
struct Request {
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn json(body: impl fmt::Display) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, USER_AGENT);
        Self {
            headers,
            body: Bytes::from(body.to_string()),
        }
    }
}

impl Channel {
    pub fn new(settings: &Settings, client: Client) -> Result<Self, Fault> {
        let fault = |key: &str, problem: String| Fault {
            path: format!("notifications.{}.{key}", settings.name),
            problem,
            hint: None,
        };
        let kind = settings.kind.name();
        let http = |key: &str, url: &SafeUrl| match Target::new(url.expose(), Reach::Private) {
            Ok(target) => Ok(Http {
                client: client.clone(),
                target,
            }),
            Err(it) => Err(fault(&format!("{kind}.{key}"), it.explanation)),
        };
        let way = match &settings.kind {
            Kind::Webhook { url, signing_secret } => {
                let signer = signing_secret.as_ref().map(Signer::new).transpose();
                let signer = signer.map_err(|it| fault("webhook.signing_secret", it.to_string()))?;
                Way::Webhook(http("url", url)?, signer)
            }
            Kind::Chat { service, url } => Way::Chat(http("url", url)?, *service),
            Kind::PagerDuty {
                routing_key,
                endpoint,
            } => Way::PagerDuty(http("endpoint", endpoint)?, routing_key.clone()),
            Kind::Email(email) => {
                let bad = |BadSettings { key, problem }| fault(&format!("{kind}.{key}"), problem);
                Way::Mail(Mailer::new(email).map_err(bad)?)
            }
        };
        Ok(Self {
            settings: settings.clone(),
            way,
        })
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub const fn max_per_hour(&self) -> u32 {
        self.settings.max_per_hour
    }

    /// How many notices go in one message.
    pub const fn max_batch(&self) -> u32 {
        match self.settings.kind {
            Kind::Chat { .. } | Kind::Email(_) => 20,
            // They tell by an id each what was told before.
            Kind::Webhook { .. } | Kind::PagerDuty { .. } => 1,
        }
    }

    /// One message of all of them.
    pub async fn send(&self, news: &[(Notice, Issue)], dashboard: Option<&Url>) -> Result<(), NotSent> {
        for refused in self.tell(news, dashboard).await? {
            tracing::warn!(
                notification = self.settings.name,
                "`{}` reached some, but not all: {refused}",
                self.settings.name
            );
        }
        Ok(())
    }

    /// A message that says that it is a test. PagerDuty's incident is resolved at once. It fails where it did not reach everybody.
    pub async fn test(&self, by: &str, dashboard: Option<&Url>) -> Result<(), NotSent> {
        let opened = test_news(&self.settings.name, Change::Opened, by);
        let news = match self.settings.kind {
            Kind::PagerDuty { .. } => {
                let (notice, issue) = opened.clone();
                let resolved = Notice {
                    change: Change::Resolved,
                    ..notice
                };
                vec![opened, (resolved, issue)]
            }
            _ => vec![opened],
        };
        let refused: Vec<_> = self
            .tell(&news, dashboard)
            .await?
            .iter()
            .map(ToString::to_string)
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err(NotSent {
            explanation: format!("it reached some, but not all: {}", refused.join("; ")),
            wait: None,
        })
    }

    /// Says whom of several it did not reach.
    async fn tell(&self, news: &[(Notice, Issue)], dashboard: Option<&Url>) -> Result<Vec<Refusal>, NotSent> {
        let (http, requests) = match &self.way {
            Way::Mail(mailer) => return mailer.send(news, dashboard).await,
            Way::Chat(http, service) => (http, vec![chat::request(*service, news, dashboard)]),
            Way::Webhook(http, signer) => {
                let one = |it: &(Notice, Issue)| webhook::request(it, dashboard, signer.as_ref(), wall_now());
                (http, news.iter().map(one).collect())
            }
            Way::PagerDuty(http, routing_key) => {
                let one = |it| pagerduty::request(it, dashboard, routing_key);
                (http, news.iter().map(one).collect())
            }
        };
        for it in requests {
            http.post(it).await?;
        }
        Ok(Vec::new())
    }
}

impl Http {
    async fn post(&self, request: Request) -> Result<(), NotSent> {
        let call = Call {
            method: Method::POST,
            target: &self.target,
            headers: request.headers,
            body: request.body,
            timeout: TIMEOUT,
            max_body: MAX_ANSWER,
        };
        judge(&self.client.send(call).await?)
    }
}

fn judge(answer: &Answer) -> Result<(), NotSent> {
    if answer.status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.body);
    let shown: String = said
        .chars()
        .filter(|it| !it.is_control())
        .take(MAX_SHOWN)
        .collect();
    let colon = if shown.is_empty() { "" } else { ": " };
    let wait = answer.headers.get(header::RETRY_AFTER);
    let wait = wait.and_then(|it| it.to_str().ok()?.trim().parse().ok());
    Err(NotSent {
        explanation: format!("it answered {}{colon}{shown}", answer.status.as_u16()),
        wait: wait.map(Duration::from_secs),
    })
}

fn test_news(name: &str, change: Change, by: &str) -> (Notice, Issue) {
    let now: Timestamp = wall_now();
    let issue = Issue {
        id: IssueId::new(),
        key: "test".to_owned(),
        rule: "test".to_owned(),
        severity: Severity::Warning,
        place: Place::default(),
        state: State::Open,
        summary: format!(
            "this is a test of the notification `{name}`, asked for by `{by}`: nothing is wrong"
        ),
        count: 1,
        n_opened: 1,
        first_seen_at: now,
        last_seen_at: now,
        holds_at: now,
        changed_at: now,
        changed_by: None,
        reason: None,
    };
    let notice = Notice {
        id: NoticeId::new(),
        notification: name.to_owned(),
        change,
        changed_by: None,
        created_at: now,
        due_at: None,
        n_tries: 0,
        last_error: None,
        sent_at: None,
    };
    (notice, issue)
}
