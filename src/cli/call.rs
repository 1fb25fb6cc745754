//! One HTTP call from a command: to the admin API, or to a source's URL.
//!
//! Whoever typed the command chose the address, so private ones are allowed; the rest of `egress`'s guard stands.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use crate::egress::{
    client::{Answer, Call, Client, Settings},
    error::Failure,
    guard::Reach,
    target::Target,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// More than any answer of the admin API: a page of 200 rows, an event with a body of many megabytes in base64.
const MAX_BODY: usize = 512 * 1024 * 1024;

/// Calls of one command: they share connections.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Client);

impl Caller {
    pub(crate) fn new() -> Result<Self, Failure> {
        let settings = Settings {
            connect_timeout: CONNECT_TIMEOUT,
            reach: Reach::Private,
            max_idle: 4,
            proxy: None,
            extra_roots: Vec::new(),
            identity: None,
        };
        Client::new(&settings).map(Self)
    }

    /// Sends, and waits for the whole answer, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let target = Target::new(url, Reach::Private)?;
        let call = Call {
            method,
            target: &target,
            headers,
            body,
            timeout: TIMEOUT,
            max_body: MAX_BODY,
        };
        self.0.send(call).await
    }
}

/// Headers out of text; `Err` names the first one that HTTP does not allow.
pub(crate) fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let parsed = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        );
        let (Ok(parsed_name), Ok(parsed_value)) = parsed else {
            return Err(name.clone());
        };
        headers.append(parsed_name, parsed_value);
    }
    Ok(headers)
}
