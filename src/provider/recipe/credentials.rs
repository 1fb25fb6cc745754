//! A `token` or a `basic` table: of a source, or of a row of the catalog.

use std::borrow::Cow;

use serde::Deserialize;

use crate::provider::{
    Provider,
    place::Place,
    recipe::{
        Fault, Places, apply_places, fault, generic, with_places,
        words::{header_name, parse_place},
    },
    scheme::{Scheme, Token},
};

/// A `token` table. With nothing in it: `authorization: Bearer ...`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRecipe {
    pub header: Option<String>,
    pub prefix: Option<String>,
    pub query: Option<String>,
    /// If in neither: `body:/token`. Only in the catalog so far.
    pub place: Option<String>,
    /// `/items`: the array in the body whose elements have the token each.
    pub each: Option<String>,
}

/// A source's `basic` table: nothing yet. The secret is `user:password`.
#[derive(Debug, Clone, Default)]
pub struct BasicRecipe {}

pub fn token(recipe: &TokenRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut row = generic("token");
    apply_places(&mut row, places, &mut faults);
    if let Some(token) = token_at(recipe, &mut faults) {
        row.schemes = Cow::Owned(vec![Scheme::Token(token)]);
    }
    if faults.is_empty() { Ok(row) } else { Err(faults) }
}

/// `None` with a fault pushed.
pub(in crate::provider) fn token_at(recipe: &TokenRecipe, faults: &mut Vec<Fault>) -> Option<Token> {
    let place = match (&recipe.header, &recipe.query, &recipe.place) {
        (Some(name), None, None) => header_name(name, "token.header", faults),
        (None, Some(name), None) => {
            if name.is_empty() {
                faults.push(fault("token.query", "it is empty", None));
            }
            Place::Query(Cow::Owned(name.clone()))
        }
        (None, None, Some(place)) => parse_place(place, "token.place", faults)?,
        (None, None, None) => {
            let prefix = recipe.prefix.clone().map_or(Cow::Borrowed("Bearer "), Cow::Owned);
            let place = Place::Header(Cow::Borrowed("authorization"));
            return Some(Token {
                each: None,
                place,
                prefix,
            });
        }
        _ => {
            let hint = "a token comes in one place: keep `header` or `query`";
            faults.push(fault("token.query", "`header` is there too", Some(hint)));
            return None;
        }
    };
    Some(Token {
        each: recipe.each.clone().map(Cow::Owned),
        place,
        prefix: Cow::Owned(recipe.prefix.clone().unwrap_or_default()),
    })
}

pub fn basic(_recipe: &BasicRecipe, places: &Places) -> Result<Provider, Vec<Fault>> {
    with_places(&generic("basic"), places)
}
