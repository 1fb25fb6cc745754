//! What each role may do.

use http::{Method, request::Parts};

use crate::web::{
    Role,
    auth::{Caller, Pass, origin},
    error::Problem,
};

/// Reading needs a viewer, changing an operator, and access itself an admin. Consumers have queues, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// An operator, or a consumer.
    Queue,
    Role(Role),
}

/// Lets this caller do that, or says why not.
pub(crate) fn permit(caller: &Caller, head: &Parts) -> Result<(), Problem> {
    let needed = needed(&head.method, head.uri.path());
    match needed {
        Needed::Queue if caller.role == Role::Consumer => (),
        _ if caller.role == Role::Consumer => {
            return Err(Problem::forbidden(
                "a token with the role `consumer` is for queues alone",
            ));
        }
        _ => (),
    }
    let is_foreign = match caller.pass {
        Pass::Cookie => !origin::is_same_origin(&head.headers),
        Pass::Open | Pass::Token => origin::is_cross_site(&head.headers),
    };
    if !is_safe(&head.method) && is_foreign {
        return Err(Problem::forbidden("a page of another site may not do this"));
    }
    match needed {
        Needed::Role(role) if caller.role < role => Err(lacks(role)),
        Needed::Queue if caller.role < Role::Operator && caller.role != Role::Consumer => {
            Err(lacks(Role::Operator))
        }
        _ => Ok(()),
    }
}

fn lacks(role: Role) -> Problem {
    Problem::forbidden(format!("this needs a token with the role `{}`", role.as_str()))
}

pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn needed(method: &Method, path: &str) -> Needed {
    let is_below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if is_below("/v1/tokens") {
        return Needed::Role(Role::Admin);
    }
    if ["/v1/audit", "/audit", "/v1/config", "/settings"]
        .into_iter()
        .any(is_below)
    {
        return Needed::Role(Role::Operator);
    }
    if is_safe(method) || path == "/logout" {
        return Needed::Role(Role::Viewer);
    }
    if path.starts_with("/v1/queues/") {
        return Needed::Queue;
    }
    Needed::Role(Role::Operator)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn permitted(role: Role, pass: Pass, method: &Method, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let caller = Caller {
            name: "someone".into(),
            role,
            pass,
        };
        permit(&caller, &request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn a_role_opens_what_is_its_own_and_what_is_below() {
        // consumer, viewer, operator, admin
        let check = |method: Method, path: &str, expected: [bool; 4]| {
            let roles = [Role::Consumer, Role::Viewer, Role::Operator, Role::Admin];
            let found = roles.map(|it| permitted(it, Pass::Token, &method, path, &[]));
            assert_eq!(found, expected, "{method} {path}");
        };
        for path in [
            "/",
            "/v1/events",
            "/v1/queues",
            "/v1/queues/jobs",
            "/metrics",
            "/v1/tokensx",
        ] {
            check(Method::GET, path, [false, true, true, true]);
            check(Method::HEAD, path, [false, true, true, true]);
        }
        for path in [
            "/",
            "/v1/events/x/replay",
            "/v1/queues",
            "/v1/queuesx/",
            "/metrics",
        ] {
            check(Method::POST, path, [false, false, true, true]);
        }
        check(Method::POST, "/v1/queues/jobs/ack", [true, false, true, true]);
        check(Method::DELETE, "/v1/events/x", [false, false, true, true]);
        check(Method::TRACE, "/", [false, false, true, true]);
        check(Method::POST, "/logout", [false, true, true, true]);
        for path in ["/v1/tokens", "/v1/tokens/", "/v1/tokens/tok_1/revoke"] {
            check(Method::GET, path, [false, false, false, true]);
            check(Method::POST, path, [false, false, false, true]);
        }
        for path in [
            "/v1/audit",
            "/v1/audit/verify",
            "/audit",
            "/audit/verify",
            "/v1/config",
            "/settings",
        ] {
            check(Method::GET, path, [false, false, true, true]);
        }
    }

    #[test]
    fn g05_a_cookie_needs_a_browsers_word_that_the_page_is_ours() {
        let check = |pass, headers: &[(&str, &str)], expected: bool| {
            let may = permitted(Role::Admin, pass, &Method::POST, "/v1/jobs", headers);
            assert_eq!(may, expected, "{pass:?} {headers:?}");
            // Reading changes nothing, and no other page can read the answer.
            assert!(permitted(Role::Admin, pass, &Method::GET, "/v1/jobs", headers));
        };
        check(Pass::Cookie, &[], false);
        check(Pass::Cookie, &[("sec-fetch-site", "same-origin")], true);
        check(Pass::Cookie, &[("sec-fetch-site", "none")], false);
        check(Pass::Cookie, &[("origin", "http://localhost")], true);
        check(Pass::Cookie, &[("origin", "null")], false);
        check(Pass::Token, &[], true);
        check(Pass::Token, &[("sec-fetch-site", "cross-site")], false);
        check(Pass::Open, &[("origin", "http://evil.example")], false);
    }
}
