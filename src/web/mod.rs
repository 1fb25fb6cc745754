//! The public and the admin side over HTTP.
//!
//! `listener` accepts connections, `receive` is the whole of the public side, `api` the admin side behind `auth`. JSON
//! shapes live in `api::shape` and nowhere else. Of `delivery` this room knows only how to wake it and how its breakers stand.
//!
//! Imports: `base`, `event`, `provider`, `store`, `source`, `registry`, `ingest`, `delivery`, `bulk`.

pub mod api;
mod auth;
mod body;
pub mod client;
mod connection;
mod counters;
pub mod error;
pub mod extract;
pub mod health;
pub mod listener;
mod middleware;
mod receive;
pub mod state;

use crate::base::secret::Secret;
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
}
#[derive(Debug, Clone)]
pub struct Token {
    pub name: String,
    pub token: Secret,
    pub role: Role,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Operator,
    Admin,
}
