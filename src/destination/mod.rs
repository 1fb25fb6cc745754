//! Sending one event to one destination.
//!
//! `build` is the door. `headers` says what a handler gets besides the body, `signing` signs it, `check` finds the faults
//! of a config, `http` sends. What an answer means is for `delivery` to judge.
//!
//! Imports: `base`, `event`, `egress`.

pub mod breaker;
pub mod check;
pub mod headers;
pub mod http;
pub mod retry;
pub mod signing;
pub mod trace;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    base::{clock::Timestamp, ids::DeliveryId, safe_url::SafeUrl, secret::Secret},
    destination::{breaker::Rules, retry::Retry},
    egress::{error::Failure, guard::Reach, target::Target},
    event::{Event, Origin, headers::Headers},
};

/// What the operator says of a destination.
#[derive(Debug, Clone)]
pub struct Settings {
    pub name: String,
    pub url: SafeUrl,
    /// From the first byte out to the last byte in.
    pub timeout: Duration,
    /// Attempts in flight at once, in one process; retries get three quarters of them at most.
    pub concurrency: u32,
    /// Attempts per second, of all processes together.
    pub rate: Option<u32>,
    /// `whsec_` and base64, or plain text of at least 16 bytes. The libraries of Standard Webhooks want base64: who gives
    /// plain text here gives them its base64 form.
    pub signing_secret: Option<Secret>,
    /// In place of it while it is exchanged: what is sent carries a signature by each.
    pub signing_secrets: Vec<Secret>,
    /// Added to every request; values may be secret. They win over the sender's of the same name.
    pub headers: Vec<(String, Secret)>,
    pub tls: Tls,
    pub retry: Retry,
    /// After so many dead letters in a row it is held until somebody resumes it.
    pub hold_after: Option<u32>,
    /// When it is left alone for a while.
    pub breaker: Rules,
}

/// What a destination's TLS differs in, all in PEM.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Authorities that are trusted besides the system's.
    pub ca_certificate: Option<Secret>,
    /// What gatepost shows of itself, and the key to it.
    pub client_certificate: Option<Secret>,
    pub client_key: Option<Secret>,
}

/// One event on its way to one destination.
#[derive(Debug, Clone)]
pub struct Message {
    pub event: Arc<Event>,
    pub delivery_id: DeliveryId,
    pub origin: Origin,
    /// 1 for the first.
    pub attempt: u32,
    /// A newer event of its key was delivered before, and the route marks that.
    pub is_stale: bool,
    pub now: Timestamp,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Without cookies, and only as many as fit in 16 KiB.
    pub headers: Headers,
    /// The first 4 KiB.
    pub body: Bytes,
}

/// No answer came. `code` is stable (`timeout`, `refused`, `reset`, `dns`, `tls`, `forbidden_address`, ...).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{explanation}")]
pub struct SendError {
    pub code: &'static str,
    pub explanation: String,
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response, SendError>> + Send + 'a>>;

/// Somewhere events go. The only open set of gatepost: brokers, commands and queues come later.
pub trait Destination: Send + Sync + std::fmt::Debug {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

/// A fault in a destination's settings: which key of it, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub problem: String,
    pub hint: Option<String>,
}

/// Builds the destination that the settings name; every fault at once.
///
/// It may reach private addresses: whoever writes the config file names its own handlers. Settings from anywhere else
/// must not come here.
pub fn build(settings: &Settings) -> Result<Arc<dyn Destination>, Vec<Fault>> {
    let parts = check::check(settings)?;
    match http::Http::new(settings, parts, Reach::Private) {
        Ok(http) => Ok(Arc::new(http)),
        Err(failure) => Err(vec![url_fault(failure)]),
    }
}

/// The same at another URL, which did not come from the config file: no further than that reach, and without the operator's
/// headers and certificate, which are for the one that the config names.
pub fn elsewhere(
    settings: &Settings,
    url: SafeUrl,
    reach: Reach,
) -> Result<(Settings, Arc<dyn Destination>), Vec<Fault>> {
    let target = Target::new(url.expose(), reach).map_err(|failure| vec![url_fault(failure)])?;
    let settings = Settings {
        url,
        headers: Vec::new(),
        tls: Tls {
            client_certificate: None,
            client_key: None,
            ..settings.tls.clone()
        },
        ..settings.clone()
    };
    let parts = check::Parts {
        target,
        ..check::check(&settings)?
    };
    match http::Http::new(&settings, parts, reach) {
        Ok(http) => Ok((settings, Arc::new(http))),
        Err(failure) => Err(vec![url_fault(failure)]),
    }
}

fn url_fault(failure: Failure) -> Fault {
    Fault {
        key: "url".into(),
        problem: failure.explanation,
        hint: None,
    }
}
