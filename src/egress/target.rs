//! A URL that may be sent to: parsed and checked once, so that sending does neither.

use std::net::IpAddr;

use url::{Host, Url};

use crate::egress::{
    error::{Cause, Failure},
    guard::{self, Reach},
};

/// A checked URL: `http` or `https`, a host, no credentials. Printing shows the host only.
#[derive(Clone)]
pub struct Target {
    url: Url,
    /// `host:port`, for error texts.
    host: String,
    /// Set where the host is an address and not a name.
    literal: Option<IpAddr>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({}://{})", self.url.scheme(), self.host)
    }
}

impl Target {
    /// The parser has read every odd spelling of an address (`0x7f.1`, `2130706433`, full-width digits) as the address
    /// it is by now; the enum of its hosts is the only form in which that shows.
    pub fn new(url: &Url, reach: Reach) -> Result<Self, Failure> {
        let bad = |text: String| Err(Failure::new(Cause::BadUrl, text));
        if !matches!(url.scheme(), "http" | "https") {
            return bad(format!(
                "expected a URL with `http` or `https`, found `{}`",
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("the URL holds a user name or a password".to_owned());
        }
        let (literal, shown) = match url.host() {
            Some(Host::Ipv4(it)) => (Some(IpAddr::V4(it)), it.to_string()),
            Some(Host::Ipv6(it)) => (Some(IpAddr::V6(it)), format!("[{it}]")),
            Some(Host::Domain(name)) => (None, name.to_owned()),
            None => return bad("the URL names no host".to_owned()),
        };
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return bad("the URL names port 0".to_owned());
        }
        let host = format!("{shown}:{port}");
        let mut url = url.clone();
        url.set_fragment(None);
        // Two parsers have to agree on it: this is the other one, the client's.
        if !url
            .as_str()
            .parse::<http::Uri>()
            .is_ok_and(|it| it.host().is_some())
        {
            return bad(format!(
                "the URL of `{host}` holds characters that cannot be sent"
            ));
        }
        let target = Self { url, host, literal };
        target.check(reach)?;
        Ok(target)
    }

    /// The client below dials spelled-out addresses without asking its resolver.
    pub(crate) fn check(&self, reach: Reach) -> Result<(), Failure> {
        match self.literal {
            Some(address) => guard::check(address, reach).map_err(|e| Failure::forbidden(&self.host, e)),
            None => Ok(()),
        }
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }
}
