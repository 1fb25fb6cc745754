//! The rows: one file per sender. Facts only; how they are obeyed is in `verify`, `names` and `sample`.
//!
//! Each file says where its facts come from. A new sender is a new file, a line here and signed requests in `tests/vectors`.

mod generic;
mod github;
mod gitlab;
mod shopify;
mod slack;
mod standard_webhooks;
mod stripe;

use crate::provider::Provider;

/// Sorted by name.
pub static ROWS: &[Provider] = &[
    generic::BASIC,
    github::ROW,
    gitlab::ROW,
    generic::HMAC,
    shopify::ROW,
    slack::ROW,
    standard_webhooks::ROW,
    stripe::ROW,
    standard_webhooks::SVIX,
    generic::TOKEN,
    generic::UNVERIFIED,
];
