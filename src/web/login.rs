//! Logging in with a browser, and out again.

use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::{
    auth::{
        origin,
        role::is_safe,
        session::{self, Cookie},
    },
    error::{Problem, ProblemJson},
    extract::Form,
    state::{AdminState, Peer},
    trail::Note,
};

/// Where the page with the form is, and where it posts to.
pub(crate) const PATH: &str = "/login";

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(logout))
}

/// A token, and where to go with it.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes a form, which is read by name")]
struct LoginForm {
    token: String,
    /// A path of this side; `/` where it is absent or leads elsewhere.
    next: Option<String>,
}

/// Opens a session for a browser: shows a token once, and gets a cookie for it, which is good for 12 hours, or until it was not
/// used for one, or its token is revoked or taken from the config. Six failures in a minute are too many.
#[utoipa::path(post, path = "/login", tag = "access", operation_id = "login",
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "Logged in, or, for a browser that was refused, back to the form"),
        (status = 401, body = ProblemJson<'_>), (status = 403, body = ProblemJson<'_>), (status = 429, body = ProblemJson<'_>)))]
async fn login(
    State(state): State<AdminState>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Form(mut form): Form,
) -> Result<Response, Problem> {
    if origin::is_cross_site(&headers) {
        return Err(Problem::forbidden("a page of another site may not do this"));
    }
    let auth = &state.0.auth;
    let token = form.text("token")?.unwrap_or_default();
    let next = form.text("next")?;
    let next = next.as_deref().and_then(origin::local_path).unwrap_or("/");
    let client = auth.client(peer, &headers);
    match auth
        .log_in(token.trim().as_bytes(), client, Cookie::of(&headers))
        .await
    {
        Ok((holder, cookie)) => {
            let mut response = see_other(next);
            let cookie = cookie.set(auth.is_https(peer, &headers));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            let note = Note {
                actor: Some((holder.name.to_string(), holder.role.as_str())),
                ..Note::default()
            };
            Ok(note.on(response))
        }
        // A person gets the form again; the trail gets the refusal as it is.
        Err(problem) if accepts_pages(&headers) && problem.status.is_client_error() => {
            let back = format!("{PATH}?refused={}&next={}", problem.code, encoded(next));
            let note = Note {
                status: Some(problem.status),
                ..Note::default()
            };
            Ok(note.on(see_other(&back)))
        }
        Err(problem) => Err(problem),
    }
}

/// Ends the session of the cookie that came with it, everywhere.
#[utoipa::path(post, path = "/logout", tag = "access", operation_id = "logout",
    responses((status = 303, description = "Logged out"), (status = 401, body = ProblemJson<'_>), (status = 403, body = ProblemJson<'_>)))]
async fn logout(State(state): State<AdminState>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(cookie) = Cookie::of(&headers) {
        state.0.auth.log_out(&cookie).await?;
    }
    let mut response = see_other(PATH);
    for line in session::forget() {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(response)
}

/// Where a browser is sent that asks for a page without a session; `None` for whatever is no page.
pub(crate) fn instead_of(head: &Parts) -> Option<Response> {
    let path = head.uri.path();
    let is_page = !path.starts_with("/v1/") && !["/v1", "/metrics", "/openapi.json"].contains(&path);
    if !is_page || !is_safe(&head.method) || !accepts_pages(&head.headers) {
        return None;
    }
    let next = head.uri.path_and_query().map_or("/", |it| it.as_str());
    let next = origin::local_path(next).unwrap_or("/");
    Some(see_other(&format!("{PATH}?next={}", encoded(next))))
}

fn accepts_pages(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter();
    let mut types = lines.flat_map(|it| it.as_bytes().split(|c| *c == b','));
    types.any(|it| {
        let media_type = it.split(|c| *c == b';').next().unwrap_or_default();
        media_type.trim_ascii().eq_ignore_ascii_case(b"text/html")
    })
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// `to` is a path of ours, or a URL as it is written: visible ASCII.
pub(crate) fn see_other(to: &str) -> Response {
    let to = HeaderValue::try_from(to).expect("paths of ours and URLs are visible ASCII");
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_the_form_and_comes_back() {
        let check = |method: &str, target: &str, accept: &str, expected: Option<&str>| {
            let request = http::Request::builder()
                .method(method)
                .uri(target)
                .header("accept", accept);
            let sent = instead_of(&request.body(()).unwrap().into_parts().0);
            let to = sent.map(|it| it.headers()["location"].to_str().unwrap().to_owned());
            assert_eq!(to.as_deref(), expected, "{method} {target} {accept}");
        };
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        check("GET", "/", html, Some("/login?next=%2F"));
        check(
            "GET",
            "/events?status=dead&q=a",
            html,
            Some("/login?next=%2Fevents%3Fstatus%3Ddead%26q%3Da"),
        );
        check("HEAD", "/events", "TEXT/HTML", Some("/login?next=%2Fevents"));
        check("GET", "//evil.example", html, Some("/login?next=%2F"));
        check("POST", "/events", html, None);
        for accept in ["", "*/*", "application/json", "text/htmlx"] {
            check("GET", "/", accept, None);
        }
        for api in ["/v1", "/v1/events", "/metrics", "/openapi.json"] {
            check("GET", api, html, None);
        }
    }
}
