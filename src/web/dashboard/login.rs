//! The page that asks for a token, or leads to the provider of single sign-on, and the one that leads on from there.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::web::{
    dashboard::{
        frame::{Frame, Page},
        query::Query,
    },
    oidc::routes,
    state::AdminState,
};

pub(crate) const PATH: &str = "/login";

#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    frame: Frame,
    /// Where to go after it. Whoever follows it checks that it is of this site.
    next: String,
    refusal: Option<&'static str>,
    /// Where single sign-on begins.
    sign_on: Option<&'static str>,
}

pub(super) async fn show(State(state): State<AdminState>, query: Query) -> Page<LoginPage> {
    Page(LoginPage {
        frame: Frame::outside("Sign in"),
        next: query.get("next"),
        refusal: refusal(&query.get("refused")),
        sign_on: state.0.sign_on.is_some().then_some(routes::BEGIN),
    })
}

/// Of these alone, so that no link puts words into our mouth.
fn refusal(code: &str) -> Option<&'static str> {
    Some(match code {
        "" => return None,
        "sign_on_failed" => "The sign-on did not succeed. Begin it again.",
        "sign_on_unavailable" => "The identity provider gave no answer of use. Try again, or use a token.",
        "no_role" => "You are in no group that may use this gatepost. Ask whoever runs it.",
        _ => "That token is not known, or may not be used here.",
    })
}

#[derive(Debug, Template)]
#[template(path = "signed_in.html")]
struct SignedIn<'a> {
    frame: Frame,
    next: &'a str,
}

pub(super) fn signed_in(next: &str) -> Response {
    let frame = Frame::outside("Signed in");
    Page(SignedIn { frame, next }).into_response()
}
