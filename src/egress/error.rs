//! Why no answer came, sorted by what an operator does about it.

use std::{error::Error, io};

use crate::egress::{guard::Forbidden, resolver::ResolveError};

/// No answer came. The text is one sentence that names the host, and never a path, a query or a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{explanation}")]
pub struct Failure {
    pub cause: Cause,
    pub explanation: String,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Connected, but the whole answer was not there in time.
    Timeout,
    /// No connection in time, name and TLS included.
    ConnectTimeout,
    Refused,
    Unreachable,
    /// The connection broke before the answer was complete.
    Reset,
    Dns,
    Tls,
    ForbiddenAddress,
    BadUrl,
    /// What came back is not HTTP, or more of it than is read.
    Protocol,
    /// None of the others.
    Failed,
}

impl Cause {
    /// Stable name for the API, metrics and docs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::ForbiddenAddress => "forbidden_address",
            Self::BadUrl => "bad_url",
            Self::Protocol => "protocol",
            Self::Failed => "failed",
        }
    }
}

impl Failure {
    pub(crate) fn new(cause: Cause, explanation: impl Into<String>) -> Self {
        Self {
            cause,
            explanation: explanation.into(),
        }
    }

    pub(crate) fn forbidden(host: &str, forbidden: Forbidden) -> Self {
        let Forbidden { address, what } = forbidden;
        let text = if host.contains(&address.to_string()) {
            format!("`{host}` is not dialled: it is {what}")
        } else {
            format!("`{host}` is not dialled: its address {address} is {what}")
        };
        Self::new(Cause::ForbiddenAddress, text)
    }

    /// Why a name gave no address to dial. `host` is `host:port`.
    pub(crate) fn unresolved(error: &ResolveError, host: &str) -> Self {
        match error {
            ResolveError::Forbidden(forbidden) => Self::forbidden(host, *forbidden),
            ResolveError::Empty => Self::new(Cause::Dns, format!("the name of `{host}` has no address")),
            ResolveError::Lookup(reason) => Self::new(
                Cause::Dns,
                format!("the name of `{host}` was not resolved: {reason}"),
            ),
        }
    }

    /// Sorts what a connection reports on which no HTTP is spoken. `host` is `host:port`.
    pub(crate) fn of_stream(error: &io::Error, host: &str) -> Self {
        sort_chain(error, host)
            .unwrap_or_else(|| Self::new(Cause::Failed, format!("the connection to `{host}` failed")))
    }

    /// Sorts what the client below reports. `host` is `host:port`.
    pub(crate) fn sort(error: &reqwest::Error, host: &str) -> Self {
        if let Some(found) = sort_chain(error, host) {
            return found;
        }
        if error.is_timeout() {
            return Self::new(
                Cause::ConnectTimeout,
                format!("no connection to `{host}` in time"),
            );
        }
        if error.is_builder() {
            return Self::new(Cause::BadUrl, format!("no request can be made for `{host}`"));
        }
        if error.is_connect() {
            return Self::new(Cause::Unreachable, format!("no connection to `{host}`"));
        }
        Self::new(Cause::Failed, format!("sending to `{host}` failed"))
    }
}

fn sort_chain(error: &(dyn Error + 'static), host: &str) -> Option<Failure> {
    std::iter::successors(Some(error), |it| beneath(*it)).find_map(|it| sort_link(it, host))
}

/// The next error down. An `io::Error` hides the one it wraps: its `source` is that one's source.
fn beneath<'a>(link: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match link.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => link.source(),
    }
}

fn sort_link(link: &(dyn Error + 'static), host: &str) -> Option<Failure> {
    if let Some(it) = link.downcast_ref::<ResolveError>() {
        return Some(Failure::unresolved(it, host));
    }
    if let Some(it) = link.downcast_ref::<rustls::Error>() {
        return Some(Failure::new(
            Cause::Tls,
            format!("TLS with `{host}` failed: {it}"),
        ));
    }
    if let Some(it) = link.downcast_ref::<hyper::Error>() {
        return sort_hyper(it, host);
    }
    // Its type is the client's own.
    if let Some(reason) = link.to_string().strip_prefix("tunnel error: ") {
        let text = format!("no way to `{host}` was opened: {reason}");
        return Some(Failure::new(Cause::Unreachable, text));
    }
    let kind = link.downcast_ref::<io::Error>()?.kind();
    let (cause, text) = match kind {
        io::ErrorKind::ConnectionRefused => (Cause::Refused, format!("`{host}` refused the connection")),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => (
            Cause::Reset,
            format!("`{host}` closed the connection before its answer was complete"),
        ),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => (Cause::Unreachable, format!("there is no way to `{host}`")),
        _ => return None,
    };
    Some(Failure::new(cause, text))
}

fn sort_hyper(error: &hyper::Error, host: &str) -> Option<Failure> {
    if error.is_parse_too_large() {
        let text = format!("the headers of the answer from `{host}` are too large");
        return Some(Failure::new(Cause::Protocol, text));
    }
    if error.is_parse() {
        let text = format!("what `{host}` answered is not HTTP/1.1");
        return Some(Failure::new(Cause::Protocol, text));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        let text = format!("`{host}` closed the connection before its answer was complete");
        return Some(Failure::new(Cause::Reset, text));
    }
    // The reason lies further down.
    None
}
