//! The two ends of a login by single sign-on: off to the provider, and back from it.

use std::borrow::Cow;

use axum::{Extension, extract::State, response::Response};
use http::{HeaderMap, StatusCode, Uri, header};
use url::form_urlencoded;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::clock::wall_now,
    store::access::Person,
    web::{
        Role,
        auth::origin,
        dashboard,
        error::{Problem, ProblemJson},
        login,
        oidc::{
            SignOn,
            claims::{self, Somebody},
            flow::{self, Flow},
        },
        state::{AdminState, Peer},
        trail::Note,
    },
};

/// Where the button of the login page leads.
pub(crate) const BEGIN: &str = "/login/oidc";
/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/login/oidc/callback";

/// A query of more bytes is no provider's.
const MAX_QUERY: usize = 8 * 1024;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(callback))
}

/// Why somebody is not let in. The code is for the login page, the sentence for the log and the audit log.
#[derive(Debug)]
struct Refused {
    code: &'static str,
    status: StatusCode,
    why: Cow<'static, str>,
}

impl Refused {
    fn failed(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: "sign_on_failed",
            status: StatusCode::UNAUTHORIZED,
            why: why.into(),
        }
    }

    fn unavailable(why: String) -> Self {
        Self {
            code: "sign_on_unavailable",
            status: StatusCode::BAD_GATEWAY,
            why: why.into(),
        }
    }
}

fn not_configured() -> Problem {
    Problem::not_found("single sign-on is not configured: `admin.oidc`")
}

/// Sends a browser to the OpenID provider of the config to log in there. `next`: a path of this side, to go to after it.
#[utoipa::path(get, path = "/login/oidc", tag = "access", operation_id = "begin_oidc_login",
    params(("next" = Option<String>, Query, description = "A path of this side; `/` where it is absent or leads elsewhere.")),
    responses((status = 303, description = "To the provider, or back to the form where it cannot be reached"),
        (status = 404, body = ProblemJson<'_>)))]
async fn begin(State(state): State<AdminState>, uri: Uri) -> Result<Response, Problem> {
    let sign_on = state.0.sign_on.as_ref().ok_or_else(not_configured)?;
    let next = parameter(&uri, "next").unwrap_or_default();
    let next = origin::local_path(&next).unwrap_or("/");
    let flow = Flow::new();
    let (to_state, nonce, challenge) = (flow.state(next), flow.nonce(), flow.challenge());
    let url = sign_on.issuer.login_url(&to_state, &nonce, &challenge);
    Ok(match url.await {
        Ok(url) => {
            let mut response = login::see_other(url.as_str());
            let cookie = flow.cookie(sign_on.settings.is_https());
            response.headers_mut().append(header::SET_COOKIE, cookie);
            response
        }
        Err(no_answer) => {
            let issuer = &sign_on.settings.issuer;
            tracing::warn!("nobody can sign on at `{issuer}`: {no_answer}");
            back_to_form("sign_on_unavailable", next)
        }
    })
}

/// Opens a session for a browser that comes back from the OpenID provider, if its person is in a group that has a role. It is good as
/// long as one that was opened with a token, and ends when `admin.oidc` changes.
#[utoipa::path(get, path = "/login/oidc/callback", tag = "access", operation_id = "oidc_login",
    params(("code" = Option<String>, Query, description = "The provider's, for one exchange."),
        ("state" = Option<String>, Query, description = "What this side sent there."),
        ("error" = Option<String>, Query, description = "Why there is no code.")),
    responses((status = 200, content_type = "text/html", description = "Logged in; the page leads on"),
        (status = 303, description = "Back to the form"), (status = 404, body = ProblemJson<'_>), (status = 429, body = ProblemJson<'_>)))]
async fn callback(
    State(state): State<AdminState>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let sign_on = state.0.sign_on.as_ref().ok_or_else(not_configured)?;
    let auth = &state.0.auth;
    let is_https = sign_on.settings.is_https();
    let attempt = auth.begin_attempt(auth.client(peer, &headers))?;
    let came_back = come_back(sign_on, &headers, &uri).await;
    let (mut response, note) = match came_back {
        Ok((next, somebody, role)) => {
            attempt.forgive();
            let person = Person {
                name: somebody.name.clone(),
                role: role.as_str().to_owned(),
            };
            let cookie = auth.open_for(person).await?;
            let mut response = dashboard::signed_in(&next);
            response
                .headers_mut()
                .append(header::SET_COOKIE, cookie.set(is_https));
            let note = Note {
                actor: Some((somebody.name, role.as_str())),
                detail: Some(format!("subject `{}`", somebody.subject.escape_debug())),
                ..Note::default()
            };
            (response, note)
        }
        Err(refused) => {
            tracing::warn!("a sign-on failed: {}", refused.why);
            let note = Note {
                status: Some(refused.status),
                detail: Some(refused.why.into_owned()),
                ..Note::default()
            };
            (back_to_form(refused.code, "/"), note)
        }
    };
    let over = flow::forget(is_https);
    response.headers_mut().append(header::SET_COOKIE, over);
    Ok(note.on(response))
}

/// Who came back, what they may, and where to go on.
async fn come_back(
    sign_on: &SignOn,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(String, Somebody, Role), Refused> {
    let settings = &sign_on.settings;
    let flow = Flow::of(headers, settings.is_https());
    let flow = flow.ok_or_else(|| Refused::failed("this browser began no login, or too long ago"))?;
    let given = parameter(uri, "state").unwrap_or_default();
    let next = flow.next(&given);
    let next =
        next.ok_or_else(|| Refused::failed("the `state` is not of the login that this browser began"))?;
    // RFC 9207: another provider's answer must not be shown to this one.
    if values(uri, "iss").any(|it| it != settings.issuer) {
        return Err(Refused::failed("another provider answered"));
    }
    let Some(code) = parameter(uri, "code") else {
        let error = parameter(uri, "error").unwrap_or_default();
        let error: String = error.chars().take(64).collect();
        return Err(Refused::failed(format!(
            "the provider gave no code: `{}`",
            error.escape_debug()
        )));
    };
    let claims = sign_on.issuer.exchange(&code, &flow.verifier()).await;
    let claims = claims.map_err(|no_answer| Refused::unavailable(no_answer.to_string()))?;
    claims::check(&claims, settings, &flow.nonce(), wall_now().as_unix_seconds())
        .map_err(|problem| Refused::failed(format!("the ID token is not taken: {problem}")))?;
    let somebody = claims::somebody(&claims, settings);
    let somebody = somebody.ok_or_else(|| Refused::failed("the ID token does not say who it is"))?;
    match somebody.role {
        Some(role) => Ok((next, somebody, role)),
        None => Err(Refused {
            code: "no_role",
            status: StatusCode::FORBIDDEN,
            why: format!(
                "`{}` is in no group that has a role",
                somebody.name.escape_debug()
            )
            .into(),
        }),
    }
}

/// The only value of a parameter.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut values = values(uri, name);
    let value = values.next()?;
    values.next().is_none().then(|| value.into_owned())
}

fn values<'u>(uri: &'u Uri, name: &str) -> impl Iterator<Item = Cow<'u, str>> {
    let query = uri.query().filter(|it| it.len() <= MAX_QUERY).unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs.filter(move |(it, _)| it == name).map(|(_, value)| value)
}

fn back_to_form(code: &str, next: &str) -> Response {
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    login::see_other(&format!("{}?refused={code}&next={next}", login::PATH))
}
