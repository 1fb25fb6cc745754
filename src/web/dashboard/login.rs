//! The page that asks for a token.

use askama::Template;

use crate::web::dashboard::{
    frame::{Frame, Page},
    query::Query,
};

pub(crate) const PATH: &str = "/login";

#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    frame: Frame,
    /// Where to go after it. Whoever follows it checks that it is of this site.
    next: String,
    is_refused: bool,
}

pub(super) async fn show(query: Query) -> Page<LoginPage> {
    Page(LoginPage {
        frame: Frame::outside("Sign in"),
        next: query.get("next"),
        is_refused: !query.get("refused").is_empty(),
    })
}
