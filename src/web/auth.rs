//! Who may use the admin side.
//!
//! Bearer tokens only: no cookies, so nothing is sent along by a browser on its own. Without tokens the side is open on
//! loopback, where a browser's other pages are the danger (DNS rebinding, cross-site posts), and closed elsewhere.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts, uri::Authority};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::web::{Role, Token, error::Problem};

/// The rule of one admin side.
#[derive(Debug)]
pub(crate) struct Auth {
    tokens: Vec<Known>,
    listen: IpAddr,
}

/// Who asks: the name of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
}

/// The name of who asks without a token, on a loopback side that has none.
const NOBODY: &str = "local";

/// A token as it is compared: by hash, so that neither its length nor its bytes show in the time that it takes.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    hash: [u8; 32],
    role: Role,
}

impl Auth {
    pub(crate) fn new(tokens: &[Token], listen: SocketAddr) -> Self {
        let known = |token: &Token| Known {
            name: token.name.as_str().into(),
            hash: Sha256::digest(token.token.expose()).into(),
            role: token.role,
        };
        Self {
            // An empty token would let in whoever sends none.
            tokens: tokens
                .iter()
                .filter(|it| !it.token.is_blank())
                .map(known)
                .collect(),
            listen: listen.ip().to_canonical(),
        }
    }

    /// Lets a request in, or says why not.
    pub(crate) fn check(&self, head: &Parts) -> Result<Caller, Problem> {
        let caller = self.caller(&head.headers)?;
        let is_safe = matches!(head.method, Method::GET | Method::HEAD);
        let is_queue = head.uri.path().starts_with("/v1/queues/");
        if caller.role == Role::Consumer && (is_safe || !is_queue) {
            return Err(Problem::forbidden(
                "a token with the role `consumer` is for queues alone",
            ));
        }
        if is_safe {
            return Ok(caller);
        }
        if is_cross_site(&head.headers) {
            return Err(Problem::forbidden("a page of another site may not do this"));
        }
        // Reading needs a viewer, changing an operator. Nothing here is for an admin alone yet.
        if caller.role < Role::Operator && caller.role != Role::Consumer {
            return Err(Problem::forbidden("this needs a token with the role `operator`"));
        }
        Ok(caller)
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        if self.tokens.is_empty() {
            return self.caller_without_tokens(headers);
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|it| bearer(it.as_bytes()))
            .ok_or_else(|| unauthorized("this needs `authorization: Bearer TOKEN`"))?;
        let given: [u8; 32] = Sha256::digest(given).into();
        let mut best: Option<&Known> = None;
        // All of them, so that the time does not tell which one matched.
        for known in &self.tokens {
            if bool::from(known.hash.ct_eq(&given)) && best.is_none_or(|it| it.role < known.role) {
                best = Some(known);
            }
        }
        let known = best.ok_or_else(|| unauthorized("this token is not known"))?;
        Ok(Caller {
            name: Arc::clone(&known.name),
            role: known.role,
        })
    }

    fn caller_without_tokens(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        if !self.listen.is_loopback() {
            return Err(unauthorized(
                "no token is configured, and without one only a loopback listener is open",
            ));
        }
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        if host.is_some_and(|it| self.is_own_host(it)) {
            return Ok(Caller {
                name: NOBODY.into(),
                role: Role::Admin,
            });
        }
        Err(Problem::forbidden(
            "without a token the `host` must be `localhost` or a loopback address",
        ))
    }

    /// A name that another site's DNS cannot point here.
    fn is_own_host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host();
        let name = name
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .unwrap_or(name);
        match name.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == self.listen,
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// Browsers say so; what is not a browser says nothing.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin.as_bytes();
    let authority = origin
        .strip_prefix(b"https://")
        .or_else(|| origin.strip_prefix(b"http://"));
    authority.is_none() || authority != headers.get(header::HOST).map(HeaderValue::as_bytes)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::base::secret::Secret;

