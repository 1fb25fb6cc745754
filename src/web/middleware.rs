//! What stands around every route of the admin side.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};

use crate::web::{
    auth::role,
    dashboard,
    error::Problem,
    login,
    oidc::routes,
    state::{AdminState, Peer},
};

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

/// Paths that are answered without a token: two tell yes or no, one takes a token, two lead to an OpenID provider and back.
pub(crate) const OPEN_PATHS: [&str; 5] = ["/livez", "/readyz", login::PATH, routes::BEGIN, routes::CALLBACK];

/// Auth and headers around all routes and around what is not a route.
pub(crate) fn around(router: Router<AdminState>, state: AdminState) -> Router {
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(state.clone(), guard))
        .with_state(state)
}

async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let mut response = answer(&state, head, body, next).await;
    add_defaults(response.headers_mut());
    response
}

async fn answer(state: &AdminState, mut head: Parts, body: Body, next: Next) -> Response {
    let auth = &state.0.auth;
    let path = head.uri.path();
    let caller = if OPEN_PATHS.contains(&path) || dashboard::is_open(path) {
        None
    } else {
        match auth.caller(&head.headers).await {
            Ok(caller) => Some(caller),
            Err(problem) => return refuse(problem, &head),
        }
    };
    let refusal = caller.as_ref().and_then(|it| role::permit(it, &head).err());
    let peer = head.extensions.get::<Peer>().map(|it| it.0);
    let client = peer.map(|it| auth.client(it, &head.headers));
    let deed = state.0.operations.deed(&head, client);
    if let Some(caller) = &caller {
        head.extensions.insert(caller.clone());
    }
    let call = async move {
        match refusal {
            Some(problem) => problem.into_response(),
            None => next.run(Request::from_parts(head, body)).await,
        }
    };
    match deed {
        Some(deed) => state.0.trail.follow(deed, caller.as_ref(), call).await,
        None => call.await,
    }
}

/// Nobody knows who asks: a browser that wants a page is shown where to log in.
fn refuse(problem: Problem, head: &Parts) -> Response {
    if problem.status != StatusCode::UNAUTHORIZED {
        return problem.into_response();
    }
    login::instead_of(head).unwrap_or_else(|| {
        let mut response = problem.into_response();
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        response
    })
}

fn add_defaults(headers: &mut HeaderMap) {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|it| it.starts_with(b"text/html")) {
        // With `no-referrer` a browser would say `Origin: null` where a page of ours posts a form, and be taken for another site's.
        let to_itself = HeaderValue::from_static("same-origin");
        headers.entry(header::REFERRER_POLICY).or_insert(to_itself);
    }
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

async fn not_found() -> Problem {
    Problem::not_found("nothing is here; `GET /openapi.json` says what is")
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path takes the methods that `allow` names",
    )
}
