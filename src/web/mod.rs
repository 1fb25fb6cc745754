//! The public and the admin side over HTTP.
//!
//! `listener` accepts connections, `receive` is the whole of the public side, `api` the admin side behind `auth`, `dashboard` its
//! pages, of which `trail` writes down what changes something; `oidc` lets browsers in by single sign-on. JSON shapes live in `api::shape` and nowhere else. Of `delivery` this
//! room knows only how to wake it and how its breakers stand.
//!
//! Imports: `base`, `event`, `egress`, `provider`, `store`, `telemetry`, `source`, `registry`, `ingest`, `delivery`, `alert`, `bulk`.

pub mod api;
pub(crate) mod auth;
mod body;
pub mod client;
mod connection;
mod counters;
mod dashboard;
pub mod error;
pub mod extract;
pub mod health;
pub mod listener;
mod login;
mod middleware;
pub mod oidc;
mod receive;
pub mod settings;
pub mod state;
mod trail;
mod view;

use crate::{base::secret::Secret, bulk::plan, egress::guard::Reach, store::window::Patience};
use ipnet::IpNet;
use std::{net::SocketAddr, time::Duration};
use url::Url;

/// The public side: providers POST here.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    pub public_url: Option<Url>,
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes.
    pub max_body: u64,
    pub max_connections: usize,
    /// Bytes of the request line and headers together.
    pub max_head: usize,
    pub max_headers: usize,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
}
/// The admin side.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub listen: SocketAddr,
    pub tokens: Vec<Token>,
    /// Whether the role `viewer` is shown bodies, of events, of requests and of handlers' answers.
    pub viewers_see_bodies: bool,
    /// Whether a replay to a URL may go to loopback and private addresses.
    pub replay_to_private: bool,
    /// Where browsers may log in too.
    pub oidc: Option<oidc::Settings>,
    pub patience: PagePatience,
}
/// How long the pages of the dashboard look through what is stored: a page must be there at once.
#[derive(Debug, Clone, Copy)]
pub struct PagePatience {
    /// A list with conditions; a count of refused requests.
    pub list: Patience,
    /// A plan of bulk work, before somebody asks for the whole number.
    pub plan: Patience,
}
impl Default for PagePatience {
    fn default() -> Self {
        Self {
            list: Patience {
                n_rows: 20_000,
                time: Duration::from_millis(100),
            },
            plan: plan::OF_A_PAGE,
        }
    }
}
impl AdminSettings {
    /// How far a URL may reach that an operator gives.
    pub const fn reach(&self) -> Reach {
        if self.replay_to_private {
            Reach::Private
        } else {
            Reach::Public
        }
    }
}
#[derive(Debug, Clone)]
pub struct Token {
    pub name: String,
    pub token: Secret,
    pub role: Role,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Queues alone: no list, no event, no command.
    Consumer,
    Viewer,
    Operator,
    Admin,
}
impl Role {
    pub const ALL: [Self; 4] = [Self::Consumer, Self::Viewer, Self::Operator, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}