    fn head(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn with_tokens() -> Auth {
        let token = |name: &str, role| Token {
            name: name.to_owned(),
            token: Secret::new(format!("token-of-{name}")),
            role,
        };
        let blank = Token {
            name: "blank".to_owned(),
            token: Secret::new(" "),
            role: Role::Admin,
        };
        let tokens = [
            token("viewer", Role::Viewer),
            token("consumer", Role::Consumer),
            blank,
            token("operator", Role::Operator),
        ];
        Auth::new(&tokens, "0.0.0.0:1".parse().unwrap())
    }

    #[test]
    fn tokens_open_as_far_as_their_role() {
        let auth = with_tokens();
        let check = |method, authorization, expected: Result<Role, u16>| {
            let res = auth.check(&head(method, &[("authorization", authorization)]));
            let role = res.map(|it| it.role).map_err(|it| it.status.as_u16());
            assert_eq!(role, expected, "{authorization}");
        };
        check(Method::GET, "Bearer token-of-viewer", Ok(Role::Viewer));
        check(Method::GET, "bearer token-of-operator", Ok(Role::Operator));
        check(Method::POST, "Bearer token-of-viewer", Err(403));
        check(Method::POST, "Bearer token-of-operator", Ok(Role::Operator));
        let operator = head(Method::POST, &[("authorization", "Bearer token-of-operator")]);
        assert_eq!(&*auth.check(&operator).unwrap().name, "operator");
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Bearer token-of-",
            "Basic token-of-viewer",
            "token-of-viewer",
        ] {
            check(Method::GET, wrong, Err(401));
        }
        assert_eq!(auth.check(&head(Method::GET, &[])).unwrap_err().status, 401);
    }

    #[test]
    fn a_consumer_may_use_queues_and_nothing_else() {
        let auth = with_tokens();
        let check = |method: Method, path: &str, token: &str, expected: Result<Role, u16>| {
            let mut head = head(method, &[("authorization", &format!("Bearer token-of-{token}"))]);
            head.uri = path.parse().unwrap();
            let res = auth.check(&head);
            let role = res.map(|it| it.role).map_err(|it| it.status.as_u16());
            assert_eq!(role, expected, "{token} {path}");
        };
        check(
            Method::POST,
            "/v1/queues/jobs/ack",
            "consumer",
            Ok(Role::Consumer),
        );
        check(
            Method::POST,
            "/v1/queues/jobs/ack",
            "operator",
            Ok(Role::Operator),
        );
        check(Method::POST, "/v1/queues/jobs/ack", "viewer", Err(403));
        for path in ["/", "/v1/events", "/v1/queues", "/v1/queuesx/", "/metrics"] {
            check(Method::GET, path, "consumer", Err(403));
            check(Method::POST, path, "consumer", Err(403));
        }
    }

    #[test]
    fn g05_an_open_loopback_side_answers_to_its_own_names_only() {
        let auth = Auth::new(&[], "127.0.0.1:8081".parse().unwrap());
        for host in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1",
            "127.0.0.1:9",
            "[::1]:8081",
            "[::1]",
        ] {
            assert!(
                auth.check(&head(Method::POST, &[("host", host)])).is_ok(),
                "{host}"
            );
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8081",
            "10.0.0.1",
            "127.0.0.1@evil",
        ] {
            let res = auth.check(&head(Method::GET, &[("host", host)]));
            assert_eq!(res.unwrap_err().status, 403, "{host}");
        }
        assert_eq!(auth.check(&head(Method::GET, &[])).unwrap_err().status, 403);
    }

    #[test]
    fn no_token_and_no_loopback_is_closed() {
        let auth = Auth::new(&[], "0.0.0.0:8081".parse().unwrap());
        let res = auth.check(&head(Method::GET, &[("host", "localhost")]));
        assert_eq!(res.unwrap_err().status, 401);
    }

    #[test]
    fn g05_other_sites_cannot_post() {
        let auth = Auth::new(&[], "127.0.0.1:8081".parse().unwrap());
        let check = |name, value, is_fine: bool| {
            let headers = [("host", "localhost:8081"), (name, value)];
            let res = auth.check(&head(Method::POST, &headers));
            assert_eq!(res.is_ok(), is_fine, "{name}: {value}");
        };
        check("sec-fetch-site", "same-origin", true);
        check("sec-fetch-site", "none", true);
        check("sec-fetch-site", "cross-site", false);
        check("sec-fetch-site", "same-site", false);
        check("origin", "http://localhost:8081", true);
        check("origin", "http://localhost:3000", false);
        check("origin", "null", false);
        check("origin", "http://evil.example", false);
    }
}
