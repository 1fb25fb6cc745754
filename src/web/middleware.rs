//! What stands around every route of the admin side.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::web::{error::Problem, state::AdminState};

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                   font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                   require-trusted-types-for 'script'";

/// On every answer that does not say otherwise itself.
const DEFAULTS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=()",
    ),
];

/// Paths that are answered without a token: they tell yes or no.
pub(crate) const OPEN_PATHS: [&str; 2] = ["/livez", "/readyz"];

/// Auth and headers around all routes and around what is not a route.
pub(crate) fn around(router: Router<AdminState>, state: AdminState) -> Router {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let is_open = OPEN_PATHS.contains(&head.uri.path());
    let verdict = if is_open {
        Ok(())
    } else {
        let caller = state.0.auth.check(&head);
        caller.map(|caller| drop(head.extensions.insert(caller)))
    };
    let mut response = match verdict {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(problem) => refuse(problem),
    };
    add_defaults(response.headers_mut());
    response
}

fn refuse(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

fn add_defaults(headers: &mut HeaderMap) {
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

async fn not_found() -> Problem {
    Problem::not_found("nothing is here; `GET /` says what is")
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path takes the methods that `allow` names",
    )
}
